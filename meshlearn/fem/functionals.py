"""Dofs of elements with derivatives among them (Argyris, Morley, Hermite, BFS …), as scikit-fem defines them.

Each is a sum of weights times derivatives at places of the cell. They are read off the element's own definition, which
is called once with what records instead of computing: signs of normals and numbering are scikit-fem's.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import skfem
import torch
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.fem.argument import Argument
from meshlearn.fem.derivatives import ORDERS, differentiable
from meshlearn.fem.places import Region, Rule, place, region

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace


class Term(NamedTuple):
    """weights (n_cells,) times the derivative in directions `orders`, () for the value, at a place of the cell."""

    place: int
    orders: tuple[int, ...]
    weights: np.ndarray


class Functionals(NamedTuple):
    """Reference places (dim, n_places) and, for every function of the block, the terms of its dof."""

    places: np.ndarray
    terms: list[list[Term]]

    @property
    def order(self) -> int:
        """Highest derivative among the dofs."""
        return max(len(term.orders) for terms in self.terms for term in terms)


def functionals(space: FESpace, k: int) -> Functionals | None:
    """The dofs of field k, None for elements that are not defined by derivatives at places."""
    element = space.blocks[k].element
    if not isinstance(element, skfem.ElementGlobal):
        return None
    if k not in space.recorded:
        space.recorded[k] = _recorded(space, k)
    return space.recorded[k]


def _recorded(space: FESpace, k: int) -> Functionals:
    block = space.blocks[k]
    known = np.unique(np.asarray(block.element.doflocs, np.float64), axis=0)
    where = space.geometry.at(known.T).points.detach().cpu().double().numpy()  # (dim, cells, places)
    size = float(np.ptp(where.reshape(len(where), -1), axis=1).max())
    given = _given(block.element, space.skmesh)
    keys = sorted(block.element._pbasis, key=len)
    recorder = {key: _Recorder(key) for key in keys}
    terms = []
    for i in range(block.n_functions):
        made = []
        for orders, at, weights in block.element.gdof(recorder, given, i).terms:
            distance = np.abs(where - np.stack(at)[:, :, None]).max((0, 1))
            if distance.min() > 1e-5 * size:
                raise ParameterError(f"dof {i} of {type(block.element).__name__} lies at no place that it tells of.")
            made.append(Term(int(distance.argmin()), orders, np.broadcast_to(weights, where.shape[1:2])))
        terms.append(made)
    return Functionals(known.T, terms)


def _given(element: Any, skmesh: Any) -> dict[str, Any]:
    """Corners, midpoints and normals of the cells, as scikit-fem hands them to the definition of the dofs."""
    probe, seen = copy.copy(element), {}
    element._pbasis_init(element.maxdeg, element.dim, element.derivatives, element.tensorial_basis)
    probe._pbasis = {(): [None]}

    def catch(F: Any, w: dict[str, Any], i: int) -> float:
        seen.update(w)
        return 0.0

    probe.gdof = catch
    probe._eval_dofs(skmesh)
    return seen


class _Recorder:
    """A derivative of a function that is called with a place: remembers where."""

    def __init__(self, orders: tuple[int, ...]) -> None:
        self.orders = orders

    def __call__(self, *at: np.ndarray) -> _Sum:
        return _Sum([(self.orders, at, 1.0)])


class _Sum:
    __array_ufunc__ = None  # array * sum is answered here

    def __init__(self, terms: list[tuple[tuple[int, ...], Any, Any]]) -> None:
        self.terms = terms

    def __add__(self, other: _Sum) -> _Sum:
        return _Sum(self.terms + other.terms)

    def __mul__(self, factor: Any) -> _Sum:
        return _Sum([(orders, at, weights * factor) for orders, at, weights in self.terms])

    __rmul__ = __mul__

    def __neg__(self) -> _Sum:
        return self * -1.0

    def __sub__(self, other: _Sum) -> _Sum:
        return self + -other


def local_dofs(space: FESpace, k: int, value: Any, known: Functionals) -> Tensor:
    """(n_functions, n_cells) dofs of a function in every cell."""
    where = region(space, None, Rule(known.places, np.ones(known.places.shape[1]), ("functionals", k)))
    found = known_field(space, k, value, where, known.order)
    jets = [found.part(name) for name in ORDERS[: known.order + 1]]
    cells = len(space.element_dofs)
    made = []
    for terms in known.terms:
        total: Any = 0.0
        for term in terms:
            values = jets[len(term.orders)][term.orders][0, 0, :, 0]
            values = values[:, min(term.place, values.shape[1] - 1)]
            weights = torch.tensor(term.weights).to(values)
            total = total + values.expand(cells) * weights
        made.append(total)
    return torch.stack(made)


def known_field(space: FESpace, k: int, value: Any, where: Region, order: int) -> Argument:
    """A function with derivatives up to an order at places. Raises FieldError for what has none."""
    element = type(space.blocks[k].element).__name__
    x = place(space, where, {} if callable(value) and not isinstance(value, Argument) else {"value": value})
    if callable(value):
        found: Any = differentiable(space, "value", value, x)
    else:
        found = x.value
        if not isinstance(found, Argument):
            if not _is_number(value):
                raise FieldError(
                    f"values of points or cells have no derivatives, which are among the dofs of {element}: give a "
                    "function of the place, dofs (space.function(dofs)), or the L2 projection of the field, "
                    "space.function(space.project(field))."
                )
            found = differentiable(space, "value", lambda x: value, x)
    if not isinstance(found, Argument) or found.shapes["value"] != ():
        shape = found.shapes["value"] if isinstance(found, Argument) else "of several parts"
        raise FieldError(f"a function with components {shape} does not fit {space}, whose values are scalars.")
    missing = [name for name in ORDERS[: order + 1] if name not in found.shapes]
    if missing:
        raise FieldError(
            f"the dofs of {element} are derivatives up to order {order}, and {found.name} is known with "
            f"{', '.join(found.shapes)} only: no {missing[0]}.\n  Give a function of the place, or the L2 projection: "
            "space.function(space.project(f))."
        )
    if found.part("value").shape[-2] != 1:
        raise FieldError("a batch of functions cannot be interpolated at once; use project.")
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) or (isinstance(value, (Tensor, np.ndarray)) and value.ndim == 0)
