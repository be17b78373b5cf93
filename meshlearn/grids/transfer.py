"""`GridTransfer`: one mesh and its grid, with the matrices between them, each made when it is first needed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from meshlearn.errors import FieldError, MeshError
from meshlearn.grids.distance import distance_to_boundary
from meshlearn.grids.evaluation import Evaluation, cell_values, evaluation, point_values
from meshlearn.grids.grid import RegularGrid
from meshlearn.grids.least_squares import LeastSquares
from meshlearn.grids.neighborhoods import Block, neighborhoods
from meshlearn.grids.regression import Around, regression_operator, values_around
from meshlearn.grids.sites import Sites, sites_of
from meshlearn.mesh.mesh import Mesh
from meshlearn.ops import SparseOperator, gather_receivers

NEIGHBORS = {1: 3, 2: 6, 3: 10}


class GridTransfer:
    """Between the point (or cell) fields of one mesh and the nodes of one grid; `MeshToGrid.transfer` makes it.

    grid      the `RegularGrid`
    location  where the values live: "point" or "cell"

    Matrices are float64; values of any floating-point dtype are carried in their own.
    """

    def __init__(self, mesh: Mesh, grid: RegularGrid, settings: Any, location: str) -> None:
        self.grid = grid
        self._mesh, self._settings, self.location = mesh.without_data().double(), settings, location
        self._cast: dict[tuple[str, torch.dtype], SparseOperator] = {}

    # -- the three directions -------------------------------------------------------------------------------------

    def to_grid(self, values: Any) -> Float[Tensor, "..."]:
        """(n, ...) values on the mesh -> (*shape, ...) on the grid; linear, and differentiable in the values.

        Raises FieldError for another number of values than the mesh has, for whole numbers, and for values that are not
        finite.
        """
        _check(values, (self.sites.n,), f"one row per {self.location}")
        flat = values.reshape(len(values), -1)
        made = self._on_grid(flat.double() if self._settings.transfer_name == "l2" else flat).to(values.dtype)
        return made.reshape(*self.grid.shape, *values.shape[1:])

    def to_mesh(self, values: Any) -> Float[Tensor, "n *f"]:
        """(*shape, ...) on the grid -> (n, ...) on the mesh, by multilinear interpolation; errors as of `to_grid`."""
        shape = self.grid.shape
        _check(values, shape, "the nodes of the grid")
        flat = values.reshape(self.grid.n_nodes, -1)
        return (self._as("sampling", values.dtype) @ flat).reshape(self.sites.n, *values.shape[len(shape) :])

    def gather(self, values: Any) -> Float[Tensor, "..."]:
        """(n, ...) -> (*shape, ...): the adjoint of `to_mesh`, W^-1 B^T M; 0 at nodes that no sample looks at.

        <to_mesh(c), u> in the inner product of the mesh (`sites.mass`) is <c, gather(u)> weighted by `weights`.
        """
        _check(values, (self.sites.n,), f"one row per {self.location}")
        made = self._as("averaging", values.dtype) @ values.reshape(len(values), -1)
        return made.reshape(*self.grid.shape, *values.shape[1:])

    def floor(self, values: Any) -> float:
        """|to_mesh(to_grid(u)) - u| / |u| in the norm of the mesh; 0 for u = 0. See `MeshToGrid.floor`."""
        _check(values, (self.sites.n,), f"one row per {self.location}")
        exact = values.detach().reshape(len(values), -1).double()
        size = self.size(exact)
        return self.size(self.to_mesh(self.to_grid(exact)) - exact) / size if size > 0 else 0.0

    def size(self, values: Float[Tensor, "n *f"]) -> float:
        """|u| in the norm of the mesh."""
        flat = values.detach().reshape(len(values), -1).double()
        return max(float((flat * (self.sites.mass @ flat)).sum()), 0.0) ** 0.5

    # -- what is known of the nodes --------------------------------------------------------------------------------

    @cached_property
    def sites(self) -> Sites:
        """Where the values live on the mesh."""
        return sites_of(self._mesh, self.location)

    @property
    def weights(self) -> Float[Tensor, "..."]:
        """(*shape) float64: the measure that each node stands for, W = B^T M 1; they add up to that of the mesh."""
        return self._weights.reshape(self.grid.shape)

    @property
    def mask(self) -> Bool[Tensor, "..."]:
        """(*shape) bool: nodes in the domain; for surfaces and point clouds, nodes within half a grid diagonal."""
        return self.known.inside.reshape(self.grid.shape)

    @cached_property
    def signed_distance(self) -> Float[Tensor, "..."]:
        """(*shape) float64: distance to the boundary of the domain, positive inside, negative outside; its unit is
        that of the points. For surfaces and point clouds the distance to them, negative."""
        distance = distance_to_boundary(self._mesh, self.grid)
        inside = self.known.inside if self._mesh.cell_dim == self._mesh.dim else torch.zeros_like(self.known.inside)
        return torch.where(inside, distance, -distance).reshape(self.grid.shape)

    # -- matrices -------------------------------------------------------------------------------------------------

    @cached_property
    def known(self) -> Evaluation:
        """The nodes of the grid looked up in the mesh."""
        return evaluation(self._mesh, self.grid)

    @cached_property
    def sampling(self) -> SparseOperator:
        """B (n, n_nodes): the grid at the values' places; differentiable in the points of the mesh."""
        return self.grid.sampling(self.sites.places)

    @cached_property
    def averaging(self) -> SparseOperator:
        """W^-1 B^T M (n_nodes, n): means around the nodes; empty rows where no sample looks."""
        loads = self._fixed_sampling.T @ self.sites.mass
        weights = self._weights
        inverse = torch.where(weights > 0, 1.0 / weights.clamp_min(1e-300), 0.0)
        return loads.with_values(loads.values * gather_receivers(inverse, loads.adjacency))

    @cached_property
    def evaluating(self) -> SparseOperator:
        """(n_nodes, n): the field at the nodes, extended outside the domain."""
        if self.location == "cell":
            return cell_values(self._mesh, self.grid)
        return point_values(self._mesh, self.known, self._settings.extension)

    @cached_property
    def regressing(self) -> SparseOperator:
        """(n_nodes, n): local linear regression around the nodes."""
        return regression_operator(self._neighborhoods(), self.grid.n_nodes, self.sites.n, not self._spanning)

    @cached_property
    def around(self) -> Around:
        """The values around every node, within the radius of the kernel."""
        return values_around(self._neighborhoods(), self.grid.n_nodes, self.sites.n)

    def _neighborhoods(self) -> Iterator[Block]:
        sites, least = self.sites, self._settings.neighbors or NEIGHBORS[self.grid.dim]
        at, radius = self.known.nearby, self._settings.radius
        return neighborhoods(sites.places, sites.weights, self.grid, at, radius, least, self._spanning)

    @property
    def _spanning(self) -> bool:
        return self._mesh.cell_dim in (0, self._mesh.dim)

    @cached_property
    def filling(self) -> SparseOperator:
        """(n_nodes, n): `averaging`, and `evaluating` for the nodes that no sample looks at."""
        bare = (self._weights <= 0).double()
        own = self.evaluating
        return self.averaging + own.with_values(own.values * gather_receivers(bare, own.adjacency))

    @cached_property
    def _weights(self) -> Tensor:
        ones = self.sites.places.detach().new_ones(self.sites.n)
        measures = self.sites.mass @ ones
        if not float(measures.sum()) > 0:
            raise MeshError(
                f"the {next(iter(self._mesh.domain_types), 'point')} cells of the mesh have no length, area or volume "
                "together, so nothing on them can be averaged: repair the mesh, or leave it out."
            )
        return self._fixed_sampling.T @ measures

    @cached_property
    def _fixed_sampling(self) -> SparseOperator:
        return self.grid.sampling(self.sites.places.detach())

    def _as(self, name: str, dtype: torch.dtype) -> SparseOperator:
        key = (name, dtype)
        if key not in self._cast:
            self._cast[key] = getattr(self, name).to(dtype)
        return self._cast[key]

    # -- to the grid ----------------------------------------------------------------------------------------------

    def _on_grid(self, flat: Tensor) -> Tensor:
        name, dtype = self._settings.transfer_name, flat.dtype
        if name == "interpolate":
            return self._as("evaluating", dtype) @ flat
        if name == "kernel":
            return self._as("regressing", dtype) @ flat
        sampling = self._as("_fixed_sampling", dtype)
        if name == "conservative":
            made = self._as("filling", dtype) @ flat
            for _ in range(self._settings.corrections):
                made = made + self._as("averaging", dtype) @ (flat - sampling @ made)
            return made
        return self._fitted(flat)

    def _fitted(self, flat: Tensor) -> Tensor:
        """Least squares, as a change of the interpolated values: first the constant that balances the integral."""
        start = self.evaluating @ flat
        return start + self._least_squares.change(flat - self._fixed_sampling @ start)

    @cached_property
    def _least_squares(self) -> LeastSquares:
        weight = self._settings.regularization
        return LeastSquares(self._fixed_sampling, self.sites.mass, self._weights, weight, self.grid.dim)


def _check(values: Any, shape: tuple[int, ...], what: str) -> None:
    if not isinstance(values, Tensor) or not values.is_floating_point():
        seen = f"{values.dtype}: use .float()" if isinstance(values, Tensor) else f"a {type(values).__name__}"
        raise FieldError(f"a tensor of floating-point values is expected on the way to a grid and back, got {seen}.")
    if tuple(values.shape[: len(shape)]) != shape:
        raise FieldError(f"values of shape {tuple(values.shape)}: expected {(*shape, '...')}, {what}.")
    if bool(torch.isfinite(values.detach().sum())):  # one pass; a sum may overflow, so that others are looked at
        return
    finite = torch.isfinite(values)
    if not bool(finite.all()):
        raise FieldError(f"{int((~finite).sum())} of {values.numel()} values are not finite: they would spread.")
