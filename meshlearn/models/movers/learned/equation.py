"""The discrete Monge-Ampère equation of `MongeAmpereMover`, in torch, for batches of unlike meshes, with gradients.

Potentials are P1, phi (n,). Moved points are x = xi + P grad(phi) with the L2 projection P on fields that slide along
the walls; the Hessian H is recovered at the points by integration by parts; m(x) det(I + H) = theta is tested with P1
functions, m being the P1 interpolant of its values at x. All of it is the problem that `Potential` states in numpy: its
solution has residual zero here. Mass matrices are inverted by Chebyshev's iteration, whose bounds are known: with the
diagonal of the mass matrix as preconditioner, eigenvalues are in [1/2, (dim + 2) / 2] (Wathen 1987).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn import ops
from meshlearn.mesh.reference import reference_cell
from meshlearn.models.movers.learned.geometry import Operators
from meshlearn.models.movers.safeguard import SIMPLICES
from meshlearn.ops import Adjacency

ITERATIONS = {torch.float32: 14, torch.float64: 32}  # to rounding, by the rate 1/3 (2/5 in space)


def hessian(
    operators: Operators, phi: Float[Tensor, " n"], iterations: int | None = None
) -> Float[Tensor, "n dim dim"]:
    """Recovered at the points; linear in phi. 0 iterations: with the lumped mass."""
    dim = operators.dim
    sides = (operators.recovery @ phi).reshape(len(phi), dim * dim)
    if iterations == 0:
        return (sides / operators.lumped[:, None]).reshape(-1, dim, dim)
    return _solve_mass(operators, sides, lambda x: x, iterations).reshape(-1, dim, dim)


def displacement(
    operators: Operators, phi: Float[Tensor, " n"], iterations: int | None = None
) -> Float[Tensor, "n dim"]:
    """The gradient, projected on P1 fields that slide along the walls; linear in phi."""
    dim = operators.dim
    frames = operators.frames.reshape(-1, dim, dim)

    def slide(x: Tensor) -> Tensor:
        return (frames * x[:, None]).sum(2)

    return _solve_mass(operators, slide((operators.slope @ phi).reshape(-1, dim)), slide, iterations)


def _solve_mass(operators: Operators, b: Tensor, within: Callable[[Tensor], Tensor], iterations: int | None) -> Tensor:
    """x of the subspace with (M x - b) orthogonal to it, by Chebyshev's iteration."""
    low, high = 0.5, (operators.dim + 2) / 2
    middle, half = (high + low) / 2, (high - low) / 2
    inverse = (operators.dim + 2) / (2 * operators.lumped[:, None])
    ratio = half / middle
    residual, step = b, inverse * b / middle
    x = step
    if iterations is None:
        iterations = ITERATIONS.get(b.dtype, ITERATIONS[torch.float32])
    for _ in range(iterations):
        residual = residual - within(operators.mass @ step)
        following = 1 / (2 * middle / half - ratio)
        step = following * ratio * step + (2 * following / half) * inverse * residual
        ratio = following
        x = x + step
    return x


class Density:
    """The P1 function of values (n,) on the meshes of a batch, at points that have moved from their own places.

    Cells are found by walking: from a cell of the point, across the facet behind which the new place lies. Outside the
    mesh the value at the last cell is taken, with shape functions cut off at zero.
    """

    def __init__(self, operators: Operators, values: Float[Tensor, " n"]) -> None:
        self.operators, self.values = operators, values
        nodes = table(operators.nodes, values)
        shapes = operators.gradients.reshape(len(nodes), operators.dim + 1, operators.dim)
        self.slopes = (shapes * nodes[..., None]).sum(1)

    @torch.no_grad()
    def locate(self, x: Float[Tensor, "n dim"]) -> tuple[Tensor, Tensor]:
        """(cells (n,), shape functions there (n, dim + 1)), of the points x (n, dim)."""
        operators, dim = self.operators, self.operators.dim
        first = operators.nodes.index.reshape(-1, dim + 1)
        gradients = operators.gradients
        cell = operators.home.index
        cells, shapes = cell.clone(), x.new_zeros(len(x), dim + 1)
        active, place = torch.arange(len(x), device=x.device), x
        beyond = operators.beyond.index.reshape(-1, dim + 1)
        for _ in range(MOST_STEPS):
            at = ops.gather(gradients, cell).reshape(-1, dim + 1, dim)
            origin = ops.gather(operators.points, ops.gather(first, cell)[:, 0])
            here = (at * (place - origin)[:, None]).sum(2)
            here[:, 0] += 1
            lowest, side = here.min(1)
            following = ops.gather(beyond, cell).gather(1, side[:, None])[:, 0]
            done = (lowest >= -EDGE) | (following == cell)
            cells[active], shapes[active] = cell, here
            if bool(done.all()):
                break
            go = (~done).nonzero().squeeze(1)
            active, place, cell = active[go], place[go], following[go]
        shapes = shapes.clamp(min=0)
        return cells, shapes / shapes.sum(1, keepdim=True)

    def __call__(self, x: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
        """(n,) values; their derivative in x is the slope in the cell that was found."""
        cells, shapes = self.locate(x.detach())
        nodes = ops.gather(self.operators.nodes.index.reshape(len(self.slopes), -1), cells)
        found = (ops.gather(self.values, nodes.reshape(-1)).reshape(nodes.shape) * shapes).sum(1)
        if not x.requires_grad:
            return found
        return found.detach() + (ops.gather(self.slopes, cells) * (x - x.detach())).sum(1)


EDGE = 1e-5  # of a shape function: how far outside a cell still counts as inside
MOST_STEPS = 200


def table(adjacency: Adjacency, values: Tensor) -> Tensor:
    """(n_cells, dim + 1, ...): values at the nodes of the cells, which all have as many."""
    return ops.gather_senders(values, adjacency).reshape(adjacency.n_rows, -1, *values.shape[1:])


class Residual:
    """m det(I + H) - theta, tested with P1 functions.

    m (n,) at the moved points, H (n, dim, dim); meshes: row k holds the points of mesh k.

    load, values   (n,) int psi m det(I + H); load - theta int psi, over theta
    theta          (n_meshes,)
    """

    def __init__(self, operators: Operators, meshes: Adjacency, m: Tensor, H: Tensor) -> None:
        dim = operators.dim
        shape, weights = _rule(SIMPLICES[dim], dim + 2, m.dtype, m.device)
        fields = torch.cat([m[:, None], H.reshape(len(H), -1)], 1)
        local = shape @ table(operators.nodes, fields)  # (cells, q, 1 + dim * dim)
        det = determinant(
            torch.eye(dim, dtype=H.dtype, device=H.device) + local[..., 1:].reshape(*local.shape[:2], dim, dim)
        )
        tested = ((local[..., 0] * det) * weights * operators.volume[:, None]) @ shape
        flat = tested.reshape(-1, 1)
        by_point = operators.nodes.transpose()
        self.load = ops.segment_sum(ops.gather(flat, by_point[1]), by_point[0])[:, 0]
        totals = ops.segment_sum(torch.stack([self.load, operators.lumped], 1), meshes)
        self.theta = totals[:, 0] / totals[:, 1]
        theta = ops.gather_receivers(self.theta, meshes)
        self.values = self.load / theta - operators.lumped


@lru_cache
def _rule(kind: str, degree: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """(shape functions (q, dim + 1), weights (q,) that add up to 1) of a quadrature rule."""
    reference = reference_cell(kind)
    places, weights = reference.quadrature(degree)
    return reference.shape(places).to(device, dtype), (weights / weights.sum()).to(device, dtype)


def determinant(A: Tensor) -> Tensor:
    """(...) of (..., dim, dim), written out: far faster than a factorisation of many small matrices."""
    dim = A.shape[-1]
    if dim == 1:
        return A[..., 0, 0]
    if dim == 2:
        return A[..., 0, 0] * A[..., 1, 1] - A[..., 0, 1] * A[..., 1, 0]
    return (A[..., 0, :] * torch.linalg.cross(A[..., 1, :], A[..., 2, :])).sum(-1)


def cell_jacobians(operators: Operators, moved: Float[Tensor, "n dim"]) -> Float[Tensor, "n_cells dim dim"]:
    """d x / d xi on every cell, when the points are displaced by `moved`: I + sum of displacements times gradients."""
    dim = operators.dim
    gradients = operators.gradients.reshape(-1, dim + 1, dim)
    slopes = torch.einsum("cai,caj->cij", table(operators.nodes, moved), gradients)
    return torch.eye(dim, dtype=moved.dtype, device=moved.device) + slopes
