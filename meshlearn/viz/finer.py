"""Smaller triangles with interpolated values, where each triangle is painted in one colour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from meshlearn.viz.shade import Shade
from meshlearn.viz.skin import Skin

MOST = 40_000
"""No skin is cut into more triangles than this."""
ROUNDS = 4


def finer(skin: Skin, shade: Shade) -> tuple[Skin, Shade]:
    """A skin and its point values with every triangle cut into 4, 16, 64 or 256, up to `MOST` in all.

    Values at the middle of a side are the mean of its ends, so that colours run on across triangles: without this a
    quad shows the two tones of its two triangles.
    """
    for _ in range(ROUNDS):
        if 4 * len(skin.triangles) > MOST:
            break
        skin, shade = halved(skin, shade)
    return skin, shade


def halved(skin: Skin, shade: Shade) -> tuple[Skin, Shade]:
    """Every side of a triangle cut in two, and so every triangle into four; segments too.

    A middle next to a value that is not finite has none either.
    """
    n = len(skin.points)
    pairs = np.concatenate([skin.triangles[:, [0, 1]], skin.triangles[:, [1, 2]], skin.triangles[:, [2, 0]]])
    keys, inverse = np.unique(_keys(pairs, n), return_inverse=True)
    ends = np.stack([keys // n, keys % n], axis=1)
    ab, bc, ca = (n + inverse).reshape(3, -1)
    a, b, c = skin.triangles.T
    four = [np.stack(corners, axis=1) for corners in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
    middle = n + np.searchsorted(keys, _keys(skin.segments, n))
    segments = np.concatenate([np.stack([skin.segments[:, i], middle], axis=1) for i in (0, 1)])
    cut = replace(
        skin,
        points=np.concatenate([skin.points, skin.points[ends].mean(1)]),
        triangles=np.concatenate(four),
        owner=np.tile(skin.owner, 4),
        segments=segments,
    )
    return cut, replace(shade, values=np.concatenate([shade.values, shade.values[ends].mean(1)]))


def _keys(pairs: np.ndarray, n: int) -> np.ndarray:
    return pairs.min(1) * n + pairs.max(1)
