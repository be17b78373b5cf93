"""A network with complex weights, held as real ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call


class RealWeights(nn.Module):
    """`network`, whose complex parameters are kept as real ones with a last axis of two.

    Optimisers, averages of weights, conversions of precision and model files then treat them as what they are: pairs
    of real numbers. The network itself is not a child of this module: its parameters are these.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._complex = {name for name, p in network.named_parameters() if p.is_complex()}
        self.weights = nn.ParameterDict(
            {_key(name): nn.Parameter(_real(p.detach()).clone()) for name, p in network.named_parameters()}
        )
        self._names = {_key(name): name for name, _ in network.named_parameters()}
        self._held = [network]  # in a list: its parameters are not ours

    def forward(self, x: Tensor) -> Tensor:
        """What the network makes of x with these weights."""
        weights = {
            name: torch.view_as_complex(self.weights[key]) if name in self._complex else self.weights[key]
            for key, name in self._names.items()
        }
        return functional_call(self._held[0], weights, (x,))


def _key(name: str) -> str:
    return name.replace(".", "-")


def _real(values: Tensor) -> Tensor:
    return torch.view_as_real(values.resolve_conj()) if values.is_complex() else values
