"""Learned weights of moving least squares, of what turning a scene leaves alone; constants of the body at rest."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meshlearn.models.giorom.least_squares import Nearby
from meshlearn.nn import MLP

WIDTH = 16
LARGEST = 3.0  # factors are between exp(-3) and exp(3), so that moments stay as well conditioned as they were
N_INVARIANTS = 5
SOFT = 0.01  # share of (r/R)^2 of the nearest node within which corrections fade: a node carries itself


class LearnedKernel(nn.Module):
    """Factors f_i > 0 of the weights of `moving_least_squares`, and numbers |a_i| < 1: both (m, count).

    A query takes the affine fit, in which neighbour i counts f_i times as much, and a_i times what this leaves of
    neighbour i: a row of weights that sum to one, exact for affine motions whatever the network says, since nothing
    is left of these. f = 1, a = 0 before training. Float64, as the fit is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network = last_zero(MLP(N_INVARIANTS, 2, WIDTH, layers=2, norm=False, fused=False)).double()

    def forward(self, near: Nearby) -> tuple[Float[Tensor, "m count"], Float[Tensor, "m count"]]:
        """Factors and numbers of every neighbour of every query."""
        seen = invariants(near.apart, near.share)
        out = self.network(seen.flatten(0, 1)).reshape(*seen.shape[:2], 2)
        factors = (LARGEST * torch.tanh(out[:, :, 0] / LARGEST)).exp()
        return factors, torch.tanh(out[:, :, 1]) * fading(near.share)


def invariants(
    apart: Float[Tensor, "m count dim"], share: Float[Tensor, "m count"]
) -> Float[Tensor, "m count n_invariants"]:
    """What a neighbour is for a query, without directions.

    Distance over reach and its square, that of the nearest, how one-sided the neighbours are (the length of their mean
    offset), and on which side this one is (its product with the mean).
    """
    weight = (1 - share).clamp(min=1e-6).square()[:, :, None]
    mean = (weight * apart).sum(1, keepdim=True) / weight.sum(1, keepdim=True)
    nearest, side = share.amin(1, keepdim=True).sqrt(), mean.norm(dim=2)
    columns = [share.sqrt(), share, nearest.expand_as(share), side.expand_as(share), (apart * mean).sum(2)]
    return torch.stack(columns, 2)


def fading(share: Float[Tensor, "m count"]) -> Float[Tensor, "m count"]:
    """Factors of corrections that vanish where a neighbour is as far as the next, and for a query at a node."""
    nearest = share.amin(1, keepdim=True)
    return (1 - share).clamp(min=0) * nearest / (nearest + SOFT)


def last_zero(network: MLP) -> MLP:
    """A network whose result is zero until it is trained."""
    last = network.linears[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return network
