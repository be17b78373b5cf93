"""Exchange over the whole mesh through a learned partition of unity."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meshlearn.nn.mlp import MLP


class PartitionMixing(nn.Module):
    """x_i <- x_i + sum_k phi_ik z'_k, with z_k = sum_i w_i phi_ik x_i / sum_i w_i phi_ik and z' = network(z).

    phi is a softmax over the parts k of a linear map of the latents: a learned partition of unity. With w_i the share
    of the measure that dof i stands for, z_k are means over the parts, which hardly change when the mesh is refined.

    width  of the latents; parts  number of parts

    forward(x, share, sizes) -> (n, width)
      x      (n, width) latents of the dofs of all meshes of a batch, mesh by mesh
      share  (n,) adds up to 1 over each mesh
      sizes  number of dofs of each mesh
    """

    def __init__(self, width: int, parts: int) -> None:
        super().__init__()
        self.assign = nn.Linear(width, parts)
        self.values = nn.Linear(width, width)
        self.exchange = nn.Linear(parts, parts, bias=False)
        self.update = MLP([width, width], width)
        self.spread = nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "n width"], share: Float[Tensor, " n"], sizes: list[int]
    ) -> Float[Tensor, "n width"]:
        """The latents after the exchange."""
        phi = torch.softmax(self.assign(x), dim=1)
        weighted = phi * share[:, None].to(x.dtype)
        values = self.values(x)
        means = torch.stack(
            [
                (w.t() @ v) / w.sum(0).clamp(min=1e-12)[:, None]
                for w, v in zip(weighted.split(sizes), values.split(sizes), strict=True)
            ]
        )
        mixed = torch.einsum("kl,blf->bkf", self.exchange.weight, means)
        flat = self.update.residual(means.flatten(0, 1), mixed.flatten(0, 1))
        parts = self.spread(flat).reshape(means.shape)
        back = [p @ z for p, z in zip(phi.split(sizes), parts, strict=True)]
        return x + torch.cat(back)
