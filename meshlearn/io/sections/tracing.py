"""Contours of label images: closed rings through the middles between pixels of different labels."""

from __future__ import annotations

import numpy as np

from meshlearn.io.sections.cutting import trace

# Sides of a square of four pixels, counter-clockwise from the lower one: each lies between two of its corners
# (0, 0), (1, 0), (1, 1), (0, 1). For every pattern of corners (bit k: corner k is inside), the pairs of sides that a
# contour joins; of two inside corners across from each other, both are cut off.
_SIDES: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((0, 3),), 2: ((0, 1),), 3: ((1, 3),), 4: ((1, 2),), 5: ((0, 3), (1, 2)), 6: ((0, 2),), 7: ((2, 3),),
    8: ((2, 3),), 9: ((0, 2),), 10: ((0, 1), (2, 3)), 11: ((1, 2),), 12: ((1, 3),), 13: ((0, 1),), 14: ((0, 3),),
}  # fmt: skip


def mask_rings(mask: np.ndarray) -> list[np.ndarray]:
    """Closed rings (k, 2) of a Boolean image (n0, n1), in pixel numbers: pixel (i, j) has its centre at (i, j).

    Every ring runs through middles of pixel sides; collinear points are dropped. Nothing touches the border: the image
    is surrounded by pixels outside.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return []
    first = np.array([rows[0], columns[0]])
    padded = np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)
    a, b, c, d = padded[:-1, :-1], padded[1:, :-1], padded[1:, 1:], padded[:-1, 1:]
    pattern = a + 2 * b + 4 * c + 8 * d
    n0, n1 = padded.shape
    i, j = np.nonzero((pattern > 0) & (pattern < 15))
    codes = pattern[i, j]
    # numbers of sides: those along the first axis, then those along the second
    along = n0 * n1
    sides = np.stack([i * n1 + j, along + (i + 1) * n1 + j, i * n1 + j + 1, along + i * n1 + j], axis=1)
    pairs = []
    for code, joins in _SIDES.items():
        here = sides[codes == code]
        pairs += [here[:, [p, q]] for p, q in joins]
    keys, ends = np.unique(np.concatenate(pairs), return_inverse=True)
    loops = trace(ends.reshape(-1, 2), len(keys), "label image")
    second = keys >= along
    place = keys % along
    middles = np.stack([place // n1 + 0.5 * ~second, place % n1 + 0.5 * second], axis=1) + first - 1
    return [_without_collinear(middles[loop]) for loop in loops]


def _without_collinear(ring: np.ndarray) -> np.ndarray:
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    bend = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    return ring[np.abs(bend) > 1e-12]
