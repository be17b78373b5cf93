"""Whether a weak form works place by place: a sum over everything, such as `x.k.sum()`, mixes cells unseen.

The form is called twice on three cells. The first has its own data (1/4 where they are 0); the others lie elsewhere on
the mesh, once at its beginning and once at its end, and have the first one's data times 3/4 or 3/2. What the form gives
on the first cell may not depend on that. Both calls have arrays of equal shapes, so that the values of a pointwise form
agree to the last bit, however much of them is rounding noise.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.explain import outsiders
from meshlearn.fem.fields import Argument
from meshlearn.fem.forms import Jets, call, random_fields
from meshlearn.fem.places import Region, place, region

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace

_N, _CELLS = 3, -3  # cells, and their axis
_FACTORS = 0.75, 1.5
_DONE: weakref.WeakKeyDictionary[Callable[..., Any], set[tuple[Any, ...]]] = weakref.WeakKeyDictionary()


def few_cells(space: FESpace, where: Region) -> Region:
    """Three cells of a region, on which forms are tried."""
    with torch.no_grad():
        numbers = where.cells if isinstance(where.cells, Tensor) else None
        n = len(space.element_dofs) if numbers is None else len(numbers)
        cells = torch.tensor([int(0.618 * n), 0, n - 1], device=space.device)
        return region(space, cells if numbers is None else numbers.index_select(0, cells), where.rule)


def check_pointwise(
    space: FESpace, form: Callable[..., Any], jets: list[Jets], few: Region, given: dict[str, Any]
) -> None:
    """Raises ParameterError if the value of a form in one of a few cells depends on the others, or if the axes of cells
    and places are not where they belong.

    What was tried once is not tried again: a Newton iteration pays for its first step only. A form that cannot be
    called on changed data is left to the true ones.
    """
    key = (space.dim, few.rule.key[0], *given, *(str(mine.shapes) for mine in jets))
    try:
        done = _DONE.setdefault(form, set())
    except TypeError:  # a callable without weak references or hash
        done = set()
    if key in done:
        return
    fields = random_fields(jets, space.like)
    with torch.no_grad():

        def values(k: int) -> Tensor:
            change = _Change(_FACTORS[k])
            spot = place(space, few, given)
            spot.alter(change, lambda points: _picked(points, 1 + k))
            arguments = [
                mine.arguments(partial(_changed_field, change, held)) for mine, held in zip(jets, fields, strict=True)
            ]
            return call(form, arguments, spot, space.like)

        try:
            one, two = values(0), values(1)
            known = _equal(one, two) or not _equal(values(1), two)  # or it is random
        except Exception:  # anything that the form raises on changed data; vmap, where no values can be looked at
            return
    _check_shape(one, len(few.weights), form)
    if not known:
        raise ParameterError(
            "the form mixes places: its value in one cell changes with the data of other cells.\n"
            "  Behind the components, the arrays in a form have axes for cells and places; sum(), mean(), max() or "
            "norm() without dim run over them, too.\n"
            "  Write inner(a, b) or dot(a, b), or name the axis of the components: a.norm(dim=0), a.sum(0), a.amax(0). "
            "What is made from a whole field is computed before and given by name."
        )
    done.add(key)


class _Change:
    """Data of three cells: those of the first one, and multiples of them for the others."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self(part) for part in value)
        if isinstance(value, Argument):
            return Argument(lambda part: self(value.part(part)), value.shapes, value.name)
        if value.dim() < -_CELLS or value.shape[_CELLS] != _N:
            return value
        first = value.narrow(_CELLS, 0, 1)
        first = torch.where(first == 0, 0.25, first)  # of zeros no multiples can be told apart
        other = first * self.factor
        return torch.cat([first, other, other], _CELLS)


def _changed_field(change: _Change, held: list[dict[str, Tensor]], j: int, part: str) -> Tensor:
    values = held[j][part][0]
    return change(values.expand(*values.shape[:_CELLS], _N, *values.shape[_CELLS + 1 :]))


def _picked(points: Tensor, k: int) -> Tensor:
    """(dim, cells, places) with cell k in place of all but the first."""
    return torch.stack([points[:, 0], points[:, k], points[:, k]], 1)


def _check_shape(values: Tensor, n_places: int, form: Callable[..., Any]) -> None:
    if values.shape[:2] == (1, 1) and values.shape[2] in (1, _N) and values.shape[4] in (1, n_places):
        return
    raise ParameterError(
        f"a weak form returns one number at every place; on {_N} cells with {n_places} places each this one gave the "
        f"shape {tuple(values.shape)} instead of (1, 1, {_N}, batch, {n_places}).\n"
        "  Components come first in a form: write inner(a, b) or dot(a, b), or name their axis, a.sum(0), not "
        "a.sum(-1). Tensors of cells or points are given by name, assemble(form, k=k), and used as x.k."
        + outsiders(form)
    )


def _equal(one: Tensor, two: Tensor) -> bool:
    """Whether the first cell has equal values, but for what an iteration inside the form may leave."""
    if one.shape != two.shape:
        return False
    size = torch.maximum(one.abs(), two.abs()).nan_to_num(0.0, 0.0, 0.0).amax()
    one, two = one.narrow(_CELLS, 0, 1), two.narrow(_CELLS, 0, 1)
    tolerance = (1e-4 if one.dtype == torch.float32 else 1e-6) * size
    return bool(((one == two) | ((one - two).abs() <= tolerance) | (one.isnan() & two.isnan())).all())
