"""Matrices of a graph: degree, Laplacian, and the least-squares gradient of a point field."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64, Num
from torch import Tensor

from meshlearn.errors import MeshError, ParameterError
from meshlearn.ops.adjacency import Adjacency
from meshlearn.ops.arguments import need_adjacency, need_tensor
from meshlearn.ops.gather import gather, gather_receivers, gather_senders
from meshlearn.ops.pointers import ptr_to_rows
from meshlearn.ops.segment import segment_sum
from meshlearn.ops.sparse import SparseOperator


def degree(adjacency: Adjacency, weights: Float[Tensor, " n_edges"] | None = None) -> Num[Tensor, " n_rows"]:
    """(n_rows,) number of senders of every row (int64), or the sum of their weights (dtype of the weights).

    >>> ml.ops.degree(ml.ops.Adjacency(torch.tensor([0, 2, 3]), torch.tensor([0, 1, 0])))
    tensor([2, 1])
    """
    need_adjacency(adjacency)
    return adjacency.degree() if weights is None else segment_sum(weights, adjacency)


def laplacian(
    adjacency: Adjacency,
    weights: Float[Tensor, " n_edges"] | None = None,
    normalization: str | None = None,
) -> SparseOperator:
    """The graph Laplacian, (L u)[r] = sum over edges e into r of w[e] (u[r] - u[sender of e]).

    - weights: (n_edges,), ones (in torch's default dtype) when left out; L is differentiable in them.
    - normalization: None for L = D - W; "random_walk" for D^-1 L; "symmetric" for D^-1/2 L D^-1/2. Rows of degree
      0 are 0.

    Raises MeshError for a rectangular adjacency, ParameterError for an unknown normalization.

    >>> path = ml.ops.Adjacency.from_edges(torch.tensor([0, 1, 1, 2]), torch.tensor([1, 0, 2, 1]), n_rows=3)
    >>> ml.ops.laplacian(path).to_dense()
    tensor([[ 1., -1.,  0.],
            [-1.,  2., -1.],
            [ 0., -1.,  1.]])
    """
    need_adjacency(adjacency)
    n = adjacency.n_rows
    if n != adjacency.n_cols:
        raise MeshError(f"a Laplacian needs a square adjacency, got {adjacency}")
    if normalization not in (None, "random_walk", "symmetric"):
        raise ParameterError(f"normalization is {normalization!r}; choose None, 'random_walk' or 'symmetric'")
    if weights is None:
        weights = torch.ones(adjacency.n_edges, device=adjacency.device)
    total = degree(adjacency, weights)
    safe = torch.where(total == 0, torch.ones_like(total), total)
    if normalization == "random_walk":
        weights = weights / gather_receivers(safe, adjacency)
    elif normalization == "symmetric":
        root = safe.rsqrt()
        weights = weights * gather_receivers(root, adjacency) * gather_senders(root, adjacency)
    if normalization is not None:
        total = (total != 0).to(total.dtype)
    here = torch.arange(n, device=adjacency.device)
    return SparseOperator.from_coo(
        torch.cat([adjacency.receivers, here]), torch.cat([adjacency.index, here]), torch.cat([-weights, total]), (n, n)
    )


def graph_gradient(adjacency: Adjacency, points: Float[Tensor, "n_points dim"]) -> SparseOperator:
    """Least-squares gradient of a point field: `(G @ u).reshape(n_points, dim, ...)`, shape (n_points * dim, n_points).

    At every point the vector g that minimises `sum over neighbours j of (g . d_j - (u_j - u))^2 / |d_j|^2` with
    d_j = p_j - p. Exact on linear fields where the neighbours span the space; elsewhere (a surface in 3-D, a line in
    2-D, an end point) the component within their span, and 0 without neighbours. Unit: (unit of u) / (unit of points).
    Differentiable in the points. Neighbours at distance 0 are left out.

    Raises MeshError unless the adjacency is square with one row per point.

    >>> points = torch.tensor([[0.0], [1.0], [3.0]])
    >>> path = ml.ops.Adjacency.from_edges(torch.tensor([0, 1, 1, 2]), torch.tensor([1, 0, 2, 1]), n_rows=3)
    >>> ml.ops.graph_gradient(path, points) @ (2 * points[:, 0] + 1)
    tensor([2., 2., 2.])
    """
    need_adjacency(adjacency)
    need_tensor("points", points)
    n = len(points)
    if adjacency.shape != (n, n):
        raise MeshError(f"graph_gradient needs a square adjacency with a row per point: {adjacency}, {n} points")
    step = gather_senders(points, adjacency) - gather_receivers(points, adjacency)
    squared = step.square().sum(1, keepdim=True)
    apart = squared > 0
    pull = torch.where(apart, step / torch.where(apart, squared, torch.ones_like(squared)), torch.zeros_like(step))
    moment = segment_sum(pull.unsqueeze(2) * step.unsqueeze(1), adjacency)
    inverse = torch.linalg.pinv(moment, hermitian=True, rtol=torch.finfo(points.dtype).eps ** 0.5)
    weight = torch.einsum("eij,ej->ei", gather_receivers(inverse, adjacency), pull)
    own = -segment_sum(weight, adjacency)
    return _stack_components(adjacency, weight, own)


def _stack_components(adjacency: Adjacency, weight: Tensor, own: Tensor) -> SparseOperator:
    """Rows r * dim + k: component k of `weight` at the edges of r, then component k of `own` at r itself."""
    n, dim = own.shape
    device = own.device
    rows: Int64[Tensor, " n"] = torch.arange(n * dim, device=device)
    length = adjacency.degree() + 1
    offsets = torch.cat([length.new_zeros(1), length.repeat_interleave(dim).cumsum(0)])
    n_entries = (adjacency.n_edges + n) * dim
    row = ptr_to_rows(offsets, n_entries)
    point = rows.div(dim, rounding_mode="floor").index_select(0, row)
    place = torch.arange(n_entries, device=device) - offsets.index_select(0, row)
    last = place == length.index_select(0, point) - 1
    # the own coefficient of point r is stored behind all edges, at n_edges + r
    entry = torch.where(last, adjacency.n_edges + point, adjacency.ptr.index_select(0, point) + place)
    column = torch.cat([adjacency.index, torch.arange(n, device=device)]).index_select(0, entry)
    values = gather(torch.cat([weight, own]).reshape(-1), entry * dim + row % dim)
    return SparseOperator.from_adjacency(Adjacency(offsets, column, n), values)
