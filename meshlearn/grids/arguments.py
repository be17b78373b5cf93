"""Checks of the arguments of `MeshToGrid`, and of what several parts of the room share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from meshlearn.errors import ParameterError
from meshlearn.hints import did_you_mean

TRANSFERS = ("interpolate", "l2", "conservative", "kernel")
EXTENSIONS = ("linear", "nearest")


def check_adapter(adapter: Any) -> None:
    """ParameterErrors with the name, the value seen and what is expected."""
    check_shape(adapter.shape)
    check_choice("transfer", adapter.transfer_name, TRANSFERS)
    check_choice("extension", adapter.extension, EXTENSIONS)
    check_flags(adapter.periodic)
    check_box(adapter.box)
    check_whole("corrections", adapter.corrections, 0)
    if not _number(adapter.radius) or not 0 < adapter.radius < math.inf:
        raise ParameterError(f"radius={adapter.radius!r}: a positive number of grid spacings is expected.")
    check_share("regularization", adapter.regularization, 1e-12, 1.0)
    if adapter.neighbors is not None:
        check_whole("neighbors", adapter.neighbors, 1)


def check_shape(shape: Any) -> None:
    """A whole number of at least 4, or one of at least 2 per axis."""
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        check_whole("shape", shape, 4)
        return
    if not shape or len(shape) > 3:
        raise ParameterError(f"shape={shape!r}: one number of nodes, or one per axis (1 to 3) is expected.")
    for n in shape:
        check_whole("each entry of shape", n, 2)


def check_whole(name: str, value: Any, least: int) -> None:
    """A whole number of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ParameterError(f"{name}={value!r} must be a whole number of at least {least}.")


def check_share(name: str, value: Any, least: float, most: float) -> None:
    """A number between two others."""
    if not _number(value) or not least <= value <= most:
        raise ParameterError(f"{name}={value!r} must be a number between {least:g} and {most:g}.")


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


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
