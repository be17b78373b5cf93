"""Sparse symmetric systems of many meshes with many right-hand sides, solved by factors made once, with gradients."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from meshlearn.fem.factor import Factorization
from meshlearn.ops import SparseOperator


@runtime_checkable
class Solver(Protocol):
    """A symmetric linear map of point fields on one mesh of n points."""

    n: int

    def solve(self, load: Tensor) -> Tensor:
        """(n, k) float64 -> (n, k)."""
        ...


class Green:
    """The inverse G of a P1 stiffness matrix without boundary conditions, on fields of mean zero."""

    def __init__(self, stiffness: Any, lumped: np.ndarray) -> None:
        self.n = stiffness.shape[0]
        self._factor = Factorization(SparseOperator.from_scipy(stiffness), torch.zeros(1, dtype=torch.int64))
        self._share = torch.from_numpy(lumped / lumped.sum())[:, None]

    def solve(self, load: Tensor) -> Tensor:
        """The solution of mean zero for the balanced load b - w sum(b), w the shares of the points in the measure."""
        made = self._factor.solve(load - self._share * load.sum(0))[0]
        return made - (self._share * made).sum(0)


class Smoothing:
    """(lumped + length^2 stiffness)^-1: fields spread over a length, without flux through the boundary."""

    def __init__(self, stiffness: Any, lumped: np.ndarray, length: float) -> None:
        from scipy.sparse import diags_array

        self.n = len(lumped)
        self._factor = Factorization(SparseOperator.from_scipy(diags_array(lumped) + length**2 * stiffness))

    def solve(self, load: Tensor) -> Tensor:
        return self._factor.solve(load)[0]


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
