"""XDMF's names and numbers of cell types, and its mixed topologies."""

from __future__ import annotations

import numpy as np

from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.celltypes import NODES

TYPES = {
    "triangle": "triangle", "quadrilateral": "quad", "tetrahedron": "tetra", "pyramid": "pyramid", "wedge": "wedge",
    "hexahedron": "hexahedron", "edge_3": "line3", "triangle_6": "triangle6", "tri_6": "triangle6",
    "quadrilateral_8": "quad8", "quad_8": "quad8", "quadrilateral_9": "quad9", "quad_9": "quad9",
    "tetrahedron_10": "tetra10", "tet_10": "tetra10", "pyramid_13": "pyramid13", "wedge_15": "wedge15",
    "wedge_18": "wedge18", "hexahedron_20": "hexahedron20", "hex_20": "hexahedron20", "hexahedron_24": "hexahedron24",
    "hex_24": "hexahedron24", "hexahedron_27": "hexahedron27", "hex_27": "hexahedron27",
}  # fmt: skip
NUMBERS = {
    0x4: "triangle", 0x5: "quad", 0x6: "tetra", 0x7: "pyramid", 0x8: "wedge", 0x9: "hexahedron", 0x22: "line3",
    0x23: "quad9", 0x24: "triangle6", 0x25: "quad8", 0x26: "tetra10", 0x27: "pyramid13", 0x28: "wedge15", 0x29:
    "wedge18",
    0x30: "hexahedron20", 0x31: "hexahedron24", 0x32: "hexahedron27",
}  # fmt: skip
TO_NUMBER = {kind: number for number, kind in NUMBERS.items()}
# types that state their number of nodes: 1 poly-vertex, 2 poly-line, 3 polygon
COUNTED = {1: {1: "vertex"}, 2: {2: "line"}, 3: {3: "triangle", 4: "quad"}}
GENERAL = {1: "poly_vertex", 2: "poly_line", 3: "polygon"}


def read_mixed(values: np.ndarray, base: int, builder: MeshBuilder) -> list[tuple[Block, np.ndarray]]:
    """Cells of a mixed topology: type (and number of nodes where it varies), then the nodes, cell after cell."""
    flat, position, cell = values.tolist(), 0, 0
    rows: dict[str, list[list[int]]] = {}
    where: dict[str, list[int]] = {}
    while position < len(flat):
        number = flat[position]
        position += 1
        if number in GENERAL:
            if position >= len(flat):
                raise builder.fail("the mixed topology is cut off")
            size = flat[position]
            position += 1
            kind = COUNTED[number].get(size) if number < 3 else None
            kind = kind or GENERAL[number]
        elif number in NUMBERS:
            kind = NUMBERS[number]
            size = NODES[kind]
        else:
            raise builder.fail(f"the mixed topology names cell type {number}, which is not supported")
        if position + size > len(flat):
            raise builder.fail("the mixed topology is cut off")
        rows.setdefault(kind, []).append(flat[position : position + size])
        where.setdefault(kind, []).append(cell)
        position, cell = position + size, cell + 1
    blocks = []
    for kind, found in rows.items():
        width = max(map(len, found))
        table = np.array([row + [-1 + base] * (width - len(row)) for row in found], np.int64) - base
        blocks.append((builder.add_cells(kind, table), np.array(where[kind], np.int64)))
    return blocks
