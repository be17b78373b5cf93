"""`Section`: one plane in space and the labelled regions on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from meshlearn.io.sections import polygons


@dataclass(frozen=True, eq=False)
class Ring:
    """A closed contour: `points` (k, 2) in the coordinates of its plane, k >= 3, and the label of its region (>= 1)."""

    label: int
    points: np.ndarray


@dataclass(frozen=True, eq=False)
class Section:
    """A plane with closed contours. A point of the plane has a label where it lies inside an odd number of its rings.

    origin  (3,) float64, a point of the plane
    axes    (2, 3) float64, orthonormal: the directions of the plane's coordinates; `normal` is their cross product
    rings   contours in plane coordinates, lengths as in space; none: the plane says that nothing is there

    Where regions of two labels overlap, the one of the smaller area in this plane holds: an organ within another need
    not be a hole of it.
    """

    origin: np.ndarray
    axes: np.ndarray
    rings: tuple[Ring, ...] = ()

    @classmethod
    def at(cls, origin: np.ndarray, normal: np.ndarray, rings: Iterable[tuple[int, np.ndarray]] = ()) -> Section:
        """The plane through `origin` with this (non-zero) normal; rings (label, (k, 3) points in space) are projected
        on it."""
        origin = np.asarray(origin, dtype=np.float64)
        axes = plane_axes(normal)
        flat = tuple(Ring(int(label), (np.asarray(points, np.float64) - origin) @ axes.T) for label, points in rings)
        return cls(origin, axes, flat)

    @property
    def normal(self) -> np.ndarray:
        """(3,) unit normal."""
        return np.cross(self.axes[0], self.axes[1])

    @cached_property
    def labels(self) -> tuple[int, ...]:
        """Labels that have a region here, ascending."""
        return tuple(sorted({ring.label for ring in self.rings}))

    def lift(self, flat: np.ndarray) -> np.ndarray:
        """(n, 3) points in space of (n, 2) plane coordinates."""
        return self.origin + flat @ self.axes

    def project(self, points: np.ndarray) -> np.ndarray:
        """(n, 2) plane coordinates of the feet of (n, 3) points."""
        return (points - self.origin) @ self.axes.T

    def height(self, points: np.ndarray) -> np.ndarray:
        """(n,) signed distances of points from the plane, positive on the side of the normal."""
        return (points - self.origin) @ self.normal

    def segments(self, label: int) -> np.ndarray:
        """(m, 2, 2) segments of all rings of a label; of label 0: the boundary of what has any label."""
        if label not in self._segments:
            self._segments[label] = self._outline() if label == 0 else self._own(label)
        return self._segments[label]

    @cached_property
    def _segments(self) -> dict[int, np.ndarray]:
        return {}

    def _own(self, label: int) -> np.ndarray:
        parts = [polygons.ring_segments(ring.points) for ring in self.rings if ring.label == label]
        return np.concatenate(parts) if parts else np.zeros((0, 2, 2))

    def _outline(self) -> np.ndarray:
        """Pieces of contours that have a label on one side only."""
        if len(self.labels) < 2:
            return self._own(self.labels[0]) if self.labels else np.zeros((0, 2, 2))
        every = np.concatenate([self._own(label) for label in self.labels])
        size = float(np.ptp(every.reshape(-1, 2), axis=0).max())
        pieces = polygons.pieces_of(every, size / 200)
        along = pieces[:, 1] - pieces[:, 0]
        across = np.stack([-along[:, 1], along[:, 0]], axis=1)
        across *= 1e-4 * size / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-300)
        sides = [np.any([self.covers(pieces.mean(1) + s * across, k) for k in self.labels], axis=0) for s in (1, -1)]
        return pieces[sides[0] != sides[1]]

    def covers(self, flat: np.ndarray, label: int) -> np.ndarray:
        """(n,) bool: plane coordinates within the rings of a label (even-odd), whatever other labels say."""
        return polygons.inside(flat, self.segments(label))

    @cached_property
    def areas(self) -> dict[int, float]:
        """{label: area of its even-odd region}, of rings that do not cross each other."""
        areas = dict.fromkeys(self.labels, 0.0)
        for ring, depth in zip(self.rings, self.depths, strict=True):
            areas[ring.label] += (-1) ** depth * abs(polygons.signed_area(ring.points))
        return areas

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """For every ring, in how many other rings of its label it lies: even is an outer ring, odd a hole."""
        return tuple(len(parents) for parents in self.enclosing)

    @cached_property
    def enclosing(self) -> tuple[tuple[int, ...], ...]:
        """For every ring, the numbers of the rings of its label that enclose it, the smallest first."""
        sizes = [abs(polygons.signed_area(ring.points)) for ring in self.rings]
        low, high = self._boxes
        labels = np.array([ring.label for ring in self.rings])
        found = []
        for i, ring in enumerate(self.rings):
            probes = 0.5 * (ring.points + np.roll(ring.points, -1, axis=0))
            near = (labels == ring.label) & ((low <= high[i]) & (high >= low[i])).all(1)
            around = [
                j
                for j in np.flatnonzero(near).tolist()
                if j != i
                and sizes[j] > sizes[i]
                and polygons.inside(probes, polygons.ring_segments(self.rings[j].points)).mean() > 0.5
            ]
            found.append(tuple(sorted(around, key=lambda j: sizes[j])))
        return tuple(found)

    @cached_property
    def _boxes(self) -> tuple[np.ndarray, np.ndarray]:
        """(n_rings, 2) smallest and largest coordinates of every ring."""
        low = [ring.points.min(0) for ring in self.rings]
        high = [ring.points.max(0) for ring in self.rings]
        return np.array(low).reshape(-1, 2), np.array(high).reshape(-1, 2)

    def covered(self, label: int) -> list[tuple[int, int]]:
        """Pairs of rings of a label that enclose a common region though neither is a hole or an island of the other:
        rings given twice, and rings that overlap along common lines (without a proper crossing)."""
        numbers = np.array([i for i, ring in enumerate(self.rings) if ring.label == label])
        low, high = (box[numbers] for box in self._boxes)
        found = []
        for a, i in enumerate(numbers.tolist()):
            little = 1e-6 * (high[a] - low[a]).max()
            meet = ((low[a + 1 :] < high[a] - little) & (high[a + 1 :] > low[a] + little)).all(1)
            for j in numbers[a + 1 :][meet].tolist():
                less, more = sorted((self._share_within(i, j), self._share_within(j, i)))
                if less > 0.02 and (more < 0.98 or less > 0.98):
                    found.append((i, j))
        return found

    def _share_within(self, i: int, j: int) -> float:
        """How much of ring i, seen from just inside of it, lies within ring j."""
        points = self.rings[i].points
        segments = polygons.ring_segments(points)
        along = segments[:, 1] - segments[:, 0]
        across = np.stack([-along[:, 1], along[:, 0]], axis=1) * np.sign(polygons.signed_area(points))
        across *= (
            1e-6 * np.ptp(points, axis=0).max() / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-300)
        )
        probes = np.concatenate([segments[:, 0] + share * along + across for share in (0.13, 0.37, 0.61, 0.87)])
        return float(polygons.inside(probes, polygons.ring_segments(self.rings[j].points)).mean())

    @cached_property
    def overlaps(self) -> dict[int, tuple[int, ...]]:
        """{label: labels of smaller regions that overlap its own, and take that part}."""
        found: dict[int, tuple[int, ...]] = {}
        boxes = {k: (self._own(k).reshape(-1, 2).min(0), self._own(k).reshape(-1, 2).max(0)) for k in self.labels}
        for label in self.labels:
            smaller = []
            for other in self.labels:
                rank = (self.areas[other], other) < (self.areas[label], label)
                apart = (boxes[other][0] > boxes[label][1]).any() or (boxes[label][0] > boxes[other][1]).any()
                if other != label and rank and not apart and self._overlap(label, other):
                    smaller.append(other)
            found[label] = tuple(smaller)
        return found

    def _overlap(self, label: int, other: int) -> bool:
        """True if points just inside one region lie inside the other, and not only by rounding."""
        for a, b in ((other, label), (label, other)):
            segments = self._own(a)
            size = float(np.ptp(segments.reshape(-1, 2), axis=0).max())
            along = segments[:, 1] - segments[:, 0]
            across = np.stack([-along[:, 1], along[:, 0]], axis=1)
            across *= 1e-3 * size / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-300)
            probes = np.concatenate([segments.mean(1) + across, segments.mean(1) - across])
            own = probes[self.covers(probes, a)]
            if len(own) and self.covers(own, b).mean() > 0.02:
                return True
        return False

    def signed_distance(self, flat: np.ndarray, label: int) -> np.ndarray:
        """(n,) exact distance to the boundary of a label's region, positive inside; label 0 is what has no label.

        -inf where the plane has no such region (+inf of label 0 on an empty plane).
        """
        if label == 0:
            within = np.zeros(len(flat), dtype=bool)
            for other in self.labels:
                within |= self.covers(flat, other)
            return np.where(within, -1.0, 1.0) * polygons.distance(flat, self.segments(0))
        found = np.where(self.covers(flat, label), 1.0, -1.0) * polygons.distance(flat, self.segments(label))
        for other in self.overlaps.get(label, ()):
            found = np.minimum(found, -self.signed_distance(flat, other))
        return found

    def label_at(self, flat: np.ndarray) -> np.ndarray:
        """(n,) int64 labels at plane coordinates, 0 where there is none."""
        found = np.zeros(len(flat), dtype=np.int64)
        for label in sorted(self.labels, key=lambda k: (-self.areas[k], -k)):
            found[self.covers(flat, label)] = label
        return found

    def moved(self, rotation: np.ndarray, shift: np.ndarray, scale: float) -> Section:
        """The section under x -> scale * rotation @ x + shift; a mirroring keeps the plane coordinates."""
        rings = tuple(Ring(ring.label, scale * ring.points) for ring in self.rings)
        return Section(scale * rotation @ self.origin + shift, self.axes @ rotation.T, rings)


def plane_axes(normal: np.ndarray) -> np.ndarray:
    """(2, 3) orthonormal axes of a plane: x and y for the normal z, and what is near to them for others."""
    normal = np.asarray(normal, dtype=np.float64)
    normal = normal / np.linalg.norm(normal)
    start = np.zeros(3)
    start[int(np.argmin(np.round(np.abs(normal), 9)))] = 1.0
    second = np.cross(normal, start)
    second /= np.linalg.norm(second)
    return np.stack([np.cross(second, normal), second])
