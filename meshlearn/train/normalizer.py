"""Shift and scale of every channel, fitted on training data only and stored with the model."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meshlearn.errors import FieldError
from meshlearn.train.precision import exact_in_float32

SMALLEST_RELATIVE_SPREAD = 1e-6
SMALLEST_IN_DOUBLE = 1e-9


class Normalizer(nn.Module):
    """y = (x - mean) / scale per channel; `scale` is the standard deviation, or a safe value for constant channels.

    `update` may be called many times (data are streamed; sums are kept in float64), then `finish` sets mean and scale.
    A channel whose spread is below 1e-6 of its magnitude (1e-9 for fine ones, see `update`) counts as constant: its
    scale is |mean|, or 1 when it is zero, so that a constant channel maps to zero and a new value never overflows.
    `inverse` gives a constant channel its mean whatever a network put out there: what never varied in training is not
    learned, and its scale means nothing. What float32 cannot hold of the mean is in `rest`, so that float64 values are
    centred in float64.

    >>> normalizer = Normalizer(1).fit(torch.tensor([[1.0], [3.0]]))
    >>> normalizer(torch.tensor([[3.0]])), normalizer.inverse(torch.tensor([[1.0]]))
    (tensor([[1.]]), tensor([[3.]]))
    """

    mean: Tensor
    rest: Tensor
    scale: Tensor
    constant: Tensor

    def __init__(self, size: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("rest", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.register_buffer("constant", torch.zeros(size, dtype=torch.bool))
        self._weight = 0.0
        self._mean = torch.zeros(size, dtype=torch.float64)
        self._m2 = torch.zeros(size, dtype=torch.float64)
        self._fine = torch.zeros(size, dtype=torch.bool)

    @property
    def size(self) -> int:
        """Number of channels."""
        return len(self.mean)

    @property
    def seen(self) -> bool:
        """True if any row was added to the statistics (of this object: not of one that was loaded)."""
        return self._weight > 0

    def update(
        self, x: Float[Tensor, "n size"], weights: Float[Tensor, " n"] | None = None, fine: Tensor | bool = False
    ) -> None:
        """Add rows to the statistics, each with its weight (default 1); Chan's merge of mean and squared spread.

        fine  (size,) bool, or one for all: channels whose last digits are meant and not rounding. It is heeded where
              the rows are float64 and hold more than float32 can
        """
        if x.shape[1] != self.size:
            raise FieldError(f"the normaliser has {self.size} channels, the data {x.shape[1]}.")
        if not x.numel():
            return
        if fine is not False:
            self._fine |= (~exact_in_float32(x.detach())).cpu() & torch.as_tensor(fine).cpu()
        x = x.detach().to("cpu", torch.float64)
        w = torch.ones(len(x), dtype=torch.float64) if weights is None else weights.detach().to("cpu", torch.float64)
        total = float(w.sum())
        if total <= 0:
            return
        mean = (w[:, None] * x).sum(0) / total
        m2 = (w[:, None] * (x - mean).square()).sum(0)
        delta, new = mean - self._mean, self._weight + total
        self._mean = self._mean + delta * (total / new)
        self._m2 = self._m2 + m2 + delta.square() * (self._weight * total / new)
        self._weight = new

    def finish(self) -> Normalizer:
        """Set `mean` and `scale` from the statistics gathered so far; returns self."""
        if self._weight > 0:
            std = (self._m2 / self._weight).sqrt()
            magnitude = self._mean.abs()
            smallest = torch.where(self._fine, SMALLEST_IN_DOUBLE, SMALLEST_RELATIVE_SPREAD)
            constant = std <= smallest.double() * magnitude
            fallback = torch.where(magnitude > 0, magnitude, torch.ones_like(magnitude))
            self.mean.copy_(self._mean)
            self.rest.copy_(self._mean - self.mean.double().cpu())
            self.scale.copy_(torch.where(constant, fallback, std))
            self.constant.copy_(constant)
        return self

    def fit(self, x: Float[Tensor, "n size"], weights: Float[Tensor, " n"] | None = None) -> Normalizer:
        """`update` with one table, then `finish`."""
        self.update(x, weights)
        return self.finish()

    def forward(self, x: Float[Tensor, "*n size"]) -> Float[Tensor, "*n size"]:
        """Physical values to normalised ones."""
        return (x - self._center(x)) / self.scale.to(x)

    def inverse(self, y: Float[Tensor, "*n size"]) -> Float[Tensor, "*n size"]:
        """Normalised values back to physical ones; a constant channel gives its mean."""
        return y * self.scale.masked_fill(self.constant, 0.0).to(y) + self._center(y)

    def _center(self, x: Tensor) -> Tensor:
        return self.mean.to(x) + self.rest.to(x)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        """Models of earlier versions have no `rest`."""
        if f"{prefix}mean" in state_dict:
            state_dict.setdefault(f"{prefix}rest", torch.zeros_like(state_dict[f"{prefix}mean"]))
        super()._load_from_state_dict(state_dict, prefix, *args)
