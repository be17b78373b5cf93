"""Derivatives of plain functions of the place, by autograd at the places where they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from meshlearn.errors import FieldError
from meshlearn.fem.argument import HIDDEN, Argument
from meshlearn.fem.coefficients import constant
from meshlearn.fem.explain import explained
from meshlearn.fem.fields import Place, spread

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace

ORDERS = ("value", "grad", "hess")


def differentiable(space: FESpace, name: str, function: Callable[[Place], Any], x: Place) -> Argument:
    """A function of the place as a known field with "value", "grad" and "hess", formed when asked for.

    Gradients flow to what the function is made of, and to the points where these require one. Raises FieldError for
    functions that vary with the place without autograd seeing how (made of detached tensors, or steps).
    """
    what = f"the function {name!r}"
    value = constant(space, name, explained(what, function, x))
    if isinstance(value, Argument):
        return value
    rank = value.dim() - HIDDEN
    shape = tuple(value.shape[:rank])
    points = x.coordinates()
    own = not points.requires_grad
    kept = bool(value.requires_grad)
    levels: list[Tensor] = []

    def leaf() -> tuple[Tensor, Tensor]:
        """The function with a graph down to the coordinates, made once."""
        if not levels:
            start = points.detach().requires_grad_(True) if own else points
            with torch.enable_grad():
                made = constant(space, name, explained(f"the derivative of {what}", function, x.moved(start)))
            levels.extend([start, made.value if isinstance(made, Argument) else made])
        return levels[0], levels[1]

    def part(which: str) -> Tensor:
        if which == "value":
            return value
        start, _ = leaf()
        while len(levels) < 2 + ORDERS.index(which):
            with torch.enable_grad():
                levels.append(_gradient(levels[-1], start, what))
        found = levels[1 + ORDERS.index(which)]
        return found if kept or not own else found.detach()

    dim = len(points)
    return Argument(part, {"value": shape, "grad": (*shape, dim), "hess": (*shape, dim, dim)}, name)


def _gradient(values: Tensor, points: Tensor, what: str) -> Tensor:
    """(*components, dim, 1, 1, cells, 1, places) of (*components, 1, 1, cells, 1, places), at (dim, cells, places)."""
    rank = values.dim() - HIDDEN
    parts = [_of_scalar(one, points, what) for one in values.reshape(-1, *values.shape[rank:])]
    return torch.stack(parts).reshape(*values.shape[:rank], *parts[0].shape)


def _of_scalar(value: Tensor, points: Tensor, what: str) -> Tensor:
    found = None
    if value.requires_grad:
        (found,) = torch.autograd.grad(value.sum(), points, create_graph=True, allow_unused=True)
    if found is not None:
        return spread(found)
    if value.numel() and bool((value != value.flatten()[0]).any()):
        raise FieldError(
            f"{what} varies from place to place, but autograd cannot tell how: it is made of detached tensors, arrays "
            "of numpy, or steps, and its derivatives are needed here.\n"
            "  Write it with functions of torch; or take the L2 projection, which needs values only: "
            "space.function(space.project(f))."
        )
    return spread(torch.zeros_like(points))
