"""Abaqus and CalculiX input files (.inp): nodes, elements and sets, flat or in parts, instances and an assembly.

Elements of types that are not known here are named in a warning. What describes the analysis (materials, steps,
loads) is not part of a mesh; `mesh.report` names those keywords.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.endmark import END, HEAD
from meshlearn.io.formats.abaqus_deck import FROM_ABAQUS, Deck, Part, parse_deck
from meshlearn.io.losses import three_columns, unheld
from meshlearn.io.positions import Positions
from meshlearn.io.tensors import to_numpy
from meshlearn.mesh.mesh import Mesh


def read(path: Path) -> MeshBuilder:
    """Read an input file; *INCLUDE is followed inside the file's own folder."""
    builder = MeshBuilder(path, "Abaqus input")
    deck = parse_deck(path, builder)
    placed: list[tuple[str, Part, list[list[float]] | None]] = []
    if deck.parts[""].node_ids:
        placed.append(("", deck.parts[""], None))
    for name, (title, shift) in deck.instances.items():
        if title.upper() not in deck.parts:
            raise builder.fail(f"instance {name!r} is of part {title!r}, which is not there")
        placed.append((name, deck.parts[title.upper()], shift))
    if not deck.instances:
        placed += [(name, part, None) for name, part in deck.parts.items() if name and part.node_ids]
    if not placed:
        raise builder.fail("there are no nodes (*NODE)")
    builder.points = np.concatenate([_moved(part, shift) for _, part, shift in placed])
    first = 0
    members: dict[str, tuple[Positions, int, dict[str, tuple[str, np.ndarray]]]] = {}
    for name, part, _ in placed:
        prefix = f"{name}:" if len(placed) > 1 and name else ""
        members[name.upper()] = _add_part(part, first, prefix, builder)
        first += len(part.node_ids)
    _assembly_sets(deck, members, builder)
    if deck.ignored:
        builder.note(f"keywords that are no part of a mesh: {', '.join(sorted(deck.ignored))}")
    return builder


def _moved(part: Part, shift: list[list[float]] | None) -> np.ndarray:
    """The part's points, translated and then rotated as its instance asks."""
    width = max((len(row) for row in part.nodes), default=0)
    points = np.zeros((len(part.nodes), max(width, 1)))
    for k, row in enumerate(part.nodes):
        points[k, : len(row)] = row
    points = three_columns(points[:, :3])
    if shift:
        points = points + np.asarray(shift[0][:3])
        if len(shift) > 1:
            start, end, angle = np.array(shift[1][:3]), np.array(shift[1][3:6]), np.deg2rad(shift[1][6])
            axis = (end - start) / np.linalg.norm(end - start)
            x = points - start
            turned = np.cos(angle) * x + np.sin(angle) * np.cross(axis, x)
            points = start + turned + np.outer(x @ axis, axis) * (1 - np.cos(angle))
    return points


def _add_part(part: Part, first: int, prefix: str, builder: MeshBuilder):
    """Add elements and sets of a part; returns how its numbers map to the mesh."""
    ids = np.asarray(part.node_ids, np.int64)
    if len(np.unique(ids)) != len(ids):
        values, counts = np.unique(ids, return_counts=True)
        raise builder.fail(f"node {int(values[counts > 1][0])} is defined twice")
    position = Positions(ids)
    rows_of: dict[int, tuple[str, int]] = {}
    for kind, numbers, table in part.blocks:
        nodes = position(table)
        if (nodes < 0).any():
            raise builder.fail(
                f"element {int(numbers[(nodes < 0).any(1)][0])} names node "
                f"{int(table[nodes < 0][0])}, which is not there"
            )
        block = builder.add_cells(kind, nodes + first)
        rows_of.update((number, (kind, block.start + k)) for k, number in enumerate(numbers.tolist()))
    for name, labels in part.elsets.items():
        _cell_set(prefix + name, labels, rows_of, builder)
    for name, labels in part.nsets.items():
        found = position(np.asarray(labels, np.int64))
        if (found < 0).any():
            builder.lost(f"{int((found < 0).sum())} nodes of set {name!r} that do not exist")
        builder.point_sets[prefix + name] = found[found >= 0] + first
    return position, first, rows_of


def _cell_set(name: str, labels: list[int], rows_of: dict[int, tuple[str, int]], builder: MeshBuilder) -> None:
    by_kind: dict[str, list[int]] = {}
    missing = 0
    for label in dict.fromkeys(labels):
        if label in rows_of:
            kind, row = rows_of[label]
            by_kind.setdefault(kind, []).append(row)
        else:
            missing += 1
    for kind, rows in by_kind.items():
        builder.set_cell_set(name, kind, np.asarray(rows, np.int64))
    if missing:
        builder.lost(f"{missing} elements of set {name!r} that are not in the mesh")


def _assembly_sets(deck: Deck, members: dict, builder: MeshBuilder) -> None:
    """Sets of the assembly; one that shares its name with a part's set is kept as `NAME (assembly)`."""
    known = {name for name, _ in builder.cell_set_names()} | set(builder.point_sets)
    for (what, name), entries in deck.assembly_sets.items():
        title = f"{name} (assembly)" if name in known else name
        nodes: list[np.ndarray] = []
        for instance, labels in entries:
            if instance.upper() not in members:
                builder.lost(f"set {name!r} of instance {instance!r}")
                continue
            position, first, rows_of = members[instance.upper()]
            if what == "elset":
                _cell_set(title, labels, rows_of, builder)
            else:
                found = position(np.asarray(list(dict.fromkeys(labels)), np.int64))
                if (found < 0).any():
                    builder.lost(f"{int((found < 0).sum())} nodes of set {name!r} that do not exist")
                nodes.append(found[found >= 0] + first)
        if nodes:
            builder.point_sets[title] = np.concatenate(nodes)


_FLAT = {"triangle": "CPS3", "triangle6": "CPS6", "quad": "CPS4", "quad8": "CPS8", "line": "T2D2", "line3": "T2D3"}
_SOLID = {"line": "T3D2", "line3": "T3D3", "triangle": "S3", "triangle6": "STRI65", "quad": "S4", "quad8": "S8R",
          "quad9": "S9R5", "tetra": "C3D4", "tetra10": "C3D10", "pyramid": "C3D5", "wedge": "C3D6", "wedge15": "C3D15",
          "hexahedron": "C3D8", "hexahedron20": "C3D20", "hexahedron27": "C3D27", "vertex": "MASS"}  # fmt: skip


def write(mesh: Mesh, path: Path) -> list[str]:
    """Write nodes, elements and sets; plane meshes get plane-stress types, surfaces in space get shells."""
    types = _SOLID | (_FLAT if mesh.dim == 2 else {})
    losses = unheld(mesh, "Abaqus input", types, ("point_sets", "cell_sets"))
    first: dict[str, int] = {}
    number = 1
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(f"*HEADING\n{HEAD}\n*NODE\n")
        points = to_numpy(mesh.points).tolist()
        file.writelines(f"{k}, {', '.join(map(repr, row))}\n" for k, row in enumerate(points, start=1))
        for kind, table in mesh.cells.items():
            if kind not in types or not len(table):
                continue
            first[kind] = number
            rows = to_numpy(table) + 1
            rows = rows[:, np.argsort(FROM_ABAQUS[kind])] if kind in FROM_ABAQUS else rows
            file.write(f"*ELEMENT, TYPE={types[kind]}\n")
            for row in rows.tolist():
                file.write(_lines([number, *row]))
                number += 1
        for name, members in mesh.point_sets.items():
            file.write(f"*NSET, NSET={_label(name)}\n" + _lines((to_numpy(members) + 1).tolist()))
        for name, by_kind in mesh.cell_sets.items():
            numbers = [first[kind] + row for kind, rows in by_kind.items() if kind in first for row in rows.tolist()]
            file.write(f"*ELSET, ELSET={_label(name)}\n" + _lines(numbers))
        file.write(f"** {END}\n")
    return losses


def _label(name: str) -> str:
    return f'"{name}"' if any(c in name for c in " ,=") else name


def _lines(numbers: list[int]) -> str:
    """At most 16 numbers a line; a comma at the end continues."""
    parts = [", ".join(map(str, numbers[k : k + 16])) for k in range(0, len(numbers), 16)]
    return ",\n".join(parts) + "\n" if parts else ""
