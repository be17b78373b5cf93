"""Neighbour searches, exact and without a silent cap: k nearest, and all within a radius.

On CPU scipy's KD-tree; on CUDA a cell list in torch (which runs on CPU too, and is compared with the tree in tests).
Searches read sizes back to the host: build graphs outside `forward`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn.errors import MeshError, ParameterError
from meshlearn.ops import kernel_inputs
from meshlearn.ops.adjacency import Adjacency
from meshlearn.ops.arguments import need_finite, need_tensor
from meshlearn.ops.cell_list import radius_pairs
from meshlearn.ops.gather import gather
from meshlearn.ops.pointers import check_ptr, counts_to_ptr, ptr_to_rows
from meshlearn.ops.registry import Kernel

_radius = Kernel("radius_neighbors", inputs=kernel_inputs.radius_searches, differentiable=False)
_nearest = Kernel("knn", inputs=kernel_inputs.nearest_searches, differentiable=False)
_DENSE_BYTES = 1 << 28


def radius_neighbors(
    points: Float[Tensor, "n_points dim"],
    queries: Float[Tensor, "n_queries _"],
    radius: float,
    exclude_self: bool = False,
    points_ptr: Int64[Tensor, " n_offsets"] | None = None,
    queries_ptr: Int64[Tensor, " n_offsets"] | None = None,
    backend: str | None = None,
) -> Adjacency:
    """All points within `radius` (inclusive) of every query: rows are queries, senders are points in rising order.

    - exclude_self: leave out pair (i, i); for `queries` that are `points`. The graph is then symmetric.
    - points_ptr, queries_ptr: (n_meshes + 1,) offsets of the meshes in a batch; no neighbour crosses meshes.

    Distances are compared in float64, whatever the dtype of the points. There is no cap on the number of neighbours.
    Raises ParameterError for a radius that is not positive and finite, MeshError for non-finite points or wrong
    shapes.

    >>> line = torch.tensor([[0.0], [1.0], [2.5]])
    >>> ml.ops.radius_neighbors(line, line, radius=1.0, exclude_self=True).edge_index()
    tensor([[1, 0],
            [0, 1]])
    """
    if not (math.isfinite(radius) and radius > 0):
        raise ParameterError(f"radius is {radius}, but must be positive and finite (in the unit of the points)")
    _check(points, queries, points_ptr, queries_ptr)
    query, point = _radius(points, queries, float(radius), points_ptr, queries_ptr, backend=backend)
    if exclude_self:
        if len(points) != len(queries):
            raise MeshError(f"exclude_self needs queries equal to points, got {len(queries)} and {len(points)}")
        keep = torch.nonzero(query != point).squeeze(1)
        query, point = query.index_select(0, keep), point.index_select(0, keep)
    adjacency = Adjacency(counts_to_ptr(torch.bincount(query, minlength=len(queries))), point, len(points))
    adjacency._keep(receivers=query)
    return adjacency


def knn(
    points: Float[Tensor, "n_points dim"],
    queries: Float[Tensor, "n_queries _"],
    k: int,
    points_ptr: Int64[Tensor, " n_offsets"] | None = None,
    queries_ptr: Int64[Tensor, " n_offsets"] | None = None,
    backend: str | None = None,
) -> tuple[Float[Tensor, "n_queries k"], Int64[Tensor, "n_queries k"]]:
    """The k nearest points of every query: distances (n_queries, k), rising, and indices (n_queries, k) int64.

    A query that is itself a point finds itself first, at distance 0 (ask for k + 1 to have k others). Points at equal
    distance come in no particular order. Distances are differentiable in points and queries.
    `points_ptr`, `queries_ptr`: (n_meshes + 1,) offsets of a batch; indices count from the start of the whole batch.

    Raises ParameterError when a mesh has fewer than k points, MeshError for non-finite points or wrong shapes.

    >>> line = torch.tensor([[0.0], [1.0], [3.0]])
    >>> ml.ops.knn(line, torch.tensor([[0.9]]), k=2)[1]
    tensor([[1, 0]])
    """
    _check(points, queries, points_ptr, queries_ptr)
    if k < 1:
        raise ParameterError(f"k is {k}, but must be at least 1")
    sizes = [len(points)] if points_ptr is None else points_ptr.diff().tolist()
    asked = [len(queries)] if queries_ptr is None else queries_ptr.diff().tolist()
    short = [(i, size) for i, (size, n) in enumerate(zip(sizes, asked, strict=True)) if size < k and n]
    if short:
        raise ParameterError(f"k is {k}, but mesh {short[0][0]} has only {short[0][1]} points: lower k")
    index = _nearest(points, queries, k, points_ptr, queries_ptr, backend=backend)
    distance = torch.linalg.vector_norm(gather(points, index) - queries.unsqueeze(1), dim=2)
    return distance, index


def _check(points: Tensor, queries: Tensor, points_ptr: Tensor | None, queries_ptr: Tensor | None) -> None:
    need_tensor("points", points)
    need_tensor("queries", queries)
    if (points_ptr is None) != (queries_ptr is None):
        raise MeshError("a batched search needs both points_ptr and queries_ptr, got one of them")
    if points.shape[1] != queries.shape[1] or points.device != queries.device:
        raise MeshError(
            f"points {tuple(points.shape)} on {points.device} and queries {tuple(queries.shape)} on {queries.device} "
            f"must have the same number of coordinates and the same device"
        )
    need_finite("points", points)
    need_finite("queries", queries)
    if points_ptr is not None and queries_ptr is not None:
        check_ptr(points_ptr, len(points))
        check_ptr(queries_ptr, len(queries))
        if len(points_ptr) != len(queries_ptr):
            raise MeshError(f"points_ptr has {len(points_ptr) - 1} meshes and queries_ptr {len(queries_ptr) - 1}")


def _meshes(points, queries, points_ptr, queries_ptr) -> Iterator[tuple[Tensor, Tensor, int, int]]:
    """(points, queries, first point, first query) of every mesh."""
    if points_ptr is None:
        yield points, queries, 0, 0
        return
    starts, query_starts = points_ptr.tolist(), queries_ptr.tolist()
    for a, b, c, d in zip(starts, starts[1:], query_starts, query_starts[1:], strict=False):
        if b > a and d > c:
            yield points[a:b], queries[c:d], a, c


def _dense_blocks(points: Tensor, queries: Tensor) -> Iterator[tuple[int, Tensor]]:
    """(first query, squared distances (queries of the block, n_points) float64)."""
    step = max(_DENSE_BYTES // (8 * max(len(points), 1)), 1)
    points, queries = points.detach().double(), queries.detach().double()
    for first in range(0, len(queries), step):
        gap = queries[first : first + step].unsqueeze(1) - points.unsqueeze(0)
        yield first, gap.square_().sum(2)


@_radius.register("baseline")
def _radius_dense(points, queries, radius, points_ptr=None, queries_ptr=None):
    found = [points.new_zeros((0, 2), dtype=torch.int64)]
    for p, q, first_point, first_query in _meshes(points, queries, points_ptr, queries_ptr):
        for first, squared in _dense_blocks(p, q):
            shift = torch.tensor([first_query + first, first_point], device=p.device)
            found.append(torch.nonzero(squared <= radius * radius) + shift)
    pairs = torch.cat(found)
    return pairs[:, 0], pairs[:, 1]


@_radius.register("kd_tree", rank=10, devices=("cpu",))
def _radius_kd_tree(points, queries, radius, points_ptr=None, queries_ptr=None):
    from scipy.spatial import cKDTree

    found = [torch.zeros((2, 0), dtype=torch.int64)]
    for p, q, first_point, first_query in _meshes(points, queries, points_ptr, queries_ptr):
        trees = (cKDTree(t.detach().double().numpy(), balanced_tree=False) for t in (q, p))
        pairs = next(trees).sparse_distance_matrix(next(trees), radius, output_type="ndarray")
        query, point = (torch.from_numpy(pairs[name].astype("int64")) for name in "ij")
        found.append(torch.stack([query + first_query, point + first_point]))
    query, point = torch.cat(found, 1)
    _, order = torch.sort(query * len(points) + point)
    return query.index_select(0, order), point.index_select(0, order)


@_radius.register("cell_list", rank=5)
def _radius_cell_list(points, queries, radius, points_ptr=None, queries_ptr=None):
    batches = [
        None if ptr is None else ptr_to_rows(ptr, len(x)) for ptr, x in ((points_ptr, points), (queries_ptr, queries))
    ]
    return radius_pairs(points, queries, radius, *batches)


@_nearest.register("baseline")
def _nearest_dense(points, queries, k, points_ptr=None, queries_ptr=None):
    out = torch.zeros((len(queries), k), dtype=torch.int64, device=queries.device)
    for p, q, first_point, first_query in _meshes(points, queries, points_ptr, queries_ptr):
        for first, squared in _dense_blocks(p, q):
            begin = first_query + first
            out[begin : begin + len(squared)] = squared.topk(k, largest=False).indices + first_point
    return out


@_nearest.register("kd_tree", rank=10, devices=("cpu",))
def _nearest_kd_tree(points, queries, k, points_ptr=None, queries_ptr=None):
    from scipy.spatial import cKDTree

    out = torch.zeros((len(queries), k), dtype=torch.int64)
    for p, q, first_point, first_query in _meshes(points, queries, points_ptr, queries_ptr):
        tree = cKDTree(p.detach().double().numpy(), balanced_tree=False)
        _, index = tree.query(q.detach().double().numpy(), k=list(range(1, k + 1)), workers=-1)
        out[first_query : first_query + len(q)] = torch.from_numpy(index) + first_point
    return out


@_nearest.register("cell_list", rank=5, devices=("cuda", "cpu"))
def _nearest_cell_list(points, queries, k, points_ptr=None, queries_ptr=None):
    """Radius searches with a doubling radius; the few queries far from everything are left to the dense search."""
    out = torch.zeros((len(queries), k), dtype=torch.int64, device=queries.device)
    open_queries = torch.arange(len(queries), device=queries.device)
    batch = None if queries_ptr is None else ptr_to_rows(queries_ptr, len(queries))
    n_meshes = 1 if points_ptr is None else len(points_ptr) - 1
    radius = _first_radius(points, k * n_meshes)
    for _ in range(5):
        if len(open_queries) == 0:
            return out
        here = queries.index_select(0, open_queries)
        ptr = None if batch is None else _offsets(batch.index_select(0, open_queries), n_meshes)
        query, point = _radius_cell_list(points, here, radius, points_ptr, ptr)
        count = torch.bincount(query, minlength=len(here))
        near = (points.index_select(0, point).double() - here.index_select(0, query).double()).square_().sum(1)
        by_distance = torch.argsort(near, stable=True)
        by_both = by_distance.index_select(0, torch.argsort(query.index_select(0, by_distance), stable=True))
        done = torch.nonzero(count >= k).squeeze(1)
        first = (count.cumsum(0) - count).index_select(0, done)
        best = by_both.index_select(0, (first.unsqueeze(1) + torch.arange(k, device=first.device)).reshape(-1))
        out[open_queries.index_select(0, done)] = point.index_select(0, best).reshape(-1, k)
        open_queries = open_queries.index_select(0, torch.nonzero(count < k).squeeze(1))
        radius *= 2
    ptr = None if batch is None else _offsets(batch.index_select(0, open_queries), n_meshes)
    out[open_queries] = _nearest_dense(points, queries.index_select(0, open_queries), k, points_ptr, ptr)
    return out


def _offsets(batch: Tensor, n_meshes: int) -> Tensor:
    return counts_to_ptr(torch.bincount(batch, minlength=n_meshes))


def _first_radius(points: Tensor, k: int) -> float:
    """Radius of the ball that would hold 2 k points if they filled their bounding box evenly."""
    if len(points) == 0:
        return 1.0
    extent = (points.amax(0) - points.amin(0)).double()
    extent = extent[extent > 0]
    if len(extent) == 0:
        return 1.0
    share = min(2 * k / len(points), 1.0)
    dim = len(extent)
    ball = math.pi ** (dim / 2) / math.gamma(dim / 2 + 1)
    return float(extent.log().mean().exp()) * (share / ball) ** (1 / dim)
