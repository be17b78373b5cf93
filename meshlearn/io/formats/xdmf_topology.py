"""XDMF's names and numbers of cell types, and its mixed topologies."""

from __future__ import annotations

import numpy as np

from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.celltypes import NODES
from meshlearn.io.vtk_model import ragged_table

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
# what an <Attribute> of ours says of its field: the kinds of cells that have it (others hold NaN or 0)
KINDS = "MeshlearnKinds"
TO_NUMBER = {kind: number for number, kind in NUMBERS.items()}
# types that state their number of nodes: 1 poly-vertex, 2 poly-line, 3 polygon
COUNTED = {1: {1: "vertex"}, 2: {2: "line"}, 3: {3: "triangle", 4: "quad"}}
GENERAL = {1: "poly_vertex", 2: "poly_line", 3: "polygon"}


def read_mixed(values: np.ndarray, base: int, builder: MeshBuilder) -> list[tuple[Block, np.ndarray]]:
    """Cells of a mixed topology: type (and number of nodes where it varies), then the nodes, cell after cell."""
    starts = _starts(values, builder)
    types = values[starts]
    counted = np.isin(types, list(GENERAL))
    sizes = np.where(counted, values[np.minimum(starts + 1, len(values) - 1)], _SIZES[types]) if len(starts) else types
    first = starts + 1 + counted  # position of the first node
    keys, which = np.unique(types * 2**32 + np.where(types == 3, 0, sizes), return_inverse=True)
    rows_of: dict[str, list[np.ndarray]] = {}
    for index, key in enumerate(keys.tolist()):
        number, size = divmod(key, 2**32)
        kind = NUMBERS.get(number) or (COUNTED[number].get(size) if number < 3 else None) or GENERAL[number]
        rows_of.setdefault(kind, []).append(np.flatnonzero(which == index))
    where = {kind: np.sort(np.concatenate(rows)) for kind, rows in rows_of.items()}
    blocks = []
    for kind, rows in sorted(where.items(), key=lambda item: int(item[1][0])):  # in the order of the file
        table = ragged_table(values - base, first[rows], sizes[rows])
        blocks.append((builder.add_cells(kind, table), rows))
    return blocks


_SIZES = np.full(256, -1)
_SIZES[list(NUMBERS)] = [NODES[kind] for kind in NUMBERS.values()]


def _starts(values: np.ndarray, builder: MeshBuilder) -> np.ndarray:
    """Where the cells start: every position is given the one behind it if it were a start, and these are followed."""
    inside = np.where((values >= 0) & (values < len(_SIZES)), values, 0)
    step = 1 + _SIZES[inside]  # 0: not a type
    counts = np.append(values[1:], -1)
    counted = np.isin(inside, list(GENERAL))
    step = np.where(counted, np.where(counts > 0, 2 + counts, -1), step)
    following = (np.arange(len(values)) + step).tolist()
    position, starts = 0, []
    while position < len(following):
        starts.append(position)
        if following[position] <= position:
            if step[position] < 0:
                raise builder.fail("the mixed topology is cut off")
            raise builder.fail(f"the mixed topology names cell type {int(values[position])}, which is not supported")
        position = following[position]
    if position != len(following):
        raise builder.fail("the mixed topology is cut off")
    return np.array(starts, np.int64)
