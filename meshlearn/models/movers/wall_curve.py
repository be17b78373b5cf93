"""A smooth curve through the nodes of a planar boundary: where nodes of a curved wall may slide."""

from __future__ import annotations

import numpy as np

_SAMPLES = 8
_NEWTON = 8


class WallCurve:
    """Cubic Hermite curve through points (n, 2) in order, by chord length; tangents by parabolas through three.

    closed  whether the last point is joined to the first
    """

    def __init__(self, points: np.ndarray, closed: bool) -> None:
        from scipy.interpolate import CubicHermiteSpline
        from scipy.spatial import KDTree

        self.closed = closed
        ring = np.concatenate([points, points[:1]]) if closed else points
        chords = np.diff(ring, axis=0)
        lengths = np.linalg.norm(chords, axis=1)
        self.knots = np.concatenate([[0.0], np.cumsum(lengths)])
        self.length = float(self.knots[-1])
        slopes = chords / lengths[:, None]
        tangents = _tangents(slopes, lengths, closed)
        self._curve = CubicHermiteSpline(self.knots, ring, tangents)
        self._first, self._second = self._curve.derivative(), self._curve.derivative(2)
        parts = self.knots[:-1, None] + lengths[:, None] * np.arange(_SAMPLES) / _SAMPLES
        self._places = np.append(parts.reshape(-1), self.length)
        self._tree = KDTree(self._curve(self._places))

    def closest(self, points: np.ndarray) -> np.ndarray:
        """(m,) parameters of the closest points of the curve to (m, 2)."""
        s = self._places[self._tree.query(points)[1]]
        reach = self.length / len(self._places)
        for _ in range(_NEWTON):
            offset, first = self._curve(s) - points, self._first(s)
            slope = (offset * first).sum(1)
            bend = (first**2).sum(1) + np.maximum((offset * self._second(s)).sum(1), 0)
            s = self._inside(s - np.clip(slope / bend, -reach, reach))
        return s

    def _inside(self, s: np.ndarray) -> np.ndarray:
        return np.mod(s, self.length) if self.closed else np.clip(s, 0.0, self.length)

    def at(self, s: np.ndarray) -> np.ndarray:
        """(m, 2) points of the curve."""
        return self._curve(s)

    def tangent(self, s: np.ndarray) -> np.ndarray:
        """(m, 2) unit tangents."""
        first = self._first(s)
        return first / np.linalg.norm(first, axis=1, keepdims=True)


def _tangents(slopes: np.ndarray, lengths: np.ndarray, closed: bool) -> np.ndarray:
    """Derivatives at the knots of the parabola through three neighbours, of unit length."""
    before, after = np.roll(slopes, 1, 0), slopes
    h0, h1 = np.roll(lengths, 1)[:, None], lengths[:, None]
    inner = (h1 * before + h0 * after) / (h0 + h1)
    if closed:
        made = np.concatenate([inner, inner[:1]])
    elif len(slopes) == 1:
        made = np.concatenate([slopes, slopes])
    else:  # at the ends: the parabola through the last three points
        made = np.concatenate([2 * slopes[:1] - inner[1:2], inner[1:], 2 * slopes[-1:] - inner[-1:]])
    return made / np.linalg.norm(made, axis=1, keepdims=True)
