"""`MeshToGrid`: fields carried from any mesh to a regular grid and back, with the error of doing so.

Four ways to the grid. B is the matrix that samples the grid at the values' places on the mesh, M the mass matrix of the
mesh, W = B^T M 1 what each grid node stands for:
- "interpolate": the field's value at the node (shape functions), extended outside the domain;
- "l2": the grid values whose samples come closest in the mesh's L2 norm, |B c - u|_M^2 + regularization |c - c_0|_W^2
  at its least, c_0 the interpolated ones up to a constant that balances the integral;
- "conservative": means W^-1 B^T M u, which keep the integral, sum_g W_g c_g = 1^T M u, and constants; `corrections`
  steps c <- c + W^-1 B^T M (u - B c) sharpen them and keep the integral too;
- "kernel": local linear regression weighted by a kernel and by measure, the same for fine, coarse and graded meshes.
The way back is B in all four: `to_mesh` and W^-1 B^T M (`GridTransfer.gather`) are adjoint,
<B c, u>_M = <c, gather u>_W.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import MeshError, ParameterError
from meshlearn.grids.arguments import TRANSFERS, check_adapter, check_choice, check_whole
from meshlearn.grids.grid import RegularGrid
from meshlearn.grids.search import search
from meshlearn.grids.sites import LOCATIONS
from meshlearn.grids.transfer import GridTransfer
from meshlearn.mesh.mesh import Mesh
from meshlearn.train.fields import resolve_one
from meshlearn.train.option_checks import number

LEAST = 4  # nodes along the shorter sides of the box
_KEPT = 32
MOST_NODES = 1 << 20
LARGEST = 1 << 28  # nodes of a grid: their coordinates alone are several gigabytes

__all__ = ["TRANSFERS", "MeshToGrid"]


class MeshToGrid:
    """From the fields of any mesh to a regular grid, and back.

    shape        nodes along the longest side of the box (the others get as many as keep the spacing, at least 4), or
                 one number per axis
    transfer     "interpolate", "l2", "conservative" or "kernel": see the module
    extension    how "interpolate" continues a field outside the domain, and the others where the samples say nothing:
                 "linear" (value and gradient of the closest point) or "nearest" (its value: no new extrema)
    periodic     True, or a flag per axis: the box is one period of the field along it
    box          (low, high), two corners; None: the bounding box of each mesh
    corrections  steps of "conservative"; 0 gives means, without new extrema
    radius       of the kernel of "kernel", in grid spacings
    neighbors    values that "kernel" looks at around each node at least: the radius grows where there are fewer;
                 None: 3 in 1-D, 6 in 2-D, 10 in 3-D
    regularization
                 of "l2": how much the fit prefers the interpolated values, as a share of the weight of each node. Far
                 below 1e-3, nodes that samples hardly see take values of any size

    Meshes of any cell types, mixed and of second order, in 1-D to 3-D; surfaces and point clouds too (extended by the
    nearest value). Point fields, and cell fields with location="cell" (constant in each cell, extension "nearest").
    Values may require gradients; those with respect to the points of the mesh flow through `to_mesh`. Transfers are
    kept by the content of the mesh, the last 32.

    >>> mesh = ml.shapes.square(n=6)
    >>> adapter = ml.MeshToGrid(5)
    >>> grid = adapter.to_grid(mesh, mesh.points[:, 0])
    >>> grid.shape, grid[:, 0].tolist()
    (torch.Size([5, 5]), [0.0, 0.25, 0.5, 0.75, 1.0])
    >>> torch.allclose(adapter.to_mesh(mesh, grid), mesh.points[:, 0])
    True
    >>> round(adapter.floor(mesh, mesh.points[:, 0].square()), 2)
    0.03
    """

    def __init__(
        self,
        shape: Any = 32,
        transfer: Any = "interpolate",
        extension: Any = "linear",
        periodic: Any = False,
        box: Any = None,
        corrections: Any = 2,
        radius: Any = 2.0,
        neighbors: Any = None,
        regularization: Any = 1e-2,
    ) -> None:
        self.shape, self.transfer_name, self.extension = shape, transfer, extension
        self.periodic, self.box, self.corrections = periodic, box, corrections
        self.radius, self.neighbors, self.regularization = radius, neighbors, regularization
        check_adapter(self)
        self._known: OrderedDict[bytes, GridTransfer] = OrderedDict()

    def __repr__(self) -> str:
        return f"MeshToGrid(shape={self.shape}, transfer={self.transfer_name!r})"

    # -- carrying -------------------------------------------------------------------------------------------------

    def transfer(self, mesh: Mesh, location: str = "point") -> GridTransfer:
        """The transfer of one mesh, kept for the next time; `location` is that of the fields, "point" or "cell".

        Raises MeshError for a mesh without points, with points that are not finite, outside the box, or all in one
        plane; ParameterError for a shape or flags that do not fit its dimension.
        """
        if not isinstance(mesh, Mesh):
            raise ParameterError(f"a Mesh is expected, got {type(mesh).__name__}; for several, call it for each.")
        check_choice("location", location, LOCATIONS)
        if mesh.points.requires_grad:  # a graph of its own for every use
            return GridTransfer(mesh, self.grid(mesh), self, location)
        key = _content(mesh) + location.encode()
        if key not in self._known:
            self._known[key] = GridTransfer(mesh, self.grid(mesh), self, location)
        self._known.move_to_end(key)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return self._known[key]

    def to_grid(self, mesh: Mesh, values: Any, location: str = "point") -> Float[Tensor, "..."]:
        """(n, ...) values on the mesh -> (*shape, ...) values at the nodes of its grid."""
        return self.transfer(mesh, location).to_grid(values)

    def to_mesh(self, mesh: Mesh, values: Any, location: str = "point") -> Float[Tensor, "n *f"]:
        """(*shape, ...) values at the nodes of the grid -> (n, ...) values on the mesh."""
        return self.transfer(mesh, location).to_mesh(values)

    # -- what it costs --------------------------------------------------------------------------------------------

    def floor(self, mesh: Mesh, field: Any) -> float:
        """|B G u - u| / |u| in the mesh's L2 norm: the error of going to the grid and back, before any learning.

        field  the name of a point or cell field, or values at the points (n_points, ...)

        0 for a field that is 0. No model that reads or writes the field through this grid can be expected to be much
        better.
        """
        transfer, values = self._looked_up(mesh, field)
        return transfer.floor(values)

    def shape_for(self, mesh: Mesh, field: Any, error: Any, most_nodes: Any = MOST_NODES) -> int:
        """The number of nodes along the longest side with which `floor` is at most `error`: found by trying.

        Raises ParameterError when `most_nodes` are not enough (a jump, or noise from point to point), when no finer
        grid is any better, and for an error that is not positive.
        """
        error = number("a relative error above 0", lambda x: x > 0)("error", error)
        most_nodes = check_whole("most_nodes", most_nodes, 1)
        pair, values = self._looked_up(mesh, field)
        found = search(self, mesh, pair.location, values, error, most_nodes)
        if not found.points:
            raise ParameterError(f"most_nodes={most_nodes}: the coarsest grid of this mesh has more already.")
        if found.floor <= error:
            return found.points
        if found.stays:
            other = "'l2'" if self.transfer_name == "interpolate" else "'interpolate' or 'l2'"
            raise ParameterError(
                f"no grid carries this field to {error:.1e} with transfer={self.transfer_name!r}: grids finer than the "
                f"mesh stay at {found.floor:.1e}.\n  Choose transfer={other}"
                + (", or more corrections." if self.transfer_name == "conservative" else ".")
            )
        raise ParameterError(
            f"no grid of up to {most_nodes} nodes carries this field to {error:.1e}: the error is still "
            f"{found.floor:.1e}.\n  The field jumps or is rough: a mesh model (ml.MeshGraphNet) loses nothing."
        )

    def with_shape(self, shape: Any) -> MeshToGrid:
        """The same adapter with another grid."""
        return MeshToGrid(
            shape,
            self.transfer_name,
            self.extension,
            self.periodic,
            self.box,
            self.corrections,
            self.radius,
            self.neighbors,
            self.regularization,
        )

    def _looked_up(self, mesh: Mesh, field: Any) -> tuple[GridTransfer, Tensor]:
        if isinstance(field, Tensor):
            return self.transfer(mesh), field
        if not isinstance(field, str):
            raise ParameterError(
                f"field={field!r:.60}: the name of a field, or a tensor of values at the points, is expected."
            )
        spec = resolve_one(mesh, field)
        if spec.location == "global":
            raise ParameterError(f"{field!r} is a global field: it has no place on a grid.")
        return self.transfer(mesh, spec.location), spec.values(mesh)

    # -- the grid -------------------------------------------------------------------------------------------------

    def grid(self, mesh: Mesh) -> RegularGrid:
        """The grid of a mesh, by its box and the shape."""
        if not mesh.n_points:
            raise MeshError("the mesh has no points, so it has no bounding box and no grid.")
        dim = mesh.dim
        if not bool(torch.isfinite(mesh.points).all()):
            raise MeshError("the mesh has NaN or infinite coordinates, so it has no bounding box: repair it first.")
        corners = mesh.points.detach().double().aminmax(dim=0) if self.box is None else self.box
        low, high = (torch.as_tensor(corner, dtype=torch.float64).cpu() for corner in corners)
        if low.shape != (dim,) or high.shape != (dim,):
            raise ParameterError(f"box={self.box!r}: two corners of {dim} coordinates are expected for this mesh.")
        sides = (high - low).tolist()
        flat = [axis for axis, side in enumerate(sides) if not side > 1e-9 * max(sides)]
        if flat or not max(sides) > 0:
            raise MeshError(
                f"the box from {low.tolist()} to {high.tolist()} has no extent along axis {flat}: a grid needs one "
                "along each.\n  Drop the constant coordinate of a planar mesh, or give a box."
            )
        wraps = self.flags(dim)
        shape = self._shape(sides, wraps)
        if math.prod(shape) > LARGEST:
            raise ParameterError(
                f"shape={self.shape!r} makes a grid of {math.prod(shape):.2g} nodes on this mesh; {LARGEST} fit."
            )
        spacing = tuple(side / (n if wrap else n - 1) for side, n, wrap in zip(sides, shape, wraps, strict=True))
        return RegularGrid(tuple(low.tolist()), spacing, shape, wraps)

    def flags(self, dim: int) -> tuple[bool, ...]:
        """Whether each axis is periodic, for meshes of this dimension; ParameterError if they do not fit."""
        flags = (self.periodic,) * dim if isinstance(self.periodic, bool) else tuple(self.periodic)
        if len(flags) != dim:
            raise ParameterError(f"periodic={self.periodic!r} has {len(flags)} flags; this mesh has {dim} axes.")
        return flags

    def _shape(self, sides: list[float], wraps: tuple[bool, ...]) -> tuple[int, ...]:
        if not isinstance(self.shape, int):
            if len(self.shape) != len(sides):
                raise ParameterError(
                    f"shape={self.shape!r} has {len(self.shape)} numbers; the mesh has {len(sides)} axes."
                )
            return tuple(self.shape)
        longest = max(range(len(sides)), key=sides.__getitem__)
        step = sides[longest] / (self.shape if wraps[longest] else self.shape - 1)
        return tuple(
            self.shape if axis == longest else max(round(side / step) + (not wrap), LEAST)
            for axis, (side, wrap) in enumerate(zip(sides, wraps, strict=True))
        )


def _content(mesh: Mesh) -> bytes:
    """A hash of points and cells: meshes of equal sizes are not taken for each other."""
    seen = hashlib.blake2b(f"{mesh.dtype} {tuple(mesh.points.shape)} {mesh.device}".encode(), digest_size=16)
    seen.update(mesh.points.detach().cpu().contiguous().numpy().tobytes())
    for kind in mesh.domain_types:
        seen.update(f"{kind} {tuple(mesh.cells[kind].shape)}".encode())
        seen.update(mesh.cells[kind].cpu().contiguous().numpy().tobytes())
    return seen.digest()
