"""Norms of finite-element functions, and of their distance from known ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.fem.argument import HIDDEN, Argument
from meshlearn.fem.coefficients import Function
from meshlearn.fem.derivatives import differentiable
from meshlearn.fem.fields import Place
from meshlearn.fem.operators import curl, div, grad, inner

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace

_PARTS = {
    "L2": ("value",),
    "H1": ("value", "grad"),
    "H1-semi": ("grad",),
    "Hdiv": ("value", "div"),
    "Hcurl": ("value", "curl"),
}
_OPERATORS = {"value": lambda u: u.value, "grad": grad, "div": div, "curl": curl}


def norm(space: FESpace, dofs: Any, kind: str = "L2", minus: Any = None) -> Tensor:
    """Norm of a function with dofs (n_dofs,) or (n_batch, n_dofs): () or (n_batch,).

    kind   "L2", "H1" (values and gradient), "H1-semi" (gradient), "Hdiv" (values and divergence), "Hcurl"
    minus  what is subtracted first: a function of the place (its derivatives come from autograd), a number or a list
           of them, a `Function` of another space on this mesh, or {"value": …, "grad": …} with functions of the place
           for the parts of the norm; for "L2" also a field of points or cells

    The quadrature is exact for squares of the space's functions; with `minus` it is two orders higher. Raises
    ParameterError for norms that the space's functions do not have, FieldError for functions that autograd cannot
    differentiate.
    """
    if kind not in _PARTS:
        raise ParameterError(f"kind={kind!r} is not known; choose one of {list(_PARTS)}.")
    parts = _PARTS[kind]
    given: dict[str, Any] = {}
    if isinstance(minus, dict):
        unknown = [str(name) for name in minus if name not in _OPERATORS]
        if unknown:
            raise ParameterError(f"minus has {', '.join(unknown)}; its parts are called {', '.join(_OPERATORS)}.")
        given = {f"minus_{part}": minus[part] for part in parts if part in minus}
    elif minus is not None and not (isinstance(minus, (int, float)) and minus == 0):  # 0 is any zero
        given = {"minus": _with_derivatives(space, minus) if parts != ("value",) else minus}
    missing = [p for p in parts if given and "minus" not in given and f"minus_{p}" not in given]
    if missing:
        raise ParameterError(f"the {kind} norm needs {', '.join(missing)} in minus={{...}}.")

    def square(x: Place) -> Tensor:
        total = torch.zeros(())
        for part in parts:
            value = _OPERATORS[part](x.u)
            if given:
                value = value - _alike(space, part, value, _subtracted(x, part, given, parts))
            total = total + inner(value, value)
        return total

    order = 2 * space.degree + (4 if given else 0)
    found: Any = space.assemble(square, order=order, u=space.function(dofs), **given)
    return found.clamp(min=0.0).sqrt()


def _subtracted(x: Place, part: str, given: dict[str, Any], parts: tuple[str, ...]) -> Any:
    if "minus" not in given:
        return getattr(x, f"minus_{part}")
    value = x.minus
    if isinstance(value, Argument):
        return _OPERATORS[part](value)
    if part != "value":
        raise ParameterError(
            f"values of points or cells have no {part}; give minus={{'value': ..., {part!r}: ...}} for this norm "
            f"({parts}), or a function of a space: FESpace(mesh, 'P1').function(values)."
        )
    return value


def _alike(space: FESpace, part: str, value: torch.Tensor, other: Any) -> Any:
    """What is subtracted, with the components of the part."""
    mine, given = (tuple(t.shape[: t.dim() - HIDDEN]) for t in (value, other))
    if mine != given:
        raise FieldError(
            f"the {part} of {space} has components {mine}, that of minus has {given}, so that there is no difference.\n"
            "  Give one number or function for each: [1.0, 0.0], or lambda x: torch.stack([x[0], -x[1]])."
        )
    return other


def _with_derivatives(space: FESpace, minus: Any) -> Any:
    """Functions of the place and numbers as known fields with derivatives; others as they are."""
    if callable(minus):
        return lambda x: differentiable(space, "minus", minus, x)
    numbers = isinstance(minus, (int, float)) or (isinstance(minus, (list, tuple)) and not isinstance(minus, Function))
    if numbers or (isinstance(minus, (torch.Tensor, np.ndarray)) and minus.ndim == 0):
        return lambda x: differentiable(space, "minus", lambda x: minus, x)
    return minus
