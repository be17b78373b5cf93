"""Activation functions by name, each with its derivative at a pre-activation (for layers that write their backward)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from meshlearn.errors import ParameterError

_aten = torch.ops.aten


@dataclass(frozen=True)
class Activation:
    """value(z), write(z, out) without an allocation, and backward(grad, z) = grad * value'(z)."""

    value: Callable[[Tensor], Tensor]
    write: Callable[[Tensor, Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(
        torch.relu,
        lambda z, out: torch.clamp_min(z, 0.0, out=out),
        lambda grad, z: _aten.threshold_backward(grad, z, 0.0),
    ),
    "silu": Activation(
        torch.nn.functional.silu,
        lambda z, out: _aten.silu.out(z, out=out),
        lambda grad, z: _aten.silu_backward(grad, z),
    ),
    "gelu": Activation(
        lambda z: torch.nn.functional.gelu(z, approximate="tanh"),
        lambda z, out: _aten.gelu.out(z, approximate="tanh", out=out),
        lambda grad, z: _aten.gelu_backward(grad, z, approximate="tanh"),
    ),
}


def activation(name: str) -> Activation:
    """The activation of this name: "relu", "silu" or "gelu" (tanh form). Raises ParameterError for another.

    >>> activation("relu").value(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    if name not in ACTIVATIONS:
        raise ParameterError(f"activation={name!r} is not known; choose one of {sorted(ACTIVATIONS)}.")
    return ACTIVATIONS[name]
