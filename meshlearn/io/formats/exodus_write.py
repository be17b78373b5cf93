"""Writing Exodus II files as classic NetCDF with 64-bit offsets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.io.formats.exodus_blocks import ORDER, TITLE, TYPES, ElementBlock, divide, element_rows
from meshlearn.io.formats.exodus_variables import Variables, variables
from meshlearn.io.losses import unheld
from meshlearn.io.positions import Positions
from meshlearn.io.tensors import to_numpy
from meshlearn.mesh.mesh import Mesh

_PARTS = ("point_data", "cell_data", "global_data")


def write_exodus(given: Any, path: Path) -> list[str]:
    """One element block per cell set and kind; numbers become float64, vectors one variable per component (_x, _y,
    _z). Fields of a trajectory's still mesh are written at every time."""
    from scipy.io import netcdf_file

    series = None if isinstance(given, Mesh) else given
    mesh: Mesh = given if series is None else series.mesh
    losses = unheld(mesh, "Exodus II", TYPES, (*_PARTS, "point_sets", "cell_sets"))
    kinds = [kind for kind in mesh.cells if kind in TYPES and len(mesh.cells[kind])]
    blocks = divide(mesh, kinds, losses)
    found = variables(mesh, series, kinds, losses)
    nc = netcdf_file(str(path), "w", version=2)
    try:
        nc.title, nc.api_version, nc.version = TITLE.encode(), np.float32(5.1), np.float32(5.1)
        nc.floating_point_word_size, nc.file_size = np.int32(8), np.int32(1)
        for name, size in (("time_step", None), ("len_string", 33), ("len_name", 65), ("len_line", 81), ("four", 4)):
            nc.createDimension(name, size)
        nc.createDimension("num_dim", mesh.dim)
        nc.createDimension("num_nodes", mesh.n_points)
        nc.createDimension("num_elem", max(1, sum(len(mesh.cells[kind]) for kind in kinds)))
        out = _Out(nc, losses)
        whole = to_numpy(mesh.points if series is None or series.moving_points is None else series.moving_points[0])
        for k in range(mesh.dim):
            out.put(f"coord{'xyz'[k]}", "d", ("num_nodes",), whole[:, k])
        _put_blocks(out, mesh, blocks)
        _put_sets(out, mesh, blocks)
        _put_variables(out, found, blocks)
    finally:
        nc.close()
    return losses


class _Out:
    def __init__(self, nc: Any, losses: list[str]):
        self.nc, self.losses = nc, losses

    def put(self, name: str, kind: str, dimensions: tuple[str, ...], values: Any) -> Any:
        variable = self.nc.createVariable(name, kind, dimensions)
        variable[:] = values
        return variable

    def names(self, name: str, dimension: str, texts: list[str]) -> None:
        table = np.zeros((len(texts), 65), "S1")
        for row, text in zip(table, texts, strict=True):
            code = text.encode()[:64].decode("utf-8", "ignore").encode()  # whole characters
            if code != text.encode():
                self.losses.append(f"the name {text!r} beyond 64 bytes")
            row[: len(code)] = np.frombuffer(code, "S1")
        self.put(name, "c", (dimension, "len_name"), table)


def _put_blocks(out: _Out, mesh: Mesh, blocks: list[ElementBlock]) -> None:
    if not blocks:
        return
    count = len(blocks)
    out.nc.createDimension("num_el_blk", count)
    out.put("eb_prop1", "i", ("num_el_blk",), np.arange(1, count + 1)).name = b"ID"
    out.put("eb_status", "i", ("num_el_blk",), np.ones(count))
    out.names("eb_names", "num_el_blk", [block.name for block in blocks])
    numbers = _element_numbers(mesh, blocks)
    if (np.diff(numbers) != 1).any():
        out.put("elem_num_map", "i", ("num_elem",), numbers + 1)
    for block in blocks:
        table, k = to_numpy(mesh.cells[block.kind])[block.rows] + 1, block.number
        table = table[:, np.argsort(ORDER[block.kind])] if block.kind in ORDER else table
        out.nc.createDimension(f"num_el_in_blk{k}", len(table))
        out.nc.createDimension(f"num_nod_per_el{k}", table.shape[1])
        variable = out.put(f"connect{k}", "i", (f"num_el_in_blk{k}", f"num_nod_per_el{k}"), table)
        variable.elem_type = TYPES[block.kind].encode()


def _element_numbers(mesh: Mesh, blocks: list[ElementBlock]) -> np.ndarray:
    """(n_elements,) where the elements of the file stand in the mesh: kind after kind."""
    kinds = list(mesh.cells)
    return element_rows(blocks, kinds, {kind: len(mesh.cells[kind]) for kind in kinds})


def _put_sets(out: _Out, mesh: Mesh, blocks: list[ElementBlock]) -> None:
    sides = {n.removeprefix("side_set:"): v for n, v in mesh.global_data.items() if n.startswith("side_set:")}
    sets = {n: rows for n, rows in mesh.point_sets.items() if n not in sides and len(rows)}
    if sets:
        out.nc.createDimension("num_node_sets", len(sets))
        out.put("ns_prop1", "i", ("num_node_sets",), np.arange(1, len(sets) + 1)).name = b"ID"
        out.put("ns_status", "i", ("num_node_sets",), np.ones(len(sets)))
        out.names("ns_names", "num_node_sets", list(sets))
        for k, rows in enumerate(sets.values(), start=1):
            out.nc.createDimension(f"num_nod_ns{k}", len(rows))
            out.put(f"node_ns{k}", "i", (f"num_nod_ns{k}",), to_numpy(rows) + 1)
    numbers = Positions(_element_numbers(mesh, blocks))
    written = {}
    for name, tensor in sides.items():
        found = to_numpy(tensor).astype(np.int64)
        found[:, 0] = numbers(found[:, 0])
        if (found[:, 0] < 0).any():
            out.losses.append(f"sides of side set {name!r} whose elements are not in the mesh or not written")
        written[name] = found[found[:, 0] >= 0]
    written = {name: pairs for name, pairs in written.items() if len(pairs)}
    if written:
        out.nc.createDimension("num_side_sets", len(written))
        out.put("ss_prop1", "i", ("num_side_sets",), np.arange(1, len(written) + 1)).name = b"ID"
        out.put("ss_status", "i", ("num_side_sets",), np.ones(len(written)))
        out.names("ss_names", "num_side_sets", list(written))
        for k, pairs in enumerate(written.values(), start=1):
            out.nc.createDimension(f"num_side_ss{k}", len(pairs))
            for column, name in enumerate(("elem", "side")):
                out.put(f"{name}_ss{k}", "i", (f"num_side_ss{k}",), pairs[:, column] + 1)


def _put_variables(out: _Out, found: Variables, blocks: list[ElementBlock]) -> None:
    times, points, cells, values = found.times, found.points, found.cells, found.values
    if not (points or cells or values) and len(times) == 1:
        return
    nc = out.nc
    variable = nc.createVariable("time_whole", "d", ("time_step",))
    variable[: len(times)] = times
    if points:
        nc.createDimension("num_nod_var", len(points))
        out.names("name_nod_var", "num_nod_var", list(points))
        for k, array in enumerate(points.values(), start=1):
            nc.createVariable(f"vals_nod_var{k}", "d", ("time_step", "num_nodes"))[: len(times)] = array
    if cells:
        nc.createDimension("num_elem_var", len(cells))
        out.names("name_elem_var", "num_elem_var", list(cells))
        truth = [[int(block.kind in by_kind) for by_kind in cells.values()] for block in blocks]
        out.put("elem_var_tab", "i", ("num_el_blk", "num_elem_var"), np.array(truth))
        for k, by_kind in enumerate(cells.values(), start=1):
            for block in blocks:
                if block.kind in by_kind:
                    dimensions = ("time_step", f"num_el_in_blk{block.number}")
                    variable = nc.createVariable(f"vals_elem_var{k}eb{block.number}", "d", dimensions)
                    variable[: len(times)] = by_kind[block.kind][:, block.rows]
    if values:
        nc.createDimension("num_glo_var", len(values))
        out.names("name_glo_var", "num_glo_var", list(values))
        table = np.stack(list(values.values()), axis=1)
        nc.createVariable("vals_glo_var", "d", ("time_step", "num_glo_var"))[: len(times)] = table
