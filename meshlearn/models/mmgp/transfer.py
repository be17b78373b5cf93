"""Fields between a morphed mesh and the common mesh: interpolation with clamping, or projection in L2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxtyping import Float64
from torch import Tensor

from meshlearn.mesh.interpolation import interpolation_operator
from meshlearn.mesh.location import PointLocator
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.projection import Projection

TRANSFERS = ("interpolation", "projection")
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

    def link(self, morphed: Mesh, location: str, same: bool) -> Link:
        """The maps between the common mesh and one with morphed points; `same`: rows correspond one to one."""
        return Link(self, morphed, location, same)

    def projection(self) -> Projection:
        """The L2 projection onto the common mesh, factorised once."""
        if self._projection is None:
            self._projection = Projection(self.mesh)
        return self._projection


class Link:
    """Both maps for the rows of one location, "point" or "cell"; made when they are first used.

    outside_  share of the common mesh's rows that lie outside the morphed mesh, after `to_common` was used
    """

    outside_: float = 0.0

    def __init__(self, common: CommonMesh, morphed: Mesh, location: str, same: bool) -> None:
        self.common, self.morphed, self.location, self.same = common, morphed, location, same
        self._to: Map | None = None
        self._back: Map | None = None

    def to_common(self, values: Float64[Tensor, "n k"]) -> Float64[Tensor, "m k"]:
        """Rows on the common mesh from rows on the other one."""
        if self.same:
            return values
        if self._to is None:
            self._to, self.outside_ = self._map(PointLocator(self.morphed), self.common.mesh, onto_common=True)
        return self._to(values)

    def from_common(self, values: Float64[Tensor, "m k"]) -> Float64[Tensor, "n k"]:
        """Rows on the mesh from rows on the common one."""
        if self.same:
            return values
        if self._back is None:
            source: Any = self.common.locator
            self._back, _ = self._map(source, self.morphed, onto_common=False)
        return self._back(values)

    def _map(self, source: PointLocator, target: Mesh, onto_common: bool) -> tuple[Map, float]:
        if self.location == "cell":
            where = source.locate(target.join_cells(target.cell_centroids()))
            cells = where.cell
            return (lambda values: values.index_select(0, cells)), float((where.status != 0).double().mean())
        if self.common.method == "projection":
            onto = self.common.projection() if onto_common else Projection(target)
            matrix, status = interpolation_operator(source, onto.points)
            return (lambda values: onto(matrix @ values)), float((status != 0).double().mean())
        matrix, status = interpolation_operator(source, target.points)
        return (lambda values: matrix @ values), float((status != 0).double().mean())
