"""Exodus II (.e, .exo, .ex2): element blocks, node and side sets, fields over time.

Element blocks become cell sets under their names (`block_1`). A side set is kept twice: its points as a point set,
and exactly as global data `side_set:NAME`, rows (block-wise element number from 0, side from 0). Variables named
NAME_x, NAME_y(, NAME_z) become one vector. Classic NetCDF files need no extra package, HDF5-based ones need h5py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.formats.exodus_sides import side_nodes
from meshlearn.io.netcdf import NetCdf

# name -> {nodes: kind}
_LINES, _TRIANGLES = {2: "line", 3: "line3"}, {3: "triangle", 6: "triangle6", 7: "triangle7"}
_QUADS = {4: "quad", 8: "quad8", 9: "quad9", 3: "triangle"}
_TETRAS = {4: "tetra", 10: "tetra10", 14: "tetra14"}
_PYRAMIDS = {5: "pyramid", 13: "pyramid13", 14: "pyramid14"}
_WEDGES = {6: "wedge", 15: "wedge15", 18: "wedge18", 21: "wedge21"}
_HEXES = {8: "hexahedron", 20: "hexahedron20", 27: "hexahedron27"}
_STEMS = {
    "SPHERE": {1: "vertex"}, "CIRCLE": {1: "vertex"}, "NODE": {1: "vertex"}, "BAR": _LINES, "BEAM": _LINES,
    "TRUSS": _LINES, "EDGE": _LINES, "ROD": _LINES, "TRI": _TRIANGLES, "TRIANGLE": _TRIANGLES, "TRISHELL": _TRIANGLES,
    "QUAD": _QUADS, "QUADRILATERAL": _QUADS, "SHELL": _QUADS, "TET": _TETRAS, "TETRA": _TETRAS, "TETRAHEDRON": _TETRAS,
    "PYR": _PYRAMIDS, "PYRA": _PYRAMIDS, "PYRAMID": _PYRAMIDS, "WEDGE": _WEDGES, "PENTA": _WEDGES, "HEX": _HEXES,
    "HEXA": _HEXES, "HEXAHEDRON": _HEXES,
}  # fmt: skip
# ours[:, k] = theirs[:, order[k]]: Exodus lists vertical edges before the top ones, and the face nodes in another order
ORDER: dict[str, list[int]] = {
    "hexahedron20": [*range(12), *range(16, 20), *range(12, 16)],
    "hexahedron27": [*range(12), *range(16, 20), *range(12, 16), 23, 24, 25, 26, 21, 22, 20],
    "wedge15": [*range(9), *range(12, 15), *range(9, 12)],
    "wedge18": [*range(9), *range(12, 15), *range(9, 12), 15, 16, 17],
}


def read(path: Path) -> MeshBuilder:
    """Read an Exodus file."""
    builder = MeshBuilder(path, "Exodus II")
    with NetCdf(path) as nc:
        _points(nc, builder)
        blocks = _blocks(nc, builder)
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


def _blocks(nc: NetCdf, builder: MeshBuilder) -> list[Block | None]:
    assert builder.points is not None
    blocks: list[Block | None] = []
    ids = nc.get("eb_prop1")
    count = nc.count("num_el_blk")
    names = _names(nc, "eb_names", "block", np.arange(1, count + 1) if ids is None else ids)
    for number in range(1, count + 1):
        table, element = nc.get(f"connect{number}"), nc.text_attribute(f"connect{number}", "elem_type").upper()
        if table is None or table.size == 0:
            if nc.get(f"ebconn{number}") is not None or element in ("NSIDED", "NFACED"):
                builder.lost(f"element block {names[number - 1]!r} of {element or 'polygons'}")
            blocks.append(None)
            continue
        kind = _STEMS.get(element.rstrip("0123456789"), {}).get(table.shape[1])
        if kind is None:
            raise builder.fail(
                f"element block {names[number - 1]!r} has type {element!r} with {table.shape[1]} "
                "nodes, which is not supported"
            )
        table = table.astype(np.int64) - 1
        if int(table.min()) < 0 or int(table.max()) >= len(builder.points):
            raise builder.fail(f"element block {names[number - 1]!r} names a node outside 1 to {len(builder.points)}")
        block = builder.add_cells(kind, table[:, ORDER[kind]] if kind in ORDER else table)
        builder.add_cell_set(names[number - 1], block)
        blocks.append(block)
        attributes = nc.get(f"attrib{number}")
        if attributes is not None and attributes.size:
            builder.add_cell_data("attribute", block, np.asarray(attributes, np.float64))
    return blocks


def _sets(nc: NetCdf, blocks: list[Block | None], builder: MeshBuilder) -> None:
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
    for k, name in enumerate(
        _names(nc, "ss_names", "side_set", np.arange(1, count + 1) if ids is None else ids), start=1
    ):
        elements, sides = nc.get(f"elem_ss{k}"), nc.get(f"side_ss{k}")
        if elements is None or sides is None:
            continue
        pairs = np.stack([elements, sides], axis=1).astype(np.int64) - 1
        builder.global_data[f"side_set:{name}"] = pairs
        nodes = side_nodes(pairs, blocks, tables)
        if not np.array_equal(np.sort(builder.point_sets.get(name, nodes)), nodes):
            name = f"{name} (side set)"
        builder.point_sets.setdefault(name, nodes)
    if count:
        builder.note(
            "side sets: their points are point sets, their sides are global data `side_set:NAME` (element, side)"
        )


def _fields(nc: NetCdf, blocks: list[Block | None], builder: MeshBuilder) -> None:
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
    per_block: dict[int, dict[str, np.ndarray]] = {}
    for k, name in enumerate(names["elem"]):
        for index, block in enumerate(blocks):
            values = nc.get(f"vals_elem_var{k + 1}eb{index + 1}")
            if values is not None and block is not None:
                per_block.setdefault(index, {})[name] = values
    n_times = len(times)
    for index, found in per_block.items():
        block = blocks[index]
        assert block is not None
        for name, values in merge_vectors(found).items():
            target = builder.step_cell_data.setdefault(name, {})
            if block.kind not in target:
                shape = (n_times, builder.count(block.kind), *values.shape[2:])
                target[block.kind] = np.full(shape, np.nan, values.dtype)
            target[block.kind][:, block.start : block.start + block.count] = values
    for name, by_kind in builder.step_cell_data.items():
        if any(np.isnan(values).any() for values in by_kind.values()):
            builder.note(f"cell data {name!r} holds NaN where an element block has no values")
    glo = nc.get("vals_glo_var")
    if glo is not None:
        builder.step_global_data |= {name: np.ascontiguousarray(glo[:, k]) for k, name in enumerate(names["glo"])}


def merge_vectors(fields: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """NAME_x, NAME_y(, NAME_z) of one shape as one array with the components last.

    >>> {name: v.shape for name, v in merge_vectors({"u_x": np.zeros((2, 5)), "u_y": np.zeros((2, 5))}).items()}
    {'u': (2, 5, 2)}
    """
    merged: dict[str, np.ndarray] = {}
    done: set[str] = set()
    for name, values in fields.items():
        stem, tail = name[:-2], name[-2:]
        if name in done:
            continue
        parts = [fields.get(f"{stem}_{axis}") for axis in "xyz"] if tail == "_x" and stem else []
        found = [part for part in parts if part is not None]
        if len(found) >= 2 and parts[1] is not None and stem not in fields:
            merged[stem] = np.stack(found, axis=-1)
            done |= {f"{stem}_{axis}" for axis in "xyz"}
        else:
            merged[name] = values
    return merged


def write(mesh, path: Path) -> list[str]:
    """Write a Mesh or Trajectory as classic NetCDF."""
    from meshlearn.io.formats.exodus_write import write_exodus

    return write_exodus(mesh, path)
