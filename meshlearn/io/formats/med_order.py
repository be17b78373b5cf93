"""MED's names and node orders of elements."""

from __future__ import annotations

KINDS = {
    "PO1": "vertex", "SE2": "line", "SE3": "line3", "TR3": "triangle", "TR6": "triangle6", "TR7": "triangle7",
    "QU4": "quad", "QU8": "quad8", "QU9": "quad9", "TE4": "tetra", "T10": "tetra10", "PY5": "pyramid", "P13":
    "pyramid13",
    "PE6": "wedge", "P15": "wedge15", "P18": "wedge18", "HE8": "hexahedron", "H20": "hexahedron20", "H27":
    "hexahedron27",
}  # fmt: skip

# ours[:, k] = theirs[:, order[k]]. MED numbers solids with the base turned: corners 2 and 4 (or 2 and 3) change places.
FROM_MED: dict[str, list[int]] = {
    "tetra": [0, 2, 1, 3],
    "tetra10": [0, 2, 1, 3, 6, 5, 4, 7, 9, 8],
    "pyramid": [0, 3, 2, 1, 4],
    "pyramid13": [0, 3, 2, 1, 4, 8, 7, 6, 5, 9, 12, 11, 10],
    "wedge": [0, 2, 1, 3, 5, 4],
    "wedge15": [0, 2, 1, 3, 5, 4, 8, 7, 6, 11, 10, 9, 12, 14, 13],
    "wedge18": [0, 2, 1, 3, 5, 4, 8, 7, 6, 11, 10, 9, 12, 14, 13, 17, 16, 15],
    "hexahedron": [0, 3, 2, 1, 4, 7, 6, 5],
    "hexahedron20": [0, 3, 2, 1, 4, 7, 6, 5, 11, 10, 9, 8, 15, 14, 13, 12, 16, 19, 18, 17],
    "hexahedron27": [0, 3, 2, 1, 4, 7, 6, 5, 11, 10, 9, 8, 15, 14, 13, 12, 16, 19, 18, 17, 21, 23, 24, 22, 20, 25, 26],
}
