"""Convection by a velocity that changes from step to step: (w . grad u, v) on one fixed pattern, from kept tables."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn import ops
from meshlearn.fem.pattern import scatter
from meshlearn.fem.space import FESpace
from meshlearn.ops import SparseOperator


class Convection:
    """w (n_dofs, dim) -> the matrix of (w . grad u, v) on a scalar Lagrange space, w a function of the space as well.

    The same as `space.assemble` of this form, for steppers that need it thousands of times: values and gradients of
    all functions at the places of a quadrature that is exact for the product (on straight cells) are kept.

    >>> from meshlearn.sim.convection import Convection
    >>> space = ml.fem.FESpace(ml.shapes.square(n=2).double(), "P1")
    >>> C = Convection(space)(torch.ones(9, 2, dtype=torch.float64))
    >>> round((C @ space.mesh.points[:, 0]).sum().item(), 12)  # the integral of du/dx + du/dy of u = x
    1.0
    """

    def __init__(self, space: FESpace) -> None:
        basis = space.basis(3 * space.degree)
        n = space.element_dofs.shape[1]
        self.dofs, self.pattern = space.element_dofs, space.pattern()
        value = np.stack([np.broadcast_to(np.asarray(basis.basis[i][0]), basis.dx.shape)[0] for i in range(n)])
        slope = np.stack([np.broadcast_to(basis.basis[i][0].grad, (space.dim, *basis.dx.shape)) for i in range(n)])
        self.value = torch.from_numpy(value)  # (function, place): Lagrange functions are not changed by the map
        weighted = slope * np.asarray(basis.dx)
        self.slope = torch.from_numpy(np.ascontiguousarray(weighted.transpose(2, 3, 1, 0)))  # (cell, place, axis, j)

    def __call__(self, velocity: Float[Tensor, "n_dofs dim"]) -> SparseOperator:
        """The matrix (n_dofs, n_dofs)."""
        nodal = ops.gather(velocity, self.dofs.reshape(-1)).reshape(*self.dofs.shape, -1)
        carried = torch.einsum("iq,cia->cqa", self.value, nodal)
        along = (carried.unsqueeze(-2) @ self.slope).squeeze(-2)  # (cell, place, j)
        local = torch.einsum("iq,cqj->ijc", self.value, along)
        total = local.new_zeros(self.pattern.adjacency.n_edges, 1)
        scatter(local, self.pattern.slots, total)
        return SparseOperator.from_adjacency(self.pattern.adjacency, total[:, 0])
