"""Checks of the arguments of `fit`: each takes a name and a value, and gives the value back in its canonical form.

What is not accepted is a ParameterError with the name, the value seen and what is expected.
"""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from meshlearn.errors import ParameterError

Check = Callable[[str, Any], Any]


def require(good: bool, name: str, value: Any, expected: str) -> None:
    """Raise ParameterError unless `good`."""
    if not good:
        seen = repr(value)
        seen = seen if len(seen) <= 80 else f"{seen[:80]}…"
        raise ParameterError(f"{name}={seen} is not allowed: {expected} is expected.")


def whole(least: int, optional: bool = False) -> Check:
    """Whole numbers of at least `least` (NumPy's too), and None where `optional`."""
    expected = ("None or " if optional else "") + f"a whole number of at least {least}"

    def check(name: str, value: Any) -> int | None:
        if value is None and optional:
            return None
        good = isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= least
        require(good, name, value, expected)
        return int(value)

    return check


def number(expected: str, allowed: Callable[[float], bool], optional: bool = False) -> Check:
    """Finite real numbers for which `allowed` holds, and None where `optional`."""

    def check(name: str, value: Any) -> float | None:
        if value is None and optional:
            return None
        real = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
        require(real and allowed(float(value)), name, value, expected)
        return float(value)

    return check


def text(expected: str) -> Check:
    """Any non-empty text; what it means is decided by others."""

    def check(name: str, value: Any) -> str:
        require(isinstance(value, str) and bool(value), name, value, expected)
        return value

    return check


def flag(name: str, value: Any) -> bool:
    """True or False."""
    require(isinstance(value, bool), name, value, "True or False")
    return value


def resume(name: str, value: Any) -> bool | str:
    """True, False or "auto"."""
    require(isinstance(value, bool) or value == "auto", name, value, "True, False or 'auto'")
    return value


def folder(name: str, value: Any) -> Path | None:
    """A path, or None."""
    good = value is None or (isinstance(value, (str, os.PathLike)) and bool(str(value)))
    require(good, name, value, "None or the path of a folder")
    return None if value is None else Path(value).expanduser()


def name_or_function(known: Iterable[str]) -> Check:
    """One of some names, or a function."""
    names = sorted(known)

    def check(name: str, value: Any) -> Any:
        good = callable(value) or (isinstance(value, str) and value in names)
        require(good, name, value, f"a function of the progress in [0, 1], or one of {names}")
        return value

    return check


def precision(known: Mapping[str, str]) -> Check:
    """One of some names (or the number 16, 32 or 64), as Fabric calls it."""

    def check(name: str, value: Any) -> str:
        good = isinstance(value, (str, int)) and not isinstance(value, bool) and str(value) in known
        require(good, name, value, f"one of {sorted(known)}")
        return known[str(value)]

    return check


def validation(name: str, value: Any) -> Any:
    """None, a share, or meshes (looked at when they are needed)."""
    if value is None:
        return None
    expected = "a share of the meshes strictly between 0 and 1 such as 0.1, a list of meshes, or None"
    require(not isinstance(value, (str, bytes, bool, Mapping)), name, value, expected)
    if not isinstance(value, numbers.Number):
        meshes = hasattr(value, "__iter__") or hasattr(value, "__getitem__")
        require(meshes or hasattr(value, "n_points") or hasattr(value, "unbatch"), name, value, expected)
        return value
    real = isinstance(value, numbers.Real) and 0.0 < float(value) < 1.0
    require(real, name, value, expected)
    return float(value)  # type: ignore[arg-type]


def devices(name: str, value: Any) -> Any:
    """A number of devices, a list of their numbers, or a text such as "auto"."""
    if isinstance(value, (list, tuple)):
        good = bool(value) and all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in value)
        value = list(value) if good else value
    elif isinstance(value, str):
        good = bool(value)
    else:
        good = (
            isinstance(value, numbers.Integral)
            and not isinstance(value, bool)
            and (int(value) >= 1 or int(value) == -1)
        )
        value = int(value) if good else value
    require(good, name, value, "a number of at least 1, -1 or 'auto' for all, or a list of device numbers")
    return value


def strategy(name: str, value: Any) -> Any:
    """The name of a strategy of Fabric, or the strategy itself."""
    good = isinstance(value, str) or hasattr(value, "setup_environment")
    require(good and value != "", name, value, "'auto', 'ddp', 'ddp_spawn' or another strategy of Lightning Fabric")
    return value


def callbacks(name: str, value: Any) -> tuple[Any, ...]:
    """Callbacks and functions, as a tuple."""
    from meshlearn.train.callbacks import Callback

    expected = "a list of Callbacks and functions of the FitContext"
    require(isinstance(value, Iterable) and not isinstance(value, (str, bytes)), name, value, expected)
    entries = tuple(value)
    for entry in entries:
        require(isinstance(entry, Callback) or callable(entry), name, entry, expected)
        require(not isinstance(entry, type), name, entry, expected + " (an instance, not the class)")
    return entries
