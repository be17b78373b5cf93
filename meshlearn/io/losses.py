"""What a format cannot hold: listed for the warning, or refused when it is the mesh itself."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from meshlearn.errors import MeshWriteError
from meshlearn.io.counts import counted
from meshlearn.mesh.cells import cell_dim
from meshlearn.mesh.mesh import Mesh

PARTS = ("point_data", "cell_data", "global_data", "point_sets", "cell_sets")


def unheld(mesh: Mesh, title: str, kinds: Collection[str], holds: Collection[str] = ()) -> list[str]:
    """Losses of a format that holds the given kinds of cells and the given parts of a mesh (names from PARTS).

    Raises MeshWriteError if cells of the mesh's own dimension would be lost; lower-dimensional ones are listed.
    """
    top = max((cell_dim(kind) for kind, table in mesh.cells.items() if len(table)), default=0)
    losses = []
    for kind, table in mesh.cells.items():
        if kind in kinds or not len(table):
            continue
        if cell_dim(kind) == top and top > 0:
            raise MeshWriteError(
                f"{title} cannot hold {counted(len(table), f'{kind} cell')} (mesh cells: {mesh.cell_counts}); it holds "
                f"{', '.join(sorted(kinds)) or 'points only'}.\n"
                "  the native store .mesh.safetensors holds every kind, .vtu and .vtk hold every kind but pyramid14"
                + ("; for the surface: mesh.boundary_mesh()" if top == 3 else "")
            )
        losses.append(counted(len(table), f"{kind} cell"))
    for part in PARTS:
        names = list(getattr(mesh, part))
        if names and part not in holds:
            losses.append(f"{part.replace('_', ' ')} {', '.join(map(repr, names))}")
    return losses


def rounding(values: np.ndarray) -> list[str]:
    """Said when coordinates do not fit into single precision."""
    exact = values.dtype == np.float32 or np.array_equal(
        values.astype(np.float32).astype(np.float64), values, equal_nan=True
    )
    return [] if exact else ["the coordinates beyond single precision"]


def three_columns(points: np.ndarray) -> np.ndarray:
    """Points with zeros for the coordinates they lack."""
    return np.ascontiguousarray(np.pad(points, ((0, 0), (0, 3 - points.shape[1]))))


def numbered(names: Collection[str]) -> dict[str, int]:
    """Names and their numbers from 1."""
    return {name: number for number, name in enumerate(names, start=1)}
