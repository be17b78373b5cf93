"""AVS unstructured cell data, ASCII (.inp, .avs, .ucd)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.components import spelled
from meshlearn.io.counts import counted
from meshlearn.io.losses import three_columns, unheld
from meshlearn.io.positions import Positions
from meshlearn.io.tensors import file_array, to_numpy
from meshlearn.io.texts import lines_of
from meshlearn.mesh.mesh import Mesh

_KINDS = {"pt": ("vertex", 1), "line": ("line", 2), "tri": ("triangle", 3), "quad": ("quad", 4), "tet": ("tetra", 4),
          "pyr": ("pyramid", 5), "prism": ("wedge", 6), "hex": ("hexahedron", 8)}  # fmt: skip
# a comment of ours: the kinds of cells that have a field, for the fields that not all have (the others hold 0)
_OWN = "# meshlearn: kinds of cells with a field "
_NAMES = {kind: name for name, (kind, _) in _KINDS.items()}
# ours[:, k] = theirs[:, order[k]]
_ORDER = {"tetra": [0, 1, 3, 2], "pyramid": [1, 2, 3, 4, 0], "wedge": [3, 4, 5, 0, 1, 2],
          "hexahedron": [4, 5, 6, 7, 0, 1, 2, 3]}  # fmt: skip


def read(path: Path) -> MeshBuilder:
    """Read an ASCII UCD file; material numbers become cell data `material`."""
    builder = MeshBuilder(path, "AVS-UCD")
    texts = lines_of(path, builder)
    lines = [line.split() for line in texts if line.strip() and not line.lstrip().startswith("#")]
    if not lines or len(lines[0]) < 5:
        raise builder.fail("the first line holds no five counts")
    n_points, n_cells, n_point_data, n_cell_data, n_model = (int(word) for word in lines[0][:5])
    if len(lines) < 1 + n_points + n_cells:
        raise builder.fail(
            f"{n_points} points and {n_cells} cells are announced, {len(lines) - 1} lines are present: cut off?"
        )
    nodes = np.array(lines[1 : 1 + n_points]).astype(np.float64)
    if nodes.ndim != 2 or nodes.shape[1] != 4:
        raise builder.fail("a point line does not hold a number and three coordinates")
    builder.points = np.ascontiguousarray(nodes[:, 1:])
    position = Positions(nodes[:, 0].astype(np.int64))
    blocks = _cells(lines[1 + n_points : 1 + n_points + n_cells], position, builder)
    rest = lines[1 + n_points + n_cells :]
    if n_point_data:
        fields, rest = _data(rest, n_points, n_point_data, builder)
        for name, (numbers, values) in fields.items():
            order = Positions(numbers)(nodes[:, 0].astype(np.int64))
            builder.point_data[name] = values[order]
    if n_cell_data:
        marks = [line.removeprefix(_OWN) for line in texts[:20] if line.startswith(_OWN)]
        kinds_of = json.loads(marks[0]) if marks else {}
        fields, rest = _data(rest, n_cells, n_cell_data, builder)
        for name, (numbers, values) in fields.items():
            own = kinds_of.get(name)
            for block, ids in blocks:
                if own is not None and block.kind not in own:
                    continue
                builder.add_cell_data(name, block, values[Positions(numbers)(ids)])
    if n_model:
        builder.lost(f"{counted(n_model, 'value')} of the whole model")
    return builder


def _cells(lines: list[list[str]], position: Positions, builder: MeshBuilder) -> list[tuple[Block, np.ndarray]]:
    by_kind: dict[str, list[list[int]]] = {}
    for words in lines:
        name = words[2].lower() if len(words) > 2 else ""
        if name not in _KINDS or len(words) != 3 + _KINDS[name][1]:
            raise builder.fail(f"the cell line {' '.join(words)[:60]!r} is not understood")
        by_kind.setdefault(_KINDS[name][0], []).append([int(w) for w in (*words[:2], *words[3:])])
    blocks = []
    for kind, rows in by_kind.items():
        table = np.array(rows, np.int64)
        nodes = position(table[:, 2:])
        if (nodes < 0).any():
            raise builder.fail(f"a {kind} cell names point {int(table[:, 2:][nodes < 0][0])}, which is not there")
        block = builder.add_cells(kind, nodes[:, _ORDER[kind]] if kind in _ORDER else nodes)
        builder.add_cell_data("material", block, table[:, 1])
        blocks.append((block, table[:, 0]))
    return blocks


def _data(lines: list[list[str]], rows: int, width: int, builder: MeshBuilder) -> tuple[dict, list[list[str]]]:
    sizes = [int(word) for word in lines[0][1:]] if lines else []
    n_fields = int(lines[0][0]) if lines else 0
    if len(sizes) != n_fields or len(lines) < 1 + n_fields + rows:
        raise builder.fail(
            f"data of {rows} rows are announced, {max(len(lines) - 1 - n_fields, 0)} lines are left: cut off?"
        )
    names = [" ".join(words).split(",")[0].strip() for words in lines[1 : 1 + n_fields]]
    table = np.array(lines[1 + n_fields : 1 + n_fields + rows]).astype(np.float64)
    if table.shape[1] != 1 + sum(sizes) or sum(sizes) != width:
        raise builder.fail(f"data rows hold {table.shape[1] - 1} values, announced are {width}")
    fields, at = {}, 1
    for index, (name, size) in enumerate(zip(names, sizes, strict=True)):
        fields[name or f"field_{index}"] = (table[:, 0].astype(np.int64), table[:, at : at + size])
        at += size
    return fields, lines[1 + n_fields + rows :]


def write(mesh: Mesh, path: Path) -> list[str]:
    """Write points, cells with a material number, and fields as floating-point numbers."""
    losses = unheld(mesh, "AVS-UCD", _NAMES, ("point_data", "cell_data"))
    kinds = [kind for kind in mesh.cells if kind in _NAMES and len(mesh.cells[kind])]
    n_cells = sum(len(mesh.cells[kind]) for kind in kinds)
    point_names = spelled("point data", mesh.point_data, _plain, losses)
    cell_names = spelled("cell data", [name for name in mesh.cell_data if name != "material"], _plain, losses)
    cell_names["material"] = "material"
    point_fields = {point_names[name]: file_array(tensor)[0] for name, tensor in mesh.point_data.items()}
    cell_fields: dict[str, np.ndarray] = {}
    partial: dict[str, list[str]] = {}  # fields of some kinds of cells
    for name, by_kind in mesh.cell_data.items():
        parts = {kind: file_array(by_kind[kind])[0] for kind in kinds if kind in by_kind}
        if name == "material" and all(p.shape[1] == 1 and p.dtype.kind in "iu" for p in parts.values()):
            if len(parts) < len(kinds) and parts:
                losses.append(f"that only some cells have the cell data {name!r} (the others get 0)")
            continue
        if len(shapes := {part.shape[1] for part in parts.values()}) == 1:
            width = shapes.pop()
            whole = [parts.get(kind, np.zeros((len(mesh.cells[kind]), width))) for kind in kinds]
            cell_fields[cell_names[name]] = np.concatenate(whole)
            if len(parts) < len(kinds):
                partial[cell_names[name]] = list(parts)
        elif parts:
            losses.append(f"cell data {name!r} of unlike shapes")
    widths = [sum(values.shape[1] for values in fields.values()) for fields in (point_fields, cell_fields)]
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        if partial:
            file.write(f"{_OWN}{json.dumps(partial)}\n")
        file.write(f"{mesh.n_points} {n_cells} {widths[0]} {widths[1]} 0\n")
        points = three_columns(to_numpy(mesh.points)).tolist()
        file.writelines(f"{k} {' '.join(map(repr, p))}\n" for k, p in enumerate(points, start=1))
        number = 1
        for kind in kinds:
            table = to_numpy(mesh.cells[kind]) + 1
            if kind in _ORDER:
                table = table[:, np.argsort(_ORDER[kind])]
            material = mesh.cell_data.get("material", {}).get(kind)
            marks = [0] * len(table) if material is None else material.reshape(len(table)).long().tolist()
            for mark, row in zip(marks, table.tolist(), strict=True):
                file.write(f"{number} {mark} {_NAMES[kind]} {' '.join(map(str, row))}\n")
                number += 1
        for fields in (point_fields, cell_fields):
            if fields:
                file.write(f"{len(fields)} {' '.join(str(v.shape[1]) for v in fields.values())}\n")
                file.writelines(f"{name}, none\n" for name in fields)
                table = np.concatenate([values.astype(np.float64) for values in fields.values()], axis=1)
                file.writelines(f"{k} {' '.join(map(repr, row))}\n" for k, row in enumerate(table.tolist(), start=1))
    return losses


def _plain(name: str) -> str:
    return name.replace(",", "_").strip()
