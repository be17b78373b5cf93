"""What a space on one mesh is, apart from fields: dofs, matrices, places. Made once per geometry."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from meshlearn import ops
from meshlearn.errors import ParameterError, TopologyError
from meshlearn.fem import FESpace
from meshlearn.fem.dof_graph import dof_entities
from meshlearn.fem.operators import curl, div, dot, grad, inner
from meshlearn.mesh.mesh import Mesh
from meshlearn.ops import SparseOperator

NODAL = ("P0", "P1", "P2", "P3", "P4", "S2", "CR")
DIRECTED = ("RT0", "N1")
ELEMENTS = (*NODAL, *DIRECTED)
SINGLE_KIND = ("P0", "P1", "CR", *DIRECTED)  # all dofs belong to entities of one kind

# {points: {key: (discretisation, what the key's ids belong to)}}; meshes with other fields share points and so this
_KNOWN = WeakTensorKeyDictionary()


def discretise(mesh: Mesh, element: str) -> Discretisation:
    """The space of an element on a mesh, kept as long as the mesh's points: one mesh with many fields has one."""
    known = _KNOWN.setdefault(mesh.points, {})
    sets = [(name, kind, ids) for name, by in mesh.cell_sets.items() for kind, ids in by.items()]
    sets += [(name, "point", ids) for name, ids in mesh.point_sets.items()]
    key = (element, id(mesh.topology), tuple((name, kind, id(ids)) for name, kind, ids in sets))
    if key not in known:
        # a copy of the points, so that what is kept does not keep the key alive
        bare = mesh.without_data().replace(points=mesh.points.detach().clone())
        known[key] = (Discretisation(bare, element), mesh.topology, sets)
    return known[key][0]


class Discretisation:
    """A space with one of the elements that networks can read and write.

    Dofs of NODAL elements are values of a scalar field at points; a field with components has a column for each. Dofs
    of DIRECTED elements are fluxes through facets or circulations along edges of a vector field: linear functionals
    that are dof_i = g_i · c on constant fields c, with g_i = size_i direction_i.
    """

    def __init__(self, mesh: Mesh, element: str) -> None:
        if element not in ELEMENTS:
            raise ParameterError(f"element={element!r}: networks read and write the dofs of {', '.join(ELEMENTS)}.")
        self.mesh, self.element, self.directed = mesh, element, element in DIRECTED
        if mesh.cell_dim == 0:
            raise TopologyError(
                f"{mesh.source or 'the mesh'} is a point cloud: finite-element spaces need cells. "
                "`ml.MeshGraphNet` works on points."
            )
        self.space = FESpace(mesh, element)
        if self.space.kind not in ("line", "triangle", "quad", "tetra", "hexahedron", "wedge"):
            raise TopologyError(
                f"{mesh.source or 'the mesh'} has {self.space.kind} cells; operator networks work on first-order "
                "cells. The element may be of higher order: element 'P2' on triangles."
            )
        self.n = self.space.n_dofs
        self._others: dict[Any, FESpace] = {}
        self.kept: dict[Any, Any] = {}  # what others derive from this and want to make once

    def other(self, element: str) -> FESpace:
        """Another space on the same mesh, made once."""
        if element not in self._others:
            self._others[element] = self.space.with_element(element)
        return self._others[element]

    # -- dofs and tables -------------------------------------------------------------------------------------------

    @cached_property
    def functionals(self) -> tuple[Tensor, Tensor]:
        """Directed elements: (unit direction (n, dim), size (n,)) of every dof."""
        axes = torch.eye(self.space.dim, dtype=torch.float64).tolist()
        g = torch.stack([self.space.interpolate(axis) for axis in axes], dim=1)
        size = g.norm(dim=1)
        return g / size[:, None], size

    def columns(self, size: int, name: str) -> int:
        """Columns of dofs that a field of so many components has: as many, or one in a directed space."""
        if self.directed and size != self.space.dim:
            raise ParameterError(
                f"{self.element} holds vector fields with {self.space.dim} components; the field {name!r} has {size}."
            )
        return 1 if self.directed else size

    def spread(self, dofs: Float[Tensor, "n columns"]) -> Float[Tensor, "n width"]:
        """Dofs as networks read and learn them: values, or vectors along the direction of the dof.

        Independent of the mesh size and of the sign convention of facets and edges.
        """
        if not self.directed:
            return dofs
        direction, size = self.functionals
        return dofs / size[:, None] * direction

    def collect(self, table: Float[Tensor, "n width"]) -> Float[Tensor, "n columns"]:
        """The inverse of `spread`: of vectors the component along the direction."""
        if not self.directed:
            return table
        direction, size = self.functionals
        return (table.to(size) * direction).sum(1, keepdim=True) * size[:, None]

    # -- matrices --------------------------------------------------------------------------------------------------

    @cached_property
    def mass(self) -> SparseOperator:
        """(n, n) float64 mass matrix of dofs."""
        made: Any = self.space.assemble(lambda u, v, x: inner(u, v))
        return made

    @cached_property
    def stiffness(self) -> SparseOperator:
        """(n, n) float64: gradients, for RT0 divergences, for N1 curls, for P0 the jumps over facets."""
        if self.element == "P0":
            return _jumps(self.other("RT0") if _has_rt0(self.space.kind) else None, self)
        forms = {"RT0": lambda u, v, x: div(u) * div(v), "N1": lambda u, v, x: inner(curl(u), curl(v))}
        made: Any = self.space.assemble(forms.get(self.element, lambda u, v, x: dot(grad(u), grad(v))))
        return made

    @cached_property
    def measure(self) -> float:
        """Length, area or volume of the mesh."""
        return float(self.mesh.measure())

    # -- graph -----------------------------------------------------------------------------------------------------

    @cached_property
    def points(self) -> Float[Tensor, "n dim"]:
        """Where dofs sit."""
        return self.space.dof_points.detach()

    @cached_property
    def boundary(self) -> Float[Tensor, " n"]:
        """1 for dofs on the boundary."""
        return self.points.new_zeros(self.n).index_fill(0, self.space.dofs("boundary"), 1.0)

    @cached_property
    def kinds(self) -> Float[Tensor, "n k"]:
        """Kind of entity (point, edge, facet, cell) of every dof, one column each; none where all are the same."""
        if self.element in SINGLE_KIND:
            return self.points.new_zeros(self.n, 0)
        return torch.nn.functional.one_hot(dof_entities(self.space), 4).to(self.points)

    @cached_property
    def distance(self) -> Float[Tensor, " n"]:
        """Distance of every dof to the nearest vertex of the boundary."""
        corners = self.mesh.points.index_select(0, self.mesh.boundary_points).to(self.points)
        return ops.knn(corners, self.points, 1)[0][:, 0].to(self.points)


def _has_rt0(kind: str) -> bool:
    return kind in ("triangle", "quad", "tetra", "hexahedron")


def _jumps(flux: FESpace | None, cells: Discretisation) -> SparseOperator:
    """D diag(M)^-1 D^T with divergences D from RT0 and its lumped mass: the two-point flux matrix of cells."""
    import scipy.sparse as sp

    if flux is None:
        graph = cells.mesh.topology.cell_adjacency
        ones = torch.ones(graph.n_edges, dtype=torch.float64)
        joined = SparseOperator.from_adjacency(graph, ones).to_scipy()
        return SparseOperator.from_scipy(sp.diags(joined.sum(1).A1) - joined, torch.float64)
    divergence: Any = cells.space.assemble(lambda u, v, x: div(u) * v, trial=flux)
    mass: Any = flux.assemble(lambda u, v, x: inner(u, v))
    interior = np.ones(flux.n_dofs)
    interior[flux.dofs("boundary").cpu().numpy()] = 0.0
    D = divergence.to_scipy().tocsr() @ sp.diags(interior)
    return SparseOperator.from_scipy((D @ sp.diags(1.0 / mass.to_scipy().diagonal()) @ D.T).tocsr(), torch.float64)
