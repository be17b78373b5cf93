"""Signed distances of regions on regular grids of their planes: fast to look up, off by far less than a grid cell."""

from __future__ import annotations

import numpy as np

from meshlearn.io.sections.polygons import pieces_of
from meshlearn.io.sections.section import Section


def parity(segments: np.ndarray, low: np.ndarray, step: float, shape: tuple[int, int]) -> np.ndarray:
    """(n0, n1) bool: grid points low + step * (i, j) inside by the even-odd rule.

    Every segment flips the points that lie to the right of where it crosses their row.
    """
    flips = np.zeros((shape[0] + 1, shape[1]), dtype=np.int32)
    if not len(segments):
        return np.zeros(shape, dtype=bool)
    start, end = (segments[:, 0] - low) / step, (segments[:, 1] - low) / step
    up = start[:, 1] > end[:, 1]
    start, end = np.where(up[:, None], end, start), np.where(up[:, None], start, end)
    # rows j with start_y <= j < end_y
    first = np.clip(np.ceil(start[:, 1]), 0, shape[1]).astype(np.int64)
    last = np.clip(np.ceil(end[:, 1]), 0, shape[1]).astype(np.int64)
    count = np.maximum(last - first, 0)
    owner = np.repeat(np.arange(len(segments)), count)
    rows = first[owner] + np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    rise = (end[owner, 1] - start[owner, 1]) if len(owner) else np.ones(0)
    x = start[owner, 0] + (rows - start[owner, 1]) / rise * (end[owner, 0] - start[owner, 0])
    column = np.clip(np.ceil(x), 0, shape[0]).astype(np.int64)
    np.add.at(flips, (column, rows), 1)
    return np.cumsum(flips, axis=0)[:-1] % 2 == 1


def grid_points(low: np.ndarray, step: float, shape: tuple[int, int]) -> np.ndarray:
    """(n0 * n1, 2) points of a grid, the second axis fastest."""
    i, j = np.indices(shape)
    return low + step * np.stack([i.reshape(-1), j.reshape(-1)], axis=1)


def distances(segments: np.ndarray, low: np.ndarray, step: float, shape: tuple[int, int]) -> np.ndarray:
    """(n0, n1) distances of grid points to the nearest segment.

    Segments are cut into pieces of half a grid cell; of the piece with the nearest middle the distance is exact.
    """
    from scipy.spatial import cKDTree

    total = float(np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1).sum())
    pieces = pieces_of(segments, max(0.5 * step, total / 20000))
    points = grid_points(low, step, shape)
    _, number = cKDTree(pieces.mean(1)).query(points)
    start, along = pieces[number, 0], pieces[number, 1] - pieces[number, 0]
    square = np.maximum((along * along).sum(1), 1e-300)
    t = np.clip(((points - start) * along).sum(1) / square, 0.0, 1.0)
    return np.linalg.norm(points - start - t[:, None] * along, axis=1).reshape(shape)


def signed_distances(
    section: Section, labels: list[int], low: np.ndarray, step: float, shape: tuple[int, int], absent: float
) -> np.ndarray:
    """(len(labels), n0, n1) float32 signed distances, positive inside; -absent where the plane has no such region.

    Label 0 is what no label covers: +absent on a plane without contours. Farther than `absent` from the box around a
    region, the distance to that box stands for the distance.
    """
    found = np.empty((len(labels), *shape), dtype=np.float32)
    raw: dict[int, np.ndarray] = {}
    for label in section.labels:
        raw[label] = _windowed(section.segments(label), low, step, shape, absent)
    for label in sorted(raw, key=lambda k: (section.areas[k], k)):
        for smaller in section.overlaps[label]:
            raw[label] = np.minimum(raw[label], -raw[smaller])
    for row, label in enumerate(labels):
        if label == 0 and raw:
            found[row] = -_windowed(section.segments(0), low, step, shape, absent)
        else:
            found[row] = raw.get(label, absent if label == 0 else -absent)
    return found


def _windowed(segments: np.ndarray, low: np.ndarray, step: float, shape: tuple[int, int], margin: float) -> np.ndarray:
    """(n0, n1) signed distances, exact within `margin` of the box around the segments."""
    bounds = segments.reshape(-1, 2)
    first = np.clip(np.floor((bounds.min(0) - margin - low) / step), 0, np.array(shape) - 2).astype(int)
    last = np.clip(np.ceil((bounds.max(0) + margin - low) / step), first + 1, np.array(shape) - 1).astype(int)
    (i0, j0), (i1, j1) = first, last + 1
    window, corner = (int(i1 - i0), int(j1 - j0)), low + step * first
    sign = np.where(parity(segments, corner, step, window), 1.0, -1.0)
    inner = sign * distances(segments, corner, step, window)
    if window == tuple(shape):
        return inner
    over = [
        np.maximum(np.maximum(s - np.arange(n), np.arange(n) - e), 0)
        for n, s, e in zip(shape, first, last, strict=True)
    ]
    outer = -step * np.hypot(over[0][:, None], over[1][None])
    near = [np.clip(np.arange(n), s, e) - s for n, s, e in zip(shape, first, last, strict=True)]
    return outer + inner[near[0][:, None], near[1][None]]
