"""Writing CGNS in HDF5: one base, one unstructured zone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.errors import require
from meshlearn.io.components import joined_scalars
from meshlearn.io.formats.cgns_tree import ELEMENTS, ORDER
from meshlearn.io.losses import unheld
from meshlearn.io.tensors import file_array, to_numpy
from meshlearn.mesh.cells import cell_dim
from meshlearn.mesh.mesh import Mesh

_NUMBERS = {kind: number for number, kind in ELEMENTS.items()}
_TYPES = {"i4": "I4", "i8": "I8", "f4": "R4", "f8": "R8", "i1": "C1"}


def _node(parent: Any, name: str, label: str, data: np.ndarray | str | None = None) -> Any:
    """A CGNS node: a group with a label, and its array in the data set ` data`."""
    stem, number = name, 1
    while name in parent:  # names of more than 32 characters may coincide when they are cut
        number += 1
        name = f"{stem[:28]}~{number}"
    group = parent.create_group(name)
    kind = "MT"
    if isinstance(data, str):
        data = np.frombuffer(data.encode(), np.int8)
    if data is not None:
        data = np.ascontiguousarray(data)
        kind = _TYPES[data.dtype.str[1:]]
        group.create_dataset(" data", data=data)
    for key, text, size in (("name", name, 33), ("label", label, 33), ("type", kind, 3)):
        group.attrs.create(key, np.bytes_(text.encode()[: size - 1]), dtype=f"S{size}")
    group.attrs["flags"] = np.array([1], np.int32)
    return group


def write_cgns(mesh: Mesh, path: Path) -> list[str]:
    """Write points, sections by kind, fields, and sets as boundary conditions."""
    h5py = require("h5py", "formats", "writing CGNS files")
    losses = unheld(mesh, "CGNS", _NUMBERS, ("point_data", "cell_data", "global_data", "point_sets", "cell_sets"))
    named = [*mesh.point_data, *mesh.cell_data, *mesh.global_data, *mesh.point_sets, *mesh.cell_sets]
    losses += [f"the whole of the name {name!r} (32 characters are kept)" for name in named if len(name) > 31]
    top = mesh.cell_dim
    kinds = [kind for kind in mesh.cells if kind in _NUMBERS and len(mesh.cells[kind])]
    kinds.sort(key=lambda kind: cell_dim(kind) != top)
    domain = [kind for kind in kinds if cell_dim(kind) == top]
    with h5py.File(path, "w") as file:
        file.attrs.create("name", np.bytes_(b"HDF5 MotherNode"), dtype="S33")
        file.attrs.create("label", np.bytes_(b"Root Node of HDF5 File"), dtype="S33")
        file.attrs.create("type", np.bytes_(b"MT"), dtype="S3")
        file.create_dataset(" format", data=np.frombuffer(b"IEEE_LITTLE_32\x00", np.int8))
        file.create_dataset(" hdf5version", data=np.frombuffer(b"HDF5 Version 1.10".ljust(33, b"\x00"), np.int8))
        _node(file, "CGNSLibraryVersion", "CGNSLibraryVersion_t", np.array([4.2], np.float32))
        base = _node(file, "Base", "CGNSBase_t", np.array([max(top, 1), mesh.dim], np.int32))
        sizes = np.array([[mesh.n_points], [sum(len(mesh.cells[kind]) for kind in domain)], [0]], np.int64)
        zone = _node(base, "Zone", "Zone_t", sizes)
        _node(zone, "ZoneType", "ZoneType_t", "Unstructured")
        grid = _node(zone, "GridCoordinates", "GridCoordinates_t")
        points = to_numpy(mesh.points)
        for k in range(mesh.dim):
            _node(grid, f"Coordinate{'XYZ'[k]}", "DataArray_t", points[:, k])
        first = _sections(zone, mesh, kinds)
        _conditions(zone, mesh, first, losses)
        _solutions(zone, mesh, domain, losses)
        values = {name: file_array(tensor)[0] for name, tensor in mesh.global_data.items()}
        if values:
            group = _node(base, "GlobalData", "UserDefinedData_t")
            for name, array in values.items():
                tensor = mesh.global_data[name]
                plain = array.reshape(tensor.shape) if array.size == tensor.numel() and tensor.ndim else array.ravel()
                _node(group, _label(name), "DataArray_t", _wide(plain).T)
    return losses


def _label(name: str) -> str:
    return name.replace("/", "|")[:32]


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.int32) if array.dtype.kind in "iub" and array.dtype.itemsize < 4 else array


def _sections(zone: Any, mesh: Mesh, kinds: list[str]) -> dict[str, int]:
    """Element sections; returns the first element number of each kind."""
    number, first = 1, {}
    for kind in kinds:
        table = to_numpy(mesh.cells[kind]) + 1
        table = table[:, np.argsort(ORDER[kind])] if kind in ORDER else table
        section = _node(zone, f"Elements_{kind}", "Elements_t", np.array([_NUMBERS[kind], 0], np.int32))
        _node(section, "ElementRange", "IndexRange_t", np.array([number, number + len(table) - 1], np.int64))
        _node(section, "ElementConnectivity", "DataArray_t", table.ravel())
        first[kind] = number
        number += len(table)
    return first


def _conditions(zone: Any, mesh: Mesh, first: dict[str, int], losses: list[str]) -> None:
    if not mesh.point_sets and not mesh.cell_sets:
        return
    group = _node(zone, "ZoneBC", "ZoneBC_t")
    for name, rows in mesh.point_sets.items():
        if name in mesh.cell_sets:
            losses.append(f"point set {name!r} (a cell set has the same name)")
        else:
            _condition(group, name, to_numpy(rows) + 1, "Vertex")
    for name, by_kind in mesh.cell_sets.items():
        numbers = [to_numpy(rows) + first[kind] for kind, rows in by_kind.items() if kind in first]
        if numbers:
            dims = {cell_dim(kind) for kind in by_kind}
            place = (
                "CellCenter"
                if mesh.cell_dim in dims
                else {2: "FaceCenter", 1: "EdgeCenter"}.get(max(dims), "CellCenter")
            )
            _condition(group, name, np.concatenate(numbers), place)


def _condition(group: Any, name: str, numbers: np.ndarray, location: str) -> None:
    condition = _node(group, _label(name), "BC_t", "BCTypeUserDefined")
    _node(condition, "PointList", "IndexArray_t", numbers.reshape(-1, 1))
    _node(condition, "GridLocation", "GridLocation_t", location)


def _solutions(zone: Any, mesh: Mesh, domain: list[str], losses: list[str]) -> None:
    for part, given in (("point data", mesh.point_data), ("cell data", mesh.cell_data)):
        losses += joined_scalars(part, given, "_x", "X")
    point_arrays = {name: file_array(tensor)[0] for name, tensor in mesh.point_data.items()}
    cell_arrays = {}
    for name, by_kind in mesh.cell_data.items():
        parts = [file_array(by_kind[kind])[0] for kind in domain if kind in by_kind]
        if len(parts) == len(domain) and parts and len({part.shape[1] for part in parts}) == 1:
            cell_arrays[name] = np.concatenate(parts)
        else:
            losses.append(f"cell data {name!r}, which not every cell of the domain has")
        if any(kind not in domain for kind in by_kind) and name in cell_arrays:
            losses.append(f"cell data {name!r} of lower-dimensional cells")
    for title, location, arrays in (
        ("VertexFields", "Vertex", point_arrays),
        ("CellFields", "CellCenter", cell_arrays),
    ):
        if arrays:
            solution = _node(zone, title, "FlowSolution_t")
            _node(solution, "GridLocation", "GridLocation_t", location)
            for name, array in arrays.items():
                for k in range(array.shape[1]):
                    tail = "" if array.shape[1] == 1 else ("XYZ"[k] if array.shape[1] in (2, 3) else f"_{k}")
                    _node(solution, _label(name)[: 32 - len(tail)] + tail, "DataArray_t", _wide(array[:, k]))
