"""Where points may go: anywhere inside, along the walls of the boundary, nowhere at corners and pinned points.

Facets that meet at less than the corner angle are one wall. A node of one wall slides along it; in 3-D a node between
two walls slides along their common edge; nodes at corners stay. On straight walls and edges this is linear. On curved
ones a moved point is put back: on a smooth curve through the nodes in 2-D, on the facets or edges of the original mesh
in 3-D, or wherever a function of the user's puts it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from meshlearn.errors import ParameterError
from meshlearn.fem.slip import wall_normals
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.movers.elements import area_vectors
from meshlearn.models.movers.wall_shapes import WallShape, curved_walls

Snap = Callable[[torch.Tensor], Any]


class Walls:
    """What the points of a mesh (its boundary, and pinned points) are free to do.

    boundary  "slide", "fixed", or a function (k, dim) -> (k, dim) that puts sliding points on the true boundary
    pinned    (n,) bool: points that stay
    corner    angle in degrees
    """

    def __init__(self, mesh: Mesh, boundary: str | Snap, pinned: np.ndarray, corner: float) -> None:
        self.points = mesh.points.detach().double().numpy()
        self.n, self.dim = self.points.shape
        self._user = None if isinstance(boundary, str) else boundary
        on = mesh.topology.is_boundary.numpy()
        frames = np.broadcast_to(np.eye(self.dim), (self.n, self.dim, self.dim)).copy()
        self.shapes: list[WallShape] = []
        if boundary == "fixed" or self.dim == 1:
            pinned = pinned | on
        else:
            normals = _normals(mesh, self.points, math.radians(corner))
            rank = np.zeros(self.n, dtype=int)
            for node, rows in normals.items():
                frames[node] -= rows.T @ rows
                rank[node] = len(rows)
            pinned = pinned | (rank == self.dim)
            if self._user is None:
                self.shapes = curved_walls(mesh, self.points, rank, math.radians(corner))
        frames[pinned] = 0.0
        self.pinned, self.frames = pinned, frames
        self.sliding = np.flatnonzero(on & ~pinned)
        for shape in self.shapes:
            shape.restrict(~pinned)
        self.shapes = [shape for shape in self.shapes if len(shape.nodes)]
        self.basis = _basis(frames)

    @property
    def curved(self) -> bool:
        """Whether moved points have to be put back on their walls."""
        return self._user is not None or bool(self.shapes)

    def snap(self, points: np.ndarray) -> np.ndarray:
        """(n, dim): the points, those of curved walls put back on them."""
        if not self.curved:
            return points
        points = points.copy()
        if self._user is not None:
            points[self.sliding] = self._placed(points[self.sliding])
        for shape in self.shapes:
            points[shape.nodes] = shape.closest(points[shape.nodes])
        return points

    def along(self, points: np.ndarray, moves: np.ndarray) -> np.ndarray:
        """(n, dim): the part of the moves (n, dim) that the walls allow at `points` (n, dim)."""
        frames = self.frames
        if self.shapes:
            frames = frames.copy()
            for shape in self.shapes:
                frames[shape.nodes] = shape.frames(points[shape.nodes])
        return np.einsum("nij,nj->ni", frames, moves)

    def check_start(self, ratios: Callable[[np.ndarray], np.ndarray]) -> None:
        """Raises ParameterError where the user's boundary inverts cells before anything has moved."""
        if self._user is None:
            return
        bad = int((ratios(self.snap(self.points)) <= 0).sum())
        if bad:
            raise ParameterError(
                f"the function given as `boundary` inverts {bad} cells where nothing has moved yet: it puts points far "
                "from where they are.\n  It has to return, for every point, the closest one of the true boundary."
            )

    def _placed(self, points: np.ndarray) -> np.ndarray:
        assert self._user is not None
        placed = self._user(torch.from_numpy(points))
        if not isinstance(placed, (torch.Tensor, np.ndarray)):
            raise ParameterError(
                f"the function given as `boundary` must put points {points.shape} on the boundary and return as many; "
                f"it returned a {type(placed).__name__}."
            )
        placed = torch.as_tensor(placed).detach().double().cpu().numpy()
        if placed.shape != points.shape or not np.isfinite(placed).all():
            raise ParameterError(
                f"the function given as `boundary` must put points {points.shape} on the boundary and return as many; "
                f"it returned {placed.shape}" + ("." if placed.shape != points.shape else " with values not finite.")
            )
        return placed


def _normals(mesh: Mesh, points: np.ndarray, corner: float) -> dict[int, np.ndarray]:
    """{boundary node: (k, dim) orthonormal normals of its walls}."""
    (facets,) = (nodes.numpy() for nodes in mesh.topology.boundary_facets.values())
    vectors = area_vectors(points, facets)
    measures = np.linalg.norm(vectors, axis=1)
    normals = vectors / measures[:, None]
    nodes, local = np.unique(facets, return_inverse=True)
    k = facets.shape[1]
    owner, rows = wall_normals(local.reshape(-1), normals.repeat(k, 0), measures.repeat(k), corner, len(nodes))
    order = np.argsort(owner, kind="stable")
    split = np.split(rows[order], np.searchsorted(owner[order], np.arange(1, len(nodes))))
    found = dict(zip(nodes.tolist(), split, strict=True))
    sharp = _sharp(local.reshape(-1), normals.repeat(k, 0), len(nodes), corner)
    for node, is_sharp in zip(nodes.tolist(), sharp, strict=True):
        if is_sharp and len(found[node]) == 1:  # the tip of a crack: opposite normals, one line
            found[node] = np.eye(points.shape[1])
    return found


def _sharp(node: np.ndarray, normals: np.ndarray, n: int, corner: float) -> np.ndarray:
    mean = np.zeros((n, normals.shape[1]))
    np.add.at(mean, node, normals)
    size = np.linalg.norm(mean, axis=1, keepdims=True)
    lowest = np.ones(n)
    np.minimum.at(lowest, node, (normals * (mean / np.where(size > 0, size, 1))[node]).sum(1))
    return lowest < math.cos(corner / 2)


def _basis(frames: np.ndarray) -> Any:
    """Projections (n, dim, dim) as a matrix (n * dim, k) with orthonormal columns, block after block."""
    from scipy.sparse import coo_array

    n, dim, _ = frames.shape
    size, directions = np.linalg.eigh(frames)
    node, column = np.nonzero(size > 0.5)
    vectors = directions[node, :, column]  # (k, dim)
    exact = np.abs(np.abs(vectors) - 1) < 1e-12  # along an axis: no rounding in the other components
    vectors = np.where(exact.any(1, keepdims=True), np.sign(vectors) * exact, vectors)
    rows = node[:, None] * dim + np.arange(dim)
    columns = np.broadcast_to(np.arange(len(node))[:, None], rows.shape)
    made = coo_array((vectors.reshape(-1), (rows.reshape(-1), columns.reshape(-1))), shape=(n * dim, len(node))).tocsr()
    made.eliminate_zeros()
    return made
