"""Checks of the arguments of `DataFreeMeshMover`."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from meshlearn.errors import ParameterError
from meshlearn.models.movers.learned.density import MONITORS
from meshlearn.models.movers.learned.losses import LOSSES


def check_arguments(model: Any) -> None:
    """Raise ParameterError with the name, the value seen and what is expected."""
    for name, known in (("monitor", MONITORS), ("loss", LOSSES), ("boundary", ("slide", "fixed"))):
        value = getattr(model, name)
        if not isinstance(value, str) or value not in known:
            raise ParameterError(f"{name}={value!r}: expected one of {', '.join(map(repr, known))}.")
    checked_name(model.field)
    for name, least in (("rounds", 1), ("hidden", 1), ("mlp_layers", 0)):
        value = getattr(model, name)
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise ParameterError(f"{name}={value!r}: expected a whole number of at least {least}.")
    for name, low, high in (
        ("amplitude", 0.0, float("inf")),
        ("smoothing", 0.0, 1.0),
        ("convexity", 0.0, float("inf")),
        ("corner", 0.0, 180.0),
        ("min_area_fraction", 0.0, 1.0),
    ):
        value = getattr(model, name)
        if not isinstance(value, Real) or isinstance(value, bool) or not low <= float(value) < high:
            raise ParameterError(f"{name}={value!r}: expected a number of at least {low:g}, below {high:g}.")


def checked_name(field: Any) -> str:
    """The name of a field; raises ParameterError for anything else."""
    if not isinstance(field, str):
        raise ParameterError(f"field={field!r}: expected the name of a point field.")
    return field
