"""Names, sizes and node orders of cells, and the numbers that file formats give them.

Names and node orders are meshio's: VTK's order, except that the base of a linear wedge is turned (its first three
nodes run counter-clockwise seen from the other three), as in Gmsh, Abaqus and most finite-element codes.
"""

from __future__ import annotations

import re

import numpy as np

from meshlearn.mesh.cells import CELL_TYPES, RAGGED

__all__ = [
    "FROM_GMSH",
    "FROM_VTK",
    "GMSH",
    "NODES",
    "RAGGED",
    "TO_GMSH",
    "TO_VTK",
    "VTK",
    "inverse",
    "reorder",
    "row_lengths",
    "vtk_name",
    "vtk_number",
]

# name -> number of nodes, for the kinds whose rows all have one length
NODES: dict[str, int] = {kind: cell.n_nodes for kind, cell in CELL_TYPES.items()} | {
    "line4": 4, "line5": 5, "line6": 6, "triangle10": 10, "triangle15": 15, "triangle21": 21,
    "quad6": 6, "quad16": 16, "quad25": 25, "quad36": 36, "pixel": 4,
    "tetra14": 14, "tetra20": 20, "tetra35": 35, "tetra56": 56, "pyramid19": 19, "wedge12": 12, "wedge21": 21,
    "hexahedron24": 24, "hexahedron64": 64, "hexahedron125": 125, "voxel": 8,
    "pentagonal_prism": 10, "hexagonal_prism": 12,
}  # fmt: skip

VTK: dict[int, str] = {
    1: "vertex", 2: "poly_vertex", 3: "line", 4: "poly_line", 5: "triangle", 6: "triangle_strip", 7: "polygon",
    8: "pixel", 9: "quad", 10: "tetra", 11: "voxel", 12: "hexahedron", 13: "wedge", 14: "pyramid",
    15: "pentagonal_prism", 16: "hexagonal_prism", 21: "line3", 22: "triangle6", 23: "quad8", 24: "tetra10",
    25: "hexahedron20", 26: "wedge15", 27: "pyramid13", 28: "quad9", 29: "hexahedron27", 30: "quad6", 31: "wedge12",
    32: "wedge18", 33: "hexahedron24", 34: "triangle7", 35: "line4", 36: "quadratic_polygon", 37: "pyramid19",
    42: "polyhedron", 68: "lagrange_line", 69: "lagrange_triangle", 70: "lagrange_quad", 71: "lagrange_tetra",
    72: "lagrange_hexahedron", 73: "lagrange_wedge", 74: "lagrange_pyramid", 75: "bezier_line", 76: "bezier_triangle",
    77: "bezier_quad", 78: "bezier_tetra", 79: "bezier_hexahedron", 80: "bezier_wedge", 81: "bezier_pyramid",
}  # fmt: skip
TO_VTK = {name: number for number, name in VTK.items()}

GMSH: dict[int, str] = {
    1: "line", 2: "triangle", 3: "quad", 4: "tetra", 5: "hexahedron", 6: "wedge", 7: "pyramid", 8: "line3",
    9: "triangle6", 10: "quad9", 11: "tetra10", 12: "hexahedron27", 13: "wedge18", 14: "pyramid14", 15: "vertex",
    16: "quad8", 17: "hexahedron20", 18: "wedge15", 19: "pyramid13", 21: "triangle10", 23: "triangle15",
    25: "triangle21", 26: "line4", 27: "line5", 28: "line6", 29: "tetra20", 30: "tetra35", 31: "tetra56",
    36: "quad16", 37: "quad25", 38: "quad36", 92: "hexahedron64", 93: "hexahedron125",
}  # fmt: skip
TO_GMSH = {name: number for number, name in GMSH.items()}

# ours[:, k] = theirs[:, order[k]]
FROM_GMSH: dict[str, list[int]] = {
    "tetra10": [0, 1, 2, 3, 4, 5, 6, 7, 9, 8],
    "hexahedron20": [*range(8), 8, 11, 13, 9, 16, 18, 19, 17, 10, 12, 14, 15],
    "hexahedron27": [*range(8), 8, 11, 13, 9, 16, 18, 19, 17, 10, 12, 14, 15, 22, 23, 21, 24, 20, 25, 26],
    "wedge15": [*range(6), 6, 9, 7, 12, 14, 13, 8, 10, 11],
    "wedge18": [*range(6), 6, 9, 7, 12, 14, 13, 8, 10, 11, 15, 17, 16],
    "pyramid13": [*range(5), 5, 8, 10, 6, 7, 9, 11, 12],
    "pyramid14": [*range(5), 5, 8, 10, 6, 7, 9, 11, 12, 13],
}
FROM_VTK: dict[str, list[int]] = {"wedge": [0, 2, 1, 3, 5, 4]}


def inverse(order: list[int]) -> list[int]:
    """The permutation that undoes `order`.

    >>> inverse([2, 0, 1])
    [1, 2, 0]
    """
    return [int(i) for i in np.argsort(order)]


def reorder(kind: str, table: np.ndarray, orders: dict[str, list[int]], back: bool = False) -> np.ndarray:
    """Bring the node columns of `table` from a format's order to ours (`back=True`: from ours to the format's)."""
    order = orders.get(kind)
    if order is None:
        return table
    return np.ascontiguousarray(table[:, inverse(order) if back else order])


def row_lengths(table: np.ndarray) -> np.ndarray:
    """Number of entries of each row of a padded table (the padding is -1, at the end)."""
    return (table >= 0).sum(axis=1)


def vtk_name(number: int, n_nodes: int) -> str | None:
    """Our name of a VTK cell type; cells of arbitrary order carry their number of nodes in the name."""
    name = VTK.get(number)
    return f"{name}{n_nodes}" if name and number >= 68 else name


def vtk_number(kind: str) -> int | None:
    """VTK's number of one of our kinds, None if VTK has none."""
    if kind in TO_VTK:
        return TO_VTK[kind]
    if kind == "pyramid14":
        return None
    if kind.startswith(("lagrange_", "bezier_")):
        return TO_VTK.get(re.sub(r"\d+$", "", kind))
    return None
