"""Cores of the user's own are called here: what does not fit is told with the shapes and the channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from meshlearn.errors import MeshlearnError, ParameterError


def is_ours(core: nn.Module) -> bool:
    """Whether the core is one of meshlearn's, which check their own arguments."""
    return type(core).__module__.startswith("meshlearn.")


def call_core(core: Callable[..., Any], x: Tensor, time: Tensor | None, channels: str = "") -> Any:
    """core(x), or core(x, time) for one with `takes_time = True`.

    channels  what they are, for the error

    Raises ParameterError for a core of the user's own that does not take what it is given.
    """
    arguments = (x, time) if getattr(core, "takes_time", False) else (x,)
    if isinstance(core, nn.Module) and is_ours(core):
        return core(*arguments)
    try:
        return core(*arguments)
    except (MeshlearnError, torch.OutOfMemoryError):
        raise
    except (RuntimeError, ValueError, TypeError, IndexError) as error:  # of shapes that do not fit, in code of others
        raise ParameterError(
            f"core={_name(core)} does not take a tensor of shape {tuple(x.shape)}, (batch, channels, *nodes): {error}\n"
            f"{_told(channels)}  The number of channels and of nodes along each axis is that of the fields and of "
            "shape=; a function of (n_in, n_out, periodic) makes a core that fits."
        ) from error


def check_images(core: Any, made: Any, n_out: int | None, x: Tensor) -> Tensor:
    """The output of a core, (batch, n_out, *nodes), any n_out for None. Raises ParameterError for anything else."""
    if n_out is None and isinstance(made, Tensor) and made.dim() > 1:
        n_out = made.shape[1]
    wanted = (len(x), n_out, *x.shape[2:])
    if not isinstance(made, Tensor) or tuple(made.shape) != wanted:
        seen = f"shape {tuple(made.shape)}" if isinstance(made, Tensor) else f"a {type(made).__name__}"
        raise ParameterError(
            f"core={_name(core)} made {seen} of {tuple(x.shape)}; a tensor of shape {wanted} is expected: (batch, "
            "channels of the outputs, *nodes)."
        )
    return made


def initialise_lazy(core: nn.Module, n_in: int, shape: tuple[int, ...], channels: str) -> None:
    """Give lazy layers of a user's core their sizes, by one call without training."""
    if not any(isinstance(p, nn.parameter.UninitializedParameter) for p in core.parameters()):
        return
    training = core.training
    core.eval()
    with torch.no_grad():
        call_core(core, torch.zeros(1, n_in, *shape), None, channels)
    core.train(training)


def _name(core: Any) -> str:
    return type(core).__name__ if isinstance(core, nn.Module) else repr(core)


def _told(channels: str) -> str:
    return f"  The channels are: {channels}.\n" if channels else ""
