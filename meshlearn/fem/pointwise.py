"""Whether a weak form works place by place: a sum over everything, such as `x.k.sum()`, mixes cells unseen.

The form is called on three cells, whose data are varied a little from place to place, and on the same data in other
orders: its values must follow them. A sort or a flip along the places does not, nor does a tensor from outside that is
as long as there are places. Then all places but one get other data (3/4 or 3/2 of its own), and lie far away, once on
this side and once on the other, so that means, sums and extremes change. What the form gives at the one that was kept
may not depend on that. All calls have arrays of equal shapes; where values differ all the same, and as much for data
that are moved by rounding only, they are noise. Where a form cannot be called beyond the mesh, the others lie elsewhere
on it.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.argument import NUMPY, Argument
from meshlearn.fem.coefficients import batch_size
from meshlearn.fem.explain import outside, outsiders
from meshlearn.fem.forms import Jets, call, random_fields
from meshlearn.fem.places import Region, Rule, place, region
from meshlearn.quiet import quiet

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace

_N, _CELLS = 3, -3  # cells, and their axis
_FACTORS = 0.75, 1.5
_MIXES = (
    "the form mixes places: its value in one place changes with the data of others.\n"
    "  Behind the components, the arrays in a form have axes for cells and places; sum(), mean(), max() or norm() "
    "without dim run over them, too, and dim=-1 is the axis of the places.\n"
    "  Write inner(a, b) or dot(a, b), or name the axis of the components: a.norm(dim=0), a.sum(0), a.amax(0). What is "
    "made from a whole field is computed before and given by name."
)
_PLACES = (
    "the form reads {names} from outside as one number for each of the {n} places of the quadrature in a cell, because "
    "there are as many.\n"
    "  A constant vector or matrix goes into dot(a, b) or inner(a, b), or is taken component by component, k[0]; "
    "values of cells or points are given by name, assemble(form, k=k), and used as x.k."
)
_DONE: weakref.WeakKeyDictionary[Callable[..., Any], set[tuple[Any, ...]]] = weakref.WeakKeyDictionary()


def few_cells(space: FESpace, numbers: Tensor | None, rule: Rule) -> Region:
    """Three of the cells with these numbers (None: of all), on which forms are tried."""
    with torch.no_grad():
        n = len(space.element_dofs) if numbers is None else len(numbers)
        cells = torch.tensor([0, int(0.618 * n), n - 1], device=space.device)
        return region(space, cells if numbers is None else numbers.index_select(0, cells), rule)


def check_pointwise(
    space: FESpace, form: Callable[..., Any], jets: list[Jets], few: Region, given: dict[str, Any]
) -> None:
    """Raises ParameterError if the value of a form at a place of a few cells depends on others, if the axes of cells
    and places are not where they belong, if a tensor from outside runs along them, or if the form calls functions of
    numpy, which know no gradients.

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
    n_places = len(few.weights)
    fields = random_fields(jets, space.like)

    def values(change: _Change) -> Tensor:
        spot = place(space, few, given)
        spot.alter(change, change.points, [name for name, value in given.items() if callable(value)])
        arguments = [
            mine.arguments(partial(_changed_field, change, held)) for mine, held in zip(jets, fields, strict=True)
        ]
        return call(form, arguments, spot, space.like)

    first = _first(values, space.like, n_places)
    if first is None:
        return
    start, plain = first
    batch = max([batch_size(space, value) or 1 for value in given.values()], default=1)
    _check_shape(plain, n_places, batch, form)
    plain = plain.expand(*plain.shape[:2], _N, -1, n_places)
    with torch.no_grad():
        places = few.maps.points.detach().sum(0).reshape(-1)
        low, high = int(places.argmin()), int(places.argmax())
        everywhere = torch.arange(len(places), device=places.device)
        for at, tries in (
            (everywhere, [start.ordered(_order(len(places)))]),
            (everywhere[low : low + 1], [start.around(low, _FACTORS[0], -1.0), start.around(low, _FACTORS[0])]),
            (everywhere[high : high + 1], [start.around(high, _FACTORS[1], 1.0), start.around(high, _FACTORS[1])]),
            (everywhere[low : low + 1], [start.around(low, _FACTORS[1], 1.0)]),
            (everywhere[high : high + 1], [start.around(high, _FACTORS[0], -1.0)]),
        ):
            for change in tries:
                try:
                    found = values(change)
                except Exception:  # anything that the form raises on changed data
                    continue
                gap = _gap(found, plain, at, change.index)
                if gap and not gap <= 20 * _gap(values(start.nearby()), plain, everywhere, everywhere, 0.0):
                    raise ParameterError(_words(form, n_places, len(at) > 1))
                break
    done.add(key)


def _first(values: Callable[[_Change], Tensor], like: Tensor, n_places: int) -> tuple[_Change, Tensor] | None:
    """Data on which a form can be called, and what it gives there; None if there are none, as under vmap. Raises
    ParameterError for functions of numpy, which data that require a gradient do not pass through."""
    spread = torch.arange(1, _N * n_places + 1, dtype=like.dtype, device=like.device) * 0.61803 % 1
    vary = 0.1 * spread.reshape(_N, n_places)
    for amount, record in ((vary, True), (0 * vary, True), (vary, False), (0 * vary, False)):
        start = _Change(amount, record=record)
        try:
            with torch.set_grad_enabled(record), quiet(UserWarning):  # of numbers made from what requires a gradient
                found = values(start).detach()
                bool((found == found).any())  # vmap: no values can be looked at
                return start, found
        except ParameterError as error:
            if NUMPY in str(error) if record else not bool(amount.any()):
                raise
        except Exception:  # as below: the form is left to the true data
            continue
    return None


class _Change:
    """Data of three cells, varied from place to place, in another order, and multiplied by factors.

    vary     (cells, places) small numbers r: data times 1 + r, points nearer to the middle of their cell
    index    (cells * places,) the place from which each takes its data, None: its own
    factors  (cells, places) further factors of the data
    far      (cells, places) how far the points move along all axes, in sizes of what they are
    record   whether the data get a graph, which functions of numpy do not take
    """

    def __init__(
        self,
        vary: Tensor,
        index: Tensor | None = None,
        factors: Tensor | None = None,
        far: Tensor | None = None,
        record: bool = False,
    ) -> None:
        self.vary, self.record = vary, record
        self.index = torch.arange(vary.numel(), device=vary.device) if index is None else index
        self.factors = torch.ones_like(vary) if factors is None else factors
        self.far = torch.zeros_like(vary) if far is None else far

    def ordered(self, index: Tensor) -> _Change:
        """The same data in another order."""
        return _Change(self.vary, index.to(self.vary.device))

    def around(self, kept: int, factor: float = 1.0, sign: float = 0.0) -> _Change:
        """The data of one place, and multiples of them at all others, which lie far away."""
        others = torch.ones_like(self.vary)
        others.view(-1)[kept] = 0.0
        return _Change(self.vary, torch.full_like(self.index, kept), 1 + (factor - 1) * others, sign * others)

    def nearby(self) -> _Change:
        """The same data, moved by rounding only."""
        return _Change(self.vary + 8 * torch.finfo(self.vary.dtype).eps)

    def __call__(self, value: Any, made: bool = False) -> Any:
        """made: by a function of the place, which has seen other places already."""
        if isinstance(value, tuple):
            return tuple(self(part, made) for part in value)
        if isinstance(value, Argument):
            return Argument(lambda part: self(value.part(part), made), value.shapes, value.name, value.linear)
        if value.dim() < -_CELLS or value.shape[_CELLS] != _N:
            return self.recorded(value)
        value = torch.where(value == 0, 0.25, value)  # of zeros no multiples can be told apart
        vary = self.vary.unsqueeze(-2)
        if made:
            value = value * (1 + self._taken(vary))
        else:
            value = self._taken(value * (1 + vary))
        return self.recorded(value * self.factors.unsqueeze(-2))

    def points(self, points: Tensor) -> Tensor:
        """(dim, cells, places)."""
        points = points + self.vary * (points.mean(-1, keepdim=True) - points)
        size = 1 + 2 * points.abs().amax()
        points = self._taken(points.unsqueeze(-2)).squeeze(-2)
        return self.recorded(points + size * self.far)

    def _taken(self, value: Tensor) -> Tensor:
        """(..., cells, batch, places) with every place's data from where they are taken."""
        value = value.expand(*value.shape[:-1], self.vary.shape[1]).movedim(-2, -3)
        taken = value.reshape(*value.shape[:-2], -1).index_select(-1, self.index)
        return taken.reshape(value.shape).movedim(-3, -2).contiguous()

    def recorded(self, values: Tensor) -> Tensor:
        """The same, with a graph if asked."""
        return values.detach().requires_grad_() * 1 if self.record else values


def _changed_field(change: _Change, held: list[dict[str, Tensor]], j: int, part: str) -> Tensor:
    values = held[j][part][0]
    return change(values.expand(*values.shape[:_CELLS], _N, *values.shape[_CELLS + 1 :]))


def _order(n: int) -> Tensor:
    """A permutation that commutes with no flip, roll or sort."""
    return torch.tensor([1, 0, 2]) if n == _N else torch.argsort(torch.arange(1, n + 1) ** 2 * 0.75488 % 1)


def _gap(found: Tensor, plain: Tensor, at: Tensor, source: Tensor, rounding: float | None = None) -> float:
    """How far values at places are from the first ones at those that their data come from; 0 for what an iteration
    inside the form may leave, infinite where only one of them is a number."""
    if found.shape[:2] != plain.shape[:2]:
        return math.inf
    found, plain = (a.expand(*a.shape[:2], _N, -1, plain.shape[4]).movedim(3, 2).flatten(3) for a in (found, plain))
    one, two = found.index_select(3, at), plain.index_select(3, source.index_select(0, at))
    if rounding is None:
        rounding = 1e-4 if one.dtype == torch.float32 else 1e-6
    size = torch.maximum(one.abs().nan_to_num(0.0, 0.0, 0.0).amax(), plain.abs().nan_to_num(0.0, 0.0, 0.0).amax())
    differs = ~((one == two) | (one.isnan() & two.isnan()) | ((one - two).abs() <= rounding * size))
    return float((one - two)[differs].abs().nan_to_num(math.inf).amax()) if bool(differs.any()) else 0.0


def _words(form: Callable[..., Any], n: int, along: bool) -> str:
    """What to say of a form that mixes places, or has a tensor from outside in it that is as long as there are."""
    names = [f"{name} {tuple(k.shape)}" for name, k in outside(form).items() if n > 1 and k.shape[-1] == n]
    return _PLACES.format(names=", ".join(names), n=n) if along and names else _MIXES


def _check_shape(values: Tensor, n_places: int, batch: int, form: Callable[..., Any]) -> None:
    fits = values.shape[:2] == (1, 1) and values.shape[2] in (1, _N) and values.shape[4] in (1, n_places)
    if fits and (values.shape[3] in (1, batch) or (batch == 1 and not outside(form))):
        return  # a form may lay results of its own side by side; a tensor from outside must not pass for them
    raise ParameterError(
        f"a weak form returns one number at every place; on {_N} cells with {n_places} places each this one gave the "
        f"shape {tuple(values.shape)} instead of (1, 1, {_N}, {batch if fits else 'batch'}, {n_places}).\n"
        "  Components come first in a form: write inner(a, b) or dot(a, b), or name their axis, a.sum(0), not "
        "a.sum(-1). Tensors of cells or points are given by name, assemble(form, k=k), and used as x.k."
        + outsiders(form)
    )
