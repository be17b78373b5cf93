"""Meshes with fields of every kind, for checks of estimators."""

from __future__ import annotations

import torch

from meshlearn.mesh import shapes
from meshlearn.mesh.mesh import Mesh


def example_meshes(n: int = 6, dtype: torch.dtype = torch.float32) -> list[Mesh]:
    """Unlike plane meshes (triangles, quads, both) of different sizes with smooth fields.

    point_data   f (), u (), v (2,)      cell_data  q ()      global_data  a (), total ()
    """
    kinds = ("triangle", "quad", "mixed")
    meshes = []
    for k in range(n):
        mesh = shapes.rectangle(1.0 + 0.2 * (k % 2), 1.0, n=(3 + k % 3, 4 + k % 2), cells=kinds[k % 3], dtype=dtype)
        a = 0.5 + k / n
        x, y = mesh.points.T
        u = a * torch.sin(2.0 * x) + y
        meshes.append(
            mesh.with_point_data(f=a * x * y, u=u, v=torch.stack([u, x - y], dim=1))
            .with_cell_data(q=a * torch.cat([mesh.cell_centroids()[kind] for kind in mesh.domain_types])[:, 0])
            .with_global_data(a=torch.tensor(a, dtype=dtype), total=torch.tensor(2.0 * a, dtype=dtype))
            .replace(source=f"example_{k}")
        )
    return meshes
