"""DeepONet: a code of the inputs, read at any place.

L. Lu, P. Jin, G. Pang, Z. Zhang, G. Karniadakis 2021, "Learning nonlinear operators via DeepONet", arXiv:1910.03193:
u(y) = sum_k b_k(inputs) t_k(y) + b_0. The branch b sees the inputs on the grid of the mesh, through convolutions that
halve it and means over 4 nodes along each axis, so that any shape gives a code of one length; the trunk t sees where
the outputs are wanted, on the mesh itself: nothing is sampled back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from meshlearn.grids.arguments import check_whole
from meshlearn.grids.cores.padding import POOLS, Convolution
from meshlearn.nn import MLP
from meshlearn.ops import gather

_POOLED = 4


class DeepONetCore(nn.Module):
    """`encode` grids into codes, `decode` codes at places.

    widths     {location: channels of the outputs}
    n_places   coordinates that the trunk sees
    hidden     channels and width of the layers
    terms      number of terms b_k t_k of every output channel
    layers     hidden layers of the trunk
    """

    at_places = True

    def __init__(
        self,
        n_in: int,
        widths: dict[str, int],
        n_places: int,
        periodic: Sequence[bool],
        hidden: Any = 64,
        terms: Any = 64,
        layers: Any = 3,
    ) -> None:
        super().__init__()
        hidden, terms, layers = (
            check_whole(name, value, 1) for name, value in (("hidden", hidden), ("terms", terms), ("layers", layers))
        )
        self.widths, self.terms = dict(widths), terms
        dim = len(periodic)
        self.convolutions = nn.Sequential(
            Convolution(n_in, hidden // 2 or 1, periodic, size=5, stride=2),
            nn.GELU(),
            Convolution(hidden // 2 or 1, hidden, periodic, stride=2),
            nn.GELU(),
            POOLS[dim](_POOLED),
        )
        placed = {place: width for place, width in widths.items() if place != "global"}
        n_codes = terms * sum(placed.values()) + widths.get("global", 0)
        self.branch = MLP(hidden * _POOLED**dim, n_codes, width=2 * hidden, norm=False)
        self.trunks = nn.ModuleDict(
            {
                place: MLP(n_places, terms, width=hidden, layers=layers, activation="gelu", norm=False)
                for place in placed
            }
        )
        self.offsets = nn.ParameterDict({place: nn.Parameter(torch.zeros(n)) for place, n in placed.items()})

    def encode(self, images: Tensor) -> Tensor:
        """(batch, n_in, *shape) -> (batch, codes)."""
        return self.branch(self.convolutions(images).flatten(1))

    def decode(self, codes: Tensor, location: str, places: Tensor | None, mesh: Tensor) -> Tensor:
        """(rows, width) at the places (rows, n_places) of the meshes `mesh` (rows,); global outputs are codes."""
        sizes = [n * (1 if place == "global" else self.terms) for place, n in self.widths.items()]
        own = dict(zip(self.widths, codes.split(sizes, dim=1), strict=True))[location]
        if places is None:
            return own
        width = self.widths[location]
        coefficients = gather(own.reshape(len(own), width * self.terms), mesh).reshape(-1, width, self.terms)
        values = torch.einsum("nwk,nk->nw", coefficients, self.trunks[location](places))
        return values / self.terms**0.5 + self.offsets[location]
