"""The size that the error of a field is compared with: its values, or its spread where the mean is far from zero."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

FAR = 3.0  # a mean so many spreads away from zero: the physical zero then says nothing about the field


def field_sizes(normalizer: Any, widths: list[int]) -> tuple[Float[Tensor, " width"], Float[Tensor, " width"]]:
    """Root mean square r of each field in training and the factor f of its relative error, at every channel; float64.

    f is 1 for a field whose r is at most sqrt(10) times its spread s (its mean then is at most 3 s), and
    r / (sqrt(10) s) for others, such as an absolute pressure: an error as large as the spread counts, whatever the
    mean, and does not vanish beside the errors of other fields.

    normalizer  of the targets of one location
    widths      channels of each field, in order
    """
    scale, mean = normalizer.scale.double(), normalizer.mean.double()
    spread, size = (_by_field(squares, widths) for squares in (scale.square(), scale.square() + mean.square()))
    return size, (size / (math.hypot(1.0, FAR) * spread)).clamp(min=1.0)


def _by_field(squares: Tensor, widths: list[int]) -> Tensor:
    """Root of the sum over the channels of each field, at every channel."""
    return torch.cat([part.sum().sqrt().expand(len(part)) for part in squares.split(widths)])
