"""From points to reference coordinates: exact for affine cells, Newton's method for the others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from meshlearn.mesh.reference import ReferenceCell, jacobians_each, map_each, reference_cell
from meshlearn.mesh.search.small import adjugate, solve
from meshlearn.ops import gather

_ITERATIONS = 25
_FAR = 3.0  # reference coordinates are kept in [-_FAR, 1 + _FAR] while iterating
_CONVERGED = 1e-12  # of the step, in reference coordinates; the residual is tested separately
_ACCURATE = 1e-9  # residual allowed, relative to the size of the cell


class InverseMap:
    """Inverse of the maps of all cells of one type whose dimension is that of the space; float64 on the CPU."""

    def __init__(self, kind: str, points: Float[Tensor, "n dim"], nodes: Int64[Tensor, "c k"]) -> None:
        self.cell = reference_cell(kind)
        self.points, self.nodes = points, nodes
        self.packed = _affine_table(points, nodes, self.cell.dim) if self.cell.is_affine else None
        if self.packed is not None:
            self.sound = torch.isfinite(self.packed).all(1)

    def __call__(
        self, queries: Float[Tensor, "m dim"], rows: Int64[Tensor, " m"]
    ) -> tuple[Float[Tensor, "m dim"], Bool[Tensor, " m"]]:
        """Reference coordinates of the point `queries[i]` in cell `rows[i]`, and whether they are a solution.

        Where there is none (a degenerate cell, or a point outside the range of the map) the coordinates only tell a
        direction.
        """
        if self.packed is None:
            return newton(self.cell, self._corners(rows), queries)
        dim = queries.shape[1]
        table = self.packed.index_select(0, rows)
        offset = queries - table[:, dim * dim :]
        xi = (table[:, : dim * dim].reshape(-1, dim, dim) * offset[:, None]).sum(2)
        return xi, self.sound.index_select(0, rows)

    @cached_property
    def box(self) -> Float[Tensor, "c two_dim"]:
        """(c, 2 dim) bounding boxes, made when they are first needed."""
        return _boxes(self.cell, self.points, self.nodes)

    def may_contain(self, queries: Float[Tensor, "m dim"], rows: Int64[Tensor, " m"]) -> Bool[Tensor, " m"]:
        """Whether each point lies in the bounding box of its cell (with a margin)."""
        box = self.box.index_select(0, rows)
        dim = queries.shape[1]
        return ((queries >= box[:, :dim]) & (queries <= box[:, dim:])).all(1)

    def robust(
        self, queries: Float[Tensor, "m dim"], rows: Int64[Tensor, " m"]
    ) -> tuple[Float[Tensor, "m dim"], Bool[Tensor, " m"]]:
        """As a call, but where Newton's method found no solution it starts again near each corner and node."""
        xi, good = self(queries, rows)
        if self.packed is not None:
            return xi, good
        starts = 0.2 * self.cell.centre + 0.8 * self.cell.nodes
        for start in starts:
            again = (~good).nonzero().squeeze(1)
            if not len(again):
                break
            x = self._corners(rows.index_select(0, again))
            new, found = newton(self.cell, x, queries.index_select(0, again), start)
            better = again[found]
            xi[better], good[better] = new[found], True
        return xi, good

    def _corners(self, rows: Tensor) -> Tensor:
        return gather(self.points, self.nodes.index_select(0, rows))


def _affine_table(points: Tensor, nodes: Tensor, dim: int) -> Tensor:
    """(c, dim * dim + dim): the inverse Jacobian and the first node of every simplex; NaN where it is degenerate."""
    x = gather(points, nodes)
    jacobian = (x[:, 1:] - x[:, :1]).transpose(1, 2)
    rows, determinant = adjugate(jacobian)
    flat = determinant.abs() <= 1e-14 * jacobian.abs().amax((1, 2)) ** dim
    inverse = rows / torch.where(flat, torch.nan, determinant)[:, None, None]
    return torch.cat([inverse.reshape(len(nodes), dim * dim), x[:, 0]], 1).contiguous()


def _boxes(cell: ReferenceCell, points: Tensor, nodes: Tensor) -> Tensor:
    """(c, 2 dim): lower and upper corners of boxes that contain the mapped cells."""
    x = gather(points, nodes)
    low, high = x.amin(1), x.amax(1)
    extent = (high - low).amax(1, keepdim=True)
    margin = extent * (1e-5 if cell.order == 1 else 0.525 * (_largest_sum(cell) - 1) + 1e-5)
    return torch.cat([low - margin, high + margin], 1)


def newton(
    cell: ReferenceCell, x: Float[Tensor, "m k dim"], queries: Float[Tensor, "m dim"], start: Tensor | None = None
) -> tuple[Float[Tensor, "m dim"], Bool[Tensor, " m"]]:
    """Solve x(xi) = query in cells with the nodes `x`; (xi, whether the residual is at rounding level)."""
    xi = (cell.centre if start is None else start).to(x).expand(len(x), -1).clone()
    size = (x.amax(1) - x.amin(1)).amax(1).clamp_min(torch.finfo(x.dtype).tiny)
    active = torch.arange(len(x))
    for _ in range(_ITERATIONS):
        here, nodes = xi.index_select(0, active), x.index_select(0, active)
        residual = queries.index_select(0, active) - map_each(cell, nodes, here)
        step = solve(jacobians_each(cell, nodes, here), residual)
        length = step.norm(dim=1, keepdim=True)
        step = step / length.clamp_min(1.0)  # at most one cell at a time
        xi[active] = (here + step).clamp(-_FAR, 1 + _FAR)
        active = active[length[:, 0] > _CONVERGED]
        if not len(active):
            break
    residual = (queries - map_each(cell, x, xi)).norm(dim=1)
    return xi, residual <= _ACCURATE * size


def bounding_balls(
    points: Float[Tensor, "n dim"], cells: Mapping[str, Int64[Tensor, "_c _k"]]
) -> tuple[Float[Tensor, "c dim"], Float[Tensor, " c"]]:
    """Centres and radii of balls that contain the mapped cells, type after type.

    A first-order cell lies in the convex hull of its nodes. A curved one stays within the largest sum of the absolute
    values of its shape functions times its nodes' distance from the centre (sampled on a lattice, with 5 % to spare).
    """
    centres, radii = [], []
    for kind, nodes in cells.items():
        cell = reference_cell(kind)
        x = gather(points, nodes)
        centre = x[:, : cell.n_vertices].mean(1)
        radius = (x - centre[:, None]).norm(dim=2).amax(1)
        centres.append(centre)
        radii.append(radius * (1.0 if cell.order == 1 else 1.05 * _largest_sum(cell)))
    return torch.cat(centres), torch.cat(radii) * (1 + 1e-9)


@cache
def _largest_sum(cell: ReferenceCell) -> float:
    axis = torch.linspace(0, 1, 13, dtype=torch.float64)
    lattice = torch.cartesian_prod(*[axis] * cell.dim).reshape(-1, cell.dim)
    return float(cell.shape(lattice[cell.contains(lattice)]).abs().sum(1).max())
