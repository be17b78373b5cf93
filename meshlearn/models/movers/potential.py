"""The discrete Monge-Ampère problem: P1 potentials on the computational mesh, recovered Hessians, moved points.

For a potential phi the moved points are x = xi + P grad(phi), P the L2 projection on P1 vector fields that slide along
the walls, and the Hessian H is P1 as well, from integration by parts (McRae, Cotter and Budd 2018, arXiv 1612.08077):
    int tau : H = - int div(tau) . grad(phi) + int_boundary (tau n) . (grad(phi) without its normal part).
The residual of m(x) det(I + H) = theta is tested with P1 functions; m is the P1 interpolant of its values at x. Every
matrix here depends on the computational mesh alone: it is assembled and factorised once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from meshlearn.fem.factor import Factorization
from meshlearn.fem.pattern import Pattern
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.reference import reference_cell
from meshlearn.models.movers.elements import Elements, interleaved
from meshlearn.models.movers.walls import Walls
from meshlearn.ops import SparseOperator


class Potential:
    """P1 potentials on `mesh` (points xi, simplices), whose gradients move points in the directions of `basis`.

    basis  scipy matrix (n * dim, k) with orthonormal columns: what the points may do, from `Walls`

    Arrays are numpy, float64: phi (n,), m (n,), Hessians (n, dim, dim), displacements (n, dim).
    """

    def __init__(self, mesh: Mesh, basis: Any) -> None:
        self.dim, self.n = mesh.dim, mesh.n_points
        (kind,) = mesh.domain_types
        elements = Elements(mesh)
        self.cells, self.volume, self.gradients = elements.cells, elements.volume, elements.gradients
        reference = reference_cell(kind)
        places, weights = reference.quadrature(self.dim + 2)  # m, the determinant and the test function
        self.shape = reference.shape(places).numpy()  # (q, dim + 1)
        self.weights = weights.numpy() / weights.sum().item()
        self._mass = Factorization(SparseOperator.from_scipy(elements.mass))
        self.lumped = elements.lumped
        self.total = float(self.lumped.sum())
        self.recovery = elements.recovery
        self.basis = basis
        self._slope = (basis.T @ interleaved(elements.slopes)).tocsr()
        vector_mass = basis.T @ _block(elements.mass, self.dim) @ basis
        self._sliding = Factorization(SparseOperator.from_scipy(vector_mass.tocsr())) if basis.shape[1] else None
        nodes = mesh.cells[kind].T
        pattern = Pattern.of(nodes, nodes, self.n, self.n)
        self._adjacency, self._slots = pattern.adjacency, pattern.slots.permute(2, 0, 1).reshape(-1).numpy()

    # -- what a potential does -----------------------------------------------------------------------------------

    def hessian(self, phi: np.ndarray) -> np.ndarray:
        """(n, dim, dim) of (n,): the recovered Hessian; linear in phi."""
        sides = np.stack([matrix @ phi for row in self.recovery for matrix in row], 1)
        return _solve(self._mass, sides).reshape(-1, self.dim, self.dim)

    def hessian_transposed(self, H: np.ndarray) -> np.ndarray:
        solved = _solve(self._mass, H.reshape(self.n, -1)).reshape(H.shape)
        d = range(self.dim)
        return sum(self.recovery[i][j].T @ solved[:, i, j] for i in d for j in d)  # type: ignore[return-value]

    def displacement(self, phi: np.ndarray) -> np.ndarray:
        """(n, dim) of (n,): the projected gradient; linear in phi."""
        if self._sliding is None:
            return np.zeros((self.n, self.dim))
        z = _solve(self._sliding, (self._slope @ phi)[:, None])[:, 0]
        return (self.basis @ z).reshape(self.n, self.dim)

    def displacement_transposed(self, g: np.ndarray) -> np.ndarray:
        if self._sliding is None:
            return np.zeros(self.n)
        return self._slope.T @ _solve(self._sliding, (self.basis.T @ g.reshape(-1))[:, None])[:, 0]

    def moved(self, walls: Walls, phi: np.ndarray) -> np.ndarray:
        """(n, dim): where the points go, those of curved walls put back on them."""
        return walls.snap(walls.points + self.displacement(phi))

    # -- the equation --------------------------------------------------------------------------------------------

    def state(self, monitor: Any, points: np.ndarray, phi: np.ndarray) -> State:
        """The equation for a potential and the points that it moves, with the monitor's `values` at them."""
        return self.at(monitor.values(points), self.hessian(phi))

    def at(self, m: np.ndarray, H: np.ndarray) -> State:
        """Everything the equation needs, for values m (n,) at the moved points and a Hessian (n, dim, dim)."""
        return State(self, m, H)

    def scatter(self, values: np.ndarray) -> np.ndarray:
        """(n,) sums of (cells, dim + 1) over the cells around each point."""
        return np.bincount(self.cells.reshape(-1), values.reshape(-1), minlength=self.n)

    def stiffness(self, tensor: np.ndarray) -> SparseOperator:
        """The matrix of int grad(psi) . D grad(phi) for D (cells, dim, dim)."""
        local = np.einsum("cai,cij,cbj->cab", self.gradients, tensor * self.volume[:, None, None], self.gradients)
        values = np.bincount(self._slots, local.reshape(-1), minlength=len(self._adjacency.index))
        return SparseOperator.from_adjacency(self._adjacency, torch.from_numpy(values))


class State:
    """Values at the quadrature points for one m and H: residual, its derivatives, the cofactor stiffness."""

    def __init__(self, problem: Potential, m: np.ndarray, H: np.ndarray) -> None:
        self.problem = p = problem
        self.m = m[p.cells] @ p.shape.T  # (cells, q)
        local = H[p.cells].reshape(len(p.cells), p.dim + 1, -1)
        full = (p.shape @ local).reshape(len(p.cells), -1, p.dim, p.dim) + np.eye(p.dim)
        self.cofactor = cofactor(full)
        self.det = np.einsum("cqi,cqi->cq", full[:, :, 0], self.cofactor[:, :, 0])
        self._weight = p.weights[None] * p.volume[:, None]
        self.load = self._test(self.m * self.det)
        self.theta = float(self.load.sum()) / p.total
        self.residual = self.load - self.theta * p.lumped
        self.size = float(np.linalg.norm(self.residual) / np.linalg.norm(self.theta * p.lumped))

    def _test(self, values: np.ndarray) -> np.ndarray:
        p = self.problem
        return p.scatter((values * self._weight) @ p.shape)

    def _untest(self, test: np.ndarray) -> np.ndarray:
        p = self.problem
        return (test[p.cells] @ p.shape.T) * self._weight

    def derivative(self, dm: np.ndarray, dH: np.ndarray) -> np.ndarray:
        """(n,) change of the residual for changes of m (n,) and of H (n, dim, dim)."""
        p = self.problem
        local = (p.shape @ dH[p.cells].reshape(len(p.cells), p.dim + 1, -1)).reshape(self.cofactor.shape)
        change = (dm[p.cells] @ p.shape.T) * self.det + self.m * (local * self.cofactor).sum((2, 3))
        load = self._test(change)
        return load - load.sum() / p.total * p.lumped

    def transposed(self, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(of m (n,), of H (n, dim, dim)): the transpose of `derivative`."""
        p = self.problem
        q = self._untest(test - (test @ p.lumped) / p.total)
        of_m = p.scatter((q * self.det) @ p.shape)
        tensors = ((q * self.m)[..., None, None] * self.cofactor).reshape(len(p.cells), len(p.weights), -1)
        local = p.shape.T @ tensors
        of_H = np.stack([p.scatter(local[..., k]) for k in range(local.shape[2])], 1)
        return of_m, of_H.reshape(-1, p.dim, p.dim)

    def tensor(self, floor: float) -> np.ndarray:
        """(cells, dim, dim): means of m C over the cells, C the symmetric cofactor, its eigenvalues >= floor."""
        symmetric = (self.cofactor + self.cofactor.swapaxes(2, 3)) / 2
        size, directions = np.linalg.eigh(symmetric)
        size = np.maximum(size, floor)
        bounded = (directions * size[..., None, :]) @ directions.swapaxes(2, 3)
        return np.einsum("cq,q,cqij->cij", self.m, self.problem.weights, bounded)


def cofactor(A: np.ndarray) -> np.ndarray:
    """(..., dim, dim): the derivative of the determinant."""
    dim = A.shape[-1]
    if dim == 1:
        return np.ones_like(A)
    if dim == 2:
        rows = [[A[..., 1, 1], -A[..., 1, 0]], [-A[..., 0, 1], A[..., 0, 0]]]
        return np.stack([np.stack(row, -1) for row in rows], -2)
    rows3 = [np.cross(A[..., (i + 1) % 3, :], A[..., (i + 2) % 3, :]) for i in range(3)]
    return np.stack(rows3, -2)


def _block(matrix: Any, dim: int) -> Any:
    from scipy.sparse import csr_array, eye_array, kron

    return csr_array(kron(csr_array(matrix), eye_array(dim)))


def _solve(factor: Factorization, sides: np.ndarray) -> np.ndarray:
    return factor.solve(torch.from_numpy(np.ascontiguousarray(sides)))[0].numpy()
