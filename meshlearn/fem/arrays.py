"""Arrays of numpy where tensors are expected."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import FieldError


def as_tensor(name: str, value: Any, device: torch.device) -> Tensor:
    """Tensors as they are, numpy's arrays of numbers as tensors on the device. Raises FieldError for anything else."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        return torch.as_tensor(np.require(value, requirements="W"), device=device)
    kind = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
    raise FieldError(f"{name} is {kind}: expected a tensor or an array of numbers.")


def shown(value: Any) -> str:
    """What was given, in a few words: names as they are, tensors by their shape."""
    if isinstance(value, (Tensor, np.ndarray)):
        kind = str(value.dtype).removeprefix("torch.")
        if kind == "bool":
            return f"a mask {tuple(value.shape)} with {int(value.sum())} True"
        return f"{'an array' if isinstance(value, np.ndarray) else 'a tensor'} {tuple(value.shape)} of {kind}"
    if callable(value):
        return f"the function {getattr(value, '__name__', type(value).__name__)}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
