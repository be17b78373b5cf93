"""Quadrature rules on cells and facets, and everything a form can ask for at their places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.fem.arrays import shown
from meshlearn.fem.coefficients import ambiguous, batch_size, coefficient, constant
from meshlearn.fem.explain import explained
from meshlearn.fem.facets import facet_rules
from meshlearn.fem.fields import Place, open_shapes
from meshlearn.fem.geometry import Cells, Maps
from meshlearn.fem.one_side import facet_cells
from meshlearn.fem.quadrature import quadrature

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace


class Rule(NamedTuple):
    """places (dim, n_places) and weights (n_places,) on the reference cell; key tells rules apart.

    normal  outward normal of the reference facet, None in the cell
    """

    places: np.ndarray
    weights: np.ndarray
    key: tuple[Any, ...]
    normal: np.ndarray | None = None


class Region(NamedTuple):
    """Cells (None: all) with a rule, and the maps and measures there."""

    cells: Cells
    rule: Rule
    maps: Maps
    measure: Tensor
    weights: Tensor
    normal: Tensor | None


def cell_rule(space: FESpace, order: int) -> Rule:
    """A rule that is exact for polynomials of the order on the reference cell."""
    places, weights = quadrature(space.element.refdom, order)
    return Rule(places, weights, ("cell", order))


def region(space: FESpace, cells: Cells, rule: Rule) -> Region:
    """Maps and measures of cells at the places of a rule."""
    maps = space.geometry.at(rule.places, cells)
    measure, normal = maps.det.abs(), None
    if rule.normal is not None:
        reference = torch.from_numpy(rule.normal).to(measure)
        stretched = torch.einsum("kdcq,k->dcq", maps.inverse, reference)
        length = stretched.norm(dim=0)
        normal, measure = stretched / length, measure * length
    weights = torch.from_numpy(np.ascontiguousarray(rule.weights)).to(measure)
    return Region(cells, rule, maps, measure, weights, normal)


def place(space: FESpace, where: Region, given: dict[str, Any]) -> Place:
    """What a form sees as x. Raises ParameterError for names of coefficients that mean something else in a form."""
    _check(space, given)
    coefficients = {
        name: coefficient(space, name, value, where.cells, where.rule, where.maps) for name, value in given.items()
    }
    maps = where.maps
    made = Place(
        lambda: maps.points, where.normal, lambda: maps.det.abs().mean(1) ** (1 / len(maps.jacobian)), coefficients
    )
    open_shapes(made, *ambiguous(space, given))
    for name, value in given.items():
        if callable(value):
            coefficients[name] = lambda name=name, value=value: constant(
                space, name, explained(f"the function {name!r}", value, made)
            )
    return made


def _check(space: FESpace, given: dict[str, Any]) -> None:
    taken = [name for name in given if name in ("points", "normal", "size") or name.startswith("_")]
    if taken:
        raise ParameterError(f"a coefficient cannot be called {taken[0]!r}: x.{taken[0]} is taken; use another name.")
    sizes = {name: size for name, value in given.items() if (size := batch_size(space, value)) is not None}
    if len({size for size in sizes.values() if size != 1}) > 1 or 0 in sizes.values():
        raise FieldError(f"the coefficients' batches must have the same size, and not be empty; they have {sizes}.")


def facet_groups(space: FESpace, on: Any, order: int) -> list[tuple[Tensor, Rule]]:
    """(cells, rule) for each local facet number among the facets of a boundary."""
    cells, local = facet_cells(space, on)
    made = []
    for k, rule in enumerate(facet_rules(space.skmesh.refdom, order)):
        mine = np.flatnonzero(local == k)
        if len(mine):
            own = Rule(rule.places, rule.weights, ("facet", order, k), rule.normal)
            made.append((torch.from_numpy(cells[mine]).to(space.device), own))
    if not made:
        raise ParameterError(f"on={shown(on)} names no facets.")
    return made
