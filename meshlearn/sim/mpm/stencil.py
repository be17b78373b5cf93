"""Quadratic B-splines: the 3^dim grid nodes around every particle, and the transfers over them.

Steffen, Kirby and Berzins, Analysis and reduction of quadrature errors in the material point method, IJNME 76 (2008).
With D = h^2 / 4 for these splines, affine velocities are carried exactly (Jiang, Schroeder, Selle, Teran and Stomakhin,
The affine particle-in-cell method, 2015).

Weights are products over the axes, and so the sums over 27 nodes are taken axis by axis: no array of weights times
components is kept, and the same few lines serve 2-D and 3-D.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor


class Stencil:
    """Nodes and weights of particles at `points`, given in cells from the first node: (dim, n).

    nodes    (3^dim n,) int64: flat numbers of the nodes, the last axis of the grid running fastest
    weights  (3, dim, n): along each axis
    offsets  (3, dim, n): from the particle to the nodes along each axis, in cells

    Particles outside the grid, or nowhere (NaN), are assigned nodes inside: whoever moves particles checks them.
    """

    def __init__(self, points: Float[Tensor, "dim n"], shape: tuple[int, ...]) -> None:
        dim, n = points.shape
        last = points.new_tensor([size - 3 for size in shape])[:, None]
        first = (points.detach() - 0.5).floor_().nan_to_num_(0.0).clamp_(min=0.0).minimum(last)
        fraction = points - first  # 0.5 to 1.5
        steps = torch.arange(3, dtype=points.dtype, device=points.device)[:, None, None]
        self.offsets: Float[Tensor, "3 dim n"] = steps - fraction
        left, right = 1.5 - fraction, fraction - 0.5
        self.weights: Float[Tensor, "3 dim n"] = torch.stack(
            [0.5 * left * left, 0.75 - (fraction - 1.0).square(), 0.5 * right * right]
        )
        corner = first.long()
        flat, around = corner[0], torch.arange(3, device=points.device)
        offsets = around
        for axis in range(1, dim):
            flat = flat * shape[axis] + corner[axis]
            offsets = (offsets[:, None] * shape[axis] + around).reshape(-1)
        self.nodes: Int64[Tensor, " entries"] = (offsets[:, None] + flat).reshape(-1)
        self.dim, self.n = dim, n

    def spread(
        self, values: Float[Tensor, "k n"], slopes: Float[Tensor, "k dim n"]
    ) -> tuple[Float[Tensor, " entries"], ...]:
        """weight * (value + slope . offset) at the nodes: one (3^dim n,) array for each of the k quantities."""
        total, weight = values[:, None], None
        for axis in range(self.dim):
            along, offset = self.weights[:, axis], self.offsets[:, axis]
            leaning = slopes[:, axis, None, None] * (along * offset)
            if weight is None:
                total, weight = total[:, :, None] * along + leaning, along
            else:
                total = torch.addcmul(total[:, :, None] * along, weight[:, None], leaning)
                weight = weight[:, None] * along
            total, weight = total.flatten(1, 2), weight.reshape(-1, self.n)
        return total.flatten(1).unbind(0)

    def collect(
        self, fields: tuple[Float[Tensor, " n_nodes"], ...]
    ) -> tuple[Float[Tensor, "k n"], Float[Tensor, "k dim n"]]:
        """(sum of weight * value, sum of weight * value * offset) over the nodes, of k fields of the grid."""
        found = torch.stack([field.index_select(0, self.nodes) for field in fields])
        found = found.view(len(fields), 1, -1, 3, self.n)  # (k, moments, nodes of the first axes, this axis, n)
        for axis in range(self.dim - 1, -1, -1):
            along, offset = self.weights[:, axis], self.offsets[:, axis]
            moment = (found[:, :1] * (along * offset)).sum(3)
            found = torch.cat([(found * along).sum(3), moment], 1)
            if axis:
                found = found.unflatten(2, (-1, 3))
        found = found[:, :, 0]  # value, then moments of the last axis to the first
        return found[:, 0], found[:, 1:].flip(1)
