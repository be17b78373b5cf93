"""Finite-element spaces: degrees of freedom on a mesh, and what can be done with them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import skfem
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn.errors import FieldError
from meshlearn.fem import assembly
from meshlearn.fem.arrays import as_tensor, shown
from meshlearn.fem.coefficients import Function
from meshlearn.fem.constants import remember_constants
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.discretization import Discretization
from meshlearn.fem.dofs import Dofs
from meshlearn.fem.rigid import remember
from meshlearn.mesh.location import PointLocator


def _value(x: Any) -> Any:
    return x.u


class FESpace(Discretization):
    """A finite-element space on a mesh, in torch: scikit-fem's elements, numbering and orientation.

    mesh        a `Mesh` with one kind of cell (line, triangle, quad, tetra, hexahedron, wedge, or second order), or a
                `skfem.Basis` on all cells, whose element and order of quadrature (`order`) are taken too
    element     name, tuple of names, or scikit-fem element; see `meshlearn.fem.elements.make_element`
    components  number of components, for vector-valued spaces of scalar elements ("P2^d" is short for as many as
                dimensions)
    dtype       of everything computed here; integrals and solves want float64 whatever the mesh's dtype

    Dofs are tensors (n_dofs,) in scikit-fem's numbering: those of `skfem.Basis(mesh, element)` with the same element.
    If `mesh.points` requires a gradient, everything assembled is differentiable in the points (not with elements
    whose functions are not carried from a reference cell: Argyris, Morley, Hermite, BFS, N3).

    Raises TopologyError or MeshError for a mesh that cannot carry the element, ParameterError for unknown elements.

    >>> space = ml.fem.FESpace(ml.shapes.square(n=4), "P1")
    >>> A = space.assemble(lambda u, v, x: ml.fem.dot(ml.fem.grad(u), ml.fem.grad(v)))
    >>> b = space.assemble(lambda v, x: v)
    >>> u = ml.fem.solve(A, b, space.dirichlet("boundary", 0.0))
    >>> round(space.integrate(u).item(), 4)
    0.0288
    """

    def with_element(self, element: Any, components: int | None = None) -> FESpace:
        """Another space on the same mesh."""
        return FESpace(self.mesh, element, components, self.dtype)

    def basis(self, order: int | None = None) -> skfem.CellBasis:
        """The same space in scikit-fem: equal numbering, so dofs can go back and forth as arrays."""
        return skfem.Basis(self.skmesh, self.element, intorder=self.order if order is None else order)

    def function(self, dofs: Float[Tensor, "*batch n_dofs"] | np.ndarray) -> Function:
        """The function with these dofs, for use as a coefficient: x.name in a form has values, grad, div or curl."""
        return Function(self, as_tensor("dofs", dofs, self.device))

    # -- degrees of freedom ----------------------------------------------------------------------------------------

    @property
    def dof_points(self) -> Float[Tensor, "n_dofs dim"]:
        """Where the dofs sit: nodes, midpoints or middles of the entities they belong to."""
        from meshlearn.fem.interpolation import dof_points

        return dof_points(self)

    def dofs(self, where: Any, component: int | None = None) -> Int64[Dofs, " k"]:
        """Sorted numbers of the dofs on a part of the mesh.

        where      "boundary" (all of it), the name of a boundary of the mesh, of a point set (dofs at the points, and
                   on boundary facets between them) or of a set of cells, a list of names; a function of the dofs'
                   points (dim, n) that gives a mask; numbers of points of the mesh, or a mask of them (n_points,), as
                   a point set of them would mean; or `Dofs`
        component  only this component of a vector-valued space; of a composite space: this part

        Returns `Dofs`, a tensor that says what its numbers are. Raises FieldError for an unknown name, ParameterError
        for numbers out of range, masks of another length, and `Dofs` of another space.
        """
        from meshlearn.fem.selection import select

        return Dofs(select(self, where, component)).of(self)

    def facets(self, on: Any) -> np.ndarray:
        """Numbers (scikit-fem's) of the facets of a named boundary, of several, of the whole boundary, or of the facets
        of the boundary whose corners all are selected by a function of the points (dim, n)."""
        if isinstance(on, (list, tuple)) and on:
            return np.unique(np.concatenate([self.facets(name) for name in on]))
        if callable(on):
            from meshlearn.fem.entities import facets_between, selected

            return facets_between(self, selected(self, on))
        named = self.skmesh.boundaries or {}
        if isinstance(on, str) and on in named:
            return np.asarray(named[on], np.int64)
        if isinstance(on, str) and on == "boundary":
            return np.asarray(self.skmesh.boundary_facets(), np.int64)
        raise FieldError(
            f"the mesh has no boundary named {shown(on)}.\n  boundaries: {', '.join(map(repr, named)) or 'none'}, and "
            f"'boundary' for all of it\n  mesh: {self.mesh.source or 'made in memory'}"
        )

    def split(self, dofs: Float[Tensor, "*batch n_dofs"] | np.ndarray) -> tuple[Tensor, ...]:
        """The dofs of the parts of a composite function, each as in a space of that element alone."""
        dofs = as_tensor("dofs", dofs, self.device)
        if dofs.shape[-1:] != (self.n_dofs,):
            raise FieldError(f"dofs have shape {tuple(dofs.shape)}, expected (..., {self.n_dofs}) for {self}.")
        return tuple(dofs.index_select(-1, torch.unique(self.block_dofs(k))) for k in range(len(self.blocks)))

    def dirichlet(
        self,
        where: Any,
        values: Any = 0.0,
        component: int | None = None,
        part: str = "value",
        corner: float = 45.0,
    ) -> AffineConstraint:
        """Prescribed values on a part of the mesh.

        where   as in `dofs`, or {where: values} for several parts (the later one counts where they meet)
        values  a number, a list with one entry per component (None leaves that one free), a function of the place, a
                `Function`, the name of a field; or a tensor or array with one value per dof of the space, per selected
                dof (ascending, or as `Dofs` lists them), per point of the mesh, or per point in the order of `where`;
                for `component`, of that component
        part    for Argyris, Morley, Hermite and BFS spaces, whose dofs are derivatives too: "value" fixes the values
                on the part, and the derivatives along its sides, which follow from them; "normal" the derivatives
                along the outward normal, which `values` then are (a number or a function; x.normal is known); "clamped"
                values and normal derivatives, those of the function. On sides that are not parallel to an axis these
                are relations between dofs
        corner  angle in degrees, for these spaces and numbers: sides that differ by more meet in a corner, where what
                belongs to both is fixed; at less they are one curved wall, with its direction and curvature at the
                point between them (right to second order, also for supported plates, for which true corners give
                another problem: Babuska's paradox). The gradient of a function is known, so that its derivatives along
                both sides are fixed always

        For RT, BDM and Nédélec spaces this fixes normal or tangential components on the part; `values` are vectors. The
        derivatives that are needed are those of the function by autograd. Raises FieldError for functions without them,
        for tensors of points where they are needed, and for a tensor whose shape fits several of the above with
        different results: `space.function(values)` are dofs for sure.
        """
        from meshlearn.fem.prescribed import prescribe

        return prescribe(self, where, values, component, part, corner)

    def periodic(
        self,
        first: Any,
        second: Any,
        translation: Any = None,
        component: int | None = None,
        factor: float = 1.0,
        tolerance: float | None = None,
    ) -> AffineConstraint:
        """u on the part `second` equals u on the part `first`, a translation away; parts are named as in `dofs`.

        translation  (dim,) vector from `first` to `second`; from their bounding boxes if not given
        component    of a vector-valued space, or part of a composite one: only this is periodic
        factor       u(second) = factor * u(first): -1 for anti-periodic sides
        tolerance    distance at which places count as equal; 1e-6 of the size of the mesh if not given

        For Lagrange and other spaces with one dof per place, and RT0, N1 (whose directions are minded). Several pairs
        of sides, and Dirichlet values, are joined by `&`. Raises MeshError, with the worst distance, for sides that do
        not match, ParameterError for spaces with several dofs in one place.

        >>> space = ml.fem.FESpace(ml.shapes.square(n=4), "P2")
        >>> space.periodic("left", "right") & space.periodic("bottom", "top")
        AffineConstraint(n=81, n_free=64, linear)
        """
        from meshlearn.fem.periodic import periodic

        return periodic(self, first, second, translation, component, factor, tolerance)

    def slip(self, where: Any, component: int | None = None, corner: float = 45.0) -> AffineConstraint:
        """A slip wall or roller support: the normal component of a vector field is zero on a named boundary.

        component  part of a composite space: the one with as many components as dimensions
        corner     angle in degrees: facets whose normals differ by more are different walls, and a node between them
                   slides along all of them; at less they are one curved wall, whose nodes have one normal

        For Lagrange vector spaces ("P1^d", "P2^d" …); walls parallel to an axis give prescribed components, others
        relations between the components of a node. Raises ParameterError for other spaces.

        >>> ml.fem.FESpace(ml.shapes.disc(size=0.2), "P1^d").slip("boundary")
        AffineConstraint(n=200, n_free=168, linear)
        """
        from meshlearn.fem.slip import slip

        return slip(self, where, component, corner)

    def rigid_motions(self, component: int | None = None) -> Float[Tensor, "n_dofs k"]:
        """Shifts and (linear) rotations as dofs: what free elasticity maps to zero, 3 in the plane, 6 in space.

        component  part of a composite space: the one with as many components as dimensions

        For `solve(..., nullspace=)` (or nullspace="rigid"), and for `Hierarchy.from_matrix(near_nullspace=)`, there on
        the free dofs. Differentiable in the points of the mesh (around a middle and in units that count as constant).
        Raises ParameterError for other spaces.

        >>> ml.fem.FESpace(ml.shapes.box(n=1), "P1^d").rigid_motions().shape
        torch.Size([24, 6])
        """
        from meshlearn.fem.rigid import rigid_motions

        return rigid_motions(self, component)

    @cached_property
    def locator(self) -> PointLocator:
        """Finds the cells of points; made once."""
        return PointLocator(self.mesh.replace(points=self.mesh.points.detach()))

    # -- functions -------------------------------------------------------------------------------------------------

    def interpolate(self, value: Any) -> Float[Tensor, " n_dofs"]:
        """Dofs of the interpolant of a function; see `meshlearn.fem.interpolation.interpolate`."""
        from meshlearn.fem.interpolation import interpolate

        return interpolate(self, value)

    def project(self, value: Any, order: int | None = None) -> Float[Tensor, "*batch n_dofs"]:
        """Dofs of the L2 projection: a mass solve, differentiable in the value.

        value  whatever a coefficient of a form may be: number, field of the mesh by name or as a tensor, a `Function`
               of any space on this mesh, a function of the place (x[0], x[1] are coordinates)
        """
        from meshlearn.fem.interpolation import project

        return project(self, value, order)

    def evaluate(
        self,
        dofs: Float[Tensor, "*batch n_dofs"] | np.ndarray,
        points: Any,
        part: str = "value",
        outside: str = "error",
    ) -> Tensor:
        """Values (or "grad", "div", "curl") of a function at points; see `meshlearn.fem.evaluation.evaluate`."""
        from meshlearn.fem.evaluation import evaluate

        return evaluate(self, dofs, points, part, outside)

    def norm(self, dofs: Any, kind: str = "L2", minus: Any = None) -> Tensor:
        """Norm of a function, or of its difference from another; see `meshlearn.fem.norms.norm`."""
        from meshlearn.fem.norms import norm

        return norm(self, dofs, kind, minus)

    def integrate(self, dofs: Float[Tensor, "*batch n_dofs"] | np.ndarray) -> Tensor:
        """Integral of a function over the mesh: a number, or one per component."""
        shape = self.blocks[0].shapes(self.dim)["value"]
        u = self.function(dofs)
        if not shape:
            return self.assemble(_value, u=u)  # type: ignore[return-value]
        return torch.stack([self.assemble(lambda x, k=k: x.u[k], u=u) for k in range(shape[0])])  # type: ignore[misc]

    # -- assembly --------------------------------------------------------------------------------------------------

    def assemble(
        self,
        form: Any,
        /,
        *,
        trial: Any = None,
        on: Any = None,
        order: int | None = None,
        **coefficients: Any,
    ) -> assembly.Assembled:
        """The matrix of a form (u, v, x), the vector of a form (v, x), or the integral of a form (x).

        form          function of the trial function u, the test function v and the place x, in plain torch, linear in
                      u and in v: `lambda u, v, x: x.k * dot(grad(u), grad(v)) + u * v`. u and v are tuples for
                      composite spaces. x[0], x[1] are coordinates, x.normal and x.size the facet's normal and the
                      cell's size, x.name the coefficient of that name
        trial         space of u, if it is not this one (then the matrix is rectangular: rows are dofs of this space)
        on            part of the mesh to integrate over: name of a boundary, several, "boundary", or a function of the
                      points that selects corners of boundary facets (facets); name of a subdomain (a set of cells),
                      several, a mask (n_cells,) or cell numbers; `OneSide(facets, cells)` for facets between two cells
                      where the form has two values. All cells if not given
        order         polynomial degree that the quadrature is exact for; if not given that of the `skfem.Basis` from
                      which the space was made, else the sum of the degrees of u and v
        coefficients  numbers; fields of the mesh by name or as tensors (n_cells, ...) or (n_points, ...); functions of
                      a space, `space.function(dofs)`; functions of x. With a leading batch axis the result is a batch

        Returns a `SparseOperator`, or a `StackedOperator` for a batch of coefficients, whose pattern depends on the
        spaces alone; (n_dofs,) or (n_batch, n_dofs) for a vector; () or (n_batch,) for an integral. Differentiable to
        any order in coefficients and in the points of the mesh. On a CPU equal input gives equal bits.

        Raises ParameterError for a form that is not linear or not scalar, FieldError for coefficients that do not fit.
        """
        trial = self if trial is None else trial
        assembly.check_spaces(self, trial)
        made = assembly.assemble(self, trial, form, on, order, coefficients)
        if trial is self:
            remember(self, made)
            remember_constants(self, made)
        return made

    def __repr__(self) -> str:
        name = type(self.element).__name__.removeprefix("Element")
        return f"FESpace({name}, {self.n_dofs} dofs on {len(self.element_dofs)} {self.kind} cells)"
