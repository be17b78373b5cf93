"""numpy archives (.npz) as point clouds or meshes; nothing pickled is ever loaded.

`points` (or `pos`, `coords`, `xyz`, `vertices`) holds the coordinates, `cells/TYPE` (or `faces`, `triangles`,
`tetra`, ...) the cells; `point_data/NAME`, `cell_data/NAME/TYPE`, `global_data/NAME`, `point_sets/NAME` and
`cell_sets/NAME/TYPE` the rest. Other arrays are point data if they have one row per point, else global data.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.celltypes import NODES
from meshlearn.io.tensors import TORCH_NAMES, file_array, restore, to_numpy
from meshlearn.mesh.mesh import Mesh

_POINTS = ("points", "pos", "positions", "coords", "coordinates", "xyz", "vertices", "nodes", "x")
_CELLS = {"faces": "", "triangles": "triangle", "elements": "", "cells": "", "simplices": "", "tetrahedra": "tetra",
          "quads": "quad"}  # fmt: skip


def read(path: Path) -> MeshBuilder:
    """Read an archive."""
    builder = MeshBuilder(path, "numpy arrays")
    if not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            single = file.read(6) == b"\x93NUMPY"
        raise builder.fail(
            "this is one array (.npy), not an archive of named arrays: numpy.savez(file, points=...)"
            if single
            else "this is no archive of numpy arrays: damaged, cut off, or a pickle, which is never loaded"
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: _array(archive, name, builder) for name in archive.files}
    except zipfile.BadZipFile:
        raise builder.fail("the archive is damaged or cut off") from None
    found = {name: array for name, array in arrays.items() if array is not None}
    key = next(
        (name for name in _POINTS if name in found and found[name].ndim == 2 and 1 <= found[name].shape[1] <= 3), None
    )
    if key is None:
        raise builder.fail(
            f"there is no (n, 1 to 3) array named {', '.join(_POINTS[:5])}; the archive holds {list(arrays)}"
        )
    points = found.pop(key)
    builder.points = points
    builder.dim = points.shape[1]
    builder.keeps_zeros = True
    types = _types(found.pop("meshlearn:types", None))
    for name in [name for name in found if name.startswith("cells/")]:
        builder.add_cells(name.removeprefix("cells/"), found.pop(name))
    for name, array in found.items():
        _place(name, array, len(points), types, builder)
    return builder


def _array(archive, name: str, builder: MeshBuilder) -> np.ndarray | None:
    try:
        array = archive[name]
    except ValueError:  # numpy's refusal to unpickle objects
        builder.lost(f"array {name!r} of Python objects")
        return None
    if array.dtype.kind not in "biufc":
        builder.lost(f"array {name!r} of type {array.dtype}: meshes hold numbers only")
        return None
    return array


def _types(table: np.ndarray | None) -> dict[str, str]:
    """Types that numpy lacks, written by us as text bytes."""
    import json

    return {} if table is None else json.loads(table.astype(np.uint8).tobytes().decode())


def _place(name: str, array: np.ndarray, n_points: int, types: dict[str, str], builder: MeshBuilder) -> None:
    words = name.split("/")
    part, rest = words[0], "/".join(words[1:])
    value = restore(array, types[name], list(array.shape)) if name in types else None
    if part == "point_data" and rest:
        builder.point_data[rest] = array if value is None else value
    elif part == "cell_data" and len(words) > 2:
        import torch

        builder.set_cell_data("/".join(words[1:-1]), words[-1], torch.from_numpy(array) if value is None else value)
    elif part == "global_data" and rest:
        builder.global_data[rest] = array if value is None else value
    elif part == "point_sets" and rest:
        builder.point_sets[rest] = array
    elif part == "cell_sets" and len(words) > 2:
        builder.set_cell_set("/".join(words[1:-1]), words[-1], array)
    elif name in {**_CELLS, **NODES} and array.ndim == 2 and array.dtype.kind in "iu":
        kind = _CELLS.get(name) or (
            name
            if name in NODES
            else {3: "triangle", 4: "tetra" if name == "simplices" else "quad"}.get(array.shape[1])
        )
        if kind is None:
            raise builder.fail(f"{name!r} has {array.shape[1]} columns; give the kind of cell: cells/tetra10")
        builder.add_cells(kind, array.astype(np.int64))
    elif array.ndim and len(array) == n_points:
        builder.point_data[name] = array
    else:
        builder.global_data[name] = array


def write(mesh: Mesh, path: Path) -> list[str]:
    """Write everything, uncompressed."""
    import json

    arrays: dict[str, np.ndarray] = {"points": to_numpy(mesh.points)}
    types: dict[str, str] = {}

    def put(key: str, tensor) -> None:
        plain = to_numpy(tensor)
        if TORCH_NAMES[tensor.dtype] == "bfloat16":
            plain, types[key] = file_array(tensor)[0].reshape(tensor.shape), "bfloat16"
        arrays[key] = plain

    for part in ("cells", "point_data", "global_data", "point_sets"):
        for name, tensor in getattr(mesh, part).items():
            put(f"{part}/{name}", tensor)
    for part in ("cell_data", "cell_sets"):
        for name, by_kind in getattr(mesh, part).items():
            for kind, tensor in by_kind.items():
                put(f"{part}/{name}/{kind}", tensor)
    if types:
        arrays["meshlearn:types"] = np.frombuffer(json.dumps(types).encode(), np.uint8)
    with open(path, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    return []
