"""Errors of torch inside forms and functions of the place, in words about finite elements."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from meshlearn.errors import MeshlearnError, ParameterError
from meshlearn.fem.argument import NUMPY, PRODUCT

_ARRAYS = (
    "Arrays in it have axes for components, cells and places, into which a tensor of cells or points from outside does "
    "not fit: it is given by name, assemble(form, k=k), and used as x.k."
)
# what torch and Python say -> what to do; the first that fits counts
_KNOWN = (
    (
        ("'Place'", "not Place", "Place found", "got Place"),
        "The place x, whose coordinates are x[0], x[1] …, is the last argument of every form: lambda u, v, x: ... for "
        "a matrix, lambda v, x: ... for a right-hand side, lambda x: ... for an integral.",
    ),
    (
        ("'tuple'", "non-int of type"),
        "Trial and test functions of a composite space are tuples of their parts: (u, p), (v, q) = trial, test.",
    ),
    (
        ("__array_ufunc__", "Can't call numpy()", "convert cuda", "not support ufuncs", "calling numpy"),
        "Here " + NUMPY,
    ),
    (
        ("same dtype", "expected scalar type", "have the same type"),
        "Forms are computed in the space's dtype, float64 unless told otherwise: network.double(), values.double().",
    ),
    (
        ("einsum()",),
        "Arrays in forms have five axes for cells and places behind the components: write dot(a, b), inner(a, b), or "
        "an ellipsis for them, torch.einsum('i...,i...->...', a, b).",
    ),
    (
        ("expected Tensor as element",),
        "torch.cat and torch.stack take tensors only; a vector from components is torch.stack([x[0], torch.ones_like("
        "x[0])]), or, in a function of the place, a list: lambda x: [x[0], 1].",
    ),
    (
        ("mat1 and mat2", "Expected size for first two dimensions", "batch1", "mat2 must be a matrix"),
        f"In forms {PRODUCT}",
    ),
    (
        ("must match the size", "must match the existing size", "broadcast", "number of elements", "numpy.ndarray"),
        _ARRAYS,
    ),
    (
        ("converted to Python scalars", "converted to Scalar", "must be real number", "only length-1 arrays"),
        "x[0], fields and functions are tensors: use torch.sin(x[0]), torch.exp …, not those of math, and no float().",
    ),
    (
        ("Boolean value of", "truth value of"),
        "x[0] > 0.5 is a tensor: use torch.where(x[0] > 0.5, a, b) for if, & for and, | for or, torch.minimum for min.",
    ),
    (
        ("out of bounds for dimension 0",),
        "x[0], x[1] … are the coordinates, as many as the mesh has dimensions.",
    ),
)


def explained(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """function(*arguments). Raises ParameterError for errors that are known to come from taking tensors for numbers, or
    from tensors of cells and points that were not given by name; others as they are."""
    try:
        return function(*arguments)
    except MeshlearnError:
        raise
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        advice = next((words for seen, words in _KNOWN if any(part in str(error) for part in seen)), None)
        if advice is None:
            raise
        if NUMPY in advice and any(isinstance(value, np.ndarray) for value in outside(function).values()):
            advice = _ARRAYS
        raise ParameterError(f"{what} failed: {error}\n  {advice}{outsiders(function)}") from error


def outsiders(function: Callable[..., Any]) -> str:
    """A line on the tensors that a function takes from outside, as the likely cause."""
    found = outside(function)
    return "\n  From outside: " + ", ".join(f"{k} {tuple(v.shape)}" for k, v in found.items()) + "." if found else ""


def outside(function: Callable[..., Any], depth: int = 2) -> dict[str, Tensor | np.ndarray]:
    """{name: array}, also of what the functions use that it calls."""
    try:
        seen = inspect.getclosurevars(function)
    except (TypeError, ValueError):  # no Python function, or one that is not complete yet
        return {}
    found: dict[str, Tensor | np.ndarray] = {}
    for name, value in {**seen.globals, **seen.nonlocals}.items():
        if isinstance(value, (Tensor, np.ndarray)) and value.ndim and max(value.shape) > 1:
            found[name] = value
        elif depth and inspect.isfunction(value) and value.__module__ == function.__module__:
            found |= outside(value, depth - 1)
    return found
