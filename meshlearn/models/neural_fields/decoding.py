"""Decoding at many points: chunk by chunk, in memory that does not grow with their number."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.models.neural_fields.latents import Latents
from meshlearn.train import option_checks as check

CHUNK_FLOATS = 1 << 24  # of the arrays of one chunk: 64 MB in float32
KEPT = 4  # how many times as much a pass with gradients keeps


def chunk_size(field: Any, n_latents: int) -> int:
    """Points whose intermediate values take about 64 MB."""
    k = n_latents if field.nearest is None else min(field.nearest, n_latents)
    return max(CHUNK_FLOATS // (k * field.floats_per_latent + field.floats_per_point), 64)


def fit_chunk(field: Any, n_latents: int) -> int:
    """Points at a time in the fit of latents."""
    return max(chunk_size(field, n_latents) // KEPT, 64)


def decoded(
    field: Any,
    points: Float[Tensor, "n dim"],
    extra: Float[Tensor, "n e"] | None,
    latents: Latents,
    chunk: int | None = None,
) -> Float[Tensor, "n c"]:
    """Values (n, outputs) of the field of one mesh at points, in units of the network.

    Without gradients the result is written chunk by chunk into one array.
    """
    size = chunk_size(field, latents.shape[1]) if chunk is None else check.whole(1)("chunk", chunk)
    carried = [points, extra, latents.position, latents.context, latents.window, latents.frame]
    graph = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in carried)
    parts = []
    with torch.set_grad_enabled(graph):
        features = field.features(latents)
        out: Tensor | None = None
        for first in range(0, len(points), size):
            part = slice(first, first + size)
            numbers = None if extra is None else extra[None, part]
            values = field.evaluate(field.prepare(points[None, part], numbers, latents), latents, features)[0]
            if graph:
                parts.append(values)
                continue
            out = values.new_empty(len(points), values.shape[1]) if out is None else out
            out[part] = values
    if graph:
        return torch.cat(parts)
    assert out is not None
    return out
