"""From the latents of a shape to the fields on it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from meshlearn.models.neural_fields.latents import Latents


class Decoder(nn.Module):
    """Point outputs by the field of the latents, global outputs from the mean of their features.

    field    network with `prepare`, `features` and `evaluate`
    width    logarithm of the latents' windows in the beginning
    hidden   width of the features
    n_global number of components of all global outputs
    """

    def __init__(self, field: nn.Module, width: float, hidden: int, n_point: int, n_global: int) -> None:
        super().__init__()
        self.field, self.n_point = field, n_point
        self.width = nn.Parameter(torch.tensor(width))
        self.read = (
            nn.Sequential(nn.Linear(hidden, hidden), nn.GELU("tanh"), nn.Linear(hidden, n_global)) if n_global else None
        )

    def latents(self, position: Tensor, context: Tensor, frame: Tensor | None) -> Latents:
        """Latents (n_meshes, n_latents, …) with the learned window."""
        return Latents(position, context, self.width.expand(*position.shape[:2]), frame)

    def whole(self, features: Tensor) -> Tensor:
        """(n_meshes, n_global) outputs of the whole mesh."""
        assert self.read is not None
        return self.read(features.mean(1))

    def forward(self, points: Tensor, extra: Tensor | None, latents: Latents) -> dict[str, Any]:
        """{"point": (n_meshes, longest, width), "global": (n_meshes, width)}, what there is of these."""
        features = self.field.features(latents)  # type: ignore[operator]
        result = {}
        if self.n_point:
            prepared = self.field.prepare(points, extra, latents)  # type: ignore[operator]
            result["point"] = self.field.evaluate(prepared, latents, features)  # type: ignore[operator]
        if self.read is not None:
            result["global"] = self.whole(features)
        return result
