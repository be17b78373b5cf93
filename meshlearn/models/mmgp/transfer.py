"""Fields between a morphed mesh and the common mesh: interpolation with clamping, with slopes, or projection in L2."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float64, Int8, Int64
from torch import Tensor

from meshlearn.mesh.interpolation import interpolation_operator
from meshlearn.mesh.location import PointLocator
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.projection import Projection
from meshlearn.models.mmgp.slopes import Slopes
from meshlearn.ops import SparseOperator

TRANSFERS = ("recovery", "interpolation", "projection")
ON_BOUNDARY = 1e-6  # of a cell: points that are no farther outside are on the boundary


@runtime_checkable
class Map(Protocol):
    """Rows (m, k) of one mesh as rows (n, k) of another one.

    distance  the largest of the places where values are wanted from where they are taken
    """

    distance: float

    def __call__(self, values: Tensor) -> Tensor: ...

    def plain(self, values: Tensor) -> Tensor:
        """The same without slopes: what is not negative stays so, as far as shape functions are not."""
        ...

    def missed(self, values: Tensor, slopes: Slopes) -> Tensor:
        """An estimate of the field behind the values less what the map makes of them; `slopes` are of the source."""


class Sloped(Map, Protocol):
    """A map whose values are those of `plain`, with what slopes add, if any are given."""

    slopes: Slopes | None

    def __call__(self, values: Tensor) -> Tensor:
        received = self.plain(values)
        return received if self.slopes is None else received + self.missed(values, self.slopes)


@dataclass
class AtPoints(Sloped):
    """Values at points, interpolated by shape functions; then projected, or with what slopes add, if any are given."""

    matrix: SparseOperator
    places: Tensor
    onto: Projection | None
    slopes: Slopes | None
    distance: float

    def plain(self, values: Tensor) -> Tensor:
        received = self.matrix @ values
        return received if self.onto is None else self.onto(received)

    def missed(self, values: Tensor, slopes: Slopes) -> Tensor:
        missed = slopes.missed(self.matrix, self.places, values)
        return missed if self.onto is None else self.onto(missed) - self.onto.bent(self.plain(values))


@dataclass
class InCells(Sloped):
    """Values on cells, taken from the cell that holds the place; with its slope from there, where slopes are given."""

    cells: Tensor
    places: Tensor
    slopes: Slopes | None
    distance: float

    def plain(self, values: Tensor) -> Tensor:
        return values.index_select(0, self.cells)

    def missed(self, values: Tensor, slopes: Slopes) -> Tensor:
        return slopes.missed_in_cells(self.cells, self.places, values)


@dataclass
class SameRows:
    """Values of meshes that share their rows, in another order: exact."""

    order: Tensor | None
    distance: float = 0.0

    def __call__(self, values: Tensor) -> Tensor:
        return values if self.order is None else values.index_select(0, self.order)

    plain = __call__

    def missed(self, values: Tensor, slopes: Slopes) -> Tensor:
        return torch.zeros_like(values)


class CommonMesh:
    """The common mesh, ready to exchange fields with any mesh that was morphed onto it.

    Fields at points are interpolated by the shape functions of the cell, and take the closest point's value where the
    morphed mesh does not reach ("interpolation"); "recovery" adds what recovered gradients say of the field between
    the points, and beyond the boundary, which makes it third order in the size of first-order cells (`Slopes`); or they
    are projected onto the shape functions of the mesh that receives them, which keeps integrals up to quadrature
    ("projection"). Fields on cells take the value of the cell that holds the centre; with "recovery", and its slope.
    """

    def __init__(self, mesh: Mesh, method: str = "recovery") -> None:
        self.mesh, self.method = mesh, method
        self.locator = PointLocator(mesh) if mesh.domain_types else None
        self._projection: Projection | None = None
        self._middle: SparseOperator | None = None

    def link(self, morphed: Mesh, location: str, same: bool, rows: Int64[Tensor, " m"] | None = None) -> Link:
        """The maps between the common mesh and one with morphed points.

        same  the rows correspond one to one, in the order `rows`: numbers of the mesh's; None for the same order
        """
        return Link(self, morphed, location, same, rows)

    def projection(self) -> Projection:
        """The L2 projection onto the common mesh, factorised once."""
        if self._projection is None:
            self._projection = Projection(self.mesh)
        return self._projection

    @cached_property
    def slopes(self) -> Slopes:
        """Recovered gradients on the common mesh."""
        return Slopes(self.mesh, often=True)

    def roughness(self, values: Float64[Tensor, "m k"], location: str) -> float:
        """Mean square of what the common mesh misses of a field in the middle of its cells: how curved it is there."""
        if location == "point":
            centres = self.mesh.join_cells(self.mesh.cell_centroids())
            if self._middle is None:
                self._middle, _ = interpolation_operator(self.locator or self.mesh, centres)
            missed = self.slopes.missed(self._middle, centres, values)
        else:
            missed = self.cell_size * self.slopes.in_cells(values).movedim(0, 2).flatten(1)
        return float(self._measures @ missed.square().sum(1))

    @cached_property
    def _measures(self) -> Tensor:
        measures = self.mesh.join_cells(self.mesh.cell_measures()).abs()
        return measures / measures.sum()

    @cached_property
    def cell_size(self) -> float:
        """The side of a cube with the mean measure of the cells."""
        return self.slopes.cell_size

    def reach(self, morphed: Mesh) -> tuple[Int8[Tensor, " n"], Float64[Tensor, " n"]]:
        """(1 where a point of a morphed mesh lies outside and values are clamped, else 0; how far, in cell sizes)."""
        assert self.locator is not None  # morphers refuse meshes without cells
        distance = self.locator.locate(morphed.points).distance / self.cell_size
        return (distance > ON_BOUNDARY).to(torch.int8), distance


class Link:
    """Both maps for the rows of one location, "point" or "cell"; made when they are first used.

    outside_  largest distance of the common mesh's rows from the morphed mesh, in cell sizes, after `to_common`
    """

    outside_: float = 0.0

    def __init__(
        self,
        common: CommonMesh,
        morphed: Mesh,
        location: str,
        same: bool,
        rows: Int64[Tensor, " m"] | None = None,
    ) -> None:
        self.common, self.morphed, self.location, self.same, self.rows = common, morphed, location, same, rows

    def to_common(self, values: Float64[Tensor, "n k"], plain: bool = False) -> Float64[Tensor, "m k"]:
        """Rows on the common mesh from rows on the other one; `plain` without slopes."""
        self.outside_ = self._to.distance / self.common.cell_size
        return self._to.plain(values) if plain else self._to(values)

    def from_common(self, values: Float64[Tensor, "m k"], plain: bool = False) -> Float64[Tensor, "n k"]:
        """Rows on the mesh from rows on the common one; `plain` for variances, which slopes could make negative."""
        return self._back.plain(values) if plain else self._back(values)

    def missed_to_common(self, values: Float64[Tensor, "n k"]) -> Float64[Tensor, "m k"]:
        """An estimate of what `to_common` loses of the field that has these values on the mesh."""
        return self._to.missed(values, self._slopes)

    def missed_from_common(self, values: Float64[Tensor, "m k"]) -> Float64[Tensor, "n k"]:
        """An estimate of what `from_common` loses of the field that has these values on the common mesh."""
        return self._back.missed(values, self.common.slopes)

    @cached_property
    def _slopes(self) -> Slopes:
        return Slopes(self.morphed)

    @cached_property
    def _to(self) -> Map:
        if self.same:
            return SameRows(self.rows)
        return self._map(PointLocator(self.morphed), self.common.mesh, onto_common=True)

    @cached_property
    def _back(self) -> Map:
        if self.same:
            return SameRows(None if self.rows is None else torch.argsort(self.rows))
        source: Any = self.common.locator
        return self._map(source, self.morphed, onto_common=False)

    def _map(self, source: PointLocator, target: Mesh, onto_common: bool) -> Map:
        slopes = None
        if self.common.method == "recovery":
            slopes = self._slopes if onto_common else self.common.slopes
        if self.location == "cell":
            centres = target.join_cells(target.cell_centroids())
            where = source.locate(centres)
            return InCells(where.cell, centres, slopes, float(where.distance.amax()))
        onto = None
        if self.common.method == "projection":
            onto = self.common.projection() if onto_common else Projection(target)
        places = target.points if onto is None else onto.points
        matrix, _ = interpolation_operator(source, places)
        distance = (matrix @ source.mesh.points - places).norm(dim=1).amax()
        return AtPoints(matrix, places, onto, slopes, float(distance))
