"""Sparse symmetric systems of many meshes with many right-hand sides, solved by factors made once, with gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from meshlearn.models.movers.elements import Elements


class Green:
    """The inverse G of a P1 stiffness matrix without boundary conditions, on fields of mean zero."""

    def __init__(self, elements: Elements) -> None:
        self.n = elements.n
        self._factor = _factor(elements.stiffness[1:, 1:])
        self._share = torch.from_numpy(elements.lumped / elements.lumped.sum())[:, None]

    def solve(self, load: Tensor) -> Tensor:
        """(n, k) float64 -> (n, k): of mean zero, for the load b - w sum(b); w are shares of the measure."""
        balanced = load - self._share * load.sum(0)
        made = torch.zeros_like(load)
        made[1:] = torch.from_numpy(self._factor.solve(balanced[1:].numpy()))  # the first point is held at 0
        return made - (self._share * made).sum(0)


class Inverse:
    """The inverse of a matrix; with a `basis` of orthonormal columns, B (B^T A B)^-1 B^T."""

    def __init__(self, matrix: Any, basis: Any = None) -> None:
        self.n, self._basis = matrix.shape[0], basis
        reduced = matrix if basis is None else (basis.T @ matrix @ basis).tocsr()
        self._factor = _factor(reduced) if reduced.shape[0] else None

    def solve(self, load: Tensor) -> Tensor:
        """(n, k) float64 -> (n, k)."""
        if self._factor is None:
            return torch.zeros_like(load)
        if self._basis is None:
            return torch.from_numpy(self._factor.solve(load.numpy()))
        return torch.from_numpy(self._basis @ self._factor.solve(self._basis.T @ load.numpy()))


def _factor(matrix: Any) -> Any:
    """SuperLU factors of a symmetric positive definite matrix.

    Masses and stiffnesses on meshes of measure 1 are well conditioned, and every pass solves with them many times: the
    checks of each solution that `fem.factor` makes would cost several times what the solutions do.
    """
    from scipy.sparse import csc_array
    from scipy.sparse.linalg import splu

    a = matrix.tocsc()
    narrow = csc_array((a.data, a.indices.astype(np.int32), a.indptr.astype(np.int32)), shape=a.shape)
    return splu(narrow, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})


Solver = Green | Inverse  # symmetric linear maps of fields with `n` values on one mesh


class Solvers:
    """Of one mesh: inverse Laplacian; inverse mass matrix; the same for vectors (n * dim) that slide along walls."""

    def __init__(self, green: Solver, mass: Solver, sliding: Solver) -> None:
        self.green, self.mass, self.sliding = green, mass, sliding


class Solves(torch.autograd.Function):
    """apply(load (n, k), solvers of the meshes of a batch) -> (n, k), in the dtype and on the device of the load."""

    @staticmethod
    def forward(ctx: Any, load: Tensor, solvers: tuple[Solver, ...]) -> Tensor:
        ctx.solvers = solvers
        return solve_blocks(load, solvers)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return solve_blocks(gradient, ctx.solvers), None


def solve_blocks(load: Tensor, solvers: tuple[Solver, ...]) -> Tensor:
    """Each mesh by its solver; meshes that share one, and follow one another, together. Computed on the host."""
    wide = load.detach().cpu().double()
    out, start, first = torch.empty_like(wide), 0, 0
    while first < len(solvers):
        solver, last = solvers[first], first + 1
        while last < len(solvers) and solvers[last] is solver:
            last += 1
        count = last - first
        rows = slice(start, start + count * solver.n)
        block = wide[rows].reshape(count, solver.n, -1).transpose(0, 1).reshape(solver.n, -1)
        made = solver.solve(block).reshape(solver.n, count, -1).transpose(0, 1)
        out[rows] = made.reshape(count * solver.n, -1)
        start, first = rows.stop, last
    return out.to(load)
