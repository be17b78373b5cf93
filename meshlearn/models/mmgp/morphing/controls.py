"""Where the points of a mesh's skin go on the reference's skin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from meshlearn.errors import TopologyError
from meshlearn.mesh.checks import of_mesh
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.morphing.alignment import boxed
from meshlearn.models.mmgp.morphing.correspondence import corresponding_fractions
from meshlearn.models.mmgp.morphing.face_controls import Creases, face_controls
from meshlearn.models.mmgp.morphing.loop import Loop, common_tags, planar_loops
from meshlearn.models.mmgp.morphing.morph import landmark_point
from meshlearn.models.mmgp.morphing.skin import Label, Skin, skin_of, skin_tags

_EAR = 0.01


@dataclass(frozen=True)
class Controls:
    """Points of a skin and where they go.

    nodes    (k,) int64 points of a mesh
    targets  (k, dim) where they go on the reference
    remark   what stood in the way of a closer match, "" if nothing did
    """

    nodes: np.ndarray
    targets: np.ndarray
    remark: str = ""


class SkinControls:
    """Where the points of the skin of any mesh go on the reference's. All meshes float64, on the CPU, oriented.

    Plates: by loops, anchored at landmarks, tags and corners, in between by arc length. Solids and surfaces: where
    sharp edges, rims and tags cut both skins into the same faces, face to face (`face_controls`); else each part of
    the skin with the same tags (faces, edges and corners where they meet) is scaled to the extent of its counterpart
    and projected to it. Curves: by their parts with the same tags.

    landmarks  names of point sets of one point each
    tags       use the boundary tags that a mesh shares with the reference
    """

    def __init__(self, reference: Mesh, landmarks: Sequence[str], tags: bool) -> None:
        self.reference, self.landmarks, self.tags = reference, landmarks, tags
        self._creases: dict[tuple[str, ...], Creases] = {}

    def candidates(self, mesh: Mesh) -> Iterator[Controls]:
        """Likeliest first; the next one is for meshes whose cells the one before turns over."""
        if mesh.dim == 2 and mesh.cell_dim == 2:
            for by_place in (False, True) if self.tags and len(mesh.topology.boundary_loops) > 2 else (False,):
                yield _planar_controls(mesh, self.reference, self.landmarks, self.tags, by_place)
            return
        names = skin_tags(mesh, self.reference) if self.tags else []
        skin, other, remark = skin_of(mesh, names), self._reference(names), ""
        if mesh.cell_dim > 1:
            creases = Creases(skin, mesh.point_measures(), other)
            remark = creases.unlike(other)
            for matched in creases.matches(other):
                remark = ""
                yield _with_landmarks(mesh, self.reference, self.landmarks, *face_controls(*matched))
        nodes, targets = _part_controls(skin, other.skin, of_mesh(mesh.source))
        yield replace(_with_landmarks(mesh, self.reference, self.landmarks, nodes, targets), remark=remark)

    def _reference(self, names: Sequence[str]) -> Creases:
        """The skin of the reference, with its cuts so far."""
        if tuple(names) not in self._creases:
            self._creases[tuple(names)] = Creases(skin_of(self.reference, names), self.reference.point_measures())
        return self._creases[tuple(names)]


def _planar_controls(mesh: Mesh, reference: Mesh, landmarks: Sequence[str], tags: bool, by_place: bool) -> Controls:
    names = common_tags(mesh, reference) if tags else []
    loops, others = planar_loops(mesh, names), planar_loops(reference, names)
    nodes, targets = [], []
    for loop, other in zip(loops, matched_loops(loops, others, not by_place), strict=True):
        fixed = []
        for name in landmarks:
            here = np.flatnonzero(loop.nodes == landmark_point(mesh, name))
            there = np.flatnonzero(other.nodes == landmark_point(reference, name))
            if len(here) and len(there):
                fixed.append((int(there[0]), int(here[0])))
        fractions = corresponding_fractions(loop, other, fixed, of_mesh(mesh.source))
        nodes.append(loop.nodes)
        targets.append(_lifted_ears(mesh, loop, other.at(fractions), outward=1 if loop is loops[0] else -1))
    return _with_landmarks(mesh, reference, landmarks, np.concatenate(nodes), np.concatenate(targets))


def _lifted_ears(mesh: Mesh, loop: Loop, targets: np.ndarray, outward: int) -> np.ndarray:
    """Tips of cells with two sides on the boundary, a little off where those sides become straight.

    Where a corner of the mesh goes to a straight piece of the reference, such a cell would have no area.
    """
    around = np.bincount(
        np.concatenate([mesh.cells[kind].numpy().reshape(-1) for kind in mesh.domain_types]), minlength=mesh.n_points
    )
    corners = np.flatnonzero(loop.corner)
    previous, tip, following = np.roll(targets[corners], 1, axis=0), targets[corners], np.roll(targets[corners], -1, 0)
    along = following - previous
    normal = outward * np.stack([along[:, 1], -along[:, 0]], axis=1)
    height = ((tip - previous) * normal).sum(1) / np.maximum((along**2).sum(1), 1e-300)
    flat = (around[loop.nodes[corners]] == 1) & (np.abs(height) < _EAR)
    lifted = targets.copy()
    lifted[corners[flat]] += ((_EAR - height)[:, None] * normal)[flat]
    return lifted


def matched_loops(loops: list[Loop], others: list[Loop], by_tags: bool = True) -> list[Loop]:
    """The counterpart of each loop: outline to outline, holes by their tags, then by the place of their centres."""
    from scipy.optimize import linear_sum_assignment

    if len(loops) < 3:
        return others
    place = [_relative(loop, loops[0]) for loop in loops[1:]]
    there = [_relative(other, others[0]) for other in others[1:]]
    cost = np.linalg.norm(np.array(place)[:, None] - np.array(there)[None], axis=2)
    for i, loop in enumerate(loops[1:]):
        for j, other in enumerate(others[1:]):
            cost[i, j] += (1e3 if by_tags else 1e-9) * float((loop.tagged.any(0) != other.tagged.any(0)).sum())
    return [others[0], *(others[1 + j] for j in linear_sum_assignment(cost)[1])]


def _relative(hole: Loop, outline: Loop) -> np.ndarray:
    low, high = outline.points.min(0), outline.points.max(0)
    return (hole.centre - low) / (high - low)


def _part_controls(skin: Skin, other: Skin, where: str) -> tuple[np.ndarray, np.ndarray]:
    nodes, targets = [], []
    for label, rows in skin.parts.items():
        if not other.having(label).any():
            continue  # a corner or an edge that the reference has not: its place follows from the others
        points = skin.points[skin.nodes[rows]]
        nodes.append(skin.nodes[rows].numpy())
        targets.append(other.place(label)(_aligned(points, skin, other, label))[0].numpy())
    if not nodes or sum(map(len, nodes)) < 0.5 * len(skin.nodes):
        raise TopologyError(
            f"the tags cut the skin into other parts than the reference's{where}: for more than half of its points "
            "there is no part with the same tags.\n  correct the tags, or morph without them: "
            'morphing_options={"tags": False}.'
        )
    return np.concatenate(nodes), np.concatenate(targets)


def _aligned(points: torch.Tensor, skin: Skin, other: Skin, label: Label) -> torch.Tensor:
    mine = skin.points[skin.nodes[torch.from_numpy(skin.having(label))]]
    theirs = other.points[other.nodes[torch.from_numpy(other.having(label))]]
    return boxed(points, mine, theirs, float((skin.points.amax(0) - skin.points.amin(0)).max()))


def _with_landmarks(
    mesh: Mesh, reference: Mesh, landmarks: Sequence[str], nodes: np.ndarray, targets: np.ndarray
) -> Controls:
    for name in landmarks:
        point, goal = landmark_point(mesh, name), reference.points[landmark_point(reference, name)].numpy()
        keep = nodes != point
        nodes, targets = np.append(nodes[keep], point), np.concatenate([targets[keep], goal[None]])
    return Controls(nodes, targets)
