"""Intersections of tetrahedra with tetrahedra, exactly and all pairs at once.

One of each pair is cut by the four face planes of the other, one plane after another. What is on the inner side of a
plane is a tetrahedron again, or a prism, which is three tetrahedra: a list of tetrahedra stays one, and no case needs a
polyhedron. The prisms of neighbouring pieces are cut apart independently; measures and integrals do not mind.
"""

from __future__ import annotations

import numpy as np

# Corners of the pieces by how many corners are inside: a number below 4 is a corner (inner ones first), (i, j) the
# point where the plane cuts the edge from i to j.
_Corner = int | tuple[int, int]
_PIECES: dict[int, list[list[_Corner]]] = {
    1: [[0, (0, 1), (0, 2), (0, 3)]],
    2: [[0, (0, 2), (0, 3), 1], [(0, 2), (0, 3), 1, (1, 2)], [(0, 3), 1, (1, 2), (1, 3)]],
    3: [[0, 1, 2, (0, 3)], [1, 2, (0, 3), (1, 3)], [2, (0, 3), (1, 3), (2, 3)]],
}
_FACES = ((1, 2, 3, 0), (0, 2, 3, 1), (0, 1, 3, 2), (0, 1, 2, 3))  # three corners and the one opposite


def clip_tetrahedra(
    a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray, least: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(i, j, corners, volume) of the pieces of the intersections of a[i] and b[j], for all pairs.

    a, b   (n, 4, 3) corners
    i, j   (m,) pairs
    least  (m,) volume up to which a piece counts as a touch
    """
    apart = _separated(a[i], b[j])
    i, j, least = i[~apart], j[~apart], least[~apart]
    pieces, pair = a[i], np.arange(len(i))
    for first, second, third, opposite in _FACES:
        corners = b[j]
        normal = np.cross(corners[:, second] - corners[:, first], corners[:, third] - corners[:, first])
        side = np.sign(np.einsum("md,md->m", normal, corners[:, opposite] - corners[:, first]))
        normal = normal * side[:, None]
        height = np.einsum("mkd,md->mk", pieces - corners[pair, None, first], normal[pair])
        pieces, pair = _inner(pieces, pair, height)
    volume = volumes(pieces)
    kept = volume > least[pair]
    pair = pair[kept]
    return i[pair], j[pair], pieces[kept], volume[kept]


def volumes(corners: np.ndarray) -> np.ndarray:
    """(n,) of tetrahedra (n, 4, 3) in either orientation."""
    u, v, w = (corners[:, k] - corners[:, 0] for k in (1, 2, 3))
    return np.abs(np.einsum("nd,nd->n", u, np.cross(v, w))) / 6


def _separated(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(m,) whether all of one tetrahedron is behind one face of the other."""
    apart = np.zeros(len(a), dtype=bool)
    for x, y in ((a, b), (b, a)):
        for first, second, third, opposite in _FACES:
            normal = np.cross(x[:, second] - x[:, first], x[:, third] - x[:, first])
            side = np.einsum("md,md->m", normal, x[:, opposite] - x[:, first])
            height = np.einsum("mkd,md->mk", y - x[:, None, first], normal)
            apart |= (height * np.sign(side)[:, None] <= 0).all(1)
    return apart


def _inner(pieces: np.ndarray, pair: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The parts of tetrahedra (m, 4, 3) where the height, given at their corners, is positive; and their pairs."""
    inside = height > 0
    count = inside.sum(1)
    made, owner = [pieces[count == 4]], [pair[count == 4]]
    for number, parts in _PIECES.items():
        mine = np.flatnonzero(count == number)
        order = np.argsort(~inside[mine], axis=1, kind="stable")
        x = np.take_along_axis(pieces[mine], order[..., None], 1)
        h = np.take_along_axis(height[mine], order, 1)
        for part in parts:
            made.append(np.stack([_corner(x, h, c) for c in part], 1))
            owner.append(pair[mine])
    return np.concatenate(made), np.concatenate(owner)


def _corner(x: np.ndarray, h: np.ndarray, which: _Corner) -> np.ndarray:
    if isinstance(which, int):
        return x[:, which]
    start, end = which
    share = h[:, start] / (h[:, start] - h[:, end])
    return x[:, start] + share[:, None] * (x[:, end] - x[:, start])
