"""The solutions of a CGNS zone: fields of its points and cells, with and without times."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.components import merge_vectors
from meshlearn.io.formats.cgns_cells import Placed
from meshlearn.io.formats.cgns_tree import Node
from meshlearn.mesh.cells import cell_dim

CellField = tuple[str, Block, np.ndarray]  # name, block, values (n_cells, ...) or (n_times, n_cells, ...)


@dataclass
class ZoneFields:
    """What the solutions of a zone hold, cell fields without a time aside."""

    points: dict[str, np.ndarray] = field(default_factory=dict)  # (n_points, ...)
    step_points: dict[str, np.ndarray] = field(default_factory=dict)  # (n_times, n_points, ...)
    step_cells: list[CellField] = field(default_factory=list)


def read_solutions(zone: Node, n_points: int, times: np.ndarray, placed: Placed, builder: MeshBuilder) -> ZoneFields:
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
        if grid_location(solution) == "Vertex":
            if any(len(values) != n_points for values in vectors.values()):
                raise builder.fail(f"solution {solution.name!r} has arrays that do not have {n_points} values")
            (by_step.setdefault(solution.name, {}) if solution.name in named else found.points).update(vectors)
        elif grid_location(solution) == "CellCenter":
            parts = _cell_fields(vectors, placed, n_cells, builder)
            if solution.name in named:
                cell_steps[solution.name] = parts
            else:
                _add_cell_fields(parts, builder)
        else:
            builder.lost(f"solution {solution.name!r} at {grid_location(solution)}")
    _point_series(tables, by_step, found, builder)
    _cell_series(tables, cell_steps, found, builder)
    if found.step_points or found.step_cells:
        builder.times = times
    return found


def grid_location(node: Node) -> str:
    """Where the values or members of a node lie: "Vertex", "CellCenter", "FaceCenter" ..."""
    found = node.find("GridLocation")
    return "Vertex" if found is None else found.text()


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
    top = max((cell_dim(block.kind) for block, _ in placed), default=0)
    domain = [(block, numbers) for block, numbers in placed if cell_dim(block.kind) == top]
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
