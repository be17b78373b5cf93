"""A scikit-fem finite-element space on a `Mesh`, with boundary tags looked up by name and values at its points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import skfem
import torch
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError, TopologyError
from meshlearn.io.bridges.skfem import to_skfem
from meshlearn.mesh.cells import cell_type
from meshlearn.mesh.mesh import Mesh

Value = float | int | str | Sequence | Tensor | np.ndarray | Callable[[Tensor], Any]
"""A number, a vector, the name of a point field, an array (n_points, ...), or a function of points (n, dim) float64.

Tensors may live on any device and require gradients; none flow through these solvers.
"""

_ELEMENTS = {
    "line": (skfem.ElementLineP1, skfem.ElementLineP2),
    "triangle": (skfem.ElementTriP1, skfem.ElementTriP2),
    "quad": (skfem.ElementQuad1, skfem.ElementQuad2),
    "tetra": (skfem.ElementTetP1, skfem.ElementTetP2),
    "hexahedron": (skfem.ElementHex1, skfem.ElementHex2),
}


@dataclass(frozen=True)
class Space:
    """Lagrange elements of order 1 or 2 on a mesh of one cell type (line, triangle, quad, tetra or hexahedron).

    mesh    the domain; its dimension must be that of its cells
    order   polynomial order of the solution; the geometry is always that of the straight-sided cells

    Raises TopologyError for other or several cell types, ParameterError for another order.
    """

    mesh: Mesh
    order: int = 1

    def __post_init__(self) -> None:
        kinds = self.mesh.domain_types
        if len(kinds) != 1 or kinds[0] not in _ELEMENTS:
            raise TopologyError(
                f"the simulators work on meshes of one first-order cell type ({', '.join(_ELEMENTS)}), "
                f"this one has {self.mesh.cell_counts}.\n  mesh: {self.mesh.source or 'made in memory'}\n"
                "  Split quads into triangles, or drop the mid-side nodes, before solving."
            )
        if self.mesh.cell_dim != self.mesh.dim:
            raise TopologyError(
                f"the simulators need as many coordinates as the cells have dimensions: {kinds[0]} cells in "
                f"{self.mesh.dim}-D were given.\n  Drop the constant coordinate of a planar mesh: points[:, :2]."
            )
        if self.order not in (1, 2):
            raise ParameterError(f"order is the polynomial order of the elements, 1 or 2, not {self.order}.")

    @property
    def kind(self) -> str:
        """The cell type."""
        return self.mesh.domain_types[0]

    @property
    def facet_kind(self) -> str:
        """The type of the cells that tag boundaries."""
        return cell_type(self.kind).facets[0][0]

    @cached_property
    def skmesh(self) -> skfem.Mesh:
        """The scikit-fem mesh: same point numbers, same cell numbers."""
        return to_skfem(Mesh(self.mesh.points.detach().cpu().double(), {self.kind: self.mesh.cells[self.kind].cpu()}))

    @cached_property
    def basis(self) -> skfem.CellBasis:
        """The scalar space, with quadrature that is exact for products of two of its functions."""
        return skfem.Basis(self.skmesh, _ELEMENTS[self.kind][self.order - 1](), intorder=2 * self.order)

    @cached_property
    def nodal(self) -> skfem.CellBasis:
        """The first-order space: its unknowns are the values at the points of the mesh."""
        return self.basis.with_element(_ELEMENTS[self.kind][0]())

    def facet_basis(self, facets: np.ndarray) -> skfem.FacetBasis:
        """The scalar space restricted to some boundary facets."""
        element = _ELEMENTS[self.kind][self.order - 1]()
        return skfem.FacetBasis(self.skmesh, element, facets=facets, intorder=2 * self.order)

    def facets(self, name: str) -> np.ndarray:
        """Numbers of the scikit-fem facets in the cell set `name` of the mesh.

        Raises FieldError when there is no such set, or when its cells are no boundary facets of this domain.
        """
        facet_kind = self.facet_kind
        rows = self.mesh.cell_sets.get(name, {}).get(facet_kind)
        if rows is None:
            raise FieldError(
                f"the mesh has no boundary named {name!r} made of {facet_kind} cells.\n"
                f"  boundaries: {', '.join(self.boundaries) or 'none'}\n  mesh: {self.mesh.source or 'made in memory'}"
            )
        nodes = self.mesh.cells[facet_kind].index_select(0, rows).cpu()
        found = np.array([self._numbers.get(tuple(sorted(row)), -1) for row in nodes.tolist()], dtype=np.int64)
        inner = np.isin(found, self.skmesh.boundary_facets(), invert=True)
        if inner.any():
            raise FieldError(f"{int(inner.sum())} of the {len(found)} facets of {name!r} are not on the boundary.")
        return found

    @cached_property
    def _numbers(self) -> dict[tuple[int, ...], int]:
        """Facet number by sorted corners."""
        return {tuple(sorted(facet)): i for i, facet in enumerate(self.skmesh.facets.T.tolist())}

    @cached_property
    def boundaries(self) -> list[str]:
        """Names of the cell sets made of facets."""
        return [name for name, rows in self.mesh.cell_sets.items() if self.facet_kind in rows]

    def dofs(self, name: str) -> np.ndarray:
        """Unknowns of the scalar space on a named boundary, or at the points of a named point set."""
        if name not in self.boundaries and name in self.mesh.point_sets:
            return self.basis.nodal_dofs[0, self.mesh.point_sets[name].cpu().numpy()]
        return self.basis.get_dofs(facets=self.facets(name)).flatten()

    def at_points(self, unknowns: np.ndarray) -> np.ndarray:
        """Values of a scalar function at the points of the mesh."""
        return unknowns[self.basis.nodal_dofs[0]]

    def evaluate(self, value: Value, x: np.ndarray, components: int = 0) -> np.ndarray:
        """A number, vector or function at places x (dim, ...): an array (...), or (components, ...) for vectors."""
        points = torch.from_numpy(x.reshape(len(x), -1).T.copy())
        if callable(value):
            value = value(points)
        rows = _array(value)
        shape = (points.shape[0], components) if components else (points.shape[0],)
        try:
            full = np.broadcast_to(rows, shape)
        except ValueError:
            raise ParameterError(
                f"a value of shape {rows.shape} does not fit {shape[0]} places"
                f"{f' with {components} components' if components else ''}."
            ) from None
        if not np.isfinite(rows).all():
            raise ParameterError(f"{int((~np.isfinite(rows)).sum())} of the {rows.size} values given are not finite.")
        return full.T.reshape(*((components,) if components else ()), *x.shape[1:])

    def evaluate_on(self, basis: skfem.AbstractBasis, value: Value, components: int = 0) -> np.ndarray:
        """The same at the quadrature points of a basis; also takes a point field, by name or as (n_points, ...)."""
        if isinstance(value, str):
            value = self._point_field(value)
        if isinstance(value, (Tensor, np.ndarray)) and tuple(value.shape[:1]) == (self.mesh.n_points,):
            table = _array(value).reshape(self.mesh.n_points, -1)
            if not np.isfinite(table).all():
                raise FieldError(f"{int((~np.isfinite(table)).sum())} values of a point field are not finite.")
            nodal = basis.with_element(self.nodal.elem)
            parts = [np.asarray(nodal.interpolate(column)) for column in table.T]
            if len(parts) != max(components, 1):
                raise FieldError(f"a field with {max(components, 1)} components is needed, this one has {len(parts)}.")
            return np.stack(parts) if components else parts[0]
        return self.evaluate(value, np.asarray(basis.global_coordinates()), components)

    def _point_field(self, name: str) -> Tensor:
        if name not in self.mesh.point_data:
            raise FieldError(
                f"the mesh has no point field {name!r}.\n  point_data: {', '.join(self.mesh.point_data) or 'nothing'}"
            )
        return self.mesh.point_data[name]

    def project(self, values: Iterable[np.ndarray]) -> np.ndarray:
        """(n_points, k): L2 projections of k functions, given at the quadrature points, onto the first-order space."""
        from scipy.sparse.linalg import splu

        basis = self.nodal
        mass = skfem.BilinearForm(lambda u, v, _: u * v).assemble(basis)
        load = skfem.LinearForm(lambda v, w: w.f * v)
        sides = np.stack([load.assemble(basis, f=value) for value in values], axis=1)
        used = np.unique(self.skmesh.t)
        result = np.zeros_like(sides)
        result[used] = splu(mass[used][:, used].tocsc()).solve(sides[used])
        return result


def _array(value: Any) -> np.ndarray:
    """float64 on the host, of numbers, arrays, tensors, or sequences of these."""
    if isinstance(value, Tensor):
        return value.detach().cpu().double().numpy()
    if isinstance(value, (list, tuple)):
        return np.array([_array(entry) for entry in value])
    return np.asarray(value, dtype=np.float64)
