"""trimesh.Trimesh <-> Mesh."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from meshlearn.errors import MeshError
from meshlearn.io.bridges.lost import warn_of
from meshlearn.io.counts import counted
from meshlearn.io.losses import three_columns
from meshlearn.io.tensors import to_numpy, to_tensor
from meshlearn.mesh.mesh import Mesh


def from_trimesh(surface: Any, source: str | None = None) -> Mesh:
    """From a `trimesh.Trimesh` (or a point cloud): vertices, faces, and its vertex and face attributes.

    The surfaces of a `trimesh.Scene` are placed as the scene has them and joined. Raises MeshError for what has no
    vertices.
    """
    if hasattr(surface, "geometry") and hasattr(surface, "to_mesh"):
        if not surface.geometry:
            raise MeshError("this trimesh scene is empty")
        surface = surface.to_mesh()
    if not hasattr(surface, "vertices"):
        raise MeshError(f"expected a trimesh.Trimesh, PointCloud or Scene, got {type(surface).__name__}")
    points = np.array(surface.vertices, np.float64)
    faces = getattr(surface, "faces", None)
    cells = {} if faces is None else {"triangle": to_tensor(np.array(faces, np.int64))}
    point_data = _numbers(getattr(surface, "vertex_attributes", {}))
    cell_data = {
        name: {"triangle": values} for name, values in _numbers(getattr(surface, "face_attributes", {})).items()
    }
    return Mesh(to_tensor(points), cells, point_data, cell_data, source=source)


def _numbers(attributes: Any) -> dict[str, torch.Tensor]:
    arrays = {str(name): np.array(values) for name, values in dict(attributes).items()}
    return {name: to_tensor(array) for name, array in arrays.items() if array.dtype.kind in "biufc"}


def to_trimesh(mesh: Mesh) -> Any:
    """To a `trimesh.Trimesh` with the triangles and quads (split) of a mesh; point data become vertex attributes.

    Nothing is merged or reordered; what trimesh has no place for is named in a MeshWriteWarning.
    Raises MeshError for meshes without faces, and for volumes (take
    `mesh.boundary_mesh()`).
    """
    import trimesh

    if mesh.cell_dim == 3:
        raise MeshError(f"trimesh holds surfaces; this mesh has {mesh.cell_counts}. Take mesh.boundary_mesh() first.")
    other = [kind for kind in mesh.domain_types if kind not in ("triangle", "quad")]
    if mesh.cell_dim != 2 or other:
        raise MeshError(f"trimesh holds triangles; this mesh has {mesh.cell_counts}.")
    faces, rows = [], {}
    for kind in mesh.domain_types:
        table = to_numpy(mesh.cells[kind])
        faces.append(table if kind == "triangle" else table[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3))
        rows[kind] = 1 if kind == "triangle" else 2
    attributes: dict[str, Any] = {
        name: np.concatenate([np.repeat(to_numpy(by_kind[kind]), rows[kind], axis=0) for kind in mesh.domain_types])
        for name, by_kind in mesh.cell_data.items()
        if all(kind in by_kind for kind in mesh.domain_types)
    }
    losses = [
        counted(len(table), f"{kind} cell") for kind, table in mesh.cells.items() if kind not in rows and len(table)
    ]
    losses += [f"cell data {name!r}" for name in mesh.cell_data if name not in attributes]
    for part in ("global_data", "point_sets", "cell_sets"):
        if getattr(mesh, part):
            losses.append(f"{part.replace('_', ' ')} {', '.join(map(repr, getattr(mesh, part)))}")
    warn_of("trimesh", losses)
    return trimesh.Trimesh(
        three_columns(to_numpy(mesh.points)),
        np.concatenate(faces),
        vertex_attributes={name: to_numpy(values) for name, values in mesh.point_data.items()},
        face_attributes=attributes,
        process=False,
    )
