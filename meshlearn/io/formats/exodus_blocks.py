"""Element blocks of Exodus: as cells and cell sets, and cells and cell sets as element blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.netcdf import NetCdf
from meshlearn.io.tensors import to_numpy
from meshlearn.mesh.mesh import Mesh

# name -> {nodes: kind}
_LINES, _TRIANGLES = {2: "line", 3: "line3"}, {3: "triangle", 6: "triangle6", 7: "triangle7"}
_QUADS = {4: "quad", 8: "quad8", 9: "quad9", 3: "triangle"}
_TETRAS = {4: "tetra", 10: "tetra10", 14: "tetra14"}
_PYRAMIDS = {5: "pyramid", 13: "pyramid13", 14: "pyramid14"}
_WEDGES = {6: "wedge", 15: "wedge15", 18: "wedge18", 21: "wedge21"}
_HEXES = {8: "hexahedron", 20: "hexahedron20", 27: "hexahedron27"}
_STEMS = {
    "SPHERE": {1: "vertex"}, "CIRCLE": {1: "vertex"}, "NODE": {1: "vertex"}, "BAR": _LINES, "BEAM": _LINES,
    "TRUSS": _LINES, "EDGE": _LINES, "ROD": _LINES, "TRI": _TRIANGLES, "TRIANGLE": _TRIANGLES, "TRISHELL": _TRIANGLES,
    "QUAD": _QUADS, "QUADRILATERAL": _QUADS, "SHELL": _QUADS, "TET": _TETRAS, "TETRA": _TETRAS, "TETRAHEDRON": _TETRAS,
    "PYR": _PYRAMIDS, "PYRA": _PYRAMIDS, "PYRAMID": _PYRAMIDS, "WEDGE": _WEDGES, "PENTA": _WEDGES, "HEX": _HEXES,
    "HEXA": _HEXES, "HEXAHEDRON": _HEXES,
}  # fmt: skip
TYPES = {
    "vertex": "SPHERE", "line": "BAR2", "line3": "BAR3", "triangle": "TRI3", "triangle6": "TRI6", "triangle7": "TRI7",
    "quad": "QUAD4", "quad8": "QUAD8", "quad9": "QUAD9", "tetra": "TETRA4", "tetra10": "TETRA10", "pyramid": "PYRAMID5",
    "pyramid13": "PYRAMID13", "wedge": "WEDGE6", "wedge15": "WEDGE15", "wedge18": "WEDGE18", "hexahedron": "HEX8",
    "hexahedron20": "HEX20", "hexahedron27": "HEX27",
}  # fmt: skip
# ours[:, k] = theirs[:, order[k]]: Exodus lists vertical edges before the top ones, and the face nodes in another order
ORDER: dict[str, list[int]] = {
    "hexahedron20": [*range(12), *range(16, 20), *range(12, 16)],
    "hexahedron27": [*range(12), *range(16, 20), *range(12, 16), 23, 24, 25, 26, 21, 22, 20],
    "wedge15": [*range(9), *range(12, 15), *range(9, 12)],
    "wedge18": [*range(9), *range(12, 15), *range(9, 12), 15, 16, 17],
}
TITLE = "meshlearn"


@dataclass
class ElementBlock:
    """A block of a file and where its elements stand in the mesh."""

    number: int  # from 1
    name: str
    kind: str  # "" for elements that are not read
    count: int
    rows: np.ndarray  # (count,) rows of the kind's table; (0,) for elements that are not read


def read_blocks(nc: NetCdf, names: list[str], builder: MeshBuilder) -> list[ElementBlock]:
    """Add the cells of all blocks, and a cell set for every block."""
    assert builder.points is not None
    blocks, tables = [], {}
    for number, name in enumerate(names, start=1):
        table, element = nc.get(f"connect{number}"), nc.text_attribute(f"connect{number}", "elem_type").upper()
        block = ElementBlock(number, name, "", nc.count(f"num_el_in_blk{number}"), np.zeros(0, np.int64))
        blocks.append(block)
        if table is None or table.size == 0:
            if nc.get(f"ebconn{number}") is not None or element in ("NSIDED", "NFACED"):
                builder.lost(f"element block {name!r} of {element or 'polygons'}")
            continue
        block.kind = _STEMS.get(element.rstrip("0123456789"), {}).get(table.shape[1], "")
        if not block.kind:
            raise builder.fail(
                f"element block {name!r} has type {element!r} with {table.shape[1]} nodes, which is not supported"
            )
        table = table.astype(np.int64) - 1
        if int(table.min()) < 0 or int(table.max()) >= len(builder.points):
            raise builder.fail(f"element block {name!r} names a node outside 1 to {len(builder.points)}")
        block.count = len(table)
        tables[number] = table[:, ORDER[block.kind]] if block.kind in ORDER else table
    _place(nc, blocks, tables, builder)
    return blocks


def _place(nc: NetCdf, blocks: list[ElementBlock], tables: dict[int, np.ndarray], builder: MeshBuilder) -> None:
    """One table per kind: block after block, in files of ours in the order that the mesh had."""
    own = nc.title() == TITLE
    numbers = nc.get("elem_num_map") if own else None
    total = sum(block.count for block in blocks)
    if numbers is None or len(numbers) != total:
        numbers = np.arange(total)
    firsts = np.cumsum([0, *(block.count for block in blocks)])
    for kind in dict.fromkeys(block.kind for block in blocks if block.kind):
        mine = [(block, int(first)) for block, first in zip(blocks, firsts[:-1], strict=True) if block.kind == kind]
        given = np.concatenate([numbers[first : first + block.count] for block, first in mine])
        rows = np.empty(len(given), np.int64)
        rows[np.argsort(given, kind="stable")] = np.arange(len(given))
        table = np.concatenate([tables[block.number] for block, _ in mine])
        builder.add_cells(kind, table[np.argsort(rows)])
        at = 0
        for block, _ in mine:
            block.rows = rows[at : at + block.count]
            at += block.count
    names = {block.name for block in blocks}
    for block in blocks:
        stem = block.name.rpartition(":")[0]
        if block.kind:  # ours: the part of the set NAME whose cells are of another kind is NAME:KIND
            name = stem if own and stem in names and block.name == f"{stem}:{block.kind}" else block.name
            builder.set_cell_set(name, block.kind, block.rows)


def element_rows(blocks: list[ElementBlock], kinds: list[str], counts: dict[str, int]) -> np.ndarray:
    """(n_elements,) number of every element of the file in the mesh's own numbering: kind after kind; -1 if unread."""
    first = dict(zip(kinds, np.cumsum([0, *(counts[kind] for kind in kinds)]).tolist(), strict=False))
    parts = [block.rows + first[block.kind] if block.kind else np.full(block.count, -1, np.int64) for block in blocks]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def divide(mesh: Mesh, kinds: list[str], losses: list[str]) -> list[ElementBlock]:
    """Element blocks for the cell sets as far as they are disjoint, and for the cells in none of them."""
    blocks: list[ElementBlock] = []
    owner = {kind: np.full(len(mesh.cells[kind]), -1) for kind in kinds}
    kept: list[str] = []
    for name, by_kind in mesh.cell_sets.items():
        rows_of = {kind: to_numpy(rows) for kind, rows in by_kind.items() if len(rows)}
        if not rows_of or set(rows_of) - set(kinds):
            losses.append(f"cell set {name!r} ({'of kinds that are not written' if rows_of else 'without cells'})")
        elif any((owner[kind][rows] >= 0).any() or len(np.unique(rows)) < len(rows) for kind, rows in rows_of.items()):
            losses.append(f"cell set {name!r} (Exodus has disjoint element blocks)")
        else:
            for kind, rows in rows_of.items():
                owner[kind][rows] = len(kept)
                if (np.diff(rows) < 0).any():
                    losses.append(f"the order of the cells in cell set {name!r}")
            kept.append(name)
    for kind in kinds:
        found, first = np.unique(owner[kind], return_index=True)
        for index in found[np.argsort(first)].tolist():
            rows = np.flatnonzero(owner[kind] == index)
            name = "" if index < 0 else kept[index]
            if name and any(block.name == name for block in blocks):
                name = f"{name}:{kind}"
            blocks.append(ElementBlock(len(blocks) + 1, name, kind, len(rows), rows))
    taken = {block.name for block in blocks}
    for block in blocks:
        if not block.name:
            block.name = next(name for k in range(block.number, 10**9) if (name := f"block_{k}") not in taken)
            taken.add(block.name)
    return blocks
