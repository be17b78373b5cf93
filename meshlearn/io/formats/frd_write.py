"""Writing CalculiX results, .frd: ASCII with long node numbers, as ccx itself writes them.

A number has 12 columns (Fortran's 12.5E): six digits. What is beyond them, and all that the format has no place for,
is named in the losses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch

from meshlearn.errors import MeshWriteError
from meshlearn.io.components import spelled
from meshlearn.io.formats.frd import TYPES
from meshlearn.io.losses import three_columns, unheld
from meshlearn.io.tensors import file_array, to_numpy
from meshlearn.mesh.mesh import Mesh

_TITLE = "CalculiX results"
_CODES = {kind: (number, order) for number, (kind, _, order) in TYPES.items()}
_MARKS = ("group", "material")  # of every element, five columns each
_WIDTH, _PER_LINE, _NAME = 12, 6, 8  # columns of a number, numbers in a line, bytes of a name
_TENSOR = ("XX", "YY", "ZZ", "XY", "YZ", "ZX")
_PAIRS = ((1, 1), (2, 2), (3, 3), (1, 2), (2, 3), (3, 1))
_UPPER = np.array([0, 4, 8, 1, 5, 2])  # those components in a flat 3 x 3 matrix
# results of CalculiX: the names of their components
_COMPONENTS = {
    "DISP": "D1 D2 D3", "VELO": "V1 V2 V3", "FORC": "F1 F2 F3", "FLUX": "F1 F2 F3", "NDTEMP": "T", "PE": "PE",
    "STRESS": "SXX SYY SZZ SXY SYZ SZX", "TOSTRAIN": "EXX EYY EZZ EXY EYZ EZX", "ERROR": "STR(%)",
}  # fmt: skip


@dataclass
class _Field:
    """Point data as rows of numbers: one table, or one for every step."""

    name: str
    title: str  # its name in the file
    tables: list[np.ndarray]  # (n_points, width) each
    components: list[str]


@dataclass
class _Losses:
    said: list[str] = field(default_factory=list)
    rounded: list[str] = field(default_factory=list)  # what has more digits than the file

    def all(self) -> list[str]:
        return [*self.said, *([f"digits beyond the sixth of {', '.join(self.rounded)}"] if self.rounded else [])]

    def compare(self, what: str, given: np.ndarray, texts: list[str]) -> None:
        if what not in self.rounded and not _exact(given, texts):
            self.rounded.append(what)


def write_frd(given: Any, path: Path) -> list[str]:
    """Nodes, elements and one block per step and field; fields of a trajectory's still mesh are written at every
    step. Nodes whose values are all NaN are left out of a block, which is how the format says it."""
    series = None if isinstance(given, Mesh) else given
    mesh: Mesh = given if series is None else series.mesh
    losses = _Losses()
    kinds = [kind for kind, table in mesh.cells.items() if kind in _CODES and len(table)]
    marks = {name: mesh.cell_data[name] for name in _MARKS if name in mesh.cell_data and _is_mark(mesh, name, kinds)}
    fields = _fields(mesh, series, losses)
    values, names = _step_values(mesh, series, bool(fields), losses)
    _say(mesh, series, marks, names, losses)
    texts = _numbers(three_columns(to_numpy(mesh.points).astype(np.float64)))
    losses.compare("the coordinates", three_columns(to_numpy(mesh.points)), texts)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write("    1C\n    1UPGM               meshlearn\n")
        file.write(f"    2C{mesh.n_points:30d}{1:38d}\n")
        file.writelines(f" -1{k:10d}{text}\n" for k, text in enumerate(texts, start=1))
        file.write(" -3\n")
        _put_elements(file, mesh, kinds, marks)
        count = 0
        for step, value in enumerate(values):
            for one in fields:
                count += 1
                file.write(f"    1PSTEP{count:26d}{1:12d}{step + 1:12d}\n")
                _put_block(file, one, step, value, losses)
        file.write(" 9999\n")
    return losses.all()


def _say(mesh: Mesh, series: Any, marks: Collection[str], held: tuple[str, ...], losses: _Losses) -> None:
    """What has no place in the format."""
    rest = mesh.replace(
        cell_data={name: values for name, values in mesh.cell_data.items() if name not in marks},
        global_data={name: values for name, values in mesh.global_data.items() if name not in held},
    )
    losses.said += unheld(rest, _TITLE, _CODES, ("point_data",))
    if series is not None:
        for part in ("cell_data", "global_data"):
            names = [name for name in getattr(series, part) if part == "cell_data" or name not in held]
            if names:
                losses.said.append(f"{part.replace('_', ' ')} {', '.join(map(repr, names))} over time")
        if series.moving_points is not None:
            losses.said.append("moving points (the points of the mesh itself are written)")
    if mesh.dim == 1 or (mesh.dim == 2 and mesh.cell_dim < 1):
        losses.said.append(f"the dimension {mesh.dim} (written with zeros)")


def _is_mark(mesh: Mesh, name: str, kinds: list[str]) -> bool:
    """Whether the cell data are what the format has for every element: whole numbers of five columns."""
    by_kind = mesh.cell_data[name]
    return set(by_kind) == set(kinds) and all(
        values.dtype == torch.int64 and values.ndim == 1 and bool(((values > -1000) & (values < 100000)).all())
        for values in by_kind.values()
    )


def _step_values(mesh: Mesh, series: Any, fields: bool, losses: _Losses) -> tuple[list[str], tuple[str, ...]]:
    """(the time of every step as text, the names of the global data that hold it)."""
    names: tuple[str, ...]
    if series is None:
        time = mesh.global_data.get("time")
        if not fields or time is None or time.numel() != 1 or time.ndim or time.dtype != torch.float64:
            return ["0.0"], ()
        values, names, what = np.array([float(time)]), ("time",), "global data 'time'"
    else:
        values, names, what = to_numpy(series.times).astype(np.float64), (), "the times"
        given = series.global_data.get("value")
        if given is not None and given.ndim == 1 and given.dtype == torch.float64:
            numbered, wanted = np.array_equal(values, np.arange(len(values))), to_numpy(given)
            if numbered and np.isfinite(wanted).all() and not (np.diff(wanted) > 0).all():
                values, names, what = wanted, ("value",), "global data 'value'"
        if not fields:
            losses.said.append("the times (there are no point data)")
        if len(values) > 99999:
            raise MeshWriteError(f"{_TITLE} number their steps up to 99999, this trajectory has {len(values)} steps.")
    texts = [_value(float(value)) for value in values]
    if any(float(text) != value for text, value in zip(texts, values, strict=True)):
        losses.said.append(f"digits of {what} beyond 12 columns")
    return texts, names


def _value(value: float) -> str:
    """The number in at most 12 columns, as exactly as they allow."""
    if len(repr(value)) <= _WIDTH:
        return repr(value)
    return next(text for digits in range(11, 0, -1) if len(text := f"{value:.{digits}g}") <= _WIDTH)


def _fields(mesh: Mesh, series: Any, losses: _Losses) -> list[_Field]:
    tensors = {} if series is None else dict(series.point_data)
    moving = list(tensors)
    tensors |= {name: tensor for name, tensor in mesh.point_data.items() if name not in tensors}
    titles = spelled("point data", tensors, _speller(list(tensors)), losses.said)
    found = []
    for name, tensor in tensors.items():
        steps = list(tensor) if name in moving else [tensor]
        shape, kind = tuple(steps[0].shape[1:]), str(tensor.dtype).removeprefix("torch.")
        tables = [file_array(step)[0] for step in steps]
        if tensor.dtype != torch.float64:
            losses.said.append(f"the type {kind} of point data {name!r} (now float64)")
        symmetric = shape == (3, 3) and all(
            np.array_equal(t, t.reshape(-1, 3, 3).mT.reshape(-1, 9), equal_nan=t.dtype.kind == "f") for t in tables
        )
        if symmetric and not tensor.is_complex():
            tables = [table[:, _UPPER] for table in tables]
            losses.said.append(f"the shape (3, 3) of point data {name!r} (now {', '.join(_TENSOR)})")
        elif len(shape) > 1 or shape == (1,) or tensor.is_complex():
            losses.said.append(f"the shape {shape} of point data {name!r} (now components)")
        found.append(_Field(name, titles[name], tables, _component_names(titles[name], tables[0].shape[1])))
    return found


def _speller(names: list[str]) -> Callable[[str], str]:
    """Cuts a name to the eight bytes that the format has; names that fit keep theirs, others get a number."""
    used: set[str] = set()

    def cut(name: str, size: int = _NAME) -> str:
        printable = "".join(c if c.isprintable() else "_" for c in name)
        return printable.encode()[:size].decode("utf-8", "ignore").strip()

    fitting = {name for name in names if name and cut(name) == name}

    def spell(name: str) -> str:
        if name in fitting:
            return name
        text, number = cut(name) or "field", 1
        while text in used or text in fitting:
            text, number = cut(name, _NAME - len(str(number))) + str(number), number + 1
        used.add(text)
        return text

    return spell


def _component_names(name: str, width: int) -> list[str]:
    known = _COMPONENTS.get(name, "").split()
    if len(known) == width:
        return known
    if width in (1, 6):
        return [name] if width == 1 else list(_TENSOR)
    return list("XYZ"[:width]) if width in (2, 3) else [f"C{k}" for k in range(1, width + 1)]


def _numbers(values: np.ndarray) -> list[str]:
    """(n, k) numbers as n texts of k fields."""
    form, size = f"%{_WIDTH}.5E" * values.shape[1], _WIDTH * values.shape[1]
    texts = [form % tuple(row) for row in values.tolist()]
    if any(len(text) != size for text in texts):  # a sign and an exponent of three digits cost a digit
        texts = ["".join(map(_narrow, row)) for row in values.tolist()]
    return texts


def _narrow(value: float) -> str:
    text = f"{value:{_WIDTH}.5E}"
    return text if len(text) <= _WIDTH else f"{value:{_WIDTH}.4E}"


def _exact(given: np.ndarray, texts: list[str]) -> bool:
    """Whether the texts, read again, are the given numbers."""
    read = np.frombuffer("".join(texts).encode(), f"S{_WIDTH}").astype(np.float64).reshape(given.shape)
    if given.dtype.kind in "iu":
        with np.errstate(invalid="ignore"):  # the largest integers, rounded up
            read = read.astype(given.dtype)
    return np.array_equal(read, given, equal_nan=given.dtype.kind == "f")


def _put_elements(file: TextIO, mesh: Mesh, kinds: list[str], marks: dict) -> None:
    if not kinds:
        return
    number = 1
    file.write(f"    3C{sum(len(mesh.cells[kind]) for kind in kinds):30d}{1:38d}\n")
    for kind in kinds:
        code, order = _CODES[kind]
        table = to_numpy(mesh.cells[kind]) + 1
        table = table[:, np.argsort(order)] if order else table
        groups, materials = (
            marks[name][kind].tolist() if name in marks else [default] * len(table)
            for name, default in zip(_MARKS, (0, 1), strict=True)
        )
        for nodes, group, material in zip(table.tolist(), groups, materials, strict=True):
            file.write(f" -1{number:10d}{code:5d}{group:5d}{material:5d}\n")
            for k in range(0, len(nodes), 10):
                file.write(" -2" + "".join(f"{node:10d}" for node in nodes[k : k + 10]) + "\n")
            number += 1
    file.write(" -3\n")


def _put_block(file: TextIO, one: _Field, step: int, value: str, losses: _Losses) -> None:
    exact = one.tables[step if len(one.tables) > 1 else 0]
    table = exact.astype(np.float64)
    given = np.flatnonzero(~np.isnan(table).all(axis=1))
    texts = _numbers(table[given])
    losses.compare(f"point data {one.name!r}", exact[given], texts)
    width = len(one.components)
    file.write(f"  100CL{101 + step % 900:5d}{value:>12}{len(given):12d}{0:22d}{step + 1:5d}{'':10}{1:2d}\n")
    kind = {3: 2, 6: 4}.get(width, 1)  # vector, symmetric tensor, else scalars
    extra = [" -5  ALL         1    2    0    0    1ALL\n"] if kind == 2 else []
    file.write(f" -4  {_padded(one.title)}{width + len(extra):5d}    1\n")
    for k, name in enumerate(one.components):
        first, second = {2: (k + 1, 0), 4: _PAIRS[k % 6]}.get(kind, (0 if width == 1 else k + 1, 0))
        file.write(f" -5  {_padded(name)}{1:5d}{kind:5d}{first:5d}{second:5d}\n")
    file.writelines(extra)
    size = _WIDTH * _PER_LINE
    for row, text in zip((given + 1).tolist(), texts, strict=True):
        file.write(f" -1{row:10d}{text[:size]}\n")
        for k in range(size, len(text), size):
            file.write(f" -2{'':10}{text[k : k + size]}\n")
    file.write(" -3\n")


def _padded(name: str) -> str:
    return name + " " * (_NAME - len(name.encode()))
