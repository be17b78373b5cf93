"""The 256 cases of marching cubes, derived instead of typed, so that surfaces are closed and manifold by construction.

Corner k of a cube is at ((k & 1), (k >> 1) & 1, (k >> 2) & 1). On every face of the cube, each run of inside corners is
cut off by one segment; both cubes that share a face make the same choice. The segments form closed loops through the
cube's edges. A loop is cut into triangles without a diagonal that lies in a face of the cube, where the cube on the
other side might draw the same one.

After Lorensen and Cline 1987, with the rule for ambiguous faces of Dürst 1988.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np

EDGES: tuple[tuple[int, int], ...] = tuple((a, b) for a, b in combinations(range(8), 2) if (a ^ b) in (1, 2, 4))
"""The 12 edges as pairs of corners, the lower one first."""

# corners of the six faces, counter-clockwise seen from outside
_FACES = ((0, 4, 6, 2), (1, 3, 7, 5), (0, 1, 5, 4), (2, 6, 7, 3), (0, 2, 3, 1), (4, 5, 7, 6))
_NUMBER = {edge: i for i, edge in enumerate(EDGES)}
_FACES_OF = [frozenset(f for f, corners in enumerate(_FACES) if set(edge) <= set(corners)) for edge in EDGES]

Triangle = tuple[int, int, int]


@cache
def marching_table() -> tuple[np.ndarray, np.ndarray]:
    """(first (257,), triangles (820, 3)): rows first[c]:first[c + 1] are the triangles of case c (bit k: corner k is
    inside) as numbers of cube edges, facing away from the inside."""
    first, triangles = [0], []
    for case in range(256):
        for loop in _loops(case):
            cut = _triangulation(loop)
            assert cut is not None, "every loop of a cube has a triangulation without diagonals in its faces"
            triangles += cut
        first.append(len(triangles))
    return np.array(first), np.array(triangles)


def _loops(case: int) -> list[tuple[int, ...]]:
    """Closed loops of cube edges, running so that the inside is behind their triangles."""
    follows: dict[int, int] = {}
    for corners in _FACES:
        within = [bool(case >> corner & 1) for corner in corners]
        for i in range(4):
            if within[i] or not within[(i + 1) % 4]:
                continue
            # the run of inside corners that starts at i + 1
            end = (i + 1) % 4
            while within[(end + 1) % 4]:
                end = (end + 1) % 4
            enter = _edge(corners[i], corners[(i + 1) % 4])
            leave = _edge(corners[end], corners[(end + 1) % 4])
            follows[enter] = leave
    found = []
    while follows:
        start = next(iter(follows))
        loop, edge = [start], follows.pop(start)
        while edge != start:
            loop.append(edge)
            edge = follows.pop(edge)
        found.append(tuple(loop))
    return found


def _edge(a: int, b: int) -> int:
    return _NUMBER[(min(a, b), max(a, b))]


def _triangulation(loop: tuple[int, ...]) -> list[Triangle] | None:
    """Triangles of a loop without diagonals in a face of the cube; None where there are none."""
    if len(loop) == 3:
        return [(loop[0], loop[1], loop[2])]
    a, b = loop[0], loop[-1]  # the side a-b is an edge of exactly one triangle
    for i in range(1, len(loop) - 1):
        if not (_allowed(loop, 0, i) and _allowed(loop, i, len(loop) - 1)):
            continue
        left = _triangulation(loop[: i + 1]) if i > 1 else []
        right = _triangulation(loop[i:]) if i < len(loop) - 2 else []
        if left is not None and right is not None:
            return [*left, (a, loop[i], b), *right]
    return None


def _allowed(loop: tuple[int, ...], i: int, j: int) -> bool:
    """True for sides of the loop, and for diagonals that lie in no face."""
    return j - i == 1 or not (_FACES_OF[loop[i]] & _FACES_OF[loop[j]])
