"""Stiffness of a mesh as an elastic body whose small cells are the stiffest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.reference import jacobians, reference_cell
from meshlearn.ops import gather

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_EXPONENT = 2


def stiffness(mesh: Mesh, points: Float[Tensor, "n dim"], poisson: float = 0.3) -> csr_matrix:
    """(n dim, n dim) scipy CSR, symmetric: linear elasticity on the mesh moved to `points`, components fastest.

    Young's modulus is 1 over the squared determinant of the Jacobian, relative to its mean: small cells move along,
    large ones deform (K. Stein, T. Tezduyar, R. Benney, "Mesh moving techniques for fluid-structure interactions with
    large displacements", J. Applied Mechanics 70, 2003). Plane strain in 2-D. Any cells, float64 on the CPU.
    """
    from scipy.sparse import coo_matrix

    dim = points.shape[1]
    mu, lame = 1 / (2 * (1 + poisson)), poisson / ((1 + poisson) * (1 - 2 * poisson))
    rows, columns, values = [], [], []
    mean = _mean_size(mesh, points)
    for kind in mesh.domain_types:
        cell, nodes = reference_cell(kind), mesh.cells[kind]
        xi, weights = cell.quadrature(1 if cell.is_affine else 3)
        jacobian = jacobians(cell, gather(points, nodes), xi)
        size = torch.linalg.det(jacobian).abs().clamp_min(1e-12 * mean)
        slopes = cell.grad(xi)[None] @ torch.linalg.inv(jacobian)  # (n, q, k, dim)
        # one power of the stiffening cancels against the determinant of the integral
        weight = weights * mean * (mean / size) ** (_EXPONENT - 1)
        both = torch.einsum("nq,nqai,nqbj->naibj", weight, slopes, slopes)
        trace = torch.einsum("naibi->nab", both)
        local = lame * both + mu * both.permute(0, 1, 4, 3, 2)
        local = local + mu * torch.einsum("nab,ij->naibj", trace, torch.eye(dim, dtype=points.dtype))
        k = nodes.shape[1]
        dofs = (nodes[:, :, None] * dim + torch.arange(dim)).reshape(len(nodes), k * dim)
        rows.append(dofs[:, :, None].expand(-1, -1, k * dim).reshape(-1))
        columns.append(dofs[:, None, :].expand(-1, k * dim, -1).reshape(-1))
        values.append(local.reshape(-1))
    n = len(points) * dim
    parts = (torch.cat(part).numpy() for part in (values, rows, columns))
    data, i, j = (np.asarray(part) for part in parts)
    return coo_matrix((data, (i, j)), (n, n)).tocsr()


def _mean_size(mesh: Mesh, points: Tensor) -> float:
    moved = mesh.replace(points=points)
    sizes = torch.cat([moved.cell_measures()[kind] / reference_cell(kind).measure for kind in mesh.domain_types])
    return float(sizes.mean())
