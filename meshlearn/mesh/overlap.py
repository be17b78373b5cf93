"""Where the cells of two meshes overlap: exact intersections of intervals, triangles, tetrahedra, all pairs at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshlearn.errors import TopologyError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.tetra_clipping import clip_tetrahedra, volumes

_KINDS = {1: "line", 2: "triangle", 3: "tetra"}
_EMPTY = 1e-14  # of the smaller cell: overlaps below are touches
_BLOCK = {1: 1 << 17, 2: 1 << 17, 3: 1 << 14}  # pairs at a time


@dataclass(frozen=True)
class Overlaps:
    """Pieces (simplices) of the intersections of cells of two meshes.

    first, second  (m,) global number of the cell of either mesh
    corners        (m, dim + 1, dim) float64
    measure        (m,) lengths, areas or volumes, positive
    """

    first: np.ndarray
    second: np.ndarray
    corners: np.ndarray
    measure: np.ndarray


def overlaps(first: Mesh, second: Mesh) -> Overlaps:
    """All overlaps of two meshes of lines in 1-D, triangles in the plane or tetrahedra, in either orientation.

    Triangles are clipped by one another's sides (Sutherland and Hodgman 1974) and the convex polygons cut into
    triangles; tetrahedra by one another's faces, into tetrahedra. Raises TopologyError for other meshes, and for two of
    unlike dimension.
    """
    for mesh in (first, second):
        if mesh.dim not in _KINDS or mesh.domain_types != [_KINDS[mesh.dim]]:
            raise TopologyError(
                f"overlaps of cells are computed for lines in 1-D, triangles in the plane and tetrahedra; got "
                f"{mesh.cell_counts} in {mesh.dim}-D.\n  for other cells: ml.interpolate(source, target)."
            )
    if first.dim != second.dim:
        raise TopologyError(f"the meshes have {first.dim} and {second.dim} dimensions: expected the same.")
    a, b = _corners(first), _corners(second)
    pairs = _candidates(a, b)
    clip = {1: _clip_lines, 2: _clip_triangles, 3: _clip_tetrahedra}[first.dim]
    block = _BLOCK[first.dim]
    parts = [clip(a, b, *(p[start : start + block] for p in pairs)) for start in range(0, max(len(pairs[0]), 1), block)]
    return Overlaps(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _corners(mesh: Mesh) -> np.ndarray:
    """(n, dim + 1, dim), positively oriented."""
    (kind,) = mesh.domain_types
    x = mesh.points.detach().cpu().double().numpy()[mesh.cells[kind].cpu().numpy()]
    negative = np.linalg.det(x[:, 1:] - x[:, :1]) < 0
    x[negative] = x[negative][:, ::-1]
    return x


def _candidates(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of cells whose bounding boxes meet. `b` is searched by classes of size, so grading costs little."""
    from scipy.spatial import KDTree

    centre_a, centre_b = a.mean(1), b.mean(1)
    radius_a, radius_b = (np.linalg.norm(x - c[:, None], axis=2).max(1) for x, c in ((a, centre_a), (b, centre_b)))
    left, right = [], []
    for size in np.unique(np.floor(np.log2(radius_b))):
        mine = np.flatnonzero(np.floor(np.log2(radius_b)) == size)
        found = KDTree(centre_b[mine]).query_ball_point(centre_a, radius_a + radius_b[mine].max())
        count = np.fromiter(map(len, found), np.int64, len(found))
        left.append(np.repeat(np.arange(len(a)), count))
        right.append(mine[np.concatenate([np.asarray(f, np.int64) for f in found])])
    i, j = np.concatenate(left), np.concatenate(right)
    meet = ((a.min(1)[i] <= b.max(1)[j]) & (b.min(1)[j] <= a.max(1)[i])).all(1)
    return i[meet], j[meet]


def _clip_lines(a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, ...]:
    low, high = np.maximum(a[i, 0], b[j, 0]), np.minimum(a[i, 1], b[j, 1])
    length = (high - low)[:, 0]
    kept = length > _EMPTY * np.minimum((a[i, 1] - a[i, 0])[:, 0], (b[j, 1] - b[j, 0])[:, 0])
    return i[kept], j[kept], np.stack([low, high], 1)[kept], length[kept]


def _clip_triangles(a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, ...]:
    polygon, count = a[i], np.full(len(i), 3)
    for side in range(3):
        start, end = b[j, side], b[j, (side + 1) % 3]
        polygon, count = _clip(polygon, count, start, end - start)
    fan = polygon.shape[1] - 2
    pieces = np.stack([polygon[:, [0, k + 1, k + 2]] for k in range(fan)], 1)  # (pairs, fan, 3, 2)
    exists = np.arange(fan) + 3 <= count[:, None]
    area = _areas(pieces)
    least = _EMPTY * np.minimum(_areas(a)[i], _areas(b)[j])
    pair, piece = np.nonzero(exists & (area > least[:, None]))
    return i[pair], j[pair], pieces[pair, piece], area[pair, piece]


def _clip_tetrahedra(a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, ...]:
    return clip_tetrahedra(a, b, i, j, _EMPTY * np.minimum(volumes(a[i]), volumes(b[j])))


def _areas(x: np.ndarray) -> np.ndarray:
    u, v = x[..., 1, :] - x[..., 0, :], x[..., 2, :] - x[..., 0, :]
    return (u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]) / 2


def _clip(
    polygon: np.ndarray, count: np.ndarray, origin: np.ndarray, along: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The parts of convex polygons (n, k, 2) with `count` corners to the left of a line: (n, k + 1, 2) and counts."""
    n, k, _ = polygon.shape
    column = np.arange(k)
    valid = column < count[:, None]
    follow = np.where(column + 1 < count[:, None], column + 1, 0)
    offset = polygon - origin[:, None]
    height = along[:, None, 0] * offset[..., 1] - along[:, None, 1] * offset[..., 0]
    after, next_height = np.take_along_axis(polygon, follow[..., None], 1), np.take_along_axis(height, follow, 1)
    inside = height >= 0
    crosses = valid & (inside != (next_height >= 0))
    part = height / np.where(crosses, height - next_height, 1.0)
    cut = polygon + part[..., None] * (after - polygon)
    made = np.stack([polygon, cut], 2).reshape(n, 2 * k, 2)
    kept = np.stack([valid & inside, crosses], 2).reshape(n, 2 * k)
    order = np.argsort(~kept, axis=1, kind="stable")[:, : k + 1]
    return np.take_along_axis(made, order[..., None], 1), kept.sum(1)
