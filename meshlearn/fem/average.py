"""Solves under one dense linear constraint w^T u = c, by a Lagrange multiplier instead of elimination.

Eliminating an unknown by a weighted mean would fill the whole matrix. The same u is found from A u + m w = b, w^T u = c
with one or two solves with A itself. Among other constraints the mean value is eliminated after all, with the weights
as they are; what their change does to u is found by the multiplier as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import ConstraintError, ParameterError, SingularMatrixError
from meshlearn.fem.affine import AffineMap
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
    if float(share.detach().abs()) <= 1e-12 * float(torch.linalg.vector_norm(weights.detach())):
        raise SingularMatrixError("the weights of the mean value are orthogonal to the null space: they fix nothing")
    u = solve(b - _outer(weights, v @ b / share), v)
    return u + _outer(v, (value - weights @ u) / share)


def follow_weights(
    A: SparseOperator, b: Tensor, moving: tuple[Tensor, AffineMap], solve: Callable[[Tensor], Tensor]
) -> Tensor:
    """u in float64 with derivatives, up to the second, with respect to the weights of a mean value.

    - moving: weights w (n,), and the map of all other constraints; `solve(b)` solves with w and the others held fixed.

    For weights w + d the solution is S(b - d m - A p e) + p e, S the solve with w, where m is the multiplier,
    e = - d^T u what the mean value by w changes by, and p what the other constraints allow, with w^T p = 1. As d is
    zero with a derivative, every round makes one more order of derivatives exact; kept factors serve all of them.
    """
    weights, p = moving[0], _allowed(*moving)
    change = weights - weights.detach()
    image = A.with_values(A.values.double()) @ p
    u = solve(b)
    for _ in range(2):
        multiplier = p @ (b - A.with_values(A.values.double()) @ u) / (weights @ p)
        due = -(change @ u)
        u = solve(b - _outer(change, multiplier) - _outer(image, due)) + _outer(p, due)
    return u


def on_average(u: Tensor, moving: tuple[Tensor, AffineMap]) -> Tensor:
    """u (n,), which has the mean value, with the derivatives of keeping it as the weights change."""
    weights, p = moving[0], _allowed(*moving)
    return u - p * (((weights - weights.detach()) @ u) / (weights @ p))


def _allowed(weights: Tensor, others: AffineMap) -> Tensor:
    """p (n,) in float64 that the other constraints allow, homogeneous, and whose mean value is 1."""
    held = weights.detach()
    allowed = others.restrict(held)
    size = allowed @ allowed
    if float(size) <= 1e-24 * float(held @ held):
        raise ConstraintError("the other constraints fix the mean value already: leave one of them out")
    return others.B @ (allowed / size)


def _outer(vector: Tensor, factor: Tensor) -> Tensor:
    return vector * factor if factor.dim() == 0 else torch.outer(vector, factor)


def _kills(A: SparseOperator, constants: Tensor | str) -> bool:
    values = A.values.detach().double()
    vectors = values.new_ones(A.n_rows) if isinstance(constants, str) else constants.double()
    image = A.with_values(values) @ vectors
    size = A.with_values(values.abs()) @ vectors.abs()
    return bool(torch.linalg.vector_norm(image) <= 1e-10 * torch.linalg.vector_norm(size))
