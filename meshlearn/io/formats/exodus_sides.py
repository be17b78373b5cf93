"""Sides of Exodus elements, in Exodus' own numbering."""

from __future__ import annotations

import numpy as np

# corners of side 0, 1, ... in our numbering of the corners
SIDES: dict[str, list[tuple[int, ...]]] = {
    "line": [(0,), (1,)],
    "triangle": [(0, 1), (1, 2), (2, 0)],
    "quad": [(0, 1), (1, 2), (2, 3), (3, 0)],
    "tetra": [(0, 1, 3), (1, 2, 3), (0, 3, 2), (0, 2, 1)],
    "hexahedron": [(0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (0, 4, 7, 3), (0, 3, 2, 1), (4, 5, 6, 7)],
    "wedge": [(0, 1, 4, 3), (1, 2, 5, 4), (0, 3, 5, 2), (0, 2, 1), (3, 4, 5)],
    "pyramid": [(0, 1, 4), (1, 2, 4), (2, 3, 4), (0, 4, 3), (0, 3, 2, 1)],
}


def side_nodes(pairs: np.ndarray, tables: dict[str, np.ndarray]) -> np.ndarray:
    """(k,) ascending corner points of the sides (element number over all tables, side)."""
    found: list[np.ndarray] = []
    first = 0
    for kind, table in tables.items():
        inside = pairs[(pairs[:, 0] >= first) & (pairs[:, 0] < first + len(table))]
        sides = SIDES.get(kind.rstrip("0123456789"), [])
        for side in np.unique(inside[:, 1]).tolist() if sides else ():
            # shells number their two faces first, then their edges
            corners = sides[side] if side < len(sides) else tuple(range(len(sides)))
            found.append(table[inside[inside[:, 1] == side, 0] - first][:, list(corners)].ravel())
        first += len(table)
    return np.unique(np.concatenate(found)).astype(np.int64) if found else np.zeros(0, np.int64)
