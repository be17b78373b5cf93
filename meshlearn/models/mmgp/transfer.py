"""Fields between a morphed mesh and the common mesh: interpolation with clamping, or projection in L2."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float64, Int8, Int64
from torch import Tensor

from meshlearn.mesh.interpolation import interpolation_operator
from meshlearn.mesh.location import PointLocator
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.projection import Projection

TRANSFERS = ("interpolation", "projection")
ROUNDING = 1e-6  # of a cell: points that are no farther outside are on the boundary
Map = Callable[[Tensor], Tensor]


class CommonMesh:
    """The common mesh, ready to exchange fields with any mesh that was morphed onto it.

    Fields at points are interpolated by the shape functions of the cell, and take the closest point's value where the
    morphed mesh does not reach ("interpolation"); or they are projected onto the shape functions of the mesh that
    receives them, which keeps integrals up to quadrature ("projection"). Fields on cells take the value of the cell
    that holds the centre.
    """

    def __init__(self, mesh: Mesh, method: str = "interpolation") -> None:
        self.mesh, self.method = mesh, method
        self.locator = PointLocator(mesh) if mesh.domain_types else None
        self._projection: Projection | None = None

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
    def cell_size(self) -> float:
        """The side of a cube with the mean measure of the cells."""
        return float(self.mesh.measure() / self.mesh.n_cells) ** (1 / self.mesh.cell_dim)

    def reach(self, morphed: Mesh) -> tuple[Int8[Tensor, " n"], Float64[Tensor, " n"]]:
        """(1 where a point of a morphed mesh lies outside and values are clamped, else 0; how far, in cell sizes)."""
        assert self.locator is not None  # morphers refuse meshes without cells
        distance = self.locator.locate(morphed.points).distance / self.cell_size
        return (distance > ROUNDING).to(torch.int8), distance


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
        self._to: Map | None = None
        self._back: Map | None = None

    def to_common(self, values: Float64[Tensor, "n k"]) -> Float64[Tensor, "m k"]:
        """Rows on the common mesh from rows on the other one."""
        if self.same:
            return values if self.rows is None else values.index_select(0, self.rows)
        if self._to is None:
            self._to, distance = self._map(PointLocator(self.morphed), self.common.mesh, onto_common=True)
            self.outside_ = float(distance) / self.common.cell_size
        return self._to(values)

    def from_common(self, values: Float64[Tensor, "m k"]) -> Float64[Tensor, "n k"]:
        """Rows on the mesh from rows on the common one."""
        if self.same:
            return values if self.rows is None else values.index_select(0, torch.argsort(self.rows))
        if self._back is None:
            source: Any = self.common.locator
            self._back, _ = self._map(source, self.morphed, onto_common=False)
        return self._back(values)

    def _map(self, source: PointLocator, target: Mesh, onto_common: bool) -> tuple[Map, Tensor]:
        """(the map, the largest distance of the places where values are taken from the source)."""
        if self.location == "cell":
            where = source.locate(target.join_cells(target.cell_centroids()))
            cells = where.cell
            return (lambda values: values.index_select(0, cells)), where.distance.amax()
        onto = None
        if self.common.method == "projection":
            onto = self.common.projection() if onto_common else Projection(target)
        places = target.points if onto is None else onto.points
        matrix, _ = interpolation_operator(source, places)
        distance = (matrix @ source.mesh.points - places).norm(dim=1).amax()
        return (lambda values: (matrix @ values) if onto is None else onto(matrix @ values)), distance
