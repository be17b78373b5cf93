"""Is a morphed mesh still a mesh? Signs of the cells' Jacobians before and after."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.mesh.geometry import cell_points
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.quality import jacobian_determinants
from meshlearn.mesh.reference import jacobians, reference_cell
from meshlearn.models.mmgp.morphing.morph import Morph

_FLAT = 1e-12


def assess(mesh: Mesh, points: Float[Tensor, "n d"], remark: str = "") -> Morph:
    """The morph that moves `mesh` to `points` (float64), with the validity of its cells."""
    worst = worst_jacobians(mesh, points)
    return Morph(points, float(worst.min()), int((worst <= _FLAT).sum()), remark=remark)


def worst_jacobians(mesh: Mesh, points: Float[Tensor, "n d"]) -> Float[Tensor, " n_cells"]:
    """(n_cells,): smallest determinant of every moved cell over its nodes, as in `Morph.smallest_jacobian`."""
    before, after = _determinants(mesh), _determinants(mesh.replace(points=points, source=mesh.source))
    worst, total = [], 0.0
    for kind, new in after.items():
        measure = reference_cell(kind).measure
        sign = torch.where(before[kind].sum(1) < 0, -measure, measure)
        worst.append((new * sign[:, None]).amin(1))
        total += float(new.abs().mean(1).sum()) * measure
    joined = torch.cat(worst)
    mean = total / len(joined)
    return joined / mean if mean > 0 else torch.zeros_like(joined)


def _determinants(mesh: Mesh) -> dict[str, Tensor]:
    if mesh.cell_dim == 2 and mesh.dim == 3:
        return _surface_determinants(mesh)
    return jacobian_determinants(mesh)


def _surface_determinants(mesh: Mesh) -> dict[str, Tensor]:
    """{type: (n, q)}: at every node, the area vector of the cell against the mean normal of the cells around the node.

    A cell of a surface has no sign of its own; one that folds over its neighbours turns against their normals.
    """
    vectors = {}
    total = torch.zeros_like(mesh.points)
    for kind in mesh.domain_types:
        cell = reference_cell(kind)
        tangents = jacobians(cell, cell_points(mesh, kind), cell.nodes.to(mesh.points))
        vectors[kind] = torch.linalg.cross(tangents[..., 0], tangents[..., 1])
        total.index_add_(0, mesh.cells[kind].reshape(-1), vectors[kind].reshape(-1, 3) * cell.measure)
    size = total.norm(dim=1, keepdim=True)
    normal = total / torch.where(size > 0, size, 1.0)
    return {
        kind: (vector * normal.index_select(0, mesh.cells[kind].reshape(-1)).reshape(vector.shape)).sum(-1)
        for kind, vector in vectors.items()
    }
