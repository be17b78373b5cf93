"""The native store: safetensors for the numbers, JSON in its metadata for the structure.

Loading maps the file into memory and copies nothing, so it costs about as much as opening the file. The layout:

- metadata `meshlearn.mesh` is JSON: {"version", "kind": "mesh" | "trajectory", "source", "report", and the names of
  points, cells, data and sets with the key of each tensor}
- tensors are stored under short keys t0, t1, ...; types and shapes are kept exactly
- complex128 tensors are stored as pairs of float64 (version 2; files without them are of version 1), "pairs" lists them
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import MeshReadError
from meshlearn.io.celltypes import NODES, RAGGED
from meshlearn.mesh.frozen import FrozenDict
from meshlearn.mesh.mesh import Mesh
from meshlearn.ops.pointers import integer_range

VERSION = 2
KEY = "meshlearn.mesh"
_NAMED = ("point_data", "global_data", "point_sets")
_NESTED = ("cell_data", "cell_sets")


def write(mesh: Any, path: Path) -> list[str]:
    """Write a Mesh or Trajectory; everything is kept."""
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    if isinstance(mesh, Mesh):
        structure = {"kind": "mesh"} | _put_mesh(mesh, tensors)
    else:
        structure = {
            "kind": "trajectory",
            "mesh": _put_mesh(mesh.mesh, tensors),
            "times": _put(mesh.times, tensors),
            "moving_points": None if mesh.moving_points is None else _put(mesh.moving_points, tensors),
            "point_data": _put_named(mesh.point_data, tensors),
            "cell_data": {name: _put_named(by_kind, tensors) for name, by_kind in mesh.cell_data.items()},
            "global_data": _put_named(mesh.global_data, tensors),
        }
    pairs = [key for key, tensor in tensors.items() if tensor.dtype == torch.complex128]  # unknown to safetensors
    structure["version"] = 2 if pairs else 1
    if pairs:
        structure["pairs"] = pairs
        tensors |= {key: torch.view_as_real(tensors[key]) for key in pairs}
    save_file(tensors, str(path), metadata={KEY: json.dumps(structure)})
    return []


def _put(tensor: Tensor, tensors: dict[str, Tensor]) -> str:
    key = f"t{len(tensors)}"
    stored = tensor.detach().cpu().resolve_conj().resolve_neg()
    # tensors that share memory (views of one file buffer, tied fields) are stored apart
    tensors[key] = stored.clone(memory_format=torch.contiguous_format)
    return key


def _put_named(values: Any, tensors: dict[str, Tensor]) -> dict[str, str]:
    return {name: _put(tensor, tensors) for name, tensor in values.items()}


def _put_mesh(mesh: Mesh, tensors: dict[str, Tensor]) -> dict[str, Any]:
    structure: dict[str, Any] = {"points": _put(mesh.points, tensors), "cells": _put_named(mesh.cells, tensors)}
    for attribute in _NAMED:
        structure[attribute] = _put_named(getattr(mesh, attribute), tensors)
    for attribute in _NESTED:
        structure[attribute] = {n: _put_named(by_kind, tensors) for n, by_kind in getattr(mesh, attribute).items()}
    structure["n_points"] = mesh.n_points
    return structure | {"source": mesh.source, "report": list(mesh.report)}


def read(path: Path) -> Any:
    """Read a Mesh or Trajectory; tensors are views of the mapped file (private: writing to one does not change the
    file)."""
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
        if KEY not in metadata:
            model = (path.parent / "model.json").is_file()
            raise MeshReadError(
                f"{path}: a safetensors file, but not a mesh written by meshlearn (no {KEY!r} in its metadata)"
                + (f'; beside it is a model.json.\n  to load the model: ml.load("{path.parent}")' if model else "")
            )
        structure = json.loads(metadata[KEY])
        if structure.get("version", 0) > VERSION:
            raise MeshReadError(
                f"{path}: store version {structure['version']}, this meshlearn reads up to {VERSION}: update it"
            )
        tensors = load_file(str(path))
        tensors |= {key: torch.view_as_complex(tensors[key]) for key in structure.get("pairs", ())}
        if structure["kind"] == "mesh":
            return _get_mesh(structure, tensors, path)
        return _get_trajectory(structure, tensors, path)
    except SafetensorError as error:
        raise MeshReadError(f"{path}: the store is damaged or cut off ({error})") from None
    except (KeyError, json.JSONDecodeError) as error:
        raise MeshReadError(f"{path}: the store is damaged: {type(error).__name__} {error}") from None


def suffix_of_tensors(path: Path) -> bool:
    """True for the suffix that files of other tensors share."""
    name = path.name.lower()
    return name.endswith(".safetensors") and not name.endswith(".mesh.safetensors")


def holds_a_mesh(path: Path) -> bool:
    """True if the metadata, which are the first thing in the file, have our key; nothing else is looked at."""
    try:
        with open(path, "rb") as file:
            return f'"{KEY}"'.encode() in file.read(8192)
    except OSError:  # `read` says it best
        return True


def _get_mesh(structure: dict[str, Any], tensors: dict[str, Tensor], path: Path) -> Mesh:
    parts: dict[str, Any] = {}
    for attribute in ("cells", *_NAMED):
        parts[attribute] = {name: tensors[key] for name, key in structure[attribute].items()}
    for attribute in _NESTED:
        parts[attribute] = {
            name: {kind: tensors[key] for kind, key in by_kind.items()}
            for name, by_kind in structure[attribute].items()
        }
    points = tensors[structure["points"]]
    counts = {kind: len(table) for kind, table in parts["cells"].items()}
    sound = points.ndim == 2 and len(points) == structure["n_points"]
    sound &= all(table.ndim == 2 and table.dtype == torch.int64 for table in parts["cells"].values())
    sound &= all(len(values) == len(points) for values in parts["point_data"].values())
    sound &= all(len(v) == counts[kind] for by_kind in parts["cell_data"].values() for kind, v in by_kind.items())
    if not sound:
        raise MeshReadError(f"{path}: the store is damaged: the lengths of its arrays do not fit each other")
    _check_indices(parts, len(points), path)
    frozen = {name: FrozenDict(value) for name, value in parts.items()}
    for attribute in _NESTED:
        frozen[attribute] = FrozenDict({name: FrozenDict(by_kind) for name, by_kind in parts[attribute].items()})
    return Mesh._trusted(points=points, **frozen, source=str(path), report=tuple(structure.get("report", ())))


def _check_indices(parts: dict[str, Any], n_points: int, path: Path) -> None:
    """Widths of the tables, and the smallest and largest number of every table and set: one fast pass over each.

    Raises MeshReadError. The streams of polyhedra mix counts with point numbers: only their smallest value is checked.
    """
    for kind, table in parts["cells"].items():
        width = NODES.get(kind)
        if width is not None and table.shape[1] != width:
            raise MeshReadError(
                f"{path}: the store is damaged: {kind} cells have {table.shape[1]} nodes, expected {width}"
            )
        last = None if kind == "polyhedron" else n_points - 1
        _check_range(table, -1 if kind in RAGGED else 0, last, f"the {kind} cells", path)
    for name, rows in parts["point_sets"].items():
        _check_range(rows, 0, n_points - 1, f"point set {name!r}", path)
    for name, by_kind in parts["cell_sets"].items():
        for kind, rows in by_kind.items():
            if kind not in parts["cells"]:
                raise MeshReadError(f"{path}: the store is damaged: cell set {name!r} names {kind} cells; it has none")
            _check_range(rows, 0, len(parts["cells"][kind]) - 1, f"cell set {name!r} of {kind} cells", path)


def _check_range(numbers: Tensor, first: int, last: int | None, what: str, path: Path) -> None:
    if numbers.dtype != torch.int64:
        raise MeshReadError(f"{path}: the store is damaged: {what} are {numbers.dtype}, expected torch.int64")
    if not numbers.numel():
        return
    low, high = integer_range(numbers)
    if low < first or (last is not None and high > last):
        raise MeshReadError(
            f"{path}: the store is damaged: {what} hold {low if low < first else high}, expected {first} to {last}"
        )


def _get_trajectory(structure: dict[str, Any], tensors: dict[str, Tensor], path: Path) -> Any:
    from meshlearn.mesh.trajectory import Trajectory

    moving = structure["moving_points"]
    return Trajectory._adopting(
        _get_mesh(structure["mesh"], tensors, path),
        tensors[structure["times"]],
        point_data={name: tensors[key] for name, key in structure["point_data"].items()},
        cell_data={
            name: {kind: tensors[key] for kind, key in by_kind.items()}
            for name, by_kind in structure["cell_data"].items()
        },
        global_data={name: tensors[key] for name, key in structure["global_data"].items()},
        moving_points=None if moving is None else tensors[moving],
    )
