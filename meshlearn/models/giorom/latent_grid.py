"""The neural-operator block: nodes to a regular grid of latents, attention among these, and back.

S. Viswanath et al., Reduced-Order Neural Operators, arXiv:2407.03925: a graph kernel takes features to a latent grid, a
transformer couples it, another kernel takes them back. Departures, and why:
- kernels k(y - x) depend on offsets from the grid, times hat functions of one spacing, so that the result is continuous
  when a node passes from one cell to the next;
- sums over nodes are integrals: each node is weighted by the share of the body that it stands for, so that the number
  of nodes does not matter;
- the grid is centred on the body, and its extent is the largest that was seen in training, not [0, 1];
- grid points that no node reaches are left out of the attention.
"""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meshlearn import ops
from meshlearn.models.giorom.sample import Window
from meshlearn.nn import MLP
from meshlearn.ops import Adjacency


class LatentGrid(nn.Module):
    """x <- x + back(attention(there(x))), for the nodes of every body.

    width   of the latents
    dim     of space
    cells   grid points along each axis, at least 2
    extent  half the side of the grid, in the unit of places
    blocks  of attention; heads of each
    """

    corners: Tensor
    places: Tensor

    def __init__(self, width: int, dim: int, cells: int, extent: float, blocks: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.cells, self.extent, self.dim = cells, extent, dim
        corners = torch.tensor(list(itertools.product((0, 1), repeat=dim)))
        axis = torch.linspace(-1, 1, cells)
        places = torch.stack(torch.meshgrid(*[axis] * dim, indexing="ij"), -1).reshape(-1, dim)
        self.register_buffer("corners", corners, persistent=False)
        self.register_buffer("places", places, persistent=False)
        self.there = MLP(dim, width, norm=False)
        self.back = MLP(dim, width, norm=False)
        self.embed = MLP(dim + 1, width)
        self.blocks = nn.ModuleList(Attention(width, heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "n width"], batch: Window) -> Float[Tensor, "n width"]:
        """The latents of the nodes, each of which has heard of all others of its body."""
        n, size = len(x), self.cells**self.dim
        bodies = batch.mesh_index("point")
        index, weight, offset = self._near(centred(batch))
        rows = (index + (bodies * size)[:, None]).reshape(-1)
        nodes = torch.arange(n, device=x.device).repeat_interleave(len(self.corners))
        graph, order = Adjacency.from_edges_with_order(nodes, rows, batch.n_meshes * size, n)
        kernel = self.there(offset.reshape(-1, self.dim)).reshape(n, -1, x.shape[1])
        quadrature = weight * batch.share
        sent = torch.cat([quadrature[:, :, None] * kernel * x[:, None], quadrature[:, :, None]], 2).flatten(0, 1)
        total = ops.segment_sum(ops.gather(sent, order), graph)
        amount = total[:, -1:]
        places = self.places.repeat(batch.n_meshes, 1)
        tokens = total[:, :-1] / amount.clamp(min=1e-12) + self.embed(torch.cat([places, size * amount], 1))
        tokens = tokens.reshape(batch.n_meshes, size, -1)
        reached = (amount > 0).reshape(batch.n_meshes, 1, 1, size)
        for block in self.blocks:
            tokens = block(tokens, reached)
        heard = ops.gather(tokens.flatten(0, 1), rows).reshape(n, -1, x.shape[1])
        kernel = self.back(offset.reshape(-1, self.dim)).reshape(n, -1, x.shape[1])
        return x + self.norm((weight[:, :, None] * kernel * heard).sum(1))

    def _near(self, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(n, 2^dim) grid points around each place, the hat functions there, and offsets from them in spacings."""
        steps = (places / self.extent + 1) * (0.5 * (self.cells - 1))
        steps = steps.clamp(0, self.cells - 1)
        low = steps.detach().floor().clamp(max=self.cells - 2)
        offset = (steps - low)[:, None] - self.corners
        weight = (1 - offset.abs()).prod(2)
        strides = [self.cells**k for k in reversed(range(self.dim))]
        corner = low.long()[:, None] + self.corners
        return (corner * corner.new_tensor(strides)).sum(2), weight, offset


class Attention(nn.Module):
    """A transformer block on the tokens of every body, (n_bodies, n_tokens, width)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.point = MLP(width, width, 2 * width, activation="gelu")

    def forward(self, tokens: Tensor, reached: Tensor) -> Tensor:
        """Tokens that were not reached by any node are not listened to."""
        bodies, count, width = tokens.shape
        parts = self.mix(self.norm(tokens)).reshape(bodies, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        heard = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=reached)
        tokens = tokens + self.out(heard.transpose(1, 2).reshape(bodies, count, width))
        return self.point.residual(tokens.flatten(0, 1)).reshape(tokens.shape)


def centred(batch: Window) -> Float[Tensor, "n dim"]:
    """Places from the centre of each body."""
    weighted = ops.segment_sum(batch.share * batch.places, batch.ptr("point"))
    return batch.places - ops.gather(weighted, batch.mesh_index("point"))
