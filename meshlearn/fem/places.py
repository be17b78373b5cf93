"""Quadrature rules on cells and facets, and everything a form can ask for at their places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from skfem.quadrature import get_quadrature
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.coefficients import coefficient
from meshlearn.fem.facets import facet_rules
from meshlearn.fem.fields import Place
from meshlearn.fem.geometry import Maps

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

    cells: Tensor | None
    rule: Rule
    maps: Maps
    measure: Tensor
    weights: Tensor
    normal: Tensor | None


def cell_rule(space: FESpace, order: int) -> Rule:
    """A rule that is exact for polynomials of the order on the reference cell."""
    places, weights = get_quadrature(space.element.refdom, max(order, 1))
    return Rule(places, weights, ("cell", order))


def region(space: FESpace, cells: Tensor | None, rule: Rule) -> Region:
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
    """What a form sees as x."""
    coefficients = {
        name: coefficient(space, name, value, where.cells, where.rule, where.maps) for name, value in given.items()
    }
    maps = where.maps
    made = Place(
        lambda: maps.points, where.normal, lambda: maps.det.abs().mean(1) ** (1 / len(maps.jacobian)), coefficients
    )
    for name, value in given.items():
        if callable(value):
            coefficients[name] = lambda value=value: value(made)
    return made


def facet_groups(space: FESpace, on: Any, order: int) -> list[tuple[Tensor, Rule]]:
    """(cells, rule) for each local facet number among the facets of a boundary."""
    skmesh = space.skmesh
    facets = space.facets(on)
    cells = skmesh.f2t[0, facets]
    local = (skmesh.t2f[:, cells] == facets).argmax(0)
    made = []
    for k, rule in enumerate(facet_rules(skmesh.refdom, order)):
        mine = np.flatnonzero(local == k)
        if len(mine):
            own = Rule(rule.places, rule.weights, ("facet", order, k), rule.normal)
            made.append((torch.from_numpy(cells[mine].astype(np.int64)).to(space.device), own))
    if not made:
        raise ParameterError(f"on={on!r} names no facets.")
    return made
