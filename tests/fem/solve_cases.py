"""Finite-element matrices from scikit-fem, on the pattern of the mesh, for the tests of solvers and constraints."""

import numpy as np
import skfem
import torch
from skfem.models.poisson import laplace, mass

from meshlearn.ops import SparseOperator


class Square:
    """P1 on the unit square: matrices in scikit-fem's order, and kappa -> stiffness values on a fixed pattern."""

    def __init__(self, refine: int):
        self.mesh = skfem.MeshTri().refined(refine)
        self.basis = skfem.Basis(self.mesh, skfem.ElementTriP1())
        self.n = int(self.basis.N)
        self.boundary = torch.from_numpy(self.basis.get_dofs().flatten().astype(np.int64))
        self.load = torch.from_numpy(skfem.LinearForm(lambda v, w: v).assemble(self.basis))
        self.stiffness = SparseOperator.from_scipy(laplace.assemble(self.basis))
        self.mass = SparseOperator.from_scipy(mass.assemble(self.basis))
        self._by_cell()

    def _by_cell(self) -> None:
        """The map from one conductivity per cell to the entries, as a sparse (n_entries, n_cells) matrix."""
        rows, cols, data = [], [], []
        dofs = self.basis.element_dofs
        grads = [self.basis.basis[i][0].grad for i in range(3)]
        for i in range(3):
            for j in range(3):
                rows.append(dofs[i])
                cols.append(dofs[j])
                data.append((np.einsum("deq,deq->eq", grads[i], grads[j]) * self.basis.dx).sum(1))
        cells = np.tile(np.arange(self.mesh.nelements), 9)
        keys = np.concatenate(rows).astype(np.int64) * self.n + np.concatenate(cols)
        unique, slot = np.unique(keys, return_inverse=True)
        self.of_cells = SparseOperator.from_coo(
            torch.from_numpy(slot),
            torch.from_numpy(cells),
            torch.from_numpy(np.concatenate(data)),
            (len(unique), self.mesh.nelements),
        )
        unique = torch.from_numpy(unique)
        zero = torch.zeros(len(unique), dtype=torch.float64)
        self.pattern = SparseOperator.from_coo(unique // self.n, unique % self.n, zero, (self.n, self.n))

    def conducting(self, kappa: torch.Tensor) -> SparseOperator:
        """-div(kappa grad u) with one kappa per cell, differentiable."""
        return self.pattern.with_values(self.of_cells @ kappa)
