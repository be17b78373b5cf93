"""The isoparametric map of many cells at once: positions, Jacobians and their measures.

The names in `_each` take one reference point per cell (m, d), the others the same q points (q, d) for every cell.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import TopologyError
from meshlearn.mesh.reference.cell import ReferenceCell


def map_points(
    cell: ReferenceCell, nodes: Float[Tensor, "n k dim"], xi: Float[Tensor, "q d"]
) -> Float[Tensor, "n q dim"]:
    """Positions of the reference points `xi` in each of n cells whose nodes have the coordinates `nodes`."""
    return cell.shape(xi.to(nodes)) @ nodes


def map_each(cell: ReferenceCell, nodes: Float[Tensor, "m k dim"], xi: Float[Tensor, "m d"]) -> Float[Tensor, "m dim"]:
    """Position of the reference point `xi[i]` in cell i."""
    return (cell.shape(xi)[:, None] @ nodes)[:, 0]


def jacobians(
    cell: ReferenceCell, nodes: Float[Tensor, "n k dim"], xi: Float[Tensor, "q d"]
) -> Float[Tensor, "n q dim d"]:
    """Jacobians dx/dxi of each of n cells at the reference points `xi`; differentiable in `nodes` and `xi`."""
    gradients = cell.grad(xi.to(nodes))  # (q, k, d)
    return torch.einsum("nkx,qkd->nqxd", nodes, gradients)


def jacobians_each(
    cell: ReferenceCell, nodes: Float[Tensor, "m k dim"], xi: Float[Tensor, "m d"]
) -> Float[Tensor, "m dim d"]:
    """Jacobian dx/dxi of cell i at the reference point `xi[i]`."""
    return nodes.transpose(1, 2) @ cell.grad(xi)


def jacobian_measure(jacobian: Float[Tensor, "*n dim d"]) -> Float[Tensor, "*n"]:
    """Ratio of physical to reference measure: the signed determinant if d = dim, else sqrt(det(J^T J)) >= 0.

    Written out, so that it is fast for many small matrices; the gradient at a degenerate surface cell is 0, not NaN.
    Raises TopologyError for cells of a dimension above that of the space.

    >>> jacobian_measure(torch.tensor([[2.0, 0.0], [1.0, 3.0]]))
    tensor(6.)
    """
    dim, d = jacobian.shape[-2:]
    if d > dim:
        raise TopologyError(f"cells of dimension {d} in a space of dimension {dim} have no measure.")
    column = jacobian.unbind(-1)
    if d == 0:
        return jacobian.new_ones(jacobian.shape[:-2])
    if d == 1:
        return column[0][..., 0] if dim == 1 else lengths(column[0])
    if dim == 2:
        return column[0][..., 0] * column[1][..., 1] - column[0][..., 1] * column[1][..., 0]
    across = torch.linalg.cross(column[0], column[1])
    return lengths(across) if d == 2 else (across * column[2]).sum(-1)


def lengths(vectors: Float[Tensor, "..."], dim: int = -1) -> Float[Tensor, "..."]:
    """Euclidean lengths along one dimension; the gradient at 0 is 0, not NaN, and tiny vectors do not underflow.

    >>> lengths(torch.tensor([[3e-30, 4e-30], [0.0, 0.0]]))
    tensor([5.0000e-30, 0.0000e+00])
    """
    scale = vectors.detach().abs().amax(dim, keepdim=True)
    scale = torch.where(scale > 0, scale, 1.0)
    squared = (vectors / scale).square().sum(dim)
    return torch.where(squared > 0, squared, 1.0).sqrt() * torch.where(squared > 0, scale.squeeze(dim), 0.0)


def unit(vectors: Float[Tensor, "..."], dim: int = -1) -> Float[Tensor, "..."]:
    """Vectors of length 1 along one dimension; 0 stays 0, with a finite gradient."""
    size = lengths(vectors, dim).unsqueeze(dim)
    return vectors / torch.where(size > 0, size, 1.0)
