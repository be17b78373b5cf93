"""A small smooth network whose slope is written out, so that stresses need no automatic derivative.

Input-convex networks: Amos, Xu and Kolter, Input convex neural networks, ICML 2017.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

OUTPUT = 0.01  # size of the output weights at the start: the network begins as next to nothing


GAIN = 4.0  # positive weights are softplus(GAIN raw): small ones would follow Adam's equal steps slowly


class SmoothNet(nn.Module):
    """N(x) = W_L s(… s(W_1 x + b_1) …) with s = softplus, in float64.

    convex   make N convex in x: all weights but those of the first layer are positive
    rising   with `convex`, the first so many inputs: N never falls with them

    `ready` gives it in a dtype, on a device, with the weights as they stand.
    """

    def __init__(
        self, inputs: int, outputs: int, hidden: int, layers: int, convex: bool, rising: int, random: torch.Generator
    ) -> None:
        super().__init__()
        self.convex, self.rising = convex, rising
        sizes = [inputs, *[hidden] * layers, outputs]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for number, (before, after) in enumerate(itertools.pairwise(sizes)):
            weight = torch.randn(after, before, generator=random, dtype=torch.float64) / math.sqrt(before)
            if convex and number:
                weight = _inverse_softplus(weight.abs() * (OUTPUT if number == layers else 1.0) / math.sqrt(before))
            elif number == layers:
                weight = OUTPUT * weight
            self.weights.append(nn.Parameter(weight))
            bias = torch.zeros(after, dtype=torch.float64)
            if number < layers:
                bias = torch.rand(after, generator=random, dtype=torch.float64) - 0.5
            self.biases.append(nn.Parameter(bias))

    def ready(self, dtype: torch.dtype, device: torch.device) -> ReadyNet:
        """The network in a dtype and on a device; gradients flow back to its weights."""
        made = []
        for number, weight in enumerate(self.weights):
            if self.convex:
                free = self.rising if number == 0 else weight.shape[1]
                weight = torch.cat([softplus(GAIN * weight[:, :free]), weight[:, free:]], 1)
            made.append(weight.to(device, dtype))
        return ReadyNet(tuple(made), tuple(bias.to(device, dtype)[:, None] for bias in self.biases))


class ReadyNet(NamedTuple):
    """Weights and biases, ready to be used on columns of inputs."""

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    def values(self, x: Float[Tensor, "inputs n"]) -> Float[Tensor, "outputs n"]:
        """N(x)."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = softplus(weight @ x + bias)
        return self.weights[-1] @ x + self.biases[-1]

    def slope(self, x: Float[Tensor, "inputs n"]) -> Float[Tensor, "inputs n"]:
        """dN/dx of a network with one output."""
        rates = []
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            inner = weight @ x + bias
            rates.append(torch.sigmoid(inner))
            x = softplus(inner)
        back = self.weights[-1].t()
        for weight, rate in zip(self.weights[-2::-1], rates[::-1], strict=True):
            back = weight.t() @ (back * rate)
        return back


def _inverse_softplus(values: Tensor) -> Tensor:
    return torch.log(torch.expm1(values.clamp(min=1e-6))) / GAIN
