"""The isoparametric map of many cells at once: positions, Jacobians and their measures."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.mesh.reference.cell import ReferenceCell


def map_points(
    cell: ReferenceCell, nodes: Float[Tensor, "n k dim"], xi: Float[Tensor, "q d"]
) -> Float[Tensor, "n q dim"]:
    """Positions of the reference points `xi` in each of n cells whose nodes have the coordinates `nodes`."""
    return cell.shape(xi.to(nodes)) @ nodes


def jacobians(
    cell: ReferenceCell, nodes: Float[Tensor, "n k dim"], xi: Float[Tensor, "q d"]
) -> Float[Tensor, "n q dim d"]:
    """Jacobians dx/dxi of each of n cells at the reference points `xi`; differentiable in `nodes` and `xi`."""
    gradients = cell.grad(xi.to(nodes))  # (q, k, d)
    return torch.einsum("nkx,qkd->nqxd", nodes, gradients)


def jacobian_measure(jacobian: Float[Tensor, "*n dim d"]) -> Float[Tensor, "*n"]:
    """Ratio of physical to reference measure: the signed determinant if d = dim, else sqrt(det(J^T J)) >= 0.

    Written out, so that it is fast for many small matrices; the gradient at a degenerate surface cell is 0, not NaN.
    """
    dim, d = jacobian.shape[-2:]
    column = [jacobian[..., i] for i in range(d)]
    if d == 0:
        return jacobian.new_ones(jacobian.shape[:-2])
    if d == dim:
        if d == 1:
            return column[0][..., 0]
        if d == 2:
            return column[0][..., 0] * column[1][..., 1] - column[0][..., 1] * column[1][..., 0]
        return (torch.linalg.cross(column[0], column[1], dim=-1) * column[2]).sum(-1)
    if d == 1:
        squared = column[0].square().sum(-1)
    elif dim == 3:
        squared = torch.linalg.cross(column[0], column[1], dim=-1).square().sum(-1)
    else:
        raise ValueError(f"cells of dimension {d} in a space of dimension {dim} have no measure.")
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, 1.0).sqrt(), 0.0)
