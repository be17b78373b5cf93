"""Places on the planes that say where surfaces are: on contours, beside them, and all over a plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshlearn.io.sections import Section
from meshlearn.io.sections.polygons import signed_area
from meshlearn.models.cross_sections.body import REACH, Body


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


def along_contours(body: Body, n: int, generator: np.random.Generator) -> OnContours:
    """n points, about, spread over the contours of all planes by length, every contour at least four times."""
    rows = []
    lengths = [[_lengths(ring.points) for ring in plane.rings] for plane in body.sections]
    total = sum(float(length.sum()) for of_plane in lengths for length in of_plane)
    for k, (plane, of_plane) in enumerate(zip(body.sections, lengths, strict=True)):
        for ring, length in zip(plane.rings, of_plane, strict=True):
            count = max(round(n * float(length.sum()) / total), 4)
            rows.append(_on_ring(ring.points, length, k, count, generator))
    return OnContours(*(np.concatenate(parts) for parts in zip(*rows, strict=True)))


def _lengths(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.roll(points, -1, axis=0) - points, axis=1)


def _on_ring(points: np.ndarray, length: np.ndarray, plane: int, count: int, generator: np.random.Generator):
    ends = np.concatenate([[0.0], np.cumsum(length)])
    at = (np.arange(count) + generator.uniform()) / count * ends[-1]
    i = np.clip(np.searchsorted(ends, at, side="right") - 1, 0, len(points) - 1)
    along = (np.roll(points, -1, axis=0) - points)[i] / np.maximum(length[i], 1e-300)[:, None]
    flat = points[i] + (at - ends[i])[:, None] * along
    width = abs(signed_area(points)) / max(float(ends[-1]), 1e-300)
    return np.full(count, plane), flat, np.stack([-along[:, 1], along[:, 0]], axis=1), np.full(count, width)


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


def over_planes(body: Body, n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(plane, flat): n points of every plane, evenly over what the unit ball has of it and a little more."""
    plane = np.repeat(np.arange(len(body.sections)), n)
    radius = 0.9 * REACH * np.sqrt(generator.uniform(size=len(plane)))
    angle = generator.uniform(0, 2 * np.pi, size=len(plane))
    middle = body.lows[plane] + REACH
    return plane, middle + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
