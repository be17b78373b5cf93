"""What a learned mover is trained on: one number per mesh, zero at the exact discrete potential."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn import ops
from meshlearn.models.movers.learned.elliptic import Solves
from meshlearn.models.movers.learned.equation import (
    Density,
    Residual,
    cell_jacobians,
    determinant,
    displacement,
    hessian,
    table,
)
from meshlearn.models.movers.learned.sample import MoverSample

LOSSES = ("residual", "equidistribution", "supervised")
_SMALL = 1e-4  # displacement, of the size of the mesh, below which a start counts as perfect
_STRONG = 0.1  # weight of the mean square of the residual beside its dual norm
_FLOOR = 0.05  # smallest stretch of a cell that is not penalised


def residual_loss(batch: MoverSample, phi: Float[Tensor, " n"], H: Tensor, moved: Tensor) -> Float[Tensor, " n_meshes"]:
    """The residual r of the Monge-Ampère equation, over its own size where nothing moves: r . G r + c r . r / lumped.

    r . G r, the dual norm of the residual, is to first order the square of the error of the displacement; the mean
    square of the residual itself weighs short waves by their frequency squared, and the network learns these first.
    """
    operators = batch.operators
    m = Density(operators, batch.density)(operators.points + moved)
    now = _norms(batch, Residual(operators, batch.meshes, m, H).values)
    with torch.no_grad():
        start = _norms(batch, Residual(operators, batch.meshes, batch.density, torch.zeros_like(H)).values)
    weight, least = phi.new_tensor([1.0, _STRONG]), phi.new_tensor([_SMALL**2, _SMALL])
    return (now / (start + least)) @ weight


def _norms(batch: MoverSample, r: Tensor) -> Tensor:
    """(n_meshes, 2): r . G r and the sum of r^2 / lumped."""
    weak = Solves.apply(r[:, None], tuple(s.green for s in batch.all_solvers))[:, 0]
    return ops.segment_sum(torch.stack([r * weak, r.square() / batch.operators.lumped], 1), batch.meshes)


def equidistribution_loss(batch: MoverSample, moved: Tensor, jacobians: Tensor) -> Float[Tensor, " n_meshes"]:
    """Variance of the shares m det(dx / dxi) of the cells over that at the start."""
    operators = batch.operators
    m = Density(operators, batch.density)(operators.points + moved)
    shares = table(operators.nodes, m).mean(1) * determinant(jacobians)
    start = table(operators.nodes, batch.density).mean(1)
    now, before = (_variance(batch, s) for s in (shares, start))
    return now / (before + _SMALL)


def _variance(batch: MoverSample, shares: Tensor) -> Tensor:
    volume, ptr = batch.operators.volume[:, None], batch.ptr("cell")
    mean = ops.segment_sum(volume * shares[:, None], ptr)[:, 0]
    relative = shares / mean.index_select(0, batch.mesh_index("cell")) - 1
    return ops.segment_sum(volume * relative.square()[:, None], ptr)[:, 0]


def supervised_loss(batch: MoverSample, moved: Tensor) -> Float[Tensor, " n_meshes"]:
    """Square of the error of the displacement over that of the displacement that a classical mover found."""
    wanted = displacement(batch, batch.wanted)
    pair = torch.stack([(moved - wanted).square().sum(1), wanted.square().sum(1)], 1)
    error, size = ops.segment_sum(pair * batch.operators.lumped[:, None], batch.meshes).unbind(1)
    return error / (size + _SMALL**2)


def convexity_loss(batch: MoverSample, H: Tensor, jacobians: Tensor) -> Float[Tensor, " n_meshes"]:
    """How far I + H is from positive semi-definite at the points, and the symmetric part of dx / dxi in the cells.

    Both by the smallest eigenvalue where it is negative (in cells: below a small floor), plus its square: a penalty
    that does not vanish on the way to the bound. A cell whose Jacobian has a positive definite symmetric part is not
    inverted.
    """
    identity = torch.eye(H.shape[1], dtype=H.dtype, device=H.device)
    at_points = _penalty(-smallest_eigenvalue(identity + H)) * batch.operators.lumped
    symmetric = (jacobians + jacobians.transpose(1, 2)) / 2
    in_cells = _penalty(_FLOOR - smallest_eigenvalue(symmetric)) * batch.operators.volume
    cells = ops.segment_sum(in_cells[:, None], batch.ptr("cell"))[:, 0]
    return ops.segment_sum(at_points[:, None], batch.meshes)[:, 0] + cells


def _penalty(excess: Tensor) -> Tensor:
    excess = excess.clamp(min=0)
    return excess + excess.square()


def smallest_eigenvalue(A: Float[Tensor, "n dim dim"]) -> Float[Tensor, " n"]:
    """Of symmetric matrices; in the plane by the formula, whose gradient is finite for equal eigenvalues, too."""
    if A.shape[1] == 1:
        return A[:, 0, 0]
    if A.shape[1] == 2:
        mean, half = (A[:, 0, 0] + A[:, 1, 1]) / 2, (A[:, 0, 0] - A[:, 1, 1]) / 2
        return mean - (half.square() + A[:, 0, 1] * A[:, 1, 0] + 1e-20).sqrt()
    return torch.linalg.eigvalsh(A)[:, 0]


def mover_losses(
    batch: MoverSample, phi: Float[Tensor, " n"], loss: str, convexity: float
) -> Float[Tensor, " n_meshes"]:
    """The loss of this name and `convexity` times the convexity loss."""
    H, moved = hessian(batch, phi), displacement(batch, phi)
    jacobians = cell_jacobians(batch.operators, moved)
    if loss == "residual":
        made = residual_loss(batch, phi, H, moved)
    elif loss == "equidistribution":
        made = equidistribution_loss(batch, moved, jacobians)
    else:
        made = supervised_loss(batch, moved)
    return made + convexity * convexity_loss(batch, H, jacobians)
