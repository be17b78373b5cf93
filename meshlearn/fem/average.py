"""Solves under one dense linear constraint w^T u = c, by a Lagrange multiplier instead of elimination.

Eliminating an unknown by a weighted mean would fill the whole matrix. The same u is found from A u + m w = b, w^T u = c
with one or two solves with A itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import ParameterError, SingularMatrixError
from meshlearn.fem.constants import constant_nullspace
from meshlearn.fem.nullspace import null_basis
from meshlearn.ops import SparseOperator


def solve_average(
    A: SparseOperator,
    b: Tensor,
    average: tuple[Tensor, Tensor],
    nullspace: Any,
    solve: Callable[[Tensor, Any], Tensor],
) -> Tensor:
    """u in float64; `solve(rhs, nullspace)` solves with A. Differentiable through `solve`.

    - A with a null vector v (constants, found by itself): m = v^T b / v^T w makes the system consistent, and the
      multiple of v in u is what w^T u = c says.
    - A regular: u = A^-1 b - m A^-1 w.
    """
    weights, value = (t.double() for t in average)
    constants = constant_nullspace(A)
    if (isinstance(nullspace, str) and nullspace == "constant") or (nullspace is None and _kills(A, constants)):
        nullspace = constants
    if nullspace is None:
        columns = b.unsqueeze(1) if b.dim() == 1 else b
        both = solve(torch.cat([columns, weights.unsqueeze(1)], dim=1), None)
        u, direction = both[:, :-1], both[:, -1]
        u = u - torch.outer(direction, (weights @ u - value) / (weights @ direction))
        return u.reshape(b.shape)
    v = null_basis(nullspace, A)
    if v.shape[1] != 1:
        raise ParameterError(
            f"one mean value cannot fix a null space of {v.shape[1]} vectors: constrain the others too"
        )
    v = v[:, 0]
    share = weights @ v
    if float(share.abs()) <= 1e-12 * float(torch.linalg.vector_norm(weights)):
        raise SingularMatrixError("the weights of the mean value are orthogonal to the null space: they fix nothing")
    u = solve(b - _outer(weights, v @ b / share), v)
    return u + _outer(v, (value - weights @ u) / share)


def _outer(vector: Tensor, factor: Tensor) -> Tensor:
    return vector * factor if factor.dim() == 0 else torch.outer(vector, factor)


def _kills(A: SparseOperator, constants: Tensor | str) -> bool:
    values = A.values.detach().double()
    vectors = values.new_ones(A.n_rows) if isinstance(constants, str) else constants.double()
    image = A.with_values(values) @ vectors
    size = A.with_values(values.abs()) @ vectors.abs()
    return bool(torch.linalg.vector_norm(image) <= 1e-10 * torch.linalg.vector_norm(size))
