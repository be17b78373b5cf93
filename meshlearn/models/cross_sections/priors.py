"""Smooth fields from radial functions, by name, and the corrected fields made of them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from meshlearn.models.cross_sections.body import Body
from meshlearn.models.cross_sections.field import BULGE, Field
from meshlearn.models.cross_sections.grid_field import COARSE, detail, refined, sampled
from meshlearn.models.cross_sections.hermite import HermiteField
from meshlearn.models.cross_sections.rbf import RadialField

SMOOTH: dict[str, Callable[..., Callable[[Tensor], Tensor]]] = {"rbf": RadialField, "hermite": HermiteField}
"""Bases that are smooth fields in space, made once and kept on a grid."""


def blend_of(body: Body) -> str:
    """The blend that suits the planes."""
    return "cubic" if body.parallel else "distance"


def make_field(body: Body, base: str, centres: int, seed: int, levels: int | None = None) -> Field:
    """The field of a base, with what it lacks on the planes put back.

    levels  refinements of the grid on which a smooth field is kept; default: as thin parts need them
    """
    if base not in SMOOTH:
        return Field(body, base)
    function = SMOOTH[base](body, centres, seed=seed)
    grid = sampled(function, body, COARSE, max(body.cap, BULGE))
    for _ in range(detail(body) if levels is None else levels):
        grid = refined(function, grid)
    return Field(body, blend_of(body), grid, local=True)
