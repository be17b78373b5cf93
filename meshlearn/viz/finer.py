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

    Values at the middle of a side are the mean of its ends, so that colours run on across triangles. Quads are
    bilinear, in place and value: the middle of their diagonal is the mean of the four corners, so that the picture does
    not show which diagonal they are cut along.
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
    a, b, c, d = skin.quads.T
    ab, bc, cd, da, centre = (
        n + np.searchsorted(keys, _keys(skin.quads[:, list(side)], n))
        for side in ((0, 1), (1, 2), (2, 3), (3, 0), (0, 2))
    )
    quads = [(a, ab, centre, da), (ab, b, bc, centre), (centre, bc, c, cd), (cd, d, da, centre)]
    points = np.concatenate([skin.points, skin.points[ends].mean(1)])
    values = np.concatenate([shade.values, shade.values[ends].mean(1)])
    points[centre], values[centre] = skin.points[skin.quads].mean(1), shade.values[skin.quads].mean(1)
    segments = np.concatenate([np.stack([skin.segments[:, i], middle], axis=1) for i in (0, 1)])
    cut = replace(
        skin,
        points=points,
        triangles=np.concatenate(four),
        owner=np.tile(skin.owner, 4),
        segments=segments,
        quads=np.concatenate([np.stack(corners, axis=1) for corners in quads]),
    )
    return cut, replace(shade, values=values)


def without_creases(skin: Skin, shade: Shade) -> tuple[Skin, Shade]:
    """`finer` where a quad has point values that two flat triangles would show with a crease, else as given."""
    if shade.location != "point" or not len(skin.quads):
        return skin, shade
    corners = shade.values[skin.quads]
    twist = np.abs(corners @ np.array([1.0, -1.0, 1.0, -1.0]))
    low, high = shade.limits()
    return finer(skin, shade) if bool((twist > 1e-3 * (high - low)).any()) else (skin, shade)


def _keys(pairs: np.ndarray, n: int) -> np.ndarray:
    return pairs.min(1) * n + pairs.max(1)
