"""Nastran bulk data (.bdf, .nas, .fem, .dat): grid points and elements in free, small and large fields.

Property numbers become cell data `nastran:property` and cell sets `property_3`. Cards that describe the analysis are
no part of a mesh; `mesh.report` names them.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.counts import counted
from meshlearn.io.losses import three_columns, unheld
from meshlearn.io.positions import Positions
from meshlearn.io.refs import add_refs, cell_refs, renamed
from meshlearn.io.tensors import to_numpy
from meshlearn.io.texts import lines_of
from meshlearn.mesh.mesh import Mesh

# card -> {number of nodes: kind}
_CARDS = {
    "CTRIA3": {3: "triangle"}, "CTRIAR": {3: "triangle"}, "CTRIA6": {6: "triangle6", 3: "triangle"},
    "CTRIAX6": {6: "triangle6"}, "CTRIAX": {6: "triangle6", 3: "triangle"}, "CQUAD4": {4: "quad"},
    "CQUADR": {4: "quad"}, "CSHEAR": {4: "quad"}, "CQUAD8": {8: "quad8", 4: "quad"}, "CQUAD": {9: "quad9", 8: "quad8",
    4: "quad"}, "CQUAD9": {9: "quad9", 8: "quad8", 4: "quad"},
    "CQUADX": {9: "quad9", 8: "quad8", 4: "quad"}, "CTETRA": {4: "tetra", 10: "tetra10"},
    "CPYRAM": {5: "pyramid", 13: "pyramid13"}, "CPYRA": {5: "pyramid", 13: "pyramid13"},
    "CPENTA": {6: "wedge", 15: "wedge15"}, "CHEXA": {8: "hexahedron", 20: "hexahedron20"}, "CROD": {2: "line"},
    "CTUBE": {2: "line"}, "CONROD": {2: "line"}, "CBAR": {2: "line"}, "CBEAM": {2: "line"}, "CBUSH": {2: "line"},
    "CGAP": {2: "line"}, "PLOTEL": {2: "line"},
}  # fmt: skip
# cards that begin with C and connect nothing: coordinate systems, masses at a point, loads, constraints, parameters
_NO_ELEMENT = (
    *("CORD", "CONM", "CONV", "CONCTL", "CONTACT", "CONTRLT", "CLOAD", "CSET", "CREEP", "CURV", "CYAX", "CYJOIN"),
    *("CYSUP", "CYSYM", "CSUP", "CAMPBLL", "CASECC", "COMPUDS", "CAERO", "CBARAO", "CSSCHD", "CSSHLH"),
)
# mid-side nodes: Nastran has bottom, vertical, top; we have bottom, top, vertical
_ORDER = {
    "hexahedron20": [*range(12), *range(16, 20), *range(12, 16)],
    "wedge15": [*range(9), *range(12, 15), *range(9, 12)],
}

_NO_END = "what may follow the last line: there is no ENDDATA, the file may be cut off"


def read(path: Path) -> MeshBuilder:
    """Read a bulk data file."""
    builder = MeshBuilder(path, "Nastran bulk data")
    ids: list[int] = []
    points: list[list[float]] = []
    rows: dict[str, list[list[int]]] = {}
    ignored: set[str] = set()
    unknown: Counter[str] = Counter()
    frames: set[int] = set()
    for card in _cards(path, builder):
        name = card[0].rstrip("*").upper()
        if name == "GRID":
            ids.append(int(card[1]))
            frames.add(int(card[2] or 0) if len(card) > 2 else 0)
            points.append([_real(card[k]) if k < len(card) and card[k] else 0.0 for k in (3, 4, 5)])
        elif name in _CARDS:
            kind, row = _element(name, card, builder)
            rows.setdefault(kind, []).append(row)
        elif name.startswith("C") and not name.startswith(_NO_ELEMENT):
            unknown[name] += 1
        else:
            ignored.add(name)
    for name, count in unknown.items():
        builder.lost(f"{counted(count, 'element')} of card {name}, which is not known")
    if ids and not rows and not unknown and _NO_END in builder.losses:
        raise builder.fail(
            "there are grid points, no elements and no ENDDATA: cut off?\n"
            "  if the points are all there is, end the file with ENDDATA"
        )
    if not ids:
        raise builder.fail("there are no GRID cards")
    if len(set(ids)) != len(ids):
        raise builder.fail("a grid point is defined twice")
    if frames - {0}:
        raise builder.fail(
            f"grid points are given in the coordinate systems {sorted(frames - {0})}; only the basic one is supported"
        )
    builder.points = np.array(points)
    position = Positions(np.array(ids, np.int64))
    for kind, found in rows.items():
        table = np.array(found, np.int64)
        nodes = position(table[:, 2:])
        if (nodes < 0).any():
            raise builder.fail(f"a {kind} names grid point {int(table[:, 2:][nodes < 0][0])}, which is not there")
        nodes = nodes[:, _ORDER[kind]] if kind in _ORDER else nodes
        add_refs(builder, builder.add_cells(kind, nodes), table[:, 1], "nastran:property", "property_")
    if ignored:
        builder.note(f"cards that are no part of a mesh: {', '.join(sorted(ignored))}")
    return builder


def _element(name: str, card: list[str], builder: MeshBuilder) -> tuple[str, list[int]]:
    """(kind, [number, property, nodes...])."""
    sizes = _CARDS[name]
    fields = card[3:] if name not in ("CONROD", "PLOTEL") else card[2:]
    prop = int(card[2]) if name not in ("CONROD", "PLOTEL") and len(card) > 2 and card[2] else 0
    given = 0
    while given < len(fields) and given < max(sizes) and fields[given].strip().lstrip("+-").isdigit():
        given += 1
    size = max((n for n in sizes if n <= given), default=0)
    if not size:
        raise builder.fail(
            f"the card {' '.join(filter(None, card[:6]))} holds {given} nodes, expected {' or '.join(map(str, sizes))}"
        )
    nodes = [int(word) for word in fields[:size]]
    return sizes[size], [int(card[1]), prop, *nodes]


def _real(text: str) -> float:
    """A Nastran number: 1.5-3 is 1.5e-3."""
    try:
        return float(text)
    except ValueError:
        at = max(text.rfind("+"), text.rfind("-"))
        return float(f"{text[:at]}e{text[at:]}".replace("d", "").replace("D", ""))


def _cards(path: Path, builder: MeshBuilder):
    """Cards as lists of fields, continuations joined."""
    lines = lines_of(path, builder)
    starts = [k for k, line in enumerate(lines) if line.strip().upper().startswith("BEGIN") and "BULK" in line.upper()]
    card: list[str] = []
    closed = False
    for line in lines[starts[0] + 1 if starts else 0 :]:
        line = line.split("$")[0].rstrip()
        if not line.strip():
            continue
        if line.strip().upper().startswith("ENDDATA"):
            closed = True
            break
        if line.strip().upper().startswith("INCLUDE"):
            builder.lost(f"the included file {line.strip()[7:].strip()}")
            continue
        fields = _fields(line)
        if fields[0] == "" or fields[0][0] in "+*":
            card += fields[1:]
        else:
            if card:
                yield card
            card = fields
    if not closed and starts:
        raise builder.fail("there is no ENDDATA after BEGIN BULK: the file is cut off")
    if not closed:
        builder.lost(_NO_END)
    if card:
        yield card


def _fields(line: str) -> list[str]:
    """Fields of one line: the name or continuation mark, then the data of that line (without the mark at the end)."""
    if "," in line:
        words = [word.strip() for word in line.split(",")]
        words = words[:9] if len(words) > 9 else words
        return (
            words + [""] * (9 - len(words))
            if len(words) > 1 and not words[-1]
            else words + [""] * max(0, 9 - len(words))
        )
    line = line.expandtabs(8)
    name = line[:8].strip()
    width, count = (16, 4) if name.endswith("*") or name.startswith("*") else (8, 8)
    return [name, *(line[8 + k * width : 8 + (k + 1) * width].strip() for k in range(count))]


_NAMES = {"triangle": "CTRIA3", "triangle6": "CTRIA6", "quad": "CQUAD4", "quad8": "CQUAD8", "tetra": "CTETRA",
          "tetra10": "CTETRA", "pyramid": "CPYRAM", "pyramid13": "CPYRAM", "wedge": "CPENTA", "wedge15": "CPENTA",
          "hexahedron": "CHEXA", "hexahedron20": "CHEXA", "line": "CROD"}  # fmt: skip


def write(mesh: Mesh, path: Path) -> list[str]:
    """Write grid points (large fields, 16 characters a number) and elements with one property number each."""
    losses = unheld(mesh, "Nastran bulk data", _NAMES, ("cell_data", "cell_sets"))
    losses += [f"cell data {name!r}" for name in mesh.cell_data if name != "nastran:property"]
    if "nastran:property" not in mesh.cell_data:
        losses += renamed(mesh)
    points = three_columns(to_numpy(mesh.points)).astype(np.float64)
    texts = [[_text(value) for value in row] for row in points.tolist()]
    if any(
        float(text) != value
        for row, given in zip(texts, points.tolist(), strict=True)
        for text, value in zip(row, given, strict=True)
        if value == value
    ):
        losses.append("the last digits of the coordinates (fields have 16 characters)")
    number = 1
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write("$ written by meshlearn\nBEGIN BULK\n")
        for k, (x, y, z) in enumerate(texts, start=1):
            file.write(f"{'GRID*':<8}{k:>16}{'':>16}{x:>16}{y:>16}\n{'*':<8}{z:>16}\n")
        for kind, table in mesh.cells.items():
            if kind not in _NAMES:
                continue
            nodes = to_numpy(table) + 1
            nodes = nodes[:, np.argsort(_ORDER[kind])] if kind in _ORDER else nodes
            refs = cell_refs(mesh, kind, "nastran:property", losses).tolist()
            for ref, row in zip(refs, nodes.tolist(), strict=True):
                words = [number, ref or "", *row]
                for start in range(0, len(words), 8):
                    head = _NAMES[kind] if start == 0 else "+"
                    file.write(f"{head:<8}" + "".join(f"{word:>8}" for word in words[start : start + 8]) + "\n")
                number += 1
        file.write("ENDDATA\n")
    return losses


def _text(value: float) -> str:
    """At most 16 characters, always with a point or an exponent."""
    for digits in range(17, 5, -1):
        text = f"{value:.{digits}g}"
        text = text if any(c in text for c in ".en") else text + "."
        if len(text) <= 16:
            return text
    return f"{value:.8e}"
