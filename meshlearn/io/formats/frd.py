"""CalculiX results, .frd (ASCII, short and long numbers), after the file description in the manual of CalculiX GraphiX.

Every result becomes point data under its own name (DISP, STRESS, TOSTRAIN, NDTEMP ...) with its components as
columns; the names of the components are in `mesh.report`. Results at several times make a Trajectory. Nodes without a
value get NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.positions import Positions
from meshlearn.io.texts import text_of
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory

# element type -> (kind, nodes, our order of their nodes); 20- and 15-node solids list the vertical edges before the
# top ones
TYPES: dict[int, tuple[str, int, list[int] | None]] = {
    1: ("hexahedron", 8, None), 2: ("wedge", 6, None), 3: ("tetra", 4, None),
    4: ("hexahedron20", 20, [*range(12), *range(16, 20), *range(12, 16)]),
    5: ("wedge15", 15, [*range(9), *range(12, 15), *range(9, 12)]), 6: ("tetra10", 10, None),
    7: ("triangle", 3, None), 8: ("triangle6", 6, None), 9: ("quad", 4, None), 10: ("quad8", 8, None),
    11: ("line", 2, None), 12: ("line3", 3, None),
}  # fmt: skip


@dataclass
class _Result:
    time: float
    step: int
    name: str = ""
    components: list[str] = field(default_factory=list)
    nodes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    values: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))


def read(path: Path) -> MeshBuilder:
    """Read a result file."""
    builder = MeshBuilder(path, "CalculiX results")
    lines = path.read_bytes().splitlines()
    ids: np.ndarray | None = None
    results: list[_Result] = []
    position = 0
    while position < len(lines):
        line = lines[position]
        key = line[:6].strip()
        if key == b"2C":
            position, ids, builder.points = _nodes(lines, position, builder)
        elif key == b"3C":
            if ids is None:
                raise builder.fail("the elements come before the nodes")
            position = _elements(lines, position, Positions(ids), builder)
        elif key == b"100C":
            position, result = _result(lines, position, builder)
            results.append(result)
        elif key == b"9999":
            break
        else:
            position += 1
    else:
        builder.lost("what may follow the last block: there is no end mark 9999, the file may be cut off")
    if ids is None or builder.points is None:
        raise builder.fail("there is no block of nodes (2C)")
    _place(results, ids, builder)
    return builder


def _width(line: bytes, builder: MeshBuilder) -> int:
    """Columns of a node number, from the format flag at the end of a block's header: 0 is short, 1 is long."""
    flag = line[73:75].strip()
    if flag in (b"2", b"3"):
        raise builder.fail(
            "the file is binary .frd; write the results as ASCII (CalculiX: *NODE FILE without OUTPUT=BINARY)"
        )
    return 5 if flag == b"0" else 10


def _block(lines: list[bytes], start: int, builder: MeshBuilder) -> int:
    """The line of ` -3` that closes a block."""
    for position in range(start, len(lines)):
        if lines[position].startswith(b" -3"):
            return position
    raise builder.fail(f"the block in line {start} is not closed: the file is cut off")


def _numbers(rows: list[bytes], start: int, count: int, builder: MeshBuilder) -> np.ndarray:
    """`count` fields of 12 characters from column `start` of every row; they may touch each other."""
    width = 12 * count
    joined = b"".join(row[start : start + width].ljust(width) for row in rows)
    fields = np.frombuffer(joined, "S12").reshape(len(rows), count)
    try:
        return np.char.strip(fields).astype(np.float64)
    except ValueError:
        texts = [[_real(value) for value in row] for row in fields.tolist()]
        if any(value is None for row in texts for value in row):
            bad = next(k for k, row in enumerate(texts) if None in row)
            raise builder.fail(
                f"the line {rows[bad].decode(errors='replace')[:70]!r} holds something that is not a number"
            ) from None
        return np.array(texts, np.float64)


def _real(text: bytes) -> float | None:
    """A number; Fortran drops the E of exponents with three digits."""
    word = text.strip()
    for candidate in (word, word[:1] + word[1:].replace(b"-", b"e-", 1), word[:1] + word[1:].replace(b"+", b"e+", 1)):
        try:
            return float(candidate)
        except ValueError:
            continue
    return None


def _nodes(lines: list[bytes], position: int, builder: MeshBuilder) -> tuple[int, np.ndarray, np.ndarray]:
    announced, width = int(lines[position][6:36].split()[-1]), _width(lines[position], builder)
    end = _block(lines, position, builder)
    rows = [line for line in lines[position + 1 : end] if line.startswith(b" -1")]
    if len(rows) != announced:
        raise builder.fail(f"{announced} nodes are announced, {len(rows)} are present")
    ids = np.array([int(row[3 : 3 + width]) for row in rows], np.int64)
    return end + 1, ids, _numbers(rows, 3 + width, 3, builder)


def _elements(lines: list[bytes], position: int, places: Positions, builder: MeshBuilder) -> int:
    announced, width = int(lines[position][6:36].split()[-1]), _width(lines[position], builder)
    end = _block(lines, position, builder)
    rows: dict[int, list[list[int]]] = {}
    marks: dict[int, list[list[int]]] = {}
    row: list[int] = []
    for line in lines[position + 1 : end]:
        if line.startswith(b" -1"):
            code = int(line[3 + width : 8 + width])
            if code not in TYPES:
                raise builder.fail(f"element type {code} is not one of CalculiX's 1 to 12")
            row = []
            rows.setdefault(code, []).append(row)
            marks.setdefault(code, []).append([int(line[8 + width : 13 + width]), int(line[13 + width : 18 + width])])
        elif line.startswith(b" -2"):
            row += [int(line[k : k + width]) for k in range(3, len(line.rstrip()), width)]
    if sum(map(len, rows.values())) != announced:
        raise builder.fail(f"{announced} elements are announced, {sum(map(len, rows.values()))} are present")
    for number, found in rows.items():
        kind, size, order = TYPES[number]
        if any(len(nodes) != size for nodes in found):
            raise builder.fail(f"an element of type {number} ({kind}) does not have {size} nodes")
        table = places(np.array(found, np.int64))
        if (table < 0).any():
            raise builder.fail(f"an element names node {int(np.array(found)[table < 0][0])}, which is not there")
        block = builder.add_cells(kind, table[:, order] if order else table)
        groups = np.array(marks[number], np.int64)
        for column, name in enumerate(("group", "material")):
            builder.add_cell_data(name, block, groups[:, column])
    return end + 1


def _result(lines: list[bytes], position: int, builder: MeshBuilder) -> tuple[int, _Result]:
    header = lines[position]
    width = _width(header, builder)
    try:
        result = _Result(time=float(header[12:24]), step=int(header[58:63] or 0))
    except ValueError:
        raise builder.fail(f"the result header {header.decode(errors='replace')!r} is not understood") from None
    end = _block(lines, position, builder)
    body = position + 1
    while body < end and not lines[body].startswith((b" -1", b" -2")):
        line = lines[body]
        if line.startswith(b" -4"):
            result.name = text_of(line[5:13], builder).strip()
        elif line.startswith(b" -5") and line[33:38].strip() != b"1":  # 1: derived from the others, not in the file
            result.components.append(text_of(line[5:13], builder).strip())
        body += 1
    count = len(result.components)
    per_node = -(-count // 6)
    rows = lines[body:end]
    if count == 0 or len(rows) % per_node:
        raise builder.fail(f"the result {result.name!r} has {len(rows)} lines for {count} components")
    first = rows[::per_node]
    if any(not line.startswith(b" -1") for line in first):
        raise builder.fail(f"the lines of the result {result.name!r} are out of step")
    result.nodes = np.array([int(row[3 : 3 + width]) for row in first], np.int64)
    parts = [_numbers(rows[k::per_node], 3 + width, min(6, count - 6 * k), builder) for k in range(per_node) if rows]
    result.values = np.concatenate(parts, axis=1) if parts else np.zeros((0, count))
    return end + 1, result


def _place(results: list[_Result], ids: np.ndarray, builder: MeshBuilder) -> None:
    """Results as point data, or as series where there are several times."""
    keys = list(dict.fromkeys((result.step, result.time) for result in results))
    times = np.array([time for _, time in keys])
    if len(keys) > 1 and not (np.diff(times) > 0).all():
        builder.note("the values of the steps (times or frequencies) do not ascend; they are global data `value`")
        builder.step_global_data["value"] = times
        times = np.arange(len(keys), dtype=np.float64)
    if keys:
        builder.times = times
    for name in dict.fromkeys(result.name for result in results):
        found = [result for result in results if result.name == name]
        names = found[0].components
        if any(result.components != names for result in found):
            builder.lost(f"result {name!r}: its components change between steps")
            continue
        values = np.full((len(keys), len(ids), len(names)), np.nan)
        for result in found:
            rows = Positions(result.nodes)(ids)
            given = rows >= 0
            values[keys.index((result.step, result.time)), given] = result.values[rows[given]]
        missing = int(np.isnan(values).any(axis=2).sum())
        if missing:
            builder.note(
                f"{name} has no value at {missing} of {len(keys) * len(ids)} nodes (times all steps); they hold NaN"
            )
        if len(names) > 1:
            builder.note(f"{name} components: {', '.join(names)}")
        builder.step_point_data[name] = values[..., 0] if len(names) == 1 else values


def write(given: Mesh | Trajectory, path: Path) -> list[str]:
    """Write nodes, elements and point data; a Trajectory becomes steps."""
    from meshlearn.io.formats.frd_write import write_frd

    return write_frd(given, path)
