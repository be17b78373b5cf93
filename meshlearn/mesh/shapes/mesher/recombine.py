"""Triangles to quads: pairs where both make a good quad, and the division of what is left."""

from __future__ import annotations

import numpy as np

WORST = np.radians(150)  # no angle of a quad is larger, or smaller than 30 degrees


def pair_triangles(points: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(quads (q, 4), triangles left (t, 3)): neighbours joined best first; each triangle is used once.

    The better of two pairings is the one whose quad's angles are closer to right angles. Pairs that are each other's
    best are joined at once, in rounds.
    """
    m = len(triangles)
    sides = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    opposite = np.concatenate([triangles[:, 2], triangles[:, 0], triangles[:, 1]])
    owner = np.tile(np.arange(m), 3)
    key = sides.min(1) * len(points) + sides.max(1)
    order = np.argsort(key, kind="stable")
    twin = np.flatnonzero(key[order][1:] == key[order][:-1])
    one, two = order[twin], order[twin + 1]
    quads = np.stack([opposite[one], sides[one, 0], opposite[two], sides[one, 1]], axis=1)
    cost = _right_angle_defect(points[quads])
    pairs = np.stack([owner[one], owner[two]], axis=1)
    keep = cost < WORST - np.pi / 2
    quads, cost, pairs = quads[keep], cost[keep] + 1e-12 * np.arange(keep.sum()), pairs[keep]
    free = np.ones(m, dtype=bool)
    chosen = []
    while len(cost):
        best = np.full(m, np.inf)
        np.minimum.at(best, pairs.reshape(-1), np.repeat(cost, 2))
        mutual = (best[pairs] == cost[:, None]).all(1)
        chosen.append(quads[mutual])
        free[pairs[mutual].reshape(-1)] = False
        open_ = free[pairs].all(1)
        quads, cost, pairs = quads[open_], cost[open_], pairs[open_]
    joined = np.concatenate(chosen) if chosen else np.zeros((0, 4), dtype=np.int64)
    return joined, triangles[free]


def _right_angle_defect(x: np.ndarray) -> np.ndarray:
    """(q,) largest difference of an angle of the quads x (q, 4, 2) from a right angle; infinite if not convex."""
    after, before = np.roll(x, -1, axis=1) - x, np.roll(x, 1, axis=1) - x
    sine = after[..., 0] * before[..., 1] - after[..., 1] * before[..., 0]
    angle = np.arctan2(sine, (after * before).sum(2))
    return np.where((sine <= 0).any(1), np.inf, np.abs(angle - np.pi / 2).max(1))


def divide_to_quads(
    points: np.ndarray, quads: np.ndarray, triangles: np.ndarray, segments: np.ndarray, middles: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every quad into four and every triangle into three: (points, quads, halved segments (2 s, 2)).

    `middles` (s, 2) are the positions of the new nodes on the segments; segment i becomes rows 2 i and 2 i + 1.
    """
    n = len(points)
    sides = [cells[:, [i, (i + 1) % cells.shape[1]]] for cells in (quads, triangles) for i in range(cells.shape[1])]
    stacked = np.concatenate(sides)
    keys, inverse = np.unique(stacked.min(1) * n + stacked.max(1), return_inverse=True)
    middle_points = 0.5 * (points[keys // n] + points[keys % n])
    on_segment = np.searchsorted(keys, segments.min(1) * n + segments.max(1))
    middle_points[on_segment] = middles
    number = n + inverse.reshape(-1)
    parts = np.split(number, np.cumsum([len(side) for side in sides])[:-1])
    quad_middle, triangle_middle = np.stack(parts[:4], axis=1), np.stack(parts[4:], axis=1)
    first = n + len(keys)
    quad_centre = first + np.arange(len(quads))
    triangle_centre = first + len(quads) + np.arange(len(triangles))
    result = []
    for corners, middle, centre in ((quads, quad_middle, quad_centre), (triangles, triangle_middle, triangle_centre)):
        for i in range(corners.shape[1]):
            result.append(np.stack([corners[:, i], middle[:, i], centre, middle[:, i - 1]], axis=1))
    everything = np.concatenate([points, middle_points, points[quads].mean(1), points[triangles].mean(1)])
    halves = np.stack([segments[:, 0], n + on_segment, n + on_segment, segments[:, 1]], axis=1).reshape(-1, 2)
    return everything, np.concatenate(result), halves
