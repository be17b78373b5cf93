"""The iterated residual network: one small perceptron, applied again and again, that refines a value at a point.

Sawdayee, Vaxman and Bermano, "OReX: Object Reconstruction from Planar Cross-sections Using Neural Fields" (arXiv
2211.12886): learned frequencies, a state of one value and a hidden vector, updated by the same layers in every
iteration. Departures: the value is a distance that adds to a base field and starts at zero; one value per label.
"""

from __future__ import annotations

import itertools
import math

import torch
from jaxtyping import Float32
from torch import Tensor, nn

OCTAVES = 5


class ResidualNetwork(nn.Module):
    """x (n, 3) -> values of all channels after every iteration, (iterations, n, channels) float32.

    hidden, layers  width and number of hidden layers of the perceptron
    state           width of the hidden state
    """

    def __init__(self, channels: int, hidden: int = 64, layers: int = 7, iterations: int = 3, state: int = 32):
        super().__init__()
        self.iterations = iterations
        octaves = 2.0 ** torch.arange(OCTAVES)
        self.cos_frequency = nn.Parameter(octaves.clone())
        self.sin_frequency = nn.Parameter(octaves.clone())
        self.first_value = nn.Parameter(torch.zeros(channels))
        self.first_state = nn.Parameter(torch.rand(state))
        width = 3 + 6 * OCTAVES + channels + state
        sizes = [width, *[hidden] * layers]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.head = nn.Linear(hidden, channels + state)
        for layer in self.layers:
            nn.init.xavier_uniform_(layer.weight)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        with torch.no_grad():
            self.head.weight[:channels] = 0.0  # the base field is where learning starts
        steps = torch.arange(iterations)[:, None] / 10000.0 ** (torch.arange(state // 2) / (state // 2))
        self.register_buffer("clock", torch.cat([steps.sin(), steps.cos()], dim=1), persistent=False)
        self.channels = channels

    def forward(self, points: Float32[Tensor, "n 3"]) -> Float32[Tensor, "i n c"]:
        """Values after every iteration."""
        angles = math.pi * points
        waves = [torch.cos(angles * w) for w in self.cos_frequency] + [
            torch.sin(angles * w) for w in self.sin_frequency
        ]
        encoded = torch.cat([points, *waves], dim=1)
        value = self.first_value.expand(len(points), -1)
        state = self.first_state.expand(len(points), -1)
        values = []
        for i in range(self.iterations):
            x = torch.cat([encoded, value, state + self.clock[i]], dim=1)  # type: ignore[index]
            for layer in self.layers:
                x = nn.functional.leaky_relu(layer(x))
            step, state = self.head(x).split([self.channels, self.first_state.numel()], dim=1)
            value = value + step
            values.append(value)
        return torch.stack(values)
