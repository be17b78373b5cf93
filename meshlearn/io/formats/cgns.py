"""CGNS in HDF5 files (needs h5py): unstructured and structured zones, boundary conditions, solutions, iterations.

Zones of one base are joined (each is a cell set if there are several). Boundary conditions become point sets or cell
sets, by their grid location; element sections become cell sets unless their name starts with `Elements`. Arrays
beside the zones become global data.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from meshlearn.errors import require
from meshlearn.io.builder import MeshBuilder
from meshlearn.io.formats.cgns_fields import CellField, ZoneFields
from meshlearn.io.formats.cgns_tree import Node
from meshlearn.io.formats.cgns_zone import read_zone

_BLIND = ("BaseIterativeData_t", "Family_t", "Descriptor_t", "DataClass_t", "DimensionalUnits_t", "ReferenceState_t",
          "FlowEquationSet_t", "SimulationType_t", "CGNSLibraryVersion_t", "Zone_t")  # fmt: skip


def read(path: Path) -> MeshBuilder:
    """Read the base of the highest cell dimension."""
    builder = MeshBuilder(path, "CGNS")
    with open(path, "rb") as file:
        head = file.read(8)
    if head != b"\x89HDF\r\n\x1a\n":
        kind = (
            "the older ADF format; convert it with adf2hdf" if b"ADF" in head + path.read_bytes()[:64] else "not HDF5"
        )
        raise builder.fail(f"the file is {kind}")
    with require("h5py", "formats", "reading CGNS files").File(path, "r") as file:
        root = Node(file)
        bases = root.of("CGNSBase_t")
        with_zones = [base for base in bases if base.of("Zone_t")]
        if not with_zones:
            raise builder.fail("there is no base with a zone: the file holds no mesh")
        base = max(with_zones, key=lambda node: int(node.flat()[0]))
        for other in with_zones:
            if other.name != base.name:
                builder.lost(f"the base {other.name!r} (one base is read, that of the highest cell dimension)")
        physical = int(base.flat()[1])
        _read_base(base, physical, builder)
        for node in [base, *(other for other in bases if not other.of("Zone_t"))]:
            _globals(node, builder)
    return builder


def _read_base(base: Node, physical: int, builder: MeshBuilder) -> None:
    times = next((node.find("TimeValues") for node in base.of("BaseIterativeData_t")), None)
    values = times.flat().astype(np.float64) if times is not None else np.zeros(0)
    zones = base.of("Zone_t")
    points: list[np.ndarray] = []
    fields: list[ZoneFields] = []
    for zone in zones:
        first = sum(map(len, points))
        found, own, blocks = read_zone(zone, first, physical, values, builder)
        points.append(found)
        fields.append(own)
        if len(zones) > 1:
            for block in blocks:
                builder.add_cell_set(zone.name, block)
    builder.points = np.concatenate(points)
    builder.dim = physical
    _join([own.points for own in fields], 0, builder.point_data, builder)
    _join([own.step_points for own in fields], 1, builder.step_point_data, builder)
    _join_cells([part for own in fields for part in own.step_cells], builder)
    if len(values) and builder.times is None:
        if len(values) == 1:
            builder.global_data["time"] = values[0]
        else:
            builder.lost(f"the times {values[:5]} (the solutions are not assigned to them)")


def _join(parts: list[dict[str, np.ndarray]], axis: int, into: dict, builder: MeshBuilder) -> None:
    """Point fields of all zones, one behind the other."""
    for name in dict.fromkeys(name for own in parts for name in own):
        if all(name in own for own in parts):
            into[name] = np.concatenate([own[name] for own in parts], axis)
        else:
            builder.lost(f"solution {name!r}, which not every zone has")


def _join_cells(parts: list[CellField], builder: MeshBuilder) -> None:
    """Cell fields in time; a kind gets one only if all of its cells have values."""
    found: dict[tuple[str, str], list[tuple[int, np.ndarray]]] = {}
    for name, block, values in parts:
        found.setdefault((name, block.kind), []).append((block.start, values))
    for (name, kind), pieces in found.items():
        if sum(values.shape[1] for _, values in pieces) < builder.count(kind):
            builder.lost(f"solution {name!r} in time, which not every {kind} cell has")
            continue
        ordered = [values for _, values in sorted(pieces, key=lambda piece: piece[0])]
        builder.step_cell_data.setdefault(name, {})[kind] = np.concatenate(ordered, axis=1)


def _globals(base: Node, builder: MeshBuilder) -> None:
    """Numeric arrays of a base that lie outside its zones."""
    for child in base.children():
        if child.label in _BLIND:
            continue
        for node in [child, *child.of("DataArray_t")]:
            if node.label == "DataArray_t":
                values = node.data()
                if values is not None and values.dtype.kind in "if":
                    builder.global_data[node.name] = values.reshape(()) if values.size == 1 else values.T.copy()


def write(mesh, path: Path) -> list[str]:
    """Write one base with one unstructured zone."""
    from meshlearn.io.formats.cgns_write import write_cgns

    return write_cgns(mesh, path)
