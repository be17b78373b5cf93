"""Writing Exodus II files as classic NetCDF with 64-bit offsets."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.io.formats.exodus import ORDER
from meshlearn.io.losses import unheld
from meshlearn.io.tensors import file_array, to_numpy
from meshlearn.mesh.mesh import Mesh

_TYPES = {
    "vertex": "SPHERE", "line": "BAR2", "line3": "BAR3", "triangle": "TRI3", "triangle6": "TRI6", "triangle7": "TRI7",
    "quad": "QUAD4", "quad8": "QUAD8", "quad9": "QUAD9", "tetra": "TETRA4", "tetra10": "TETRA10", "pyramid": "PYRAMID5",
    "pyramid13": "PYRAMID13", "wedge": "WEDGE6", "wedge15": "WEDGE15", "wedge18": "WEDGE18", "hexahedron": "HEX8",
    "hexahedron20": "HEX20", "hexahedron27": "HEX27",
}  # fmt: skip


def write_exodus(given: Any, path: Path) -> list[str]:
    """One element block per kind; numbers become float64, vectors one variable per component (_x, _y, _z)."""
    from scipy.io import netcdf_file

    series = None if isinstance(given, Mesh) else given
    mesh: Mesh = given if series is None else series.mesh
    losses = unheld(mesh, "Exodus II", _TYPES, ("point_data", "cell_data", "global_data", "point_sets", "cell_sets"))
    kinds = [kind for kind in mesh.cells if kind in _TYPES and len(mesh.cells[kind])]
    losses += _block_losses(mesh, kinds)
    times, points, cells, values = _steps(mesh, series, kinds, losses)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        nc = netcdf_file(str(path), "w", version=2)
        nc.title, nc.api_version, nc.version = b"meshlearn", np.float32(5.1), np.float32(5.1)
        nc.floating_point_word_size, nc.file_size = np.int32(8), np.int32(1)
        for name, size in (("time_step", None), ("len_string", 33), ("len_name", 65), ("len_line", 81), ("four", 4)):
            nc.createDimension(name, size)
        nc.createDimension("num_dim", mesh.dim)
        nc.createDimension("num_nodes", mesh.n_points)
        nc.createDimension("num_elem", max(1, sum(len(mesh.cells[kind]) for kind in kinds)))
        out = _Out(nc)
        whole = to_numpy(mesh.points if series is None or series.moving_points is None else series.moving_points[0])
        for k in range(mesh.dim):
            out.put(f"coord{'xyz'[k]}", "d", ("num_nodes",), whole[:, k])
        _put_blocks(out, mesh, kinds)
        _put_sets(out, mesh)
        _put_times(out, times, points, cells, values, kinds)
        nc.close()
    return losses


class _Out:
    def __init__(self, nc: Any):
        self.nc = nc

    def put(self, name: str, kind: str, dimensions: tuple[str, ...], values: Any) -> Any:
        variable = self.nc.createVariable(name, kind, dimensions)
        variable[:] = values
        return variable

    def names(self, name: str, dimension: str, texts: list[str]) -> None:
        table = np.zeros((len(texts), 65), "S1")
        for row, text in zip(table, texts, strict=True):
            code = text.encode()[:64]
            row[: len(code)] = np.frombuffer(code, "S1")
        self.put(name, "c", (dimension, "len_name"), table)


def _block_losses(mesh: Mesh, kinds: list[str]) -> list[str]:
    """Cell sets are kept only where they are an element block; others have no place in Exodus."""
    lost = []
    for name, by_kind in mesh.cell_sets.items():
        whole = len(by_kind) == 1 and all(k in kinds and len(rows) == len(mesh.cells[k]) for k, rows in by_kind.items())
        if not whole:
            lost.append(name)
    seen: set[str] = set()
    for name, by_kind in mesh.cell_sets.items():
        if name not in lost and next(iter(by_kind)) in seen:
            lost.append(name)
        elif name not in lost:
            seen.add(next(iter(by_kind)))
    return [f"cell set {name!r} (Exodus has disjoint element blocks)" for name in lost]


def _put_blocks(out: _Out, mesh: Mesh, kinds: list[str]) -> None:
    if not kinds:
        return
    out.nc.createDimension("num_el_blk", len(kinds))
    out.put("eb_prop1", "i", ("num_el_blk",), np.arange(1, len(kinds) + 1)).name = b"ID"
    out.put("eb_status", "i", ("num_el_blk",), np.ones(len(kinds)))
    named: dict[str, str] = {}
    for name, by_kind in mesh.cell_sets.items():
        kind, rows = next(iter(by_kind.items()), ("", ()))
        if len(by_kind) == 1 and kind in kinds and len(rows) == len(mesh.cells[kind]):
            named.setdefault(kind, name)
    out.names("eb_names", "num_el_blk", [named.get(kind, f"block_{k}") for k, kind in enumerate(kinds, start=1)])
    for k, kind in enumerate(kinds, start=1):
        table = to_numpy(mesh.cells[kind]) + 1
        table = table[:, np.argsort(ORDER[kind])] if kind in ORDER else table
        out.nc.createDimension(f"num_el_in_blk{k}", len(table))
        out.nc.createDimension(f"num_nod_per_el{k}", table.shape[1])
        variable = out.put(f"connect{k}", "i", (f"num_el_in_blk{k}", f"num_nod_per_el{k}"), table)
        variable.elem_type = _TYPES[kind].encode()


def _put_sets(out: _Out, mesh: Mesh) -> None:
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
    if sides:
        out.nc.createDimension("num_side_sets", len(sides))
        out.put("ss_prop1", "i", ("num_side_sets",), np.arange(1, len(sides) + 1)).name = b"ID"
        out.put("ss_status", "i", ("num_side_sets",), np.ones(len(sides)))
        out.names("ss_names", "num_side_sets", list(sides))
        for k, pairs in enumerate(sides.values(), start=1):
            out.nc.createDimension(f"num_side_ss{k}", len(pairs))
            for column, name in enumerate(("elem", "side")):
                out.put(f"{name}_ss{k}", "i", (f"num_side_ss{k}",), to_numpy(pairs)[:, column] + 1)


def _components(name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    """(n_times, rows, components) as one array per component."""
    count = array.shape[-1]
    if count == 1:
        return {name: array[..., 0]}
    tails = "xyz" if count in (2, 3) else [str(k) for k in range(count)]
    return {f"{name}_{tails[k]}": array[..., k] for k in range(count)}


def _steps(mesh: Mesh, series: Any, kinds: list[str], losses: list[str]):
    """Times and the variables of points, cells and the whole mesh, with a leading axis of times."""

    def table(tensor: Any, rows: int | None) -> np.ndarray:
        flat, _, _ = file_array(tensor)
        array = flat.astype(np.float64)
        return array.reshape(1 if series is None else len(series), rows or 1, -1)

    source = mesh if series is None else series
    times = np.array([float(mesh.global_data.get("time", 0.0))]) if series is None else to_numpy(series.times)
    points: dict[str, np.ndarray] = {}
    for name, tensor in source.point_data.items():
        points |= _components(name, table(tensor, mesh.n_points))
    if series is not None and series.moving_points is not None:
        moved = to_numpy(series.moving_points).astype(np.float64)
        points |= {f"displacement_{'xyz'[k]}": moved[..., k] - moved[0, :, k] for k in range(mesh.dim)}
        losses.append("moving points as such (they are written as the variable 'displacement')")
    cells: dict[str, dict[str, np.ndarray]] = {}
    for name, by_kind in source.cell_data.items():
        for kind, tensor in by_kind.items():
            if kind in kinds:
                for part, array in _components(name, table(tensor, len(mesh.cells[kind]))).items():
                    cells.setdefault(part, {})[kind] = array
    values: dict[str, np.ndarray] = {}
    for name, tensor in source.global_data.items():
        if not name.startswith("side_set:") and name != "time":
            flat = file_array(tensor)[0].astype(np.float64).reshape(len(times), -1)
            for k in range(flat.shape[1]):
                values[name if flat.shape[1] == 1 else f"{name}_{k}"] = flat[:, k]
    if series is not None:
        losses += [
            f"{part} of the still mesh" for part in ("point_data", "cell_data", "global_data") if getattr(mesh, part)
        ]
    return times, points, cells, values


def _put_times(out: _Out, times: np.ndarray, points: dict, cells: dict, values: dict, kinds: list[str]) -> None:
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
        truth = [[int(kind in by_kind) for by_kind in cells.values()] for kind in kinds]
        out.put("elem_var_tab", "i", ("num_el_blk", "num_elem_var"), np.array(truth))
        for k, by_kind in enumerate(cells.values(), start=1):
            for kind, array in by_kind.items():
                block = kinds.index(kind) + 1
                name = f"vals_elem_var{k}eb{block}"
                nc.createVariable(name, "d", ("time_step", f"num_el_in_blk{block}"))[: len(times)] = array
    if values:
        nc.createDimension("num_glo_var", len(values))
        out.names("name_glo_var", "num_glo_var", list(values))
        table = np.stack(list(values.values()), axis=1)
        nc.createVariable("vals_glo_var", "d", ("time_step", "num_glo_var"))[: len(times)] = table
