"""Forces of Huang and Kamenski's functional on points that may slide, and the moves that relieve them."""

from __future__ import annotations

import numpy as np
import torch

from meshlearn.fem.factor import Factorization
from meshlearn.fem.pattern import Pattern
from meshlearn.models.movers.free_turns import free_turns
from meshlearn.models.movers.functional import Functional, Parts
from meshlearn.models.movers.walls import Walls
from meshlearn.ops import SparseOperator

_FORCING = 1e-2
_KRYLOV = 60
_DIFFERENCE = 1e-7


class Balance:
    """The forces on points that may slide, and the steps that relieve them."""

    def __init__(self, functional: Functional, walls: Walls) -> None:
        self.functional, self.walls = functional, walls
        dofs = torch.from_numpy(functional.dofs.T.copy())
        size = functional.n * functional.dim
        pattern = Pattern.of(dofs, dofs, size, size)
        self._adjacency, self._slots = pattern.adjacency, pattern.slots.permute(2, 0, 1).reshape(-1).numpy()
        self._turns = free_turns(walls)

    def force(self, parts: Parts) -> np.ndarray:
        """(k,) along the free directions."""
        return self.without_turns(self.walls.basis.T @ parts.force)

    def without_turns(self, force: np.ndarray) -> np.ndarray:
        """A force (k,) less what turns a round domain as a whole: the functional does not determine that."""
        return force - self._turns @ (self._turns.T @ force)

    def residual(self, parts: Parts) -> float:
        """Norm of what is left of the forces of the cells, over the norm of their absolute sums."""
        scale = float(np.linalg.norm(self.walls.basis.T @ parts.scale))
        return float(np.linalg.norm(self.force(parts))) / (scale or 1.0)

    def relief(self, parts: Parts, points: np.ndarray) -> Relief:
        return Relief(self, parts, points)

    def stiffness(self, parts: Parts) -> SparseOperator:
        """(k, k): the functional's convex stiffness along the free directions."""
        B = self.walls.basis
        values = np.bincount(self._slots, parts.stiffness().reshape(-1), minlength=len(self._adjacency.index))
        whole = SparseOperator.from_adjacency(self._adjacency, torch.from_numpy(values)).to_scipy()
        return SparseOperator.from_scipy((B.T @ whole @ B).tocsr())


class Relief:
    """Moves of the points that answer forces: one factorisation, and the means of dx/dxi around the points."""

    def __init__(self, balance: Balance, parts: Parts, points: np.ndarray) -> None:
        f = balance.functional
        self._balance, self._parts, self._points = balance, parts, points
        self._factor = Factorization(balance.stiffness(parts))
        weight = parts.volume * parts.det  # the computational measure
        stretch = np.linalg.inv(parts.jacobian) * weight[:, None, None]
        total, mass = np.zeros((f.n, f.dim, f.dim)), np.zeros(f.n)
        for column in f.cells.T:
            np.add.at(total, column, stretch)
            np.add.at(mass, column, weight)
        self._stretch = total / mass[:, None, None]

    def move(self, force: np.ndarray) -> np.ndarray:
        """(n, dim) for a force (k,); linear."""
        side = torch.from_numpy(self._balance.without_turns(force))[:, None]
        inward = self._balance.walls.basis @ self._factor.solve(side)[0].numpy()[:, 0]
        moves = np.einsum("nij,nj->ni", self._stretch, inward.reshape(self._points.shape))
        return self._balance.walls.along(self._points, moves)

    def newton(self, m: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """(n, dim): the move that balances the forces to first order, by GMRES on differences of the force."""
        from scipy.sparse.linalg import LinearOperator, gmres

        walls, here = self._balance.walls, self._balance.force(self._parts)
        reach = _DIFFERENCE * float(np.ptp(self._points, axis=0).max())

        def change(force: np.ndarray) -> np.ndarray:
            force = force.reshape(-1)
            move = self.move(force)
            size = float(np.abs(move).max())
            if size == 0:
                return force
            moved = walls.snap(self._points + reach / size * move)
            density = m + (slope * (moved - self._points)).sum(1)
            there = self._balance.force(self._balance.functional.parts(moved, density))
            turns = force - self._balance.without_turns(force)
            return (here - there) * (size / reach) + turns

        operator = LinearOperator((len(here), len(here)), matvec=change, dtype=np.float64)
        force, _ = gmres(operator, here, rtol=_FORCING, restart=min(_KRYLOV, len(here)), maxiter=1)
        return self.move(force)
