"""What interpolation between the points of a mesh loses of a field, by the account of its recovered gradients."""

from __future__ import annotations

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from meshlearn.mesh.recovery import RecoveredGradients
from meshlearn.ops import SparseOperator


class Slopes(RecoveredGradients):
    """Recovered gradients, and what interpolation misses."""

    def missed(
        self, matrix: SparseOperator, places: Float64[Tensor, "q dim"], values: Float64[Tensor, "n k"]
    ) -> Float64[Tensor, "q k"]:
        """An estimate of u - M u at places, where M interpolates values at the points by shape functions N_i.

        Up to third order, u(x) = u_i + (g_i + g(x)) . (x - x_i) / 2 with gradients g. As the N_i reproduce linear
        fields, sum_i N_i (x - x_i) = 0, and M u misses sum_i N_i g_i . (x - x_i) / 2: nothing of fields that the cells
        hold. Places off the mesh are a step away from where values are taken; there, the field goes on with its slope,
        for the size of a cell at most.
        """
        points = self.mesh.points - self.centre  # far from the origin, products would lose digits
        foot = matrix @ points
        step = places - self.centre - foot
        size = step.norm(dim=1, keepdim=True)
        reach = foot / 2 + step * (self.cell_size / torch.where(size > 0, size, torch.inf)).clamp(max=1.0)
        slopes = self.at_points(values)  # (dim, n, k)
        bent = torch.cat([slopes, points.T[:, :, None] * slopes / 2])
        there = (matrix @ bent.permute(1, 0, 2).flatten(1)).reshape(len(places), len(bent), -1)
        along, back = there.chunk(2, dim=1)
        return (reach[:, :, None] * along - back).sum(1)

    def missed_in_cells(
        self, cells: Int64[Tensor, " q"], places: Float64[Tensor, "q dim"], values: Float64[Tensor, "n_cells k"]
    ) -> Float64[Tensor, "q k"]:
        """An estimate of u(x) - u_c at places in these cells, for values at the centres of cells."""
        step = places - self.mesh.join_cells(self.mesh.cell_centroids()).index_select(0, cells)
        return torch.einsum("qa,aqk->qk", step, self.in_cells(values).index_select(1, cells))
