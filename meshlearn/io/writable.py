"""What no file format but our own holds: meshes without points, and fields without a component."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from meshlearn.errors import MeshWriteError
from meshlearn.mesh.mesh import Mesh

# format -> (what fields become, the types that come back as they are)
_TYPES = {
    "med": ("float64", ("float64",)),
    "exodus": ("float64", ("float64",)),
    "cgns": ("int32 or float32", ("float64", "float32", "int64", "int32")),
    "tabular": ("float64 or int64", ("float64", "int64")),
    "avs-ucd": ("float64", ("float64",)),
    "xdmf": ("uint8 or float32", ("float64", "float32", "int64", "int32", "int16", "int8", "uint8")),
}
# formats that keep the numbers of one point or cell, not their shape -> how many numbers keep it as one axis
_FLATTENS = {"med": 10**9, "avs-ucd": 10**9, "tabular": 10**9, "cgns": 3}
# formats of three coordinates that do not say how many of them count
_IN_SPACE = ("abaqus", "avs-ucd", "nastran", "obj", "off", "ply", "stl")
_HOLD_EMPTY_FIELDS = ("native", "gmsh", "vtk", "npz", "xdmf")


def writable(given: Any, format_name: str, path: Path) -> tuple[Any, list[str]]:
    """(the Mesh or Trajectory as the format can have it, what was left out).

    Raises MeshWriteError for a mesh without points; only the native store holds one.
    """
    series = not isinstance(given, Mesh)
    if given.n_points == 0 and format_name != "native":
        raise MeshWriteError(
            f"{path}: this mesh has no points (cells: {(given.mesh if series else given).cell_counts}); files of it "
            "cannot be read back.\n  the native store .mesh.safetensors holds empty meshes"
        )
    if format_name in _HOLD_EMPTY_FIELDS:
        return given, []
    losses: list[str] = []
    changes: dict[str, Any] = {}
    for part in ("point_data", "cell_data"):
        kept = _with_components(getattr(given, part), 2 if series else 1)
        if gone := [name for name in getattr(given, part) if name not in kept]:
            changes[part] = kept
            losses += [f"{part.replace('_', ' ')} {name!r} (no components)" for name in gone]
    if series:
        mesh, more = writable(given.mesh, format_name, path)
        if more:
            changes["mesh"] = mesh
            losses += more
    return given.replace(**changes) if changes else given, losses


def _with_components(fields: Mapping[str, Any], first: int) -> dict[str, Any]:
    """Fields of which every tensor has components; `first` is their first axis behind times and rows."""
    return {
        name: field
        for name, field in fields.items()
        if not any(
            0 in tensor.shape[first:] for tensor in ([field] if isinstance(field, Tensor) else list(field.values()))
        )
    }


def retyped(given: Any, format_name: str) -> list[str]:
    """The fields whose types the format changes; their values stay."""
    if format_name not in _TYPES:
        return []
    becomes, kept = _TYPES[format_name]
    found = []
    still = {} if isinstance(given, Mesh) else given.mesh
    for part in ("point_data", "cell_data", "global_data"):
        for name, field in (dict(getattr(still, part, {})) | dict(getattr(given, part))).items():
            if part == "global_data" and (format_name != "exodus" or name == "time" or name.startswith("side_set:")):
                continue
            tensors = [field] if isinstance(field, Tensor) else list(field.values())
            types = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors} - set(kept))
            if types and not (format_name == "avs-ucd" and name == "material"):
                found.append(f"the type {' and '.join(types)} of {part.replace('_', ' ')} {name!r} (now {becomes})")
    return found


def reshaped(given: Any, format_name: str) -> list[str]:
    """The fields whose values of one point or cell the format gives another shape."""
    if format_name not in _FLATTENS:
        return []
    found = []
    for part in ("point_data", "cell_data"):
        for name, field in getattr(given, part).items():
            for tensor in [field] if isinstance(field, Tensor) else list(field.values())[:1]:
                shape = tuple(tensor.shape[1:])
                if len(shape) > 1 or tensor.is_complex() or math.prod(shape) > _FLATTENS[format_name]:
                    what = f"{part.replace('_', ' ')} {name!r}"
                    found.append(f"the shape {shape} of {what} (now components)")
    return found


def respaced(given: Any, format_name: str) -> list[str]:
    """The dimension, where the format writes zeros for the coordinates that a mesh lacks and reading keeps some.

    A plane mesh of lines or faces comes back plane: reading takes it for one.
    """
    mesh = given if isinstance(given, Mesh) else given.mesh
    if format_name not in _IN_SPACE or mesh.dim == 3 or (mesh.dim == 2 and mesh.cell_dim):
        return []
    return [f"the dimension {mesh.dim} (written with three coordinates; ml.read(path, dim={mesh.dim}) restores it)"]
