"""Closed planar curves that bound a region: circles, ellipses and polygons, all counter-clockwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from meshlearn.errors import ParameterError


class Curve:
    """A closed curve parametrised over [0, 1].

    breaks   (k,) parameters of points that must become nodes (corners)
    smooth   True if nodes added later belong on a curved line: see `project`
    pieces   number of parts between breaks; polygons have one per side, smooth curves one
    """

    breaks: np.ndarray
    smooth = True

    @property
    def pieces(self) -> int:
        return len(self.breaks)

    def at(self, t: np.ndarray) -> np.ndarray:
        """Points (n, 2) at the parameters t (n,), which wrap around."""
        raise NotImplementedError

    def contains(self, points: np.ndarray) -> np.ndarray:
        """(n,) bool: points (n, 2) inside the curve."""
        raise NotImplementedError

    def project(self, points: torch.Tensor) -> torch.Tensor:
        """Points (n, 2) close to the curve, moved onto it."""
        raise NotImplementedError

    def piece_lengths(self) -> np.ndarray:
        """(pieces,) lengths of the parts between breaks."""
        ends = np.append(self.breaks, self.breaks[0] + 1.0)
        t = np.linspace(ends[:-1], ends[1:], 129 if self.smooth else 2, axis=1)
        x = self.at(t.reshape(-1)).reshape(*t.shape, 2)
        return np.linalg.norm(np.diff(x, axis=1), axis=2).sum(1)


class Ellipse(Curve):
    """The ellipse with centre (x, y), half axes (rx, ry), turned counter-clockwise by `angle` radians."""

    def __init__(self, x: float, y: float, rx: float, ry: float, angle: float = 0.0) -> None:
        if not all(np.isfinite(v) for v in (x, y, rx, ry, angle)) or min(rx, ry) <= 0:
            raise ParameterError(f"ellipse {(x, y, rx, ry, angle)}: expected finite numbers and positive half axes.")
        self.centre, self.axes = np.array([x, y], dtype=float), np.array([rx, ry], dtype=float)
        self.turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        self.breaks = np.zeros(1)

    def at(self, t: np.ndarray) -> np.ndarray:
        circle = np.stack([np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)], axis=-1)
        return self.centre + (circle * self.axes) @ self.turn.T

    def contains(self, points: np.ndarray) -> np.ndarray:
        return (((points - self.centre) @ self.turn / self.axes) ** 2).sum(1) < 1

    def project(self, points: torch.Tensor) -> torch.Tensor:
        """Along the ray from the centre in the frame in which the ellipse is a circle: on it, not always nearest."""
        centre, axes, turn = (
            torch.as_tensor(a, dtype=points.dtype, device=points.device) for a in (self.centre, self.axes, self.turn)
        )
        circle = (points - centre) @ turn / axes
        return centre + (circle / circle.norm(dim=1, keepdim=True) * axes) @ turn.T


class Circle(Ellipse):
    """The circle with centre (x, y) and radius r."""

    def __init__(self, x: float, y: float, r: float) -> None:
        if not np.isfinite([x, y, r]).all() or r <= 0:
            raise ParameterError(f"circle {(x, y, r)}: expected a finite centre and a positive radius.")
        super().__init__(x, y, r, r)


class Polygon(Curve):
    """The simple polygon through `corners` (n, 2), in either direction; made counter-clockwise."""

    smooth = False

    def __init__(self, corners: Any) -> None:
        corners = np.asarray(corners, dtype=np.float64)
        if len(corners) > 1 and np.array_equal(corners[0], corners[-1]):
            corners = corners[:-1]
        if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3 or not np.isfinite(corners).all():
            raise ParameterError(f"a polygon needs 3 or more finite corners (n, 2), got shape {corners.shape}.")
        x, y = corners.T
        area = 0.5 * (x * np.roll(y, -1) - np.roll(x, -1) * y).sum()
        self.reversed = bool(area < 0)
        self.corners = corners[::-1].copy() if self.reversed else corners
        length = np.linalg.norm(np.roll(self.corners, -1, axis=0) - self.corners, axis=1)
        extent = np.ptp(corners, axis=0).max()
        if length.min() <= 1e-12 * extent:
            raise ParameterError("a polygon has two equal corners in a row: remove one of them.")
        if np.linalg.matrix_rank(corners - corners[0], tol=1e-12 * extent) < 2:
            raise ParameterError("a polygon has no area: all its corners lie on one line.")
        crossing = self_crossing(self.corners)
        if crossing is not None:
            raise ParameterError(f"a polygon crosses itself: sides {crossing[0]} and {crossing[1]} meet.")
        self.breaks = np.arange(len(corners)) / len(corners)

    def side_index(self, piece: int) -> int:
        """Number of the side in the order the corners were given."""
        return (len(self.corners) - 2 - piece) % len(self.corners) if self.reversed else piece

    def at(self, t: np.ndarray) -> np.ndarray:
        n = len(self.corners)
        position = np.mod(t, 1.0) * n
        side = np.minimum(np.floor(position + 1e-12).astype(np.int64), n - 1)
        part = np.clip(position - side, 0.0, 1.0)[..., None]
        return (1 - part) * self.corners[side] + part * self.corners[(side + 1) % n]

    def contains(self, points: np.ndarray) -> np.ndarray:
        inside = np.zeros(len(points), dtype=bool)
        x, y = points[:, 0], points[:, 1]
        for a, b in zip(self.corners, np.roll(self.corners, -1, axis=0), strict=True):
            if a[1] != b[1]:
                crosses = (a[1] > y) != (b[1] > y)
                inside ^= crosses & (x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0])
        return inside


def self_crossing(corners: np.ndarray) -> tuple[int, int] | None:
    """The first two sides, not neighbours, of a closed polygon that meet; None if it is simple."""
    a, b = corners, np.roll(corners, -1, axis=0)
    n = len(corners)
    for i in range(n - 1):
        others = np.arange(i + 2, n if i else n - 1)
        if len(others):
            meet = segments_meet(a[i], b[i], a[others], b[others])
            if meet.any():
                return i, int(others[meet.argmax()])
    return None


def segments_meet(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """(m,) bool: whether segment a b meets each of the segments c d (m, 2), touching included.

    Segments whose boxes are apart do not meet, whatever the signs of the areas: of segments in line these are rounding.
    """

    def side(p, q, r):
        return (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (r[..., 0] - p[..., 0])

    def between(p, q, r):
        return ((np.minimum(p, q) <= r) & (r <= np.maximum(p, q))).all(-1)

    near = ((np.minimum(a, b) <= np.maximum(c, d)) & (np.minimum(c, d) <= np.maximum(a, b))).all(-1)
    s1, s2, s3, s4 = side(a, b, c), side(a, b, d), side(c, d, a), side(c, d, b)
    proper = (s1 * s2 < 0) & (s3 * s4 < 0)
    touching = (
        ((s1 == 0) & between(a, b, c))
        | ((s2 == 0) & between(a, b, d))
        | ((s3 == 0) & between(c, d, a))
        | ((s4 == 0) & between(c, d, b))
    )
    return near & (proper | touching)


def as_curve(curve: Any) -> Curve:
    """A Curve from (x, y, r), (x, y, rx, ry), (x, y, rx, ry, angle), an (n, 2) array of corners, or a Curve."""
    if isinstance(curve, Curve):
        return curve
    values = np.asarray(curve, dtype=np.float64)
    if values.ndim == 1 and len(values) == 3:
        return Circle(*values.tolist())
    if values.ndim == 1 and len(values) in (4, 5):
        return Ellipse(*values.tolist())
    if values.ndim == 2:
        return Polygon(values)
    raise ParameterError(
        f"cannot read a curve of shape {values.shape}: expected (x, y, r) for a circle, (x, y, rx, ry[, angle]) for an "
        "ellipse, or (n, 2) corners of a polygon."
    )
