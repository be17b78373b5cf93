"""One zone of a CGNS file."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.celltypes import NODES
from meshlearn.io.formats.cgns_tree import ELEMENTS, ORDER, Node
from meshlearn.io.formats.exodus import merge_vectors
from meshlearn.io.structured import grid_cells
from meshlearn.io.vtk_model import ragged_table

Placed = list[tuple[Block, np.ndarray]]  # blocks with the element numbers of their cells
CellField = tuple[str, Block, np.ndarray]  # name, block, values (n_cells, ...) or (n_times, n_cells, ...)


@dataclass
class ZoneFields:
    """What the solutions of a zone hold, cell fields without a time aside."""

    points: dict[str, np.ndarray] = field(default_factory=dict)  # (n_points, ...)
    step_points: dict[str, np.ndarray] = field(default_factory=dict)  # (n_times, n_points, ...)
    step_cells: list[CellField] = field(default_factory=list)


def read_zone(
    zone: Node, first: int, physical: int, times: np.ndarray, builder: MeshBuilder
) -> tuple[np.ndarray, ZoneFields, list[Block]]:
    """(points, fields, blocks) of a zone whose points follow `first` others."""
    coordinates = next(iter(zone.of("GridCoordinates_t")), None)
    arrays = {} if coordinates is None else {node.name: node.data() for node in coordinates.of("DataArray_t")}
    axes = [arrays.get(f"Coordinate{axis}") for axis in "XYZ"]
    found = [np.ravel(axis) for axis in axes if axis is not None][:physical]
    if not found:
        raise builder.fail(f"zone {zone.name!r} has no CoordinateX; it has {list(arrays)}")
    points = np.stack(found, axis=1)
    zone_type = zone.find("ZoneType")
    if zone_type is not None and zone_type.text() == "Structured":
        sizes = zone.data()
        assert sizes is not None
        shape = [int(n) for n in np.atleast_2d(sizes)[0]]
        number, table = grid_cells(shape)
        block = builder.add_cells({1: "vertex", 3: "line", 9: "quad", 12: "hexahedron"}[number], table + first)
        builder.note(f"zone {zone.name!r}: a structured grid of {' x '.join(map(str, shape))} points was read as cells")
        placed: Placed = [(block, np.arange(1, block.count + 1))]
    else:
        placed = _sections(zone, first, len(points), builder)
    _conditions(zone, first, len(points), placed, builder)
    return points, _solutions(zone, len(points), times, placed, builder), [block for block, _ in placed]


def _sections(zone: Node, first: int, n_points: int, builder: MeshBuilder) -> Placed:
    placed: Placed = []
    faces: dict[int, np.ndarray] = {}
    volumes: list[Node] = []
    surfaces: list[Node] = []
    for section in zone.of("Elements_t"):
        number = int(section.flat()[0])
        start = int(section.flat("ElementRange")[0])
        connectivity = section.flat("ElementConnectivity").astype(np.int64)
        if number in (22, 23):
            (volumes if number == 23 else surfaces).append(section)
            continue
        if number == 20:
            new = _mixed(section, connectivity, start, first, n_points, builder)
        elif number in ELEMENTS:
            kind = ELEMENTS[number]
            if connectivity.size % NODES[kind]:
                raise builder.fail(f"section {section.name!r} does not hold whole {kind} cells")
            table = connectivity.reshape(-1, NODES[kind]) - 1
            new = [_add(kind, table, np.arange(start, start + len(table)), first, n_points, builder)]
        else:
            raise builder.fail(f"section {section.name!r} has element type {number}, which is not supported")
        placed += new
        _name(section, new, builder)
    for section in surfaces:
        start = int(section.flat("ElementRange")[0])
        rows = _ragged(section, builder)
        faces.update(enumerate(rows, start=start))
        if not volumes:
            new = _polygons(rows, start, first, n_points, builder)
            placed += new
            _name(section, new, builder)
    for section in volumes:
        start = int(section.flat("ElementRange")[0])
        streams = []
        for row in _ragged(section, builder):
            members = [faces[abs(int(face))] for face in row]
            stream = [len(members)]
            for face in members:
                stream += [len(face), *(int(node) - 1 + first for node in face)]
            streams.append(stream)
        width = max(map(len, streams), default=1)
        table = np.array([stream + [-1] * (width - len(stream)) for stream in streams], np.int64)
        placed.append((builder.add_cells("polyhedron", table), np.arange(start, start + len(table))))
    return placed


def _name(section: Node, new: Placed, builder: MeshBuilder) -> None:
    if not section.name.lower().startswith(("elements", "elem", "gridelements", "ngon", "nface")):
        for block, _ in new:
            builder.add_cell_set(section.name, block)


def _add(
    kind: str, table: np.ndarray, numbers: np.ndarray, first: int, n_points: int, builder: MeshBuilder
) -> tuple[Block, np.ndarray]:
    if table.size and (int(table.min()) < 0 or int(table.max()) >= n_points):
        raise builder.fail(f"a {kind} cell names a point outside 1 to {n_points}")
    return builder.add_cells(kind, (table[:, ORDER[kind]] if kind in ORDER else table) + first), numbers


def _ragged(section: Node, builder: MeshBuilder) -> list[np.ndarray]:
    flat = section.flat("ElementConnectivity").astype(np.int64)
    offsets = section.array("ElementStartOffset")
    if offsets is not None:
        ends = np.ravel(offsets).astype(np.int64)
        return np.split(flat, ends[1:-1])
    rows, position = [], 0
    while position < len(flat):  # before version 4 the sizes stand between the numbers
        size = int(flat[position])
        if size < 1 or position + size + 1 > len(flat):
            raise builder.fail(f"section {section.name!r} is cut off")
        rows.append(flat[position + 1 : position + 1 + size])
        position += size + 1
    return rows


def _polygons(rows: list[np.ndarray], start: int, first: int, n_points: int, builder: MeshBuilder) -> Placed:
    sizes = np.array([len(row) for row in rows], np.int64)
    members = np.concatenate(rows) - 1
    starts = sizes.cumsum() - sizes
    placed: Placed = []
    for kind, inside in (("triangle", sizes == 3), ("quad", sizes == 4), ("polygon", sizes > 4)):
        chosen = np.flatnonzero(inside)
        if len(chosen):
            table = ragged_table(members, starts[chosen], sizes[chosen])
            if int(table.max()) >= n_points:
                raise builder.fail(f"a {kind} names a point outside 1 to {n_points}")
            placed.append((builder.add_cells(kind, np.where(table >= 0, table + first, -1)), start + chosen))
    return placed


def _mixed(section: Node, flat: np.ndarray, start: int, first: int, n_points: int, builder: MeshBuilder) -> Placed:
    rows: dict[str, list[list[int]]] = {}
    numbers: dict[str, list[int]] = {}
    values, position, element = flat.tolist(), 0, start
    while position < len(values):
        kind = ELEMENTS.get(values[position])
        if kind is None or position + 1 + NODES[kind] > len(values):
            raise builder.fail(
                f"the mixed section {section.name!r} is cut off or names element type {values[position]}"
            )
        rows.setdefault(kind, []).append(values[position + 1 : position + 1 + NODES[kind]])
        numbers.setdefault(kind, []).append(element)
        position, element = position + 1 + NODES[kind], element + 1
    return [
        _add(kind, np.array(found, np.int64) - 1, np.array(numbers[kind]), first, n_points, builder)
        for kind, found in rows.items()
    ]


def _location(node: Node) -> str:
    found = node.find("GridLocation")
    return "Vertex" if found is None else found.text()


def _conditions(zone: Node, first: int, n_points: int, placed: Placed, builder: MeshBuilder) -> None:
    for group in zone.of("ZoneBC_t"):
        for condition in group.of("BC_t"):
            members = condition.array("PointList")
            if members is None:
                limits = condition.array("PointRange")
                limits = condition.array("ElementRange") if limits is None else limits
                ends = np.ravel(limits) if limits is not None else np.zeros(0)
                if len(ends) != 2:
                    builder.lost(f"boundary condition {condition.name!r} (a range of a structured zone)")
                    continue
                members = np.arange(int(ends[0]), int(ends[1]) + 1)
            numbers = np.ravel(members).astype(np.int64)
            if _location(condition) == "Vertex":
                if len(numbers) and (int(numbers.min()) < 1 or int(numbers.max()) > n_points):
                    raise builder.fail(f"boundary condition {condition.name!r} names a point outside 1 to {n_points}")
                old = builder.point_sets.get(condition.name, np.zeros(0, np.int64))
                builder.point_sets[condition.name] = np.concatenate([old, numbers - 1 + first])
                continue
            kept = 0
            for block, elements in placed:
                rows = np.flatnonzero(np.isin(elements, numbers))
                kept += len(rows)
                if len(rows):
                    builder.add_cell_set(condition.name, block, rows)
            if kept < len(np.unique(numbers)):
                builder.lost(
                    f"{len(np.unique(numbers)) - kept} of {len(numbers)} elements of boundary "
                    f"condition {condition.name!r}"
                )


def _solutions(zone: Node, n_points: int, times: np.ndarray, placed: Placed, builder: MeshBuilder) -> ZoneFields:
    """The fields of the zone; cell fields without a time go to the builder at once."""
    tables = _step_names(zone, len(times))
    named = {name for table in tables for name in table}
    found = ZoneFields()
    by_step: dict[str, dict[str, np.ndarray]] = {}
    cell_steps: dict[str, list[CellField]] = {}
    n_cells = sum(block.count for block, _ in placed)
    for solution in zone.of("FlowSolution_t"):
        arrays = {node.name: node.flat() for node in solution.of("DataArray_t") if node.data() is not None}
        vectors = _vectors(arrays)
        if _location(solution) == "Vertex":
            if any(len(values) != n_points for values in vectors.values()):
                raise builder.fail(f"solution {solution.name!r} has arrays that do not have {n_points} values")
            (by_step.setdefault(solution.name, {}) if solution.name in named else found.points).update(vectors)
        elif _location(solution) == "CellCenter":
            parts = _cell_fields(vectors, placed, n_cells, builder)
            if solution.name in named:
                cell_steps[solution.name] = parts
            else:
                _add_cell_fields(parts, builder)
        else:
            builder.lost(f"solution {solution.name!r} at {_location(solution)}")
    _point_series(tables, by_step, found, builder)
    _cell_series(tables, cell_steps, found, builder)
    if found.step_points or found.step_cells:
        builder.times = times
    return found


def _step_names(zone: Node, n_times: int) -> list[list[str]]:
    """For every array of solution names (one for points, one for cells, or one alone): the solution of each time."""
    tables = []
    for node in zone.of("ZoneIterativeData_t") if n_times > 1 else ():
        for pointers in node.of("DataArray_t"):
            if pointers.name.startswith("Flow") and pointers.name.endswith("Pointers"):
                rows = pointers.flat().reshape(-1, 32)
                names = [row.astype(np.int8).tobytes().decode("latin-1").strip("\x00 ") for row in rows]
                if len(names) == n_times:
                    tables.append(names)
    return tables


def _point_series(
    tables: list[list[str]], by_step: dict[str, dict[str, np.ndarray]], found: ZoneFields, builder: MeshBuilder
) -> None:
    used: set[str] = set()
    for steps in tables:
        if not all(step in by_step for step in steps):
            continue
        used.update(steps)
        for name in dict.fromkeys(name for step in steps for name in by_step[step]):
            values = [by_step[step][name] for step in steps if name in by_step[step]]
            if len(values) < len(steps) or len({array.shape for array in values}) > 1:
                builder.lost(f"solution {name!r}, which not every time has in one shape")
            else:
                found.step_points[name] = np.stack(values)
    for step, fields in by_step.items():
        if step not in used:
            found.points.update(fields)


def _cell_series(
    tables: list[list[str]], by_step: dict[str, list[CellField]], found: ZoneFields, builder: MeshBuilder
) -> None:
    used: set[str] = set()
    for steps in tables:
        if not all(step in by_step for step in steps):
            continue
        used.update(steps)
        fields = {step: {(name, block): values for name, block, values in by_step[step]} for step in set(steps)}
        for key in dict.fromkeys(key for step in steps for key in fields[step]):
            values = [fields[step][key] for step in steps if key in fields[step]]
            if len(values) < len(steps) or len({array.shape for array in values}) > 1:
                builder.lost(f"solution {key[0]!r}, which not every time has in one shape")
            else:
                found.step_cells.append((*key, np.stack(values)))
    last: dict[tuple[str, Block], np.ndarray] = {}
    for step, parts in by_step.items():
        if step not in used:
            last.update({(name, block): values for name, block, values in parts})
    _add_cell_fields([(*key, values) for key, values in last.items()], builder)


def _add_cell_fields(parts: list[CellField], builder: MeshBuilder) -> None:
    for name, block, values in parts:
        builder.add_cell_data(name, block, values)


def _vectors(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """VelocityX, VelocityY, VelocityZ (the names of the standard) as one array; all of one length."""
    renamed = {}
    for name, values in arrays.items():
        spelled = name[-1:] in "XYZ" and name[:-1] and f"{name[:-1]}X" in arrays and f"{name[:-1]}Y" in arrays
        renamed[f"{name[:-1]}_{name[-1].lower()}" if spelled else name] = values
    return merge_vectors(renamed)


def _cell_fields(fields: dict[str, np.ndarray], placed: Placed, n_cells: int, builder: MeshBuilder) -> list[CellField]:
    """Every field as one array per block."""
    from meshlearn.io.celltypes import dimension

    top = max((dimension(block.kind) for block, _ in placed), default=0)
    domain = [(block, numbers) for block, numbers in placed if dimension(block.kind) == top]
    parts: list[CellField] = []
    order = sorted(
        ((int(number), index, row) for index, (_, numbers) in enumerate(domain) for row, number in enumerate(numbers))
    )
    for name, values in fields.items():
        use, slots = (domain, order) if len(values) == len(order) else (placed, None)
        if len(values) not in (len(order), n_cells):
            raise builder.fail(f"cell data {name!r} has {len(values)} values for {len(order)} cells")
        if slots is None:
            slots = sorted(((int(n), i, r) for i, (_, numbers) in enumerate(placed) for r, n in enumerate(numbers)))
        where = np.array([(index, row) for _, index, row in slots], np.int64).reshape(-1, 2)
        for index, (block, _) in enumerate(use):
            inside = where[:, 0] == index
            part = np.empty((block.count, *values.shape[1:]), values.dtype)
            part[where[inside, 1]] = values[inside]
            parts.append((name, block, part))
    return parts
