"""One zone of a CGNS file: its points, its cells, and the sets that its boundary conditions are."""

from __future__ import annotations

import numpy as np

from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.formats.cgns_cells import Placed, read_sections
from meshlearn.io.formats.cgns_fields import ZoneFields, grid_location, read_solutions
from meshlearn.io.formats.cgns_tree import Node
from meshlearn.io.structured import grid_cells


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
        placed = read_sections(zone, first, len(points), builder)
    _conditions(zone, first, len(points), placed, builder)
    return points, read_solutions(zone, len(points), times, placed, builder), [block for block, _ in placed]


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
            if grid_location(condition) == "Vertex":
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
