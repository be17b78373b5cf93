"""Fields that float32 cannot tell apart from their mean stay in float64 until the mean is taken off them."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.train.sample import Sample

S = TypeVar("S", bound=Sample)

# The features of a sample that hold fields of the user (others are geometry, whose last digits are rounding).
FIELD_FEATURES = ("point_inputs", "cell_inputs", "global_inputs")
TOLERATED = 1e-5


def float32_suffices(table: Float[Tensor, "rows width"]) -> bool:
    """True if float32 keeps every column to 1e-5 of its spread over the rows; a column without spread, exactly.

    >>> x = torch.tensor([[0.0], [0.1]], dtype=torch.float64)
    >>> float32_suffices(x), float32_suffices(5e6 + x)
    (True, False)
    """
    if table.dtype != torch.float64 or not len(table):
        return True
    error = (table - table.float().double()).abs().amax(0)
    return bool((error <= TOLERATED * (table.amax(0) - table.amin(0))).all())


def exact_in_float32(table: Float[Tensor, "rows width"]) -> Tensor:
    """(width,) True for columns that float32 holds exactly, so that their differences are no finer than its rounding.

    >>> exact_in_float32(torch.tensor([[0.5, 0.1]], dtype=torch.float64)).tolist()
    [True, False]
    """
    if table.dtype != torch.float64:
        return torch.ones(table.shape[1], dtype=torch.bool, device=table.device)
    return (table == table.float().double()).all(0)


def narrowed(sample: S, dtype: torch.dtype, device: torch.device | str = "cpu") -> S:
    """The sample for a network of `dtype`: converted, but for float32 without fields that would lose their spread."""
    return _converted(sample, dtype, device, lambda table: dtype == torch.float32 and not float32_suffices(table))


def moved(batch: S, dtype: torch.dtype, device: torch.device | str) -> S:
    """A batch of `narrowed` samples on another device; what was left in float64 stays so (MPS has no float64)."""
    keeps = dtype == torch.float32 and torch.device(device).type != "mps"
    return _converted(batch, dtype, device, lambda table: keeps and table.dtype == torch.float64)


def _converted(sample: S, dtype: torch.dtype, device: torch.device | str, keep: Any) -> S:
    features = {name: table for name, table in sample.feature_tensors().items() if name in FIELD_FEATURES}
    features = {name: table.to(device) for name, table in features.items() if keep(table)}
    targets = {location: table.to(device) for location, table in sample.targets.items() if keep(table)}
    result = sample.to(device, dtype)
    if features:
        result = result.with_feature_tensors({**result.feature_tensors(), **features})
    return result.replace(targets={**result.targets, **targets}) if targets else result
