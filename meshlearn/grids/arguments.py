"""Checks of the arguments of `MeshToGrid`, and of what several parts of the room share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from meshlearn.errors import ParameterError
from meshlearn.hints import did_you_mean
from meshlearn.train.option_checks import number, whole

TRANSFERS = ("interpolate", "l2", "conservative", "kernel")
EXTENSIONS = ("linear", "nearest")


def check_adapter(adapter: Any) -> None:
    """ParameterErrors with the name, the value seen and what is expected; numbers of NumPy become plain ones."""
    adapter.shape = check_shape(adapter.shape)
    check_choice("transfer", adapter.transfer_name, TRANSFERS)
    check_choice("extension", adapter.extension, EXTENSIONS)
    check_flags(adapter.periodic)
    check_box(adapter.box)
    adapter.corrections = whole(0)("corrections", adapter.corrections)
    adapter.radius = number("a positive number of grid spacings", lambda x: x > 0)("radius", adapter.radius)
    adapter.regularization = check_share("regularization", adapter.regularization, 1e-12, 1.0)
    adapter.neighbors = whole(1, optional=True)("neighbors", adapter.neighbors)


def check_shape(shape: Any) -> int | tuple[int, ...]:
    """A whole number of at least 4, or one of at least 2 per axis."""
    if not isinstance(shape, (Sequence, np.ndarray)) or isinstance(shape, str):
        return check_whole("shape", shape, 4)
    if not 1 <= len(shape) <= 3:
        raise ParameterError(f"shape={shape!r}: one number of nodes, or one per axis (1 to 3) is expected.")
    return tuple(check_whole("each entry of shape", n, 2) for n in shape)


def check_whole(name: str, value: Any, least: int) -> int:
    """A whole number of at least `least`, NumPy's too, as a plain one."""
    return whole(least)(name, value)


def check_share(name: str, value: Any, least: float, most: float) -> float:
    """A number between two others."""
    return number(f"a number between {least:g} and {most:g}", lambda x: least <= x <= most)(name, value)


def check_choice(name: str, value: Any, known: Sequence[str]) -> None:
    """One of several names."""
    if not isinstance(value, str) or value not in known:
        hint = did_you_mean(value, known) if isinstance(value, str) else "."
        raise ParameterError(f"{name}={value!r} is not known{hint}\n  Choose one of {', '.join(map(repr, known))}.")


def check_flags(periodic: Any) -> None:
    """True, False, or several of them."""
    flags = [periodic] if isinstance(periodic, bool) else periodic
    if not isinstance(flags, (list, tuple)) or not all(isinstance(flag, bool) for flag in flags):
        raise ParameterError(f"periodic={periodic!r}: True, False, or one of them per axis is expected.")


def check_box(box: Any) -> None:
    """None, or two corners of which the second is the larger in every coordinate."""
    if box is None:
        return
    try:
        low, high = ([float(x) for x in corner] for corner in box)
    except (TypeError, ValueError):
        raise ParameterError(f"box={box!r}: two corners (low, high) are expected, or None.") from None
    if len(low) != len(high) or not all(math.isfinite(b - a) and a < b for a, b in zip(low, high, strict=False)):
        raise ParameterError(f"box={box!r}: every coordinate of the first corner must be below that of the second.")
