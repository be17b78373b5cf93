"""Whether a weak form works place by place: a sum over everything, such as `x.k.sum()`, mixes cells unseen.

The form is called twice on three cells. The one in the middle has its own data (1/4 where they are 0); the others have
its data times 3/4 or 3/2, and lie far away, once on this side and once on the other, so that
means, sums and extremes change. What the form gives on the cell in the middle may not depend on that. Both calls have
arrays of equal shapes, so that the values of a pointwise form agree to the last bit, however much of them is rounding
noise. Where a form cannot be called beyond the mesh, the others lie elsewhere on it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.argument import NUMPY, Argument
from meshlearn.fem.explain import outsiders
from meshlearn.fem.forms import Jets, call, random_fields
from meshlearn.fem.places import Region, place, region
from meshlearn.io.quiet import quiet

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace

_N, _OWN, _CELLS = 3, 1, -3  # cells, the one whose value is looked at, and their axis
_FACTORS = 0.75, 1.5
_MIXES = (
    "the form mixes places: its value in one cell changes with the data of other cells.\n"
    "  Behind the components, the arrays in a form have axes for cells and places; sum(), mean(), max() or norm() "
    "without dim run over them, too.\n"
    "  Write inner(a, b) or dot(a, b), or name the axis of the components: a.norm(dim=0), a.sum(0), a.amax(0). What is "
    "made from a whole field is computed before and given by name."
)
_DONE: weakref.WeakKeyDictionary[Callable[..., Any], set[tuple[Any, ...]]] = weakref.WeakKeyDictionary()


def few_cells(space: FESpace, where: Region) -> Region:
    """Three cells of a region, on which forms are tried."""
    with torch.no_grad():
        numbers = where.cells if isinstance(where.cells, Tensor) else None
        n = len(space.element_dofs) if numbers is None else len(numbers)
        cells = torch.tensor([0, int(0.618 * n), n - 1], device=space.device)
        return region(space, cells if numbers is None else numbers.index_select(0, cells), where.rule)


def check_pointwise(
    space: FESpace, form: Callable[..., Any], jets: list[Jets], few: Region, given: dict[str, Any]
) -> None:
    """Raises ParameterError if the value of a form in one of a few cells depends on the others, if the axes of cells
    and places are not where they belong, or if it calls functions of numpy, which know no gradients.

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

    def values(k: int, move: Callable[[Tensor], Tensor], recorded: bool = False) -> Tensor:
        change = _Change(_FACTORS[k], recorded)
        spot = place(space, few, given)
        spot.alter(change, lambda points: change.recorded(move(points)))
        arguments = [
            mine.arguments(partial(_changed_field, change, held)) for mine, held in zip(jets, fields, strict=True)
        ]
        return call(form, arguments, spot, space.like)

    beyond = partial(_moved, sign=1), partial(_moved, sign=-1)
    elsewhere = partial(_picked, k=0), partial(_picked, k=2)
    for moves in (beyond, elsewhere):
        with torch.no_grad():
            try:
                one, two = (values(k, move) for k, move in enumerate(moves))
                known = _equal(one, two) or not _equal(values(1, moves[1]), two)  # or it is random
            except Exception:  # anything that the form raises on changed data; vmap, where no values can be looked at
                continue
        _check_shape(one, len(few.weights), form)
        if not known:
            raise ParameterError(_MIXES)
        done.add(key)
        break
    with torch.enable_grad(), quiet(UserWarning):  # of numbers made from what requires a gradient
        try:
            values(0, elsewhere[0], recorded=True)
        except ParameterError as error:
            if NUMPY in str(error):
                raise
        except Exception:  # as above: the form is left to the true data
            return


class _Change:
    """Data of three cells: those of the one in the middle, and multiples of them for the others."""

    def __init__(self, factor: float, record: bool = False) -> None:
        self.factor, self.record = factor, record

    def __call__(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self(part) for part in value)
        if isinstance(value, Argument):
            return Argument(lambda part: self(value.part(part)), value.shapes, value.name, value.linear)
        if value.dim() < -_CELLS or value.shape[_CELLS] != _N:
            return self.recorded(value)
        own = value.narrow(_CELLS, _OWN, 1)
        own = torch.where(own == 0, 0.25, own)  # of zeros no multiples can be told apart
        other = own * self.factor
        return self.recorded(torch.cat([other, own, other], _CELLS))

    def recorded(self, values: Tensor) -> Tensor:
        """The same, with a graph if asked: data that functions of numpy do not take."""
        return values.detach().requires_grad_() * 1 if self.record else values


def _changed_field(change: _Change, held: list[dict[str, Tensor]], j: int, part: str) -> Tensor:
    values = held[j][part][0]
    return change(values.expand(*values.shape[:_CELLS], _N, *values.shape[_CELLS + 1 :]))


def _moved(points: Tensor, sign: int) -> Tensor:
    """(dim, cells, places) with the middle cell's, moved far up or down along all axes, in place of the others."""
    own = points[:, _OWN]
    by = sign * (1 + 2 * own.abs().amax())
    return torch.stack([own + by, own, own + by], 1)


def _picked(points: Tensor, k: int) -> Tensor:
    """(dim, cells, places) with cell k in place of all but the middle one."""
    return torch.stack([points[:, k], points[:, _OWN], points[:, k]], 1)


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
    """Whether the cell in the middle has equal values, but for what an iteration inside the form may leave."""
    if one.shape != two.shape:
        return False
    size = torch.maximum(one.abs(), two.abs()).nan_to_num(0.0, 0.0, 0.0).amax()
    if one.shape[_CELLS] == _N:
        one, two = one.narrow(_CELLS, _OWN, 1), two.narrow(_CELLS, _OWN, 1)
    tolerance = (1e-4 if one.dtype == torch.float32 else 1e-6) * size
    return bool(((one == two) | ((one - two).abs() <= tolerance) | (one.isnan() & two.isnan())).all())
