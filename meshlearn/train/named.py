"""Misspelt arguments of models are told with the name that was probably meant."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from meshlearn.errors import ParameterError
from meshlearn.hints import did_you_mean

F = TypeVar("F", bound=Callable[..., Any])

# What other libraries call it.
ALIASES = {
    "lr": "learning_rate",
    "n_epochs": "epochs",
    "num_epochs": "epochs",
    "max_epochs": "epochs",
    "batch_size": "batch_points",
    "device": "accelerator",
    "verbose": "progress",
    "random_state": "seed",
    "val": "validation",
    "hidden_size": "hidden",
    "hidden_dim": "hidden",
    "layers": "steps",
}


class UnknownArgumentError(ParameterError, TypeError):
    """An argument of a name that a model does not know."""


def named(function: F) -> F:
    """The method, which raises ParameterError (a TypeError, too) for keyword arguments that it does not have."""
    known = [name for name in inspect.signature(function).parameters if name != "self"]

    @functools.wraps(function)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        for name in kwargs:
            if name not in known:
                method = "" if function.__name__ == "__init__" else f".{function.__name__}"
                raise UnknownArgumentError(unknown(type(self).__name__ + method, name, known))
        return function(self, *args, **kwargs)

    return checked  # type: ignore[return-value]


def arguments_of(reference: Callable[..., Any]) -> Callable[[F], F]:
    """A decorator: the function takes **options, but shows (and is checked for) the arguments of another."""

    def shown(function: F) -> F:
        function.__signature__ = inspect.signature(reference)  # type: ignore[attr-defined]
        return function

    return shown


def unknown(owner: str, name: str, known: list[str]) -> str:
    """What to say of a name that is not among the known ones.

    >>> print(unknown("MeshGraphNet.fit", "lr", ["epochs", "learning_rate"]))
    MeshGraphNet.fit has no argument 'lr': did you mean 'learning_rate'?
      It takes epochs, learning_rate.
    """
    guess = did_you_mean(name, known, ALIASES, cutoff=0.7)
    return f"{owner} has no argument {name!r}{guess}\n  It takes {', '.join(known) or 'none'}."
