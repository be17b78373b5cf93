"""Exponential moving average of the weights: validated and kept in the place of the last weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WeightAverage:
    """average <- decay * average + (1 - decay) * weights after every step, with a faster start: decay <= (1+n)/(10+n).

    Floating-point entries of the state dict are averaged (buffers such as running means too), others copied.
    """

    def __init__(self, module: nn.Module, decay: float):
        self.decay, self.n = decay, 0
        self.average = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take in the weights after one optimiser step."""
        self.n += 1
        decay = min(self.decay, (1 + self.n) / (10 + self.n))
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1.0 - decay)
            else:
                self.average[name].copy_(value)

    def load(self, average: dict[str, Tensor], n: int) -> None:
        """Continue from a checkpoint."""
        for name, value in self.average.items():
            value.copy_(average[name])
        self.n = n


def copy_weights(module: nn.Module) -> dict[str, Tensor]:
    """A copy of a module's state dict."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def all_finite(weights: dict[str, Tensor]) -> bool:
    """True if no weight is NaN or infinite."""
    return all(bool(torch.isfinite(value).all()) for value in weights.values() if value.is_floating_point())
