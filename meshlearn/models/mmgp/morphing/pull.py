"""Forces that pull the skin of a mesh onto the skin of the reference, free to slide along it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import TopologyError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.reference import jacobians_each, reference_cell
from meshlearn.models.mmgp.morphing.alignment import boxed
from meshlearn.models.mmgp.morphing.closest import ClosestPlace
from meshlearn.models.mmgp.morphing.skin import Label, Skin
from meshlearn.ops import gather

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_FAR = 0.25


class Pull:
    """Closest points, normals and distances between the skin of a moving mesh and that of the reference.

    skin    of the mesh, with the labels it shares with `other`
    other   of the reference
    fixed   {point of the mesh: (dim,) where it must go}
    """

    def __init__(self, skin: Skin, other: Skin, fixed: dict[int, Tensor]) -> None:
        self.skin, self.other, self.fixed = skin, other, fixed
        self.labels: list[tuple[Label, Label, Tensor]] = []
        for label, rows in skin.parts.items():
            self.labels.append((label, _known(other, label), skin.nodes[torch.from_numpy(rows)]))

    def targets(self, points: Float[Tensor, "n dim"]) -> tuple[Tensor, Tensor, Tensor]:
        """(m,) points pulled, (m, dim) where to, (m, dim, dim) projection to the directions in which they are."""
        nodes, goals, across = [], [], []
        for label, there, rows in self.labels:
            place = self.other.place(there)
            mine = points[self.skin.nodes[torch.from_numpy(self.skin.having(label))]]
            size = float((points.amax(0) - points.amin(0)).max())
            goal, element, xi = place(boxed(points[rows], mine, self._extent(there), size))
            nodes.append(rows)
            goals.append(goal)
            across.append(_across(place, element, xi))
        if self.fixed:
            nodes.append(torch.tensor(list(self.fixed)))
            goals.append(torch.stack(list(self.fixed.values())))
            across.append(torch.eye(points.shape[1], dtype=points.dtype).expand(len(self.fixed), -1, -1))
        return torch.cat(nodes), torch.cat(goals), torch.cat(across)

    def distance(self, points: Float[Tensor, "n dim"]) -> float:
        """Largest distance of a point of the skin from its part of the reference's, and of fixed points from home."""
        largest = 0.0
        for _, there, rows in self.labels:
            goal = self.other.place(there)(points[rows])[0]
            largest = max(largest, float((goal - points[rows]).norm(dim=1).max()))
        for node, goal in self.fixed.items():
            largest = max(largest, float((goal - points[node]).norm()))
        return largest

    def uncovered(self, points: Float[Tensor, "n dim"]) -> tuple[csr_matrix, Tensor]:
        """What of the reference's skin the mesh's has not reached: (p, n) weights of points, (p, dim) ways to go.

        Only points farther than a quarter of an edge count: less is the difference between chords and arcs.
        """
        from scipy.sparse import coo_matrix

        there = self.other.points[self.other.nodes]
        place = ClosestPlace(points, self.skin.facets)
        goal, element, xi = place(there)
        way = there - goal
        far = (way.norm(dim=1) > _FAR * self._edge(points)).nonzero().squeeze(1)
        rows, columns, values, first = [], [], [], 0
        for kind, nodes in place.search.elements.items():
            mine = far[((element[far] >= first) & (element[far] < first + len(nodes)))]
            if len(mine):
                shape = reference_cell(kind).shape(xi[mine])
                rows.append(torch.searchsorted(far, mine)[:, None].expand_as(shape).reshape(-1))
                columns.append(nodes[element[mine] - first].reshape(-1))
                values.append(shape.reshape(-1))
            first += len(nodes)
        shape_of = (len(far), len(points))
        if not len(far):
            return coo_matrix(shape_of).tocsr(), way[far]
        parts = tuple(torch.cat(part).numpy() for part in (values, rows, columns))
        return coo_matrix((parts[0], parts[1:]), shape_of).tocsr(), way[far]

    def _extent(self, label: Label) -> Tensor:
        return self.other.points[self.other.nodes[torch.from_numpy(self.other.having(label))]]

    def _edge(self, points: Tensor) -> float:
        ends = torch.cat([nodes[:, :2] for nodes in self.skin.facets.values()])
        return float((points[ends[:, 0]] - points[ends[:, 1]]).norm(dim=1).mean())


def _known(other: Skin, label: Label) -> Label:
    """The label itself, or as many of its tags as the reference has together on some point."""
    if other.having(label).any():
        return label
    chosen: list[bool] = [False] * len(label)
    for k, has in enumerate(label):
        if has:
            chosen[k] = True
            chosen[k] = bool(other.having(tuple(chosen)).any())
    return tuple(chosen)


def _across(place: ClosestPlace, element: Tensor, xi: Tensor) -> Tensor:
    """(m, dim, dim): identity less the projection to the tangents of the elements."""
    dim = place.points.shape[1]
    result = torch.eye(dim, dtype=place.points.dtype).repeat(len(element), 1, 1)
    first = 0
    for kind, nodes in place.search.elements.items():
        cell = reference_cell(kind)
        mine = ((element >= first) & (element < first + len(nodes))).nonzero().squeeze(1)
        if len(mine) and cell.dim:
            tangents = jacobians_each(cell, gather(place.points, nodes[element[mine] - first]), xi[mine])
            basis = torch.linalg.qr(tangents)[0]
            result[mine] -= basis @ basis.transpose(1, 2)
        first += len(nodes)
    return result


def loop_tags(mesh: Mesh, reference: Mesh, tags: list[str]) -> tuple[np.ndarray, np.ndarray, dict[int, Tensor]]:
    """(n, n_loops) and (m, n_loops) membership of points in matching boundary loops, and corners that are fixed."""
    from meshlearn.mesh.checks import of_mesh
    from meshlearn.models.mmgp.morphing.controls import matched_loops
    from meshlearn.models.mmgp.morphing.correspondence import anchor_pairs
    from meshlearn.models.mmgp.morphing.loop import planar_loops

    loops, others = planar_loops(mesh, tags), planar_loops(reference, tags)
    mine = np.zeros((mesh.n_points, len(loops)), dtype=bool)
    theirs = np.zeros((reference.n_points, len(loops)), dtype=bool)
    fixed: dict[int, Tensor] = {}
    if len(loops) != len(others):
        raise TopologyError(f"{len(loops)} boundary loops, against {len(others)}{of_mesh(mesh.source)}.")
    for k, (loop, other) in enumerate(zip(loops, matched_loops(loops, others), strict=True)):
        mine[loop.nodes, k], theirs[other.nodes, k] = True, True
        for there, here in anchor_pairs(loop, other, None, of_mesh(mesh.source)):
            fixed[int(loop.nodes[here])] = torch.from_numpy(other.points[there])
    return mine, theirs, fixed
