"""A coordinate network modulated by one code: the cheaper alternative to attention on many latents."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meshlearn.models.neural_fields.attention import FourierFeatures
from meshlearn.models.neural_fields.initial import keep_variance, quieten
from meshlearn.models.neural_fields.latents import Latents

QUIET = 0.2  # of the weights of the modulation in the beginning, which multiplies layer by layer


class Places(NamedTuple):
    """Features of the points, codes aside."""

    features: Float[Tensor, "b n f"]


class FilmField(nn.Module):
    """f(x; c) = W h_L, h_0 = [phi(x - p), extra], h_l = gelu((1 + G_l c) * (A_l h_(l-1)) + B_l c), p the only pose.

    Feature-wise modulation (FiLM: E. Perez et al. 2018, arXiv:1709.07871) of an MLP on Fourier features of the place,
    as functa (E. Dupont et al. 2022, arXiv:2201.12204) and MARIO use it. It commutes with translations alone.

    frequency  standard deviation of the Fourier features
    extra      numbers that every point brings along, beside its place
    """

    nearest = None

    def __init__(
        self, dim: int, latent_dim: int, outputs: int, hidden: int, layers: int, frequency: float, extra: int = 0
    ) -> None:
        super().__init__()
        self.phi = FourierFeatures(dim, hidden, frequency)
        widths = [hidden + dim + extra, *[hidden] * layers]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.stem = nn.Sequential(nn.Linear(latent_dim, hidden), nn.LayerNorm(hidden))
        self.modulation = nn.Linear(hidden, 2 * hidden * layers)
        self.head = nn.Linear(hidden, outputs)
        self.floats_per_latent, self.floats_per_point = 0, (3 + layers) * hidden

    def awaken(self) -> None:
        """Give the field weights with which it depends on its latents from the first step of a fit on."""
        keep_variance(self)
        quieten(self.modulation, QUIET)

    def prepare(self, points: Float[Tensor, "b n dim"], extra: Tensor | None, latents: Latents) -> Places:
        """All that does not depend on the codes."""
        offset = (points - latents.position[:, :1]).to(latents.window)
        parts = [self.phi(offset), offset, *([] if extra is None else [extra])]
        return Places(torch.cat(parts, -1))

    def features(self, latents: Latents) -> Float[Tensor, "b m h"]:
        """Features of the latents."""
        return self.stem(latents.context)

    def evaluate(self, prepared: Places, latents: Latents, features: Tensor | None = None) -> Float[Tensor, "b n c"]:
        """Values at the points that `prepare` was called with."""
        code = (self.features(latents) if features is None else features).mean(1)
        scales = self.modulation(nn.functional.gelu(code, approximate="tanh"))[:, None].chunk(2 * len(self.layers), -1)
        x = prepared.features
        for i, layer in enumerate(self.layers):
            x = nn.functional.gelu((1 + scales[2 * i]) * layer(x) + scales[2 * i + 1], approximate="tanh")
        return self.head(x)

    def forward(self, points: Float[Tensor, "b n dim"], extra: Tensor | None, latents: Latents) -> Tensor:
        """Values (b, n, outputs) at points."""
        return self.evaluate(self.prepare(points, extra, latents), latents)
