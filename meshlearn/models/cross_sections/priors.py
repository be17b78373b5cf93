"""Smooth fields from radial functions, by name, and the corrected fields made of them."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float32
from torch import Tensor

from meshlearn.models.cross_sections.body import Body
from meshlearn.models.cross_sections.field import BULGE, Field
from meshlearn.models.cross_sections.grid_field import COARSE, detail, refined, sampled
from meshlearn.models.cross_sections.hermite import HermiteField
from meshlearn.models.cross_sections.rbf import RadialField


class MeanField:
    """The mean of both kinds of radial functions: their errors between the planes are not the same ones."""

    def __init__(self, body: Body, centres: int = 3000, seed: int = 0):
        self.parts = RadialField(body, centres, seed=seed), HermiteField(body, centres, seed=seed)

    def __call__(self, points: Float32[Tensor, "n 3"]) -> Float32[Tensor, "n c"]:
        """Values at points of the unit frame."""
        return 0.5 * (self.parts[0](points) + self.parts[1](points))


SMOOTH: dict[str, Callable[..., Callable[[Tensor], Tensor]]] = {
    "rbf": RadialField,
    "hermite": HermiteField,
    "mean": MeanField,
}
"""Bases that are smooth fields in space, made once and kept on a grid."""


def blend_of(body: Body) -> str:
    """The blend that suits the planes."""
    return "cubic" if body.parallel else "distance"


def make_field(body: Body, base: str, centres: int, seed: int, levels: int | None = None) -> Field:
    """The field of a base, with what it lacks on the planes put back; for `levels` see `make_prior`."""
    if base not in SMOOTH:
        return Field(body, base)
    return Field(body, blend_of(body), make_prior(body, base, centres, seed, levels), local=True)


def make_prior(body: Body, base: str, centres: int, seed: int, levels: int | None = None) -> Float32[Tensor, "c n n n"]:
    """A smooth base on a grid.

    levels  refinements of the grid; default: as thin parts need them
    """
    function = SMOOTH[base](body, centres, seed=seed)
    grid = sampled(function, body, COARSE, max(body.cap, BULGE))
    for _ in range(detail(body) if levels is None else levels):
        grid = refined(function, grid)
    return grid
