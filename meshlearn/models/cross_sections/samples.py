"""Places on the planes that say where surfaces are: on contours, beside them, and all over a plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshlearn.io.sections import Section
from meshlearn.io.sections.polygons import signed_area
from meshlearn.models.cross_sections.body import REACH, Body
from meshlearn.models.cross_sections.trust import noise_at, trust_at

CHORD = 1.0
"""Half the length of the chords that give the directions of contours, in widths (quarter diameters of a disc)."""


@dataclass
class OnContours:
    """Points along all contours of a body.

    plane   (n,) number of the plane; flat (n, 2) and across (n, 2) unit normals of the contour, in plane coordinates
    width   (n,) area of the contour over its length: a quarter of the diameter of a disc
    """

    plane: np.ndarray
    flat: np.ndarray
    across: np.ndarray
    width: np.ndarray

    def __len__(self) -> int:
        return len(self.plane)


def along_contours(body: Body, n: int, generator: np.random.Generator, thin: float = 0.0, least: int = 4) -> OnContours:
    """n points, about, spread over the contours of all planes by length, every contour `least` times or more.

    Of very many contours each has a point or two, and of more than 2 n contours not every one.

    thin  0: evenly; with 0.5, contours of a quarter of the width have twice the points per length
    """
    rows = []
    rings = [(k, ring.points, _lengths(ring.points)) for k, plane in enumerate(body.sections) for ring in plane.rings]
    if len(rings) > 2 * n:
        rings = [rings[i] for i in np.sort(generator.permutation(len(rings))[: 2 * n])]
    least = min(least, max(n // (2 * len(rings)), 1))
    weights = [float(length.sum()) / _width(points, length) ** thin for _, points, length in rings]
    for (k, points, length), weight in zip(rings, weights, strict=True):
        count = max(round(n * weight / sum(weights)), least)
        rows.append(_on_ring(points, length, k, count, generator))
    return OnContours(*(np.concatenate(parts) for parts in zip(*rows, strict=True)))


def _lengths(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.roll(points, -1, axis=0) - points, axis=1)


def _on_ring(points: np.ndarray, length: np.ndarray, plane: int, count: int, generator: np.random.Generator):
    """Points at equal steps along a ring; normals are those of chords: sides of a polygon tell little of them."""
    ends = np.concatenate([[0.0], np.cumsum(length)])
    corners = np.concatenate([points, points[:1]])
    place = lambda at: np.stack([np.interp(at % ends[-1], ends, corners[:, k]) for k in (0, 1)], axis=1)  # noqa: E731
    width = _width(points, length)
    at = (np.arange(count) + generator.uniform()) / count * ends[-1]
    reach = CHORD * min(width, 0.1 * ends[-1])
    along = place(at + reach) - place(at - reach)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-300)
    return np.full(count, plane), place(at), np.stack([-along[:, 1], along[:, 0]], axis=1), np.full(count, width)


def widths(body: Body) -> np.ndarray:
    """(number of contours,) areas of all contours over their lengths."""
    return np.array([_width(ring.points, _lengths(ring.points)) for plane in body.sections for ring in plane.rings])


def _width(points: np.ndarray, length: np.ndarray) -> float:
    """Area over length, at least a hundredth of the length: areas of contours that cross themselves may cancel."""
    total = max(float(length.sum()), 1e-300)
    return max(abs(signed_area(points)) / total, 0.01 * total)


@dataclass
class ChannelContours:
    """Points on the boundary of one channel.

    points  (n, 3) in unit frame; inward (n, 3) unit normals of the contour in its plane, towards the channel
    across  (n, 3) normals of the planes; noise (n,) how far a point may be off, 0 for most
    """

    points: np.ndarray
    inward: np.ndarray
    across: np.ndarray
    noise: np.ndarray

    def __len__(self) -> int:
        return len(self.points)


def contours_of_channel(body: Body, channel: int, n: int, seed: int) -> ChannelContours:
    """n points, about, on the boundary of a channel; no two nearly in the same place."""
    from scipy.spatial import cKDTree

    on = along_contours(body, n, np.random.default_rng(seed), thin=0.5, least=8)
    points = np.empty((len(on), 3))
    inward, across = np.empty_like(points), np.empty_like(points)
    keep = np.zeros(len(on), dtype=bool)
    for k in np.unique(on.plane):
        rows = np.flatnonzero(on.plane == k)
        section = body.sections.planes[k]
        points[rows], across[rows] = section.lift(on.flat[rows]), section.normal
        beside = np.minimum(0.05 * on.width[rows], 0.002)[:, None] * on.across[rows]
        label = body.channels[channel]
        left = section.signed_distance(on.flat[rows] + beside, label) > 0
        right = section.signed_distance(on.flat[rows] - beside, label) > 0
        keep[rows] = left != right
        inward[rows] = (np.where(left, 1.0, -1.0)[:, None] * on.across[rows]) @ section.axes
    rows = np.flatnonzero(keep)
    near = cKDTree(points[rows]).query_pairs(1e-3, output_type="ndarray")
    rows = np.delete(rows, np.unique(near[:, 1])) if len(near) else rows
    return ChannelContours(
        points[rows], inward[rows], across[rows], noise_at(body.doubts, on.plane[rows], points[rows])
    )


def values_at(body: Body, plane: np.ndarray, flat: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """((n, 3) points in unit frame, (n, n_channels) signed distances there, clipped to +-limit)."""
    points = np.empty((len(flat), 3))
    values = np.empty((len(flat), len(body.channels)))
    for k in np.unique(plane):
        rows = plane == k
        section: Section = body.sections.planes[k]
        points[rows] = section.lift(flat[rows])
        for c, label in enumerate(body.channels):
            values[rows, c] = np.clip(section.signed_distance(flat[rows], label), -limit, limit)
    return points, values


def trusted(body: Body, plane: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(n,) bool: points of planes that are to be met there."""
    if not body.doubts:
        return np.ones(len(points), dtype=bool)
    found = np.empty(len(points), dtype=bool)
    for k in np.unique(plane):
        rows = plane == k
        found[rows] = trust_at(body.doubts, int(k), points[rows]) > 0.5
    return found


def over_planes(body: Body, n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(plane, flat): n points of every plane, evenly over what the unit ball has of it and a little more."""
    plane = np.repeat(np.arange(len(body.sections)), n)
    radius = 0.9 * REACH * np.sqrt(generator.uniform(size=len(plane)))
    angle = generator.uniform(0, 2 * np.pi, size=len(plane))
    middle = body.lows[plane] + REACH
    return plane, middle + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
