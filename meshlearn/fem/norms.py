"""Norms of finite-element functions, and of their distance from known ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.fields import Argument, Place
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
    minus  what is subtracted first: a function of the place, a `Function` of another space on this mesh (its
           derivatives are known), or {"value": …, "grad": …} with functions of the place for the parts of the norm

    The quadrature is exact for squares of the space's functions; with `minus` it is two orders higher.
    """
    if kind not in _PARTS:
        raise ParameterError(f"kind={kind!r} is not known; choose one of {list(_PARTS)}.")
    parts = _PARTS[kind]
    given: dict[str, Any] = {}
    if isinstance(minus, dict):
        given = {f"minus_{part}": minus[part] for part in parts if part in minus}
    elif minus is not None:
        given = {"minus": minus}
    missing = [p for p in parts if given and "minus" not in given and f"minus_{p}" not in given]
    if missing:
        raise ParameterError(f"the {kind} norm needs {', '.join(missing)} in minus={{...}}.")

    def square(x: Place) -> Tensor:
        total = torch.zeros(())
        for part in parts:
            value = _OPERATORS[part](x.u)
            if given:
                value = value - _subtracted(x, part, given, parts)
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
            f"a plain function has no {part}; give minus={{'value': ..., {part!r}: ...}} for this norm ({parts})."
        )
    return value
