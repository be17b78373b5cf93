"""Point clouds as columns of text (.csv, .xyz, .txt, .pts); the columns named x, y, z are coordinates, or the first
ones where none has a name."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.components import spelled
from meshlearn.io.headings import axes, heading_in, words
from meshlearn.io.losses import unheld
from meshlearn.io.tensors import file_array, to_numpy
from meshlearn.io.texts import lines_of
from meshlearn.mesh.mesh import Mesh


def read(path: Path) -> MeshBuilder:
    """Read a table of numbers: separated by commas, semicolons, tabs or blanks; with or without a line of names, which
    may be a comment. Where columns have names, those named x, y, z are the coordinates, and no others."""
    builder = MeshBuilder(path, "table of points")
    data = path.read_bytes()
    if b"\x00" in data[:4096]:
        raise builder.fail("the file is binary; a table of points is text")
    comment, lines = _without_comments(lines_of(path, builder), path.suffix.lower() == ".csv")
    lines = _without_count(lines, builder)
    if not lines:
        raise builder.fail("the file holds no line of numbers")
    separator = next((mark for mark in (",", ";", "\t") if mark in lines[0]), None)
    rows = [words(line, separator) for line in lines]
    names = None if all(map(_is_number, rows[0])) else rows.pop(0)
    if not rows:
        raise builder.fail("there are names of columns, but no rows")
    width = len(names or rows[0])
    for number, row in enumerate(rows, start=2 if names else 1):
        if len(row) != width:
            raise builder.fail(f"row {number} has {len(row)} columns, expected {width}")
    _place(rows, names or heading_in(comment, separator, width), builder)
    return builder


def _without_comments(lines: list[str], whole_lines: bool) -> tuple[str, list[str]]:
    """(the last comment above the first row, the other lines that are not empty)."""
    comment = ""
    kept: list[str] = []
    for line in map(str.strip, lines):
        if line.startswith(("#", "//", "%")):
            comment = comment if kept else line
        elif text := line if whole_lines else line.split("#")[0].strip():
            kept.append(text)
    return comment, kept


def _without_count(lines: list[str], builder: MeshBuilder) -> list[str]:
    """The lines behind one that announces the number of points, as .xyz and .pts have it."""
    molecule = builder.path.suffix.lower() == ".xyz" and len(lines) > 2
    if not (len(lines) > 1 and re.fullmatch(r"\d+", lines[0]) and (molecule or len(lines[1].split()) > 1)):
        return lines
    if molecule and re.match(r"[A-Za-z]{1,3}\s", lines[2]):
        raise builder.fail("this .xyz file holds atoms of a molecule, not points of a mesh")
    if len(lines) - 1 < int(lines[0]):
        raise builder.fail(f"{lines[0]} points are announced, {len(lines) - 1} lines are present: cut off?")
    return lines[1:]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return word == ""
    return True


def _place(rows: list[list[str]], heading: list[str] | None, builder: MeshBuilder) -> None:
    columns = list(map(list, zip(*rows, strict=True)))
    names = _unnamed(len(columns), builder) if heading is None else _named(heading, builder)
    places = axes(names)
    if not places:
        raise builder.fail(
            f"no column is named x, y or z, so none is known to be a coordinate; the names are {', '.join(names)}.\n"
            "  rename the columns of the coordinates, or take the line of names away: then the first ones are them"
        )
    numbers: dict[int, np.ndarray] = {}
    for k, column in enumerate(columns):
        try:
            values = np.array([float(word) if word else np.nan for word in column])
        except ValueError:
            if k in places:
                raise builder.fail(f"the column {names[k]!r} holds something that is not a number") from None
            builder.lost(f"column {names[k]!r}: meshes hold numbers only")
            continue
        whole = all(re.fullmatch(r"[+-]?\d{1,18}", word) for word in column)
        numbers[k] = np.array([int(word) for word in column], np.int64) if whole and k not in places else values
    builder.points = np.stack([numbers[k] for k in places], axis=1)
    builder.dim = len(places)
    builder.keeps_zeros = True
    fields = {names[k]: values for k, values in numbers.items() if k not in places}
    for name, values in _vectors(fields).items():
        builder.point_data[name] = values


def _unnamed(count: int, builder: MeshBuilder) -> list[str]:
    """Names for a table that has none: the first three columns are coordinates."""
    if builder.path.suffix.lower() == ".pts" and count in (4, 7):  # laser scans
        return ["x", "y", "z", "intensity", "red", "green", "blue"][:count]
    builder.note(f"the columns have no names: the first {min(3, count)} are the coordinates")
    return [*"xyz"[: min(3, count)], *(f"column_{k}" for k in range(3, count))]


def _named(heading: list[str], builder: MeshBuilder) -> list[str]:
    """The names of a file, each once; a column without one gets one (pandas writes its index so)."""
    twice = sorted({name for name in heading if name and heading.count(name) > 1})
    if twice:
        raise builder.fail(f"two columns are named {twice[0]!r}: rename one of them")
    names = []
    for k, name in enumerate(heading):
        new = name or ("index" if k == 0 and "index" not in heading else f"column_{k}")
        if not name:
            builder.note(f"column {k} has no name: it is the field {new!r}")
        names.append(new)
    return names


def _vectors(fields: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Columns NAME:0, NAME:1, ... (as ParaView and our writer name them) as one array."""
    merged: dict[str, np.ndarray] = {}
    for name, values in fields.items():
        stem, mark, index = name.rpartition(":")
        if not mark or not index.isdigit() or stem in fields:
            merged[name] = values
        elif index == "0":
            parts: list[np.ndarray] = []
            while f"{stem}:{len(parts)}" in fields:
                parts.append(fields[f"{stem}:{len(parts)}"])
            merged[stem] = np.stack(parts, axis=1)
        elif f"{stem}:0" not in fields:
            merged[name] = values
    return merged


def write(mesh: Mesh, path: Path) -> list[str]:
    """Write points and point data as columns, vectors as NAME:0, NAME:1, ...; .csv has commas, the others blanks."""
    losses = (
        unheld(mesh, "a table of points", (), ("point_data",))
        if mesh.cell_dim
        else unheld(mesh, "a table of points", ("vertex",), ("point_data",))
    )
    columns = {axis: to_numpy(mesh.points)[:, k] for k, axis in zip(range(mesh.dim), "xyz", strict=False)}
    texts = spelled("point data", mesh.point_data, lambda name: "_".join(name.replace(",", "_").split()), losses, "xyz")
    for name, tensor in mesh.point_data.items():
        values, _, _ = file_array(tensor)
        for k in range(values.shape[1]):
            columns[texts[name] if values.shape[1] == 1 else f"{texts[name]}:{k}"] = values[:, k]
    separator = "," if path.suffix.lower() == ".csv" else " "
    with open(path, "w", newline="\n", encoding="utf-8") as file:
        if path.suffix.lower() == ".csv" or len(columns) > mesh.dim:
            file.write(separator.join(columns) + "\n")
        for row in zip(*(column.tolist() for column in columns.values()), strict=True):
            file.write(separator.join(map(repr, row)) + "\n")
    return losses
