"""The map from the reference cell to every cell of a mesh, in torch: differentiable in the points."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import skfem
import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn import ops
from meshlearn.errors import MeshError
from meshlearn.fem.reference import Block
from meshlearn.mesh.owned import version

Cells = Tensor | slice | None  # numbers of cells, a run of them, or all


def pick(values: Tensor, axis: int, cells: Cells) -> Tensor:
    """The part of an array that belongs to some cells; a run of them is a view."""
    if cells is None:
        return values
    if isinstance(cells, slice):
        return values.narrow(axis, cells.start, cells.stop - cells.start)
    return values.index_select(axis, cells)


class Maps:
    """The maps at places of the reference cell; n_q is 1 where they are affine and the value the same everywhere.

    All are formed when first asked for.
    """

    def __init__(
        self,
        jacobian: Float[Tensor, "dim dim n_cells n_q"],
        points: Callable[[], Float[Tensor, "dim n_cells n_places"]],
    ) -> None:
        self.jacobian = jacobian
        self._points = points

    @cached_property
    def points(self) -> Float[Tensor, "dim n_cells n_places"]:
        """Coordinates of the places."""
        return self._points()

    @cached_property
    def det(self) -> Float[Tensor, "n_cells n_q"]:
        """Determinant of the Jacobian matrix, with its sign."""
        return _det(self.jacobian)

    @cached_property
    def inverse(self) -> Float[Tensor, "dim dim n_cells n_q"]:
        """Inverse of the Jacobian matrix: derivative of reference coordinate i in direction j."""
        return _cofactors(self.jacobian) / self.det

    def at(self, points: Callable[[], Float[Tensor, "dim n_cells n_places"]], cells: Cells) -> Maps:
        """The same affine maps at other places, of all cells or a run of them: what is known of them is shared."""
        other = Maps(pick(self.jacobian, 2, cells), points)
        other.__dict__.update(det=pick(self.det, 0, cells), inverse=pick(self.inverse, 2, cells))
        return other


class Geometry:
    """Nodes of the cells, in scikit-fem's order, and the functions that interpolate between them.

    points  (n_nodes, dim) float tensor, may require a gradient; MeshError once it has been changed in place
    nodes   (n_cells, n_local) int64
    shape   the block of the geometry's own element
    """

    def __init__(self, points: Tensor, nodes: Tensor, shape: Block, affine: bool, dtype: torch.dtype) -> None:
        self._points, self.nodes, self.shape, self.affine = points.to(dtype), nodes, shape, affine
        self._given, self._version = points, version(points)
        self._corners: Tensor | None = None
        self._affine: Maps | None = None

    @property
    def points(self) -> Float[Tensor, "n_nodes dim"]:
        """The points, in the dtype of the space."""
        if version(self._given) != self._version:
            raise MeshError(
                "mesh.points was changed in place after this space was made, which holds maps, numbers and tables of "
                "the old ones.\n  Make a new mesh and space: FESpace(mesh.replace(points=new_points), element)."
            )
        return self._points

    @property
    def curved(self) -> bool:
        """Whether the nodes are those of a second-order mesh."""
        return self.shape.n_functions > self.shape.element.refdom.nnodes

    @property
    def corners(self) -> Float[Tensor, "dim n_local n_cells"]:
        """Coordinates of the nodes of every cell."""
        points = self.points
        if self._corners is None or points.requires_grad:
            self._corners = ops.gather(points, self.nodes.t().reshape(-1)).t()
            self._corners = self._corners.reshape(-1, self.nodes.shape[1], len(self.nodes))
        return self._corners

    def at(self, places: np.ndarray, cells: Cells = None) -> Maps:
        """The maps at places (dim, n_places) of the reference cell, for all cells or the given ones."""
        nodes = self.points
        value, slope = (t.to(nodes.device) for t in self.shape.tables(places, nodes.dtype).values())

        def points() -> Tensor:
            return torch.einsum("aq,dac->dcq", value[..., 0], self._nodes_of(cells))

        if not self.affine:
            return Maps(torch.einsum("aqk,dac->dkcq", slope, self._nodes_of(cells)), points)
        if not isinstance(cells, Tensor) and self._affine is not None:
            return self._affine.at(points, cells)
        jacobian = torch.einsum("ak,dac->dkc", slope[:, 0], self._nodes_of(cells))[..., None]
        made = Maps(jacobian, points)
        if cells is None and not nodes.requires_grad:
            self._affine = made  # the same for every rule
        return made

    def _nodes_of(self, cells: Cells) -> Tensor:
        return pick(self.corners, 2, cells)


def _det(j: Tensor) -> Tensor:
    if len(j) == 1:
        return j[0, 0]
    if len(j) == 2:
        return j[0, 0] * j[1, 1] - j[0, 1] * j[1, 0]
    return (j[:, 0] * torch.linalg.cross(j[:, 1], j[:, 2], dim=0)).sum(0)


def _cofactors(j: Tensor) -> Tensor:
    """Transposed cofactors (dim, dim, …) of a (dim, dim, …) array."""
    if len(j) == 1:
        return torch.ones_like(j)
    if len(j) == 2:
        return torch.stack([torch.stack([j[1, 1], -j[0, 1]]), torch.stack([-j[1, 0], j[0, 0]])])
    a, b, c = j[:, 0], j[:, 1], j[:, 2]
    return torch.stack(
        [torch.linalg.cross(b, c, dim=0), torch.linalg.cross(c, a, dim=0), torch.linalg.cross(a, b, dim=0)]
    )


def carry(block: Block, part: str, maps: Maps) -> Float[Tensor, "width width n_cells n_q"] | None:
    """Matrix that carries a part of a block's functions from the reference cell to the cells; None: the identity."""
    if block.family == "table" or (block.family == "h1" and part == "value"):
        return None
    if part == "grad" or (block.family == "hcurl" and part == "value"):
        return maps.inverse.transpose(0, 1)
    if block.family == "hdiv":
        return (maps.jacobian if part == "value" else maps.det.new_ones(1, 1, 1, 1)) / maps.det.abs()
    return (maps.jacobian if len(maps.jacobian) == 3 else maps.det.new_ones(1, 1, 1, 1)) / maps.det


def check_cells(block: Block, geometry: Geometry, kind: str) -> None:
    """Whether functions that are polynomials in the coordinates fit together on the cells.

    Raises MeshError for such elements (Argyris, Morley, Hermite, BFS) on second-order cells, and for those with tensor
    products (BFS) on cells that are no rectangles parallel to the axes.
    """
    if not isinstance(block.element, skfem.ElementGlobal):
        return
    name = type(block.element).__name__.removeprefix("Element")
    if geometry.curved:
        raise MeshError(
            f"{name} lives on straight cells, {kind} cells are curved: its functions would not fit together.\n"
            f"  Take the corners alone: {{{kind.rstrip('0123456789')!r}: mesh.cells[{kind!r}][:, :n_corners]}} as "
            "cells, and mesh.without_unused_points()."
        )
    corners = geometry.corners.detach()
    if block.element.tensorial_basis and len(corners) > 1:
        edges = torch.stack([corners[:, b] - corners[:, a] for a, b in _edges(block.element.refdom)])
        size = edges.abs().amax(1)
        slanted = int((edges.abs().sum(1) - size > 1e-6 * size).any(0).sum())
        if slanted:
            raise MeshError(
                f"{name} lives on rectangles parallel to the axes, {slanted} of {corners.shape[2]} cells are none: its "
                "functions would not fit together.\n  Turn the mesh so that its sides are parallel to the axes; on "
                "other meshes take Argyris or Morley, on triangles."
            )


def _edges(refdom: Any) -> list[tuple[int, int]]:
    """Corners of the edges of a reference cell: those that differ in one coordinate."""
    corners = np.asarray(refdom.p)
    pairs = [(a, b) for a in range(corners.shape[1]) for b in range(a)]
    return [(a, b) for a, b in pairs if (corners[:, a] != corners[:, b]).sum() == 1]
