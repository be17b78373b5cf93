"""Exodus II (.e, .exo, .ex2): element blocks, node and side sets, fields over time.

Element blocks become cell sets under their names (`block_1`). A side set is kept twice: its points as a point set,
and exactly as global data `side_set:NAME`, rows (element number from 0, side from 0); elements are
numbered kind after kind, as the mesh lists its cells. Variables named
NAME_x, NAME_y(, NAME_z) become one vector. Classic NetCDF files need no extra package, HDF5-based ones need h5py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.components import merge_vectors
from meshlearn.io.counts import counted
from meshlearn.io.formats.exodus_blocks import ElementBlock, element_rows, read_blocks
from meshlearn.io.formats.exodus_sides import side_nodes
from meshlearn.io.netcdf import NetCdf


def read(path: Path) -> MeshBuilder:
    """Read an Exodus file."""
    builder = MeshBuilder(path, "Exodus II")
    with NetCdf(path) as nc:
        _points(nc, builder)
        count, ids = nc.count("num_el_blk"), nc.get("eb_prop1")
        names = _names(nc, "eb_names", "block", np.arange(1, count + 1) if ids is None else ids)
        if len(names) < count:
            raise builder.fail(f"{count} element blocks are announced, {len(names)} have a number")
        blocks = read_blocks(nc, names[:count], builder)
        _attributes(nc, blocks, builder)
        _sets(nc, blocks, builder)
        _fields(nc, blocks, builder)
    return builder


def _points(nc: NetCdf, builder: MeshBuilder) -> None:
    coord = nc.get("coord")
    axes = [nc.get(f"coord{axis}") for axis in "xyz"]
    found = list(coord) if coord is not None else [axis for axis in axes if axis is not None]
    if not found:
        raise builder.fail("the file holds no coordinates (coord, coordx)")
    builder.points = np.stack(found, axis=1)
    builder.dim = len(found)


def _names(nc: NetCdf, name: str, prefix: str, ids: np.ndarray) -> list[str]:
    given = nc.strings(name)
    return [
        given[k] if k < len(given) and given[k] else f"{prefix}_{number}"
        for k, number in enumerate(np.ravel(ids).tolist())
    ]


def _attributes(nc: NetCdf, blocks: list[ElementBlock], builder: MeshBuilder) -> None:
    """Attributes of elements as cell data, NaN where a block has none."""
    tables: dict[str, np.ndarray] = {}
    for block in blocks:
        values = nc.get(f"attrib{block.number}")
        if not block.kind or values is None or not values.size:
            continue
        shape = (builder.count(block.kind), *values.shape[1:])
        table = tables.setdefault(block.kind, np.full(shape, np.nan))
        if table.shape != shape:
            builder.lost(f"attributes of element block {block.name!r}, which are not as many as those of others")
        else:
            table[block.rows] = values
    for kind, table in tables.items():
        if np.isnan(table).any():
            builder.note("cell data 'attribute' hold NaN where an element block has no attributes")
        builder.add_cell_data("attribute", Block(kind, 0, len(table)), table)


def _sets(nc: NetCdf, blocks: list[ElementBlock], builder: MeshBuilder) -> None:
    count = nc.count("num_node_sets")
    ids = nc.get("ns_prop1")
    for k, name in enumerate(
        _names(nc, "ns_names", "node_set", np.arange(1, count + 1) if ids is None else ids), start=1
    ):
        rows = nc.get(f"node_ns{k}")
        builder.point_sets[name] = np.zeros(0, np.int64) if rows is None else rows.astype(np.int64) - 1
        factors = nc.get(f"dist_fact_ns{k}")
        if factors is not None and not np.all(factors == 1):
            builder.lost(f"distribution factors of node set {name!r}")
    count = nc.count("num_side_sets")
    ids = nc.get("ss_prop1")
    tables = builder.cells()
    numbering = element_rows(blocks, list(tables), {kind: len(table) for kind, table in tables.items()})
    for k, name in enumerate(
        _names(nc, "ss_names", "side_set", np.arange(1, count + 1) if ids is None else ids), start=1
    ):
        elements, sides = nc.get(f"elem_ss{k}"), nc.get(f"side_ss{k}")
        if elements is None or sides is None:
            continue
        pairs = np.stack([elements, sides], axis=1).astype(np.int64) - 1
        if len(pairs) and not 0 <= int(pairs[:, 0].min()) <= int(pairs[:, 0].max()) < len(numbering):
            raise builder.fail(f"side set {name!r} names an element outside 1 to {len(numbering)}")
        pairs[:, 0] = numbering[pairs[:, 0]]
        if (pairs[:, 0] < 0).any():
            builder.lost(f"{counted(int((pairs[:, 0] < 0).sum()), 'side')} of side set {name!r}")
            pairs = pairs[pairs[:, 0] >= 0]
        builder.global_data[f"side_set:{name}"] = pairs
        nodes = side_nodes(pairs, tables)
        if not np.array_equal(np.sort(builder.point_sets.get(name, nodes)), nodes):
            name = f"{name} (side set)"
        builder.point_sets.setdefault(name, nodes)
    if count:
        builder.note(
            "side sets: their points are point sets, their sides are global data `side_set:NAME` (element, side)"
        )


def _fields(nc: NetCdf, blocks: list[ElementBlock], builder: MeshBuilder) -> None:
    times = nc.get("time_whole")
    names = {what: nc.strings(f"name_{what}_var") for what in ("nod", "elem", "glo")}
    if times is None or len(times) == 0:
        return
    if not any(names.values()) and len(times) == 1:
        return
    builder.times = np.asarray(times, np.float64)
    whole = nc.get("vals_nod_var")
    fields: dict[str, np.ndarray] = {}
    for k, name in enumerate(names["nod"]):
        values = nc.get(f"vals_nod_var{k + 1}") if whole is None else whole[:, k]
        if values is not None:
            fields[name] = values
    builder.step_point_data |= merge_vectors(fields)
    n_times = len(times)
    for block in blocks:
        found = {}
        for k, name in enumerate(names["elem"], start=1):
            values = nc.get(f"vals_elem_var{k}eb{block.number}")
            if values is not None and block.kind:
                found[name] = values
        for name, values in merge_vectors(found).items():
            target = builder.step_cell_data.setdefault(name, {})
            if block.kind not in target:
                shape = (n_times, builder.count(block.kind), *values.shape[2:])
                target[block.kind] = np.full(shape, np.nan, values.dtype)
            target[block.kind][:, block.rows] = values
    for name, by_kind in builder.step_cell_data.items():
        if any(np.isnan(values).any() for values in by_kind.values()):
            builder.note(f"cell data {name!r} holds NaN where an element block has no values")
    glo = nc.get("vals_glo_var")
    if glo is not None:
        builder.step_global_data |= merge_vectors(
            {name: np.ascontiguousarray(glo[:, k]) for k, name in enumerate(names["glo"])}
        )


def write(mesh, path: Path) -> list[str]:
    """Write a Mesh or Trajectory as classic NetCDF."""
    from meshlearn.io.formats.exodus_write import write_exodus

    return write_exodus(mesh, path)
