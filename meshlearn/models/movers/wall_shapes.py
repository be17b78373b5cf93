"""Curved walls: smooth curves in 2-D, pieces of the original surface and of its sharp edges in 3-D."""

from __future__ import annotations

import numpy as np
import torch

from meshlearn.errors import TopologyError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.search.closest import ClosestPoint
from meshlearn.models.movers.wall_curve import WallCurve

_STRAIGHT = 1e-6  # sine of the angle below which neighbouring facets count as one plane


class CurveShape:
    """A curved wall of a planar domain."""

    def __init__(self, nodes: np.ndarray, points: np.ndarray, closed: bool) -> None:
        self.curve, self.nodes = WallCurve(points[nodes], closed), nodes

    def restrict(self, free: np.ndarray) -> None:
        self.nodes = self.nodes[free[self.nodes]]

    def closest(self, points: np.ndarray) -> np.ndarray:
        return self.curve.at(self.curve.closest(points))

    def frames(self, points: np.ndarray) -> np.ndarray:
        tangent = self.curve.tangent(self.curve.closest(points))
        return tangent[:, :, None] * tangent[:, None, :]


class FacetShape:
    """A curved wall in space (triangles), or a curved edge between two walls (lines), as in the original mesh."""

    def __init__(self, nodes: np.ndarray, points: np.ndarray, elements: np.ndarray) -> None:
        self.nodes = nodes
        kind = "triangle" if elements.shape[1] == 3 else "line"
        self._search = ClosestPoint(torch.from_numpy(points), {kind: torch.from_numpy(elements)})
        self._elements, self._x = elements, points[elements]
        self._directions = _mean_directions(points, elements)[elements]  # (m, k, 3)
        if kind == "line":  # both ends of an edge point the same way
            along = self._x[:, 1:] - self._x[:, :1]
            self._directions = self._directions * np.sign((self._directions * along).sum(2, keepdims=True))

    def restrict(self, free: np.ndarray) -> None:
        self.nodes = self.nodes[free[self.nodes]]

    def _weights(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        element, xi, _ = self._search(torch.from_numpy(np.ascontiguousarray(points)))
        local = xi.numpy()
        return element.numpy(), np.concatenate([1 - local.sum(1, keepdims=True), local], 1)

    def closest(self, points: np.ndarray) -> np.ndarray:
        element, weights = self._weights(points)
        return np.einsum("nk,nkd->nd", weights, self._x[element])

    def frames(self, points: np.ndarray) -> np.ndarray:
        element, weights = self._weights(points)
        direction = np.einsum("nk,nkd->nd", weights, self._directions[element])
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        along = direction[:, :, None] * direction[:, None, :]
        return along if self._elements.shape[1] == 2 else np.eye(3) - along


WallShape = CurveShape | FacetShape


def curved_walls(mesh: Mesh, points: np.ndarray, rank: np.ndarray, corner: float) -> list[WallShape]:
    """The walls that are not straight; `rank` (n,) is the number of independent normals of each point."""
    if mesh.dim == 2:
        return _curves(mesh, points, rank)
    return _surfaces(mesh, points, rank, corner)


def _curves(mesh: Mesh, points: np.ndarray, rank: np.ndarray) -> list[WallShape]:
    found: list[WallShape] = []
    for ring in mesh.topology.boundary_loops:
        loop = ring.numpy()
        corners = np.flatnonzero(rank[loop] > 1)
        if not len(corners):
            found.append(CurveShape(loop, points, True))
            continue
        for first, last in zip(corners, np.append(corners[1:], corners[0] + len(loop)), strict=True):
            chain = loop[np.arange(first, last + 1) % len(loop)]
            if len(chain) > 2 and not _is_straight(points[chain]):
                shape = CurveShape(chain, points, False)
                shape.nodes = chain[1:-1]
                found.append(shape)
    return found


def _surfaces(mesh: Mesh, points: np.ndarray, rank: np.ndarray, corner: float) -> list[WallShape]:
    facets = mesh.topology.boundary_facets["triangle"].numpy()
    vectors = np.cross(points[facets[:, 1]] - points[facets[:, 0]], points[facets[:, 2]] - points[facets[:, 0]])
    normals = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = np.sort(facets[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1)
    edges, which, count = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    if (count != 2).any():
        raise TopologyError(
            f"{int((count != 2).sum())} edges of the boundary belong to more than two of its facets: parts of the mesh "
            "touch along them.\n  Separate the parts (points of their own for each), or use boundary='fixed'."
        )
    order = np.argsort(which.reshape(-1), kind="stable")
    left, right = (order // 3).reshape(-1, 2).T  # every edge of a closed surface has two facets
    smooth = (normals[left] * normals[right]).sum(1) >= np.cos(corner)
    found: list[WallShape] = []
    for rows in _parts(left[smooth], right[smooth], len(facets)):
        if np.abs(np.cross(normals[rows], normals[rows[0]])).max() > _STRAIGHT:
            nodes = np.unique(facets[rows])
            found.append(FacetShape(nodes[rank[nodes] == 1], points, facets[rows]))
    sharp = edges[~smooth]
    if len(sharp):
        # edges that meet in a node which slides along them are one curve
        joins = _joined(sharp, rank[sharp] == 2)
        for rows in _parts(*joins, len(sharp)):
            nodes = np.unique(sharp[rows])
            if not _is_straight(points[nodes]):
                found.append(FacetShape(nodes[rank[nodes] == 2], points, sharp[rows]))
    return found


def _joined(edges: np.ndarray, through: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of edges that share one of the marked ends."""
    ends, owner = edges[through], np.broadcast_to(np.arange(len(edges))[:, None], edges.shape)[through]
    order = np.argsort(ends, kind="stable")
    same = ends[order][1:] == ends[order][:-1]
    return owner[order][:-1][same], owner[order][1:][same]


def _parts(left: np.ndarray, right: np.ndarray, n: int) -> list[np.ndarray]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(left)), (left, right)), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    order = np.argsort(label, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(label[order])) + 1)


def _is_straight(points: np.ndarray) -> bool:
    centred = points - points.mean(0)
    size = np.linalg.svd(centred, compute_uv=False)
    return bool(size[1] <= _STRAIGHT * size[0])


def _mean_directions(points: np.ndarray, elements: np.ndarray) -> np.ndarray:
    """(n, 3): unit mean normals of triangles, or tangents of lines, at the points; lines are turned alike first."""
    total = np.zeros_like(points)
    x = points[elements]
    if elements.shape[1] == 3:
        for column in range(3):
            np.add.at(total, elements[:, column], np.cross(x[:, 1] - x[:, 0], x[:, 2] - x[:, 0]))
    else:
        along = x[:, 1] - x[:, 0]
        outer = np.zeros((*points.shape, 3))
        for column in range(2):
            np.add.at(outer, elements[:, column], along[:, :, None] * along[:, None, :])
        total = np.linalg.eigh(outer)[1][:, :, -1]
    size = np.linalg.norm(total, axis=1, keepdims=True)
    return total / np.where(size > 0, size, 1)
