"""The cores by name, and what is handed to them.

A core is an nn.Module, called as `core(x)`: (batch, n_in, *shape) -> (batch, n_out, *shape). One with the attribute
`takes_time = True` is called as `core(x, time)`, and has `forward(x, time=None)`: time (batch,) is one number per mesh,
normalised as all inputs are (zero mean, unit spread over the training), such as how far ahead to predict or how much
noise there is; None where `GridOperator(time=...)` names no such input. The number is among the channels of x, too.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from torch import nn

from meshlearn.errors import ParameterError
from meshlearn.hints import did_you_mean

# Name -> module and class in this package, and arguments that make it what the name says.
_OWN: dict[str, tuple[str, str, dict[str, Any]]] = {
    "fno": ("fno", "FourierCore", {}),
    "tfno": ("fno", "FourierCore", {"rank": 0.1}),
    "mgtfno": ("multigrid_fno", "MultigridFourierCore", {}),
    "unet": ("unet", "UNetCore", {}),
    "sinenet": ("sinenet", "SineNetCore", {}),
    "mgno": ("mgno", "MultigridCore", {}),
    "lsm": ("lsm", "LatentSpectralCore", {}),
    "scot": ("scot", "OperatorTransformerCore", {}),
    "deeponet": ("deeponet", "DeepONetCore", {}),
}
_REGISTERED: dict[str, Callable[..., Any]] = {}
CORES = tuple(_OWN)
_GIVEN = ("self", "n_in", "n_out", "periodic", "widths", "n_places")


def register_core(name: Any, make: Any) -> None:
    """Make `GridOperator(core=name)` use make(n_in, n_out, periodic, **core_options), which returns an nn.Module.

    The module maps (batch, n_in, *shape) to (batch, n_out, *shape), or takes a time as well (`takes_time`, see the
    module); `periodic` has a flag per axis. A model with a core registered by name can be saved, and loaded where the
    name is registered again. Raises ParameterError for a name that is taken by one of meshlearn's.

    >>> from meshlearn.grids.cores import register_core
    >>> register_core("pointwise", lambda n_in, n_out, periodic: torch.nn.Conv2d(n_in, n_out, 1))
    """
    if not isinstance(name, str) or not callable(make):
        raise ParameterError(f"register_core({name!r}, {make!r}): a name and a function are expected.")
    if name in _OWN:
        raise ParameterError(f"core {name!r} is one of meshlearn's: choose another name.")
    _REGISTERED[name] = make


def core_maker(core: Any) -> Callable[..., Any]:
    """What makes the core: a class of ours, or a function of the user's. ParameterError for an unknown name."""
    if isinstance(core, nn.Module):
        return lambda *_, **__: copy.deepcopy(core)
    if callable(core):
        return core
    if isinstance(core, str) and core in _OWN:
        module, name, _ = _OWN[core]
        return getattr(import_module(f"meshlearn.grids.cores.{module}"), name)
    if isinstance(core, str) and core in _REGISTERED:
        return _REGISTERED[core]
    known = [*_OWN, *_REGISTERED]
    hint = did_you_mean(core, known) if isinstance(core, str) else "."
    raise ParameterError(
        f"core={core!r} is not known{hint}\n  Choose one of {', '.join(map(repr, known))}, give an nn.Module, or a "
        "function of (n_in, n_out, periodic) that returns one."
    )


def build_core(
    core: Any, n_in: int, widths: dict[str, int], n_places: int, periodic: Sequence[bool], options: dict[str, Any]
) -> nn.Module:
    """The core for n_in channels and these outputs {location: channels}.

    Raises ParameterError for an unknown name, and for options that the core does not have.
    """
    make = core_maker(core)
    preset = _OWN[core][2] if isinstance(core, str) and core in _OWN else {}
    _check_options(core, make, options)
    options = {**preset, **options}
    if getattr(make, "at_places", False):
        return make(n_in, widths, n_places, periodic, **options)
    given = (n_in, sum(widths.values()), tuple(periodic))
    try:
        inspect.signature(make).bind(*given, **options)
    except TypeError as error:
        raise ParameterError(
            f"core={core!r} cannot be called as make(n_in, n_out, periodic, **core_options): {error}.\n"
            f"  Here n_in={n_in}, n_out={given[1]}, periodic={given[2]}, core_options={options!r}."
        ) from error
    made = make(*given, **options)
    if not isinstance(made, nn.Module):
        raise ParameterError(f"core={core!r} made a {type(made).__name__}: an nn.Module is expected.")
    return made


def _check_options(core: Any, make: Callable[..., Any], options: dict[str, Any]) -> None:
    if isinstance(core, nn.Module):
        if options:
            raise ParameterError(f"core_options={options!r} are for cores by name; this core is a module already.")
        return
    parameters: Mapping[str, inspect.Parameter] = inspect.signature(make).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    ours = isinstance(core, str) and core in _OWN
    parameters = parameters if ours else dict(list(parameters.items())[3:])  # the first three have names of the user's
    known = [name for name in parameters if name not in _GIVEN]
    takes = f"It takes {', '.join(known)}" if known else "It takes none"
    for name in options:
        if name not in known:
            raise ParameterError(f"core {core!r} has no option {name!r}{did_you_mean(name, known)}\n  {takes}.")
