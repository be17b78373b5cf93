"""Plane polygons as sets of segments: even-odd inside tests, exact distances, areas, crossings.

Segments are (m, 2, 2) float64: m segments, start and end, two coordinates. The order of the segments and the direction
of the rings play no role: inside is decided by counting crossings, so that islands in holes come out right.
"""

from __future__ import annotations

import numpy as np

PAIRS = 2_000_000
"""Pairs of points and segments that are looked at in one go."""


def ring_segments(ring: np.ndarray) -> np.ndarray:
    """(k, 2, 2) segments of a closed ring of k points."""
    return np.stack([ring, np.roll(ring, -1, axis=0)], axis=1)


def signed_area(ring: np.ndarray) -> float:
    """Area of a ring, positive if it runs counter-clockwise.

    >>> import numpy as np
    >>> signed_area(np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]]))
    2.0
    """
    x, y = (ring - ring.mean(0)).T
    return float(0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def inside(points: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """(n,) bool: points that a ray meets an odd number of segments from (even-odd rule)."""
    found = np.zeros(len(points), dtype=bool)
    if not len(segments):
        return found
    (x0, y0), (x1, y1) = segments[:, 0].T, segments[:, 1].T
    rise = np.where(y1 == y0, 1.0, y1 - y0)
    step = max(PAIRS // len(segments), 1)
    for start in range(0, len(points), step):
        x, y = points[start : start + step, :1], points[start : start + step, 1:]
        spans = (y0 <= y) != (y1 <= y)
        left = x < x0 + (y - y0) / rise * (x1 - x0)
        found[start : start + step] = (spans & left).sum(1) % 2 == 1
    return found


def distance(points: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """(n,) exact distances to the nearest of the segments; infinite where there is none."""
    if not len(segments):
        return np.full(len(points), np.inf)
    if len(points) * len(segments) <= 10 * PAIRS:
        return _all_pairs(points, segments)
    return _nearby_pairs(points, segments)


def _all_pairs(points: np.ndarray, segments: np.ndarray) -> np.ndarray:
    best = np.empty(len(points))
    step = max(PAIRS // (4 * len(segments)), 1)
    for start in range(0, len(points), step):
        chunk = points[start : start + step, None]
        best[start : start + step] = np.sqrt(_squares(chunk, segments[None]).min(1))
    return best


def _squares(points: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """Squared distances between points (..., 2) and segments (..., 2, 2) that fit each other."""
    start, along = segments[..., 0, :], segments[..., 1, :] - segments[..., 0, :]
    to = points - start
    length = np.einsum("...i,...i", along, along)
    t = np.clip(np.einsum("...i,...i", to, along) / np.where(length > 0, length, 1.0), 0.0, 1.0)
    gap = to - t[..., None] * along
    return np.einsum("...i,...i", gap, gap)


def _nearby_pairs(points: np.ndarray, segments: np.ndarray, candidates: int = 6) -> np.ndarray:
    """Exact, too: nearest middles of short pieces first; where these do not prove the nearest, all pairs."""
    from scipy.spatial import cKDTree

    length = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1)
    pieces = pieces_of(segments, max(float(np.median(length)), float(length.sum()) / 4000))
    half = 0.5 * float(np.linalg.norm(pieces[:, 1] - pieces[:, 0], axis=1).max())
    near, number = cKDTree(pieces.mean(1)).query(points, k=min(candidates, len(pieces)))
    near, number = near.reshape(len(points), -1), number.reshape(len(points), -1)
    best = np.sqrt(_squares(points[:, None], pieces[number]).min(1))
    doubtful = np.flatnonzero((near[:, -1] - half < best) & (near.shape[1] < len(pieces)))
    if len(doubtful):
        best[doubtful] = _all_pairs(points[doubtful], segments)
    return best


def pieces_of(segments: np.ndarray, longest: float) -> np.ndarray:
    """The segments cut into equal pieces that are not longer than `longest`."""
    length = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1)
    count = np.maximum(np.ceil(length / max(longest, 1e-300) - 1e-9), 1).astype(np.int64)
    owner = np.repeat(np.arange(len(segments)), count)
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    share = np.stack([rank, rank + 1], axis=1) / count[owner][:, None]
    start, along = segments[owner, 0], segments[owner, 1] - segments[owner, 0]
    return start[:, None] + share[..., None] * along[:, None]


def crossings(segments: np.ndarray) -> np.ndarray:
    """(k, 2) points where two of the segments properly cross (common ends and touching do not count)."""
    m = len(segments)
    if m < 3:
        return np.zeros((0, 2))
    first, second = _close_pairs(segments)
    a, b = segments[first, 0], segments[first, 1]
    c, d = segments[second, 0], segments[second, 1]

    def side(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> np.ndarray:
        return (q[:, 0] - p[:, 0]) * (r[:, 1] - p[:, 1]) - (q[:, 1] - p[:, 1]) * (r[:, 0] - p[:, 0])

    scale = 1e-9 * float(np.ptp(segments.reshape(-1, 2), axis=0).max()) ** 2
    ac, ad, ca, cb = side(a, b, c), side(a, b, d), side(c, d, a), side(c, d, b)
    proper = (np.minimum(np.abs(ac), np.abs(ad)) > scale) & (np.minimum(np.abs(ca), np.abs(cb)) > scale)
    proper &= (ac * ad < 0) & (ca * cb < 0)
    t = (ca / np.where(ca == cb, 1.0, ca - cb))[proper, None]
    return a[proper] + t * (b - a)[proper]


def _close_pairs(segments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of segments whose bounding boxes meet."""
    low, high = segments.min(1), segments.max(1)
    order = np.argsort(low[:, 0], kind="stable")
    last = np.searchsorted(low[order, 0], high[order, 0], side="right")
    rank = np.arange(len(segments))
    count = np.maximum(last - rank - 1, 0)
    first = np.repeat(rank, count)
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(count) - count, count)
    first, second = order[first], order[second]
    meet = (low[first, 1] <= high[second, 1]) & (low[second, 1] <= high[first, 1])
    return first[meet], second[meet]


def cleaned(ring: np.ndarray, tolerance: float | None = None) -> np.ndarray:
    """The ring without points that repeat the one before (closing points too), to 1e-12 of its extent by default."""
    if len(ring) < 2:
        return ring
    if tolerance is None:
        tolerance = 1e-12 * float(np.ptp(ring, axis=0).max())
    keep = np.linalg.norm(ring - np.roll(ring, 1, axis=0), axis=1) > tolerance
    return ring[keep]
