"""Delaunay triangulation of a region bounded by curves, smoothed, with every boundary segment present.

Nodes of the boundary follow the size field; interior nodes start on hexagonal lattices of the local size and move to
the means of the circumcentres of their triangles, weighted by area (L. Chen, "Mesh smoothing schemes based on optimal
Delaunay triangulations", 13th Int. Meshing Roundtable, 2004, equation (11)). Then bad triangles are removed by taking
out or putting in single points, in the manner of Delaunay refinement (J. Ruppert, J. Algorithms 18, 1995), until the
smallest angle is large enough or nothing improves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import Delaunay, cKDTree

from meshlearn.errors import MeshError, ParameterError
from meshlearn.mesh.shapes.mesher.curves import Curve
from meshlearn.mesh.shapes.mesher.interior import inside_region, interior_points
from meshlearn.mesh.shapes.mesher.sizing import discretise, size_field

GOOD_ANGLE = np.radians(25)
SWEEPS = 12
ROUNDS = 30


@dataclass
class Triangulation:
    """points (n, 2); triangles (m, 3), counter-clockwise; segments (s, 2) with the region on their left; and for each
    segment the number of its curve and of the piece of the curve that it lies on."""

    points: np.ndarray
    triangles: np.ndarray
    segments: np.ndarray
    curve: np.ndarray
    piece: np.ndarray


@dataclass
class _Boundary:
    """Nodes along the curves, closed curve after closed curve."""

    curves: Sequence[Curve]
    parameter: list[np.ndarray]
    piece: list[np.ndarray]

    def points(self) -> np.ndarray:
        return np.concatenate([curve.at(t) for curve, t in zip(self.curves, self.parameter, strict=True)])

    def segments(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Segments (s, 2), curve numbers, pieces. The outline runs counter-clockwise, holes clockwise."""
        ends, owner, first = [], [], 0
        for number, t in enumerate(self.parameter):
            here = first + np.arange(len(t))
            pair = np.stack([here, np.roll(here, -1)], axis=1)
            ends.append(pair if number == 0 else pair[:, ::-1])
            owner.append(np.full(len(t), number))
            first += len(t)
        return np.concatenate(ends), np.concatenate(owner), np.concatenate(self.piece)

    def split(self, rows: np.ndarray) -> None:
        """Put a node in the middle (of the parameter) of the segments with these numbers."""
        first = 0
        for number, t in enumerate(self.parameter):
            here = np.sort(rows[(rows >= first) & (rows < first + len(t))]) - first
            first += len(t)
            if len(here):
                following = np.append(t, t[0] + 1.0)[here + 1]
                self.parameter[number] = np.insert(t, here + 1, 0.5 * (t[here] + following))
                self.piece[number] = np.insert(self.piece[number], here + 1, self.piece[number][here])


def triangulate(curves: Sequence[Curve], size: float, seed: int, names: Sequence[str]) -> Triangulation:
    """Triangulate the region inside the first curve and outside the others, with edges of about `size`.

    Raises ParameterError for a size that does not fit, MeshError if no valid triangulation was reached.
    """
    field = size_field(curves, size, names)
    nodes = [discretise(curve, field) for curve in curves]
    boundary = _Boundary(curves, [t for t, _ in nodes], [piece for _, piece in nodes])
    rng = np.random.default_rng(seed)
    fixed = boundary.points()
    most = 4 * len(fixed) + 1000  # segments: more would mean that splitting does not end
    free = interior_points(curves, field, fixed, boundary.segments()[0], rng)
    for sweep in range(SWEEPS):
        free = _smoothed(curves, fixed, free, boundary.segments()[0], field, relax=1.0 if sweep > 2 else 0.7)
    best: tuple[float, Triangulation] | None = None
    for _ in range(ROUNDS):
        fixed = boundary.points()
        segments, owner, piece = boundary.segments()
        points = np.concatenate([fixed, free])
        triangles = _inside_triangles(curves, points)
        missing = _missing(segments, triangles, len(points))
        if len(missing):
            free, split = _make_room(fixed, free, segments, missing)
            if len(segments) + len(split) > most:
                break
            boundary.split(split)
            continue
        angle = _angles(points[triangles])
        smallest = float(angle.min())
        if best is None or smallest > best[0]:
            best = smallest, Triangulation(points, triangles, segments, owner, piece)
        if smallest >= GOOD_ANGLE:
            break
        changed = _improved(curves, fixed, free, segments, triangles, angle, field)
        if changed is None:
            break
        free = _smoothed(curves, fixed, changed, segments, field, relax=0.8)
    if best is None:
        raise MeshError(
            f"no triangulation with edges of {size:g} respects the boundary after {ROUNDS} rounds.\n"
            "  reduce the size, or move the holes apart."
        )
    return _compact(best[1])


def _triangles(points: np.ndarray) -> np.ndarray:
    """Delaunay triangles, counter-clockwise, without those of no area."""
    try:
        simplices = Delaunay(points).simplices.astype(np.int64)
    except Exception as error:  # qhull's errors have a class that scipy does not export in all versions
        raise ParameterError(f"the outline has no area that can be triangulated: {error}") from None
    x = points[simplices]
    area = _cross(x[:, 1] - x[:, 0], x[:, 2] - x[:, 0])
    flip = area < 0
    simplices[flip] = simplices[flip][:, [0, 2, 1]]
    longest = np.square(np.roll(x, -1, axis=1) - x).sum(2).max(1)
    return simplices[np.abs(area) > 1e-10 * longest]


def _inside_triangles(curves: Sequence[Curve], points: np.ndarray) -> np.ndarray:
    triangles = _triangles(points)
    return triangles[inside_region(curves, points[triangles].mean(1))]


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _angles(x: np.ndarray) -> np.ndarray:
    """(m, 3) angles at the corners of triangles x (m, 3, 2)."""
    a, b = np.roll(x, -1, axis=1) - x, np.roll(x, 1, axis=1) - x
    return np.arctan2(np.abs(_cross(a, b)), (a * b).sum(2))


def _circumcentres(x: np.ndarray) -> np.ndarray:
    a, b = x[:, 1] - x[:, 0], x[:, 2] - x[:, 0]
    aa, bb = (a * a).sum(1), (b * b).sum(1)
    d = 2 * _cross(a, b)
    return x[:, 0] + np.stack([b[:, 1] * aa - a[:, 1] * bb, a[:, 0] * bb - b[:, 0] * aa], axis=1) / d[:, None]


def _smoothed(curves, fixed, free, segments, field, relax: float) -> np.ndarray:
    """One sweep: interior points to the weighted means of circumcentres, kept out of the segments' circles."""
    if not len(free):
        return free
    points = np.concatenate([fixed, free])
    triangles = _inside_triangles(curves, points)
    x = points[triangles]
    centroid = x.mean(1)
    target = _circumcentres(x)
    # circumcentres of flat triangles lie far away: use the centroid there
    flat = np.square(target - centroid).sum(1) > np.square(x - centroid[:, None]).sum(2).max(1)
    target[flat] = centroid[flat]
    area = _cross(x[:, 1] - x[:, 0], x[:, 2] - x[:, 0])
    weight = np.repeat(area / field(centroid) ** 3, 3)
    corner = triangles.reshape(-1)
    total = np.bincount(corner, weight, len(points))
    moment = np.stack([np.bincount(corner, weight * np.repeat(target[:, i], 3), len(points)) for i in (0, 1)], axis=1)
    reached = total[len(fixed) :] > 0
    mean = moment[len(fixed) :] / np.where(reached, total[len(fixed) :], 1.0)[:, None]
    moved = np.where(reached[:, None], free + relax * (mean - free), free)
    blocked = encroaching(moved, fixed[segments], 1.1) | ~inside_region(curves, moved)
    moved[blocked] = free[blocked]
    return moved


def encroaching(points: np.ndarray, ends: np.ndarray, factor: float) -> np.ndarray:
    """(n,) bool: points in the circle, `factor` times too large, around one of the segments `ends` (s, 2, 2)."""
    middle = ends.mean(1)
    radius = 0.5 * np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    distance, index = cKDTree(middle).query(points, k=min(4, len(middle)), distance_upper_bound=factor * radius.max())
    distance, index = distance.reshape(len(points), -1), index.reshape(len(points), -1)
    limit = np.append(radius, 0.0)[index] * factor
    return (distance < limit).any(1)


def _missing(segments: np.ndarray, triangles: np.ndarray, n: int) -> np.ndarray:
    """Segments that are not the side of exactly one triangle, in the right direction."""
    sides = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    keys = sides[:, 0] * n + sides[:, 1]
    forward, backward = segments[:, 0] * n + segments[:, 1], segments[:, 1] * n + segments[:, 0]
    return np.flatnonzero(~np.isin(forward, keys) | np.isin(backward, keys))


def _make_room(fixed, free, segments, missing) -> tuple[np.ndarray, np.ndarray]:
    """Take out interior points near missing segments; the segments without such points are to be split."""
    ends = fixed[segments[missing]]
    middle, radius = ends.mean(1), 0.5 * np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    near = cKDTree(free).query_ball_point(middle, 1.05 * radius) if len(free) else [[] for _ in middle]
    crowded = np.array([len(found) > 0 for found in near], dtype=bool)
    drop = np.unique(np.concatenate([np.array(found, dtype=np.int64) for found in near]))
    return np.delete(free, drop, axis=0), missing[~crowded]


def _improved(curves, fixed, free, segments, triangles, angle, field) -> np.ndarray | None:
    """Take out an interior point of a short side, or put in the circumcentre, at triangles with a small angle."""
    bad = np.flatnonzero(angle.min(1) < GOOD_ANGLE)
    points: np.ndarray = np.concatenate([fixed, free])
    x = points[triangles[bad]]
    apex = angle[bad].argmin(1)
    pair = np.take_along_axis(triangles[bad], np.stack([(apex + 1) % 3, (apex + 2) % 3], axis=1), axis=1)
    length = np.linalg.norm(points[pair[:, 0]] - points[pair[:, 1]], axis=1)
    short = (length < 0.7 * field(points[pair].mean(1))) & (pair.max(1) >= len(fixed))
    drop = np.unique(pair[short].max(1) - len(fixed))
    drop = _apart(free[drop], drop, 2.0 * field(free[drop])) if len(drop) else drop
    centre = _circumcentres(x[~short])
    centre = centre[np.isfinite(centre).all(1)]
    centre = centre[inside_region(curves, centre)] if len(centre) else centre
    if len(centre):
        centre = centre[~encroaching(centre, fixed[segments], 1.0)]
    if len(centre):
        centre = centre[_apart(centre, np.arange(len(centre)), field(centre))]
        distance, _ = cKDTree(points).query(centre)
        centre = centre[distance > 0.4 * field(centre)]
    if not len(drop) and not len(centre):
        return None
    return np.concatenate([np.delete(free, drop, axis=0), centre])


def _apart(points: np.ndarray, labels: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Labels of points, taken in order, none within the given distance of one taken before."""
    pairs = cKDTree(points).query_pairs(float(distance.max()), output_type="ndarray")
    gone = np.zeros(len(points), dtype=bool)
    if len(pairs):
        close = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1) < distance[pairs[:, 0]]
        for a, b in np.sort(pairs[close], axis=1)[np.argsort(pairs[close].min(1), kind="stable")]:
            if not gone[a]:
                gone[b] = True
    return labels[~gone]


def _compact(result: Triangulation) -> Triangulation:
    """Leave out points that no triangle uses."""
    used = np.zeros(len(result.points), dtype=bool)
    used[result.triangles] = True
    number = np.cumsum(used) - 1
    return Triangulation(
        result.points[used], number[result.triangles], number[result.segments], result.curve, result.piece
    )
