"""XDMF 2 and 3: XML with numbers inside, in HDF5 (needs h5py) or in binary files; temporal collections are
trajectories."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.counts import counted
from meshlearn.io.formats.xdmf_data import XdmfData
from meshlearn.io.formats.xdmf_topology import KINDS, TYPES, read_mixed
from meshlearn.io.structured import grid_cells

SEVERAL_FILES = True
Element = ElementTree.Element


def read(path: Path) -> MeshBuilder:
    """Read an XDMF file."""
    builder = MeshBuilder(path, "XDMF")
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise builder.fail(f"not valid XML, the file is cut off or damaged ({error})") from None
    domain = root.find("Domain")
    if domain is None:
        raise builder.fail("there is no <Domain>")
    with XdmfData(path, root, builder) as data:
        grids = [data.included(grid) for grid in domain.findall("Grid")]
        if not grids:
            raise builder.fail("there is no <Grid>")
        others = [grid.get("Name", "") for grid in grids[1:] if any(True for _ in grid.iter("Attribute"))]
        if others:  # a grid without fields is there to be referred to
            builder.lost(f"{counted(len(others), 'grid')} after the first ({', '.join(map(repr, others))})")
        _grid(grids[0], data, builder)
    return builder


def _grid(grid: Element, data: XdmfData, builder: MeshBuilder) -> None:
    kind, collection = grid.get("GridType", "Uniform"), grid.get("CollectionType", "")
    if kind in ("Collection", "Tree") and collection == "Temporal":
        _series([data.included(step) for step in grid.findall("Grid")], grid, data, builder)
    elif kind in ("Collection", "Tree"):
        parts = [data.included(part) for part in grid.findall("Grid")]
        if len(parts) != 1:
            raise builder.fail(
                f"a spatial collection of {len(parts)} grids is not supported; write the parts to files of their own"
            )
        _grid(parts[0], data, builder)
    else:
        blocks = _geometry(grid, data, builder)
        _attributes(grid, data, blocks, builder)
        time = grid.find("Time")
        if time is not None and time.get("Value"):
            builder.global_data["time"] = np.array(float(time.get("Value", "0")))


def _geometry(grid: Element, data: XdmfData, builder: MeshBuilder) -> list[tuple[Block, np.ndarray]]:
    topology, geometry = data.child(grid, "Topology"), data.child(grid, "Geometry")
    if topology is None or geometry is None:
        raise builder.fail("a <Grid> has no <Topology> or no <Geometry>")
    name = (topology.get("TopologyType") or topology.get("Type") or "").lower()
    structured = re.fullmatch(r"([23])d(co)?(rect|s)mesh", name)
    builder.points = _points(geometry, topology, data, builder)
    if any(
        note.get("Name") == "meshlearn:dim" and note.get("Value") == "1" for note in geometry.findall("Information")
    ):
        builder.dim = 1
    if structured:
        shape = [int(n) for n in (topology.get("Dimensions") or topology.get("NumberOfElements") or "").split()][::-1]
        number, table = grid_cells(shape)
        builder.note(f"a structured grid of {' x '.join(map(str, shape))} points was read as unstructured cells")
        block = builder.add_cells({3: "line", 9: "quad", 12: "hexahedron"}[number], table)
        return [(block, np.arange(block.count))]
    item = data.child(topology, "DataItem")
    if item is None:
        if name == "polyvertex":
            return []
        raise builder.fail("the <Topology> has no <DataItem>")
    values = data.array(item).astype(np.int64)
    base = int(topology.get("BaseOffset", "0"))
    if name == "mixed":
        return read_mixed(values.ravel(), base, builder)
    kind = TYPES.get(name)
    size = int(topology.get("NodesPerElement", "0"))
    if name in ("polyline", "polygon", "polyvertex"):
        size = size or (values.shape[1] if values.ndim == 2 else {"polyvertex": 1, "polyline": 2}.get(name, 0))
        plain = {
            ("polyvertex", 1): "vertex",
            ("polyline", 2): "line",
            ("polygon", 3): "triangle",
            ("polygon", 4): "quad",
        }
        kind = (
            plain.get((name, size))
            or {"polyvertex": "poly_vertex", "polyline": "poly_line", "polygon": "polygon"}[name]
        )
    elif kind is not None:
        from meshlearn.io.celltypes import NODES

        size = NODES[kind]
    if kind is None or size < 1 or values.size % size:
        raise builder.fail(f"the topology type {name!r} with {values.size} numbers is not understood")
    table = values.reshape(-1, size) - base
    announced = int((topology.get("NumberOfElements") or topology.get("Dimensions") or str(len(table))).split()[0])
    if announced != len(table):
        raise builder.fail(f"{announced} cells are announced, {len(table)} are present")
    return [(builder.add_cells(kind, table), np.arange(len(table)))]


def _points(geometry: Element, topology: Element, data: XdmfData, builder: MeshBuilder) -> np.ndarray:
    kind = (geometry.get("GeometryType") or geometry.get("Type") or "XYZ").upper()
    items = [data.array(item) for item in data.children(geometry, "DataItem")]
    if not items:
        raise builder.fail("the <Geometry> has no <DataItem>")
    if kind in ("XYZ", "XY"):
        width = len(kind)
        if items[0].size % width:
            raise builder.fail(f"the geometry {kind} holds {items[0].size} numbers")
        return items[0].reshape(-1, width)
    if kind in ("X_Y_Z", "X_Y"):
        return np.stack([item.ravel() for item in items], axis=1)
    if kind in ("ORIGIN_DXDYDZ", "ORIGIN_DXDY"):
        shape = [int(n) for n in (topology.get("Dimensions") or "").split()]
        axes = [items[0].ravel()[k] + items[1].ravel()[k] * np.arange(shape[k]) for k in range(len(shape))]
    elif kind in ("VXVYVZ", "VXVY"):
        axes = [item.ravel() for item in items][::-1]
    else:
        raise builder.fail(f"the geometry type {kind!r} is not supported")
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")][::-1], axis=1)


def _attributes(grid: Element, data: XdmfData, blocks: list[tuple[Block, np.ndarray]], builder: MeshBuilder) -> None:
    assert builder.points is not None
    n_points, n_cells = len(builder.points), sum(block.count for block, _ in blocks)
    for attribute in data.children(grid, "Attribute"):
        name, center = attribute.get("Name") or "attribute", (attribute.get("Center") or "Node").lower()
        item = data.child(attribute, "DataItem")
        if item is None:
            continue
        values = data.array(item)
        if center == "grid":
            builder.global_data[name] = values.reshape(()) if values.size == 1 else values
        elif center == "node":
            builder.point_data[name] = _rows(name, values, n_points, "points", builder)
        elif center == "cell":
            rows = _rows(name, values, n_cells, "cells", builder)
            own = attribute.get(KINDS)
            for block, positions in blocks:
                if own is None or block.kind in own.split():
                    builder.add_cell_data(name, block, rows[positions])
        else:
            builder.lost(f"attribute {name!r} with center {center!r}")
    for group in data.children(grid, "Set"):
        _set(group, data, blocks, builder)


def _rows(name: str, values: np.ndarray, count: int, what: str, builder: MeshBuilder) -> np.ndarray:
    if count == 0 or values.size % count:
        raise builder.fail(f"attribute {name!r} has {values.size} values for {count} {what}")
    shaped = values if len(values) == count else values.reshape(count, -1)
    return shaped[:, 0] if shaped.ndim == 2 and shaped.shape[1] == 1 else shaped


def _set(group: Element, data: XdmfData, blocks: list[tuple[Block, np.ndarray]], builder: MeshBuilder) -> None:
    name, kind, item = group.get("Name") or "set", (group.get("SetType") or "").lower(), data.child(group, "DataItem")
    rows = np.zeros(0, np.int64) if item is None else data.array(item).ravel().astype(np.int64)
    if kind == "node":
        builder.point_sets[name] = rows
    elif kind == "cell":
        for block, positions in blocks:
            inside = np.flatnonzero(np.isin(positions, rows))
            if len(inside):
                builder.add_cell_set(name, block, inside)
    else:
        builder.lost(f"set {name!r} of {kind or 'unknown'} kind")


def _series(steps: list[Element], collection: Element, data: XdmfData, builder: MeshBuilder) -> None:
    """A temporal collection: the first step is the mesh, fields of all steps are stacked."""
    if not steps:
        raise builder.fail("the time series has no step")
    first: MeshBuilder | None = None
    first_blocks: list[tuple[Block, np.ndarray]] = []
    builders: list[MeshBuilder] = []
    for step in steps:
        part = MeshBuilder(builder.path, builder.format_name)
        if data.child(step, "Topology") is None and first is not None:
            part.points = first.points
            blocks = first_blocks
        else:
            blocks = _geometry(step, data, part)
        if first is None:
            first, first_blocks = part, blocks
        elif not _same_cells(first, part) and part.cells():
            raise builder.fail(
                "the cells change in time; read one step: ml.read(path, step=...) is not possible either"
            )
        elif not part.cells():
            blocks = first_blocks
        _attributes(step, data, blocks, part)
        builders.append(part)
    assert first is not None
    _merge(builders, first, builder)
    builder.times = _times(steps, collection, data)


def _same_cells(first: MeshBuilder, other: MeshBuilder) -> bool:
    ours, theirs = first.cells(), other.cells()
    return list(ours) == list(theirs) and all(np.array_equal(ours[kind], theirs[kind]) for kind in ours)


def _merge(parts: list[MeshBuilder], first: MeshBuilder, builder: MeshBuilder) -> None:
    builder.points, builder.dim = first.points, first.dim
    blocks = {kind: builder.add_cells(kind, table) for kind, table in first.cells().items()}
    builder.point_sets = dict(first.point_sets)
    for name, kind in first.cell_set_names():
        builder.set_cell_set(name, kind, np.concatenate(first._cell_sets[name][kind]))
    for part in parts:
        builder.notes += [note for note in part.notes if note not in builder.notes]
        builder.losses += [loss for loss in part.losses if loss not in builder.losses]
    everywhere = [name for name in first.point_data if all(name in part.point_data for part in parts)]
    for name in everywhere:
        builder.step_point_data[name] = np.stack([np.asarray(part.point_data[name]) for part in parts])
    cell_fields = [part._joined_cell_data(part.cells() or first.cells()) for part in parts]
    for name in cell_fields[0]:
        if all(name in found for found in cell_fields):
            builder.step_cell_data[name] = {
                kind: np.stack([found[name][kind].numpy() for found in cell_fields])
                for kind in cell_fields[0][name]
                if kind in blocks
            }
    for name in first.global_data:
        if all(name in part.global_data for part in parts):
            builder.step_global_data[name] = np.stack([np.asarray(part.global_data[name]) for part in parts])
    kept = {*everywhere, *builder.step_cell_data, *builder.step_global_data}
    for part in parts:
        for name in {*part.point_data, *part._cell_data, *part.global_data} - kept:
            builder.lost(f"field {name!r}, which not every time step has")
    moved = [part.points for part in parts if part.points is not None]
    if any(not np.array_equal(points, moved[0]) for points in moved):
        builder.step_points = np.stack(moved)


def _times(steps: list[Element], collection: Element, data: XdmfData) -> np.ndarray:
    own = [step.find("Time") for step in steps]
    values = [float(time.get("Value", "nan")) if time is not None and time.get("Value") else np.nan for time in own]
    if not np.isnan(values).any():
        return np.array(values)
    common = collection.find("Time")
    item = None if common is None else common.find("DataItem")
    if common is not None and item is not None:
        numbers = data.array(item).ravel().astype(np.float64)
        if (common.get("TimeType") or "").lower() == "hyperslab" and len(numbers) >= 2:
            return numbers[0] + numbers[1] * np.arange(len(steps))
        if len(numbers) == len(steps):
            return numbers
    return np.arange(len(steps), dtype=np.float64)


def write(mesh, path: Path) -> list[str]:
    """Write a Mesh or Trajectory as XML beside an .h5 file of the same name."""
    from meshlearn.io.formats.xdmf_write import write_xdmf

    return write_xdmf(mesh, path)
