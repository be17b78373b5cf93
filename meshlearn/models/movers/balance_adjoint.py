"""The adjoint of the variational mover: derivatives of the balance of forces, cell by cell, and one transposed solve.

At a solution B^T F(x; m) = 0 with x = xi + B z, F the force of the functional and m its monitor at the moved points,
    dz = -(B^T (F_x + F_m grad m) B)^-1 B^T F_m dm.
The derivatives of a cell's force come from torch's transforms of its energy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.fem.factor import Factorization
from meshlearn.models.movers.adjoint import Adjoint
from meshlearn.models.movers.functional import Functional
from meshlearn.models.movers.walls import Walls
from meshlearn.ops import SparseOperator


def balance_adjoint(
    functional: Functional, walls: Walls, points: np.ndarray, m: np.ndarray, slope: np.ndarray
) -> Adjoint:
    """gradient of the points (n, dim) -> gradient of the monitor's values (n,), at a solution on straight walls."""
    from scipy.sparse import block_diag, coo_array

    cells, size = functional.cells, functional.n * functional.dim
    of_x, of_m = _cell_derivatives(functional, points, m)
    rows = functional.dofs
    k = rows.shape[1]
    by_points = coo_array(
        (of_x.reshape(-1), (rows.repeat(k, 1).reshape(-1), np.tile(rows, (1, k)).reshape(-1))), shape=(size, size)
    )
    nodes = cells.shape[1]
    by_monitor = coo_array(
        (of_m.reshape(-1), (rows.repeat(nodes, 1).reshape(-1), np.tile(cells, (1, k)).reshape(-1))),
        shape=(size, functional.n),
    ).tocsr()
    along = block_diag(list(slope[:, None, :]), format="csr")  # (n, n * dim): dm for moves of the points
    B = walls.basis
    whole = (B.T @ (by_points.tocsr() + by_monitor @ along) @ B).tocsr()
    factor = Factorization(SparseOperator.from_scipy(whole))

    def adjoint(grad: np.ndarray) -> np.ndarray:
        side = torch.from_numpy(B.T @ np.ascontiguousarray(grad).reshape(-1))[:, None]
        test = factor.solve(side, transposed=True)[0].numpy()[:, 0]
        return -(by_monitor.T @ (B @ test))

    return adjoint


def _cell_derivatives(functional: Functional, points: np.ndarray, m: np.ndarray) -> tuple[Any, Any]:
    """(cells, k, k) and (cells, k, dim + 1): derivatives of the cells' forces in their points and monitor values."""
    dim, p, theta = functional.dim, functional.power, functional.theta

    def energy(xi: Tensor, x: Tensor, values: Tensor) -> Tensor:
        edges, target = x[1:] - x[:1], xi[1:] - xi[:1]
        jacobian = torch.linalg.solve(edges, target)  # transposed, which changes neither norm nor determinant
        weight = torch.linalg.det(edges).abs() / math.factorial(dim) * values.mean() ** (1 - p)
        shape, size = theta, (1 - 2 * theta) * dim ** (dim * p / 2)
        return weight * (shape * jacobian.square().sum() ** (dim * p / 2) + size * torch.linalg.det(jacobian) ** p)

    derivative = torch.func.jacrev(torch.func.grad(energy), argnums=(1, 2))
    moved, values = torch.from_numpy(points[functional.cells]), torch.from_numpy(m[functional.cells])
    of_x, of_m = torch.func.vmap(derivative)(torch.from_numpy(functional.corners), moved, values)
    k = functional.dofs.shape[1]
    return of_x.reshape(-1, k, k).numpy(), of_m.reshape(-1, k, dim + 1).numpy()
