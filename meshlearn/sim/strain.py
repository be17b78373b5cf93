"""Strains at the quadrature points of a displacement space, and the forces and stiffness of stresses there.

Where stresses depend on the history of a material they are arrays (n_cells, n_places, 4 or 6), not coefficients of a
form; components as in `meshlearn.sim.return_mapping`.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn import ops
from meshlearn.fem.pattern import scatter
from meshlearn.fem.places import cell_rule
from meshlearn.fem.solve import solve
from meshlearn.fem.space import FESpace
from meshlearn.ops import SparseOperator
from meshlearn.sim.domain import quadrature_order
from meshlearn.sim.solid import COMPONENTS

PLACES = {2: ((0, 0), (1, 1), None, (0, 1)), 3: COMPONENTS[3]}
"""Axes of the components; zz of a plane strain is zero."""


class StrainOperator:
    """sym grad u at the quadrature points of a vector-valued Lagrange space, as matrices (n_cells, n_places, k, n).

    The rule is exact for products of two strains on straight cells. No gradients flow to the points of the mesh.
    """

    def __init__(self, space: FESpace) -> None:
        dim = space.dim
        lower = 2 if space.kind in ("triangle", "tetra") else 0
        self.space, self.rule = space, cell_rule(space, max(quadrature_order(space) - lower, 1))
        with torch.no_grad():
            maps = space.geometry.at(self.rule.places)
            table = space.tables(0, self.rule)["grad"]
            inverse = maps.inverse.expand(dim, dim, -1, table.shape[1])
            slopes = torch.einsum("fqk,kdcq->cqfd", table, inverse)
            weights = torch.as_tensor(self.rule.weights, dtype=space.dtype, device=space.device)
            self.measure: Float[Tensor, "n_cells n_places"] = maps.det.abs() * weights
            matrix = slopes.new_zeros(*slopes.shape[:2], len(PLACES[dim]), *slopes.shape[2:])
            for row, axes in enumerate(PLACES[dim]):
                if axes is None:
                    continue
                i, j = axes
                factor = 1.0 if i == j else math.sqrt(0.5)
                matrix[:, :, row, :, i] = factor * slopes[..., j]
                matrix[:, :, row, :, j] = factor * slopes[..., i]
            self.matrix = matrix.flatten(3)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n_cells, n_places, k) of a strain."""
        n_cells, n_places, k = self.matrix.shape[:3]
        return n_cells, n_places, k

    def strain(self, u: Float[Tensor, " n_dofs"]) -> Float[Tensor, "n_cells n_places k"]:
        """Strain of a displacement."""
        local = ops.gather(u, self.space.element_dofs.reshape(-1)).reshape(len(self.matrix), 1, -1, 1)
        return (self.matrix @ local)[..., 0]

    def force(self, stress: Float[Tensor, "n_cells n_places k"]) -> Float[Tensor, " n_dofs"]:
        """Forces that balance a stress: its work on every function of the space."""
        weighted = (stress * self.measure[..., None]).flatten(1)
        local = (weighted[:, None] @ self.matrix.flatten(1, 2))[:, 0]
        total = local.new_zeros(self.space.n_dofs, 1)
        scatter(local[..., None], self.space.element_dofs, total)
        return total[:, 0]

    def stiffness(self, tangent: Float[Tensor, "n_cells n_places k k"]) -> SparseOperator:
        """Derivative of the forces where the stress has a derivative in the strain."""
        adjacency = self.space.pattern().adjacency
        empty = SparseOperator.from_adjacency(adjacency, tangent.new_zeros(adjacency.n_edges))
        return self.stiffened(empty, torch.arange(len(tangent), device=tangent.device), tangent)

    def stiffened(
        self, stiffness: SparseOperator, cells: Int64[Tensor, " n"], tangent: Float[Tensor, "n n_places k k"]
    ) -> SparseOperator:
        """A stiffness plus that of a tangent in some cells."""
        matrix, measure = (ops.gather(values, cells) for values in (self.matrix, self.measure))
        product = (tangent * measure[..., None, None]) @ matrix
        local = matrix.flatten(1, 2).transpose(1, 2) @ product.flatten(1, 2)
        total = stiffness.values.clone()[:, None]
        scatter(local.permute(1, 2, 0).contiguous(), self.space.pattern().slots.index_select(2, cells), total)
        return SparseOperator.from_adjacency(stiffness.adjacency, total[:, 0])

    def tensor(self, values: Float[Tensor, "*places k"]) -> Float[Tensor, "*places k"]:
        """The components themselves, without the factor sqrt(2) of the last ones."""
        return torch.cat([values[..., :3], values[..., 3:] * math.sqrt(0.5)], -1)

    def at_points(
        self, values: Float[Tensor, "n_cells n_places k"], positive: bool = False
    ) -> Float[Tensor, "n_points k"]:
        """Values at the points of the mesh: the L2 projection on first-order elements.

        positive  with a lumped mass matrix: less accurate, but values of one sign keep it, and zeros stay where
                  nothing else is near
        """
        nodal = self.space.with_element("P1")
        weights = (
            nodal.tables(0, self.rule)["value"][..., 0].t() * self.measure[..., None]
        )  # (cells, places, functions)
        right = (weights.transpose(1, 2) @ values).flatten(0, 1)
        nodes = nodal.element_dofs.reshape(-1)
        total = right.new_zeros(nodal.n_dofs, right.shape[1]).index_add_(0, nodes, right)
        if positive:
            mass = right.new_zeros(nodal.n_dofs).index_add_(0, nodes, weights.sum(1).reshape(-1))
            return total / mass[:, None]
        matrix = nodal.assemble(lambda u, v, x: u * v, order=quadrature_order(nodal))
        return solve(matrix, total)  # type: ignore[arg-type]
