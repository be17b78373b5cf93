"""Plates with one hole to a ring between concentric circles: to the disc first, then the hole to its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meshlearn.models.mmgp.morphing.corners import sharp_corners
from meshlearn.models.mmgp.morphing.loop import Loop
from meshlearn.models.mmgp.morphing.means import MeanMap
from meshlearn.models.mmgp.morphing.weights import half_tangents

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_SMALLEST, _LARGEST = 0.1, 0.8


class RingMap:
    """The ring whose hole is as large, relative to the outline, as the reference's.

    1. Outline to the unit circle, all other points, those of the hole too, to means of their neighbours. The hole is
    a face of the graph like any cell, and counts as one in mean values, so it becomes a convex polygon (W. Tutte, "How
    to draw a graph", 1963), wherever and however large.
    2. Rays from the centre of that polygon meet the hole and the outline once each, at points whose positions on the
    two circles are given; in between, the radius grows and the angle turns from one to the other, leaving both circles
    at right angles. That is continuous and takes the polygons to polygons, so that only cells that are thin against the
    bending of the rays may turn over (`repair.repaired` sees to them). A cell with three corners on the hole
    must: it would lie in the hole.

    The angles of the hole's points are those of the anchors (tags, landmarks, corners), or of arc length in the
    rotation of least mean twist between hole and outline; that is continuous in the shape, while an angle of
    best fit would jump.

    (Angle and logarithm of the radius as means of the neighbours', which is an embedding too, squeeze what lies behind
    an eccentric hole exponentially.)

    inner  radius of the inner circle: the square root of the hole's share of the reference's area, 0.1 to 0.8
    """

    def __init__(self, loops: list[Loop]) -> None:
        self.inner = float(np.clip(np.sqrt(loops[1].area / loops[0].area), _SMALLEST, _LARGEST))

    @staticmethod
    def is_anchored(hole: Loop, pairs: list[tuple[int, int]]) -> bool:
        """Does anything fix the rotation of the reference's hole?"""
        ends = (hole.tagged != np.roll(hole.tagged, 1, axis=0)).any()
        return bool(pairs) or bool(ends) or len(sharp_corners(hole)) > 0

    def positions(self, weights: csr_matrix, loops: list[Loop], angles: list[np.ndarray], anchored: bool) -> np.ndarray:
        """(n_points, 2) positions in the ring.

        weights   (n_points, n_points), positive on the edges; mean values with those of the hole, `face_weights`
        loops     outline and hole
        angles    of the points of both loops, increasing along them
        anchored  are the hole's angles known? Otherwise only up to one rotation.
        """
        outline, hole = loops
        ring = outline.nodes[outline.corner]
        around = hole.nodes[hole.corner]
        fixed = np.zeros(weights.shape[0], dtype=bool)
        fixed[outline.nodes] = True
        fixed[hole.nodes[~hole.corner]] = True
        flat = np.zeros((len(fixed), 2))
        flat[outline.nodes] = _circle(angles[0])
        flat = MeanMap(weights, fixed).solve(flat)

        centre = _centroid(flat[around])
        offset = flat - centre
        outer = _Rim(flat[ring] - centre, _circle(angles[0][outline.corner]))
        angle = angles[1][hole.corner]
        # how far the rays through the hole's points turn on their way to the outline
        met = outer.along(offset[around])[1]
        twist = _unrolled(np.arctan2(met[:, 1], met[:, 0])) - angle
        places = hole.placed[hole.corner]
        step = np.linalg.norm(places - np.roll(places, 1, axis=0), axis=1)
        mean = float((twist * (step + np.roll(step, -1))).sum() / (2 * step.sum()))
        mean = 2 * np.pi * round(mean / (2 * np.pi)) if anchored else mean
        angle, twist = angle + mean, twist - mean
        inner = _Rim(offset[around], self.inner * _circle(angle))

        used = np.flatnonzero(np.asarray(weights.sum(1)).reshape(-1) > 0)
        start, near = inner.along(offset[used])
        stop, far = outer.along(offset[used])
        room = np.maximum(stop - start, 1e-300)
        share = (np.linalg.norm(offset[used], axis=1) - start) / room
        bottom, top = np.linalg.norm(near, axis=1), np.linalg.norm(far, axis=1)
        # faster at first where the hole grows and the ray becomes shorter, half way to keeping the cells' proportions
        speed = np.sqrt(self.inner / start * room / (top - bottom))
        share = share * speed / (share * speed + 1.0 - share)
        first = np.arctan2(near[:, 1], near[:, 0])
        turn = np.arctan2(_cross(near, far), (near * far).sum(1))
        turn += 2 * np.pi * np.round((inner.between(offset[used], twist) - turn) / (2 * np.pi))
        radius = bottom + share * (top - bottom)
        result = np.zeros_like(flat)
        result[used] = radius[:, None] * _circle(first + turn * share**2 * (3 - 2 * share))
        result[ring], result[around] = outer.targets, inner.targets
        return result


def face_weights(hole: Loop, n_points: int) -> csr_matrix:
    """(n_points, n_points): share of the hole in the mean value weights of its points, as if it were a cell.

    Without it points at the hole would be pulled out of place by whatever cells happen to be there.
    """
    from scipy.sparse import coo_matrix

    places = np.zeros((n_points, 2))
    places[hole.nodes] = hole.points
    i, j, values = half_tangents(places, hole.nodes[hole.corner][None])
    return coo_matrix((values, (i, j)), (n_points, n_points)).tocsr()


class _Rim:
    """A convex polygon around the origin, counter-clockwise, and where its corners are moved."""

    def __init__(self, corners: np.ndarray, targets: np.ndarray) -> None:
        self.targets = targets
        angle = _unrolled(np.arctan2(corners[:, 1], corners[:, 0]))
        self.start, self.angle = angle[0], np.append(angle, angle[0] + 2 * np.pi)
        self.corners = np.concatenate([corners, corners[:1]])
        self.moved = np.concatenate([targets, targets[:1]])

    def between(self, directions: np.ndarray, values: np.ndarray) -> np.ndarray:
        """(n,) values given at the corners, linear in the angle, in the directions of rays from the origin."""
        return np.interp(self._angle(directions), self.angle, np.append(values, values[0]))

    def _angle(self, directions: np.ndarray) -> np.ndarray:
        angle = np.arctan2(directions[:, 1], directions[:, 0])
        return self.start + np.mod(angle - self.start, 2 * np.pi)

    def along(self, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n,) distances at which rays from the origin meet the polygon, (n, 2) where that place is moved."""
        angle = self._angle(directions)
        side = np.clip(np.searchsorted(self.angle, angle, side="right") - 1, 0, len(self.targets) - 1)
        a, b = self.corners[side], self.corners[side + 1]
        unit = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        # a + t (b - a) is parallel to the ray
        whole = _cross(b - a, unit)
        share = np.clip(np.where(whole != 0, _cross(unit, a) / np.where(whole != 0, whole, 1.0), 0.5), 0.0, 1.0)
        place = a + share[:, None] * (b - a)
        return (place * unit).sum(1), self.moved[side] + share[:, None] * (self.moved[side + 1] - self.moved[side])


def _circle(angle: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _unrolled(angle: np.ndarray) -> np.ndarray:
    """The same angles, continuous along a loop; the first one is kept."""
    step = np.diff(angle)
    return angle[0] + np.concatenate([[0.0], np.cumsum(step - 2 * np.pi * np.round(step / (2 * np.pi)))])


def _centroid(corners: np.ndarray) -> np.ndarray:
    """(2,): centre of gravity of a polygon's area."""
    shifted = corners - corners[0]
    after = np.roll(shifted, -1, axis=0)
    area = _cross(shifted, after)
    return corners[0] + (area[:, None] * (shifted + after)).sum(0) / (3 * area.sum())


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
