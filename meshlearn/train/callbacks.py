"""Code of the user's that runs during a fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class FitContext:
    """What callbacks see of a running fit; `stop()` ends it after the step at hand.

    model    the estimator; its `module_` has the weights of the moment
    epoch    number of the epoch, from 0
    step     number of optimiser steps done so far
    loss     training loss of the last step
    history  the records of the finished epochs; a callback may add entries to the last one
    """

    model: Any
    epochs: int
    epoch: int = 0
    step: int = 0
    steps_in_epoch: int = 0
    step_in_epoch: int = 0
    loss: float = float("nan")
    learning_rate: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    is_main: bool = True
    stopping: bool = False

    def stop(self) -> None:
        """End the fit after the step at hand, as if it were the last."""
        self.stopping = True


class Callback:
    """Base of callbacks: override what you need. With several processes, every process calls its own copy."""

    def on_fit_start(self, context: FitContext) -> None:
        """Before the first step (after a checkpoint was loaded, when resuming)."""

    def on_step_end(self, context: FitContext) -> None:
        """After every optimiser step."""

    def on_epoch_end(self, context: FitContext) -> None:
        """After every epoch: `context.history[-1]` is its record."""

    def on_fit_end(self, context: FitContext) -> None:
        """After the last step, also when the fit was interrupted or failed."""


class EachEpoch(Callback):
    """A plain function of the context, called after every epoch."""

    def __init__(self, function: Callable[[FitContext], Any]):
        self.function = function

    def on_epoch_end(self, context: FitContext) -> None:
        """Call the function."""
        self.function(context)


def as_callbacks(callbacks: Sequence[Any]) -> list[Callback]:
    """Callbacks as they are, functions wrapped."""
    from meshlearn.errors import ParameterError

    result = []
    for callback in callbacks:
        if isinstance(callback, Callback):
            result.append(callback)
        elif callable(callback):
            result.append(EachEpoch(callback))
        else:
            raise ParameterError(f"callbacks: {callback!r} is neither a Callback nor a function of the FitContext.")
    return result
