"""Fields that latents describe: a network that turns points and latents into values."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from meshlearn.models.neural_fields.attention import CrossAttention, Pairs
from meshlearn.models.neural_fields.groups import Group
from meshlearn.models.neural_fields.initial import keep_variance
from meshlearn.models.neural_fields.latents import Latents


class LatentBlock(nn.Module):
    """c <- c + A(norm c), then c <- c + MLP(norm c): the latents attend to each other, through their relative poses."""

    def __init__(self, group: Group, hidden: int, heads: int, frequencies: tuple[float, float]) -> None:
        super().__init__()
        self.attention = CrossAttention(group, hidden, heads, frequencies, None, 0)
        self.norms = nn.ModuleList([nn.LayerNorm(hidden), nn.LayerNorm(hidden)])
        self.mlp = nn.Sequential(nn.Linear(hidden, 2 * hidden), nn.GELU("tanh"), nn.Linear(2 * hidden, hidden))

    def forward(self, stem: Float[Tensor, "b m h"], latents: Latents) -> Float[Tensor, "b m h"]:
        """The new features of the latents."""
        pairs = self.attention.pairs(latents.position, None, latents)
        stem = stem + self.attention(pairs, self.norms[0](stem))
        return stem + self.mlp(self.norms[1](stem))


class AttentionField(nn.Module):
    """f(x; z) = MLP(y(x)), y the cross-attention from x to the latents z (Wessels, Knigge et al. 2024, section 4).

    blocks   self-attention blocks of the latents before (Catalani et al. 2025)
    extra    numbers that every point brings along, beside its place (not moved by the group)
    """

    def __init__(
        self,
        group: Group,
        latent_dim: int,
        outputs: int,
        hidden: int,
        heads: int,
        frequencies: tuple[float, float],
        nearest: int | None,
        extra: int = 0,
        blocks: int = 0,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Linear(latent_dim, hidden), nn.LayerNorm(hidden))
        self.blocks = nn.ModuleList(LatentBlock(group, hidden, heads, frequencies) for _ in range(blocks))
        self.cross = CrossAttention(group, hidden, heads, frequencies, nearest, extra)
        self.head = nn.Sequential(
            nn.GELU("tanh"), nn.Linear(hidden, hidden), nn.GELU("tanh"), nn.Linear(hidden, outputs)
        )
        # Floats of the arrays that a point needs; decoding is cut into chunks by it.
        self.floats_per_latent, self.floats_per_point = (6 + heads) * hidden, 8 * hidden

    def awaken(self) -> None:
        """Give the field weights with which it depends on its latents from the first step of a fit on."""
        keep_variance(self)

    def prepare(self, points: Float[Tensor, "b n dim"], extra: Tensor | None, latents: Latents) -> Pairs:
        """All that does not depend on the codes of the latents."""
        return self.cross.pairs(points, extra, latents)

    def features(self, latents: Latents) -> Float[Tensor, "b m h"]:
        """Features of the latents, after the self-attention."""
        stem = self.stem(latents.context)
        for block in self.blocks:
            stem = block(stem, latents)
        return stem

    def evaluate(self, prepared: Pairs, latents: Latents, features: Tensor | None = None) -> Float[Tensor, "b n c"]:
        """Values at the points that `prepare` was called with; `features` of the latents, where they are known."""
        return self.head(self.cross(prepared, self.features(latents) if features is None else features))

    @property
    def nearest(self) -> int | None:
        """Latents that a point attends to; None: all."""
        return self.cross.nearest

    def forward(self, points: Float[Tensor, "b n dim"], extra: Tensor | None, latents: Latents) -> Any:
        """Values (b, n, outputs) at points."""
        return self.evaluate(self.prepare(points, extra, latents), latents)
