"""Exact radius search in torch, on any device: points sorted into cells at least as wide as the radius."""

from __future__ import annotations

from itertools import pairwise, product

import torch
from torch import Tensor

from meshlearn.ops.pointers import counts_to_ptr, ptr_to_rows

_CANDIDATES = 1 << 23  # pairs tested at a time


def radius_pairs(
    points: Tensor, queries: Tensor, radius: float, point_batch: Tensor | None, query_batch: Tensor | None
) -> tuple[Tensor, Tensor]:
    """(query, point) of every pair within `radius` (inclusive) and of the same batch, sorted by query, then point.

    Cells along the last axis have consecutive keys, so that a query reads 3^(dim - 1) runs of three cells. Distances
    are formed in float64: the result equals that of any other exact search.
    """
    empty = torch.zeros(0, dtype=torch.int64, device=points.device)
    if len(points) == 0 or len(queries) == 0:
        return empty, empty
    points, queries = points.detach().double(), queries.detach().double()
    keys, query_keys, strides = _cell_keys(points, queries, radius, point_batch, query_batch)
    keys, order = torch.sort(keys)
    dim = points.shape[1]
    runs = torch.tensor(list(product((-1, 0, 1), repeat=dim - 1)), dtype=torch.int64, device=points.device)
    runs = runs.reshape(3 ** (dim - 1), dim - 1)
    centres = query_keys.unsqueeze(1) + (runs * strides[:-1]).sum(1)
    low = torch.searchsorted(keys, centres - 1)
    count = torch.searchsorted(keys, centres + 1, right=True) - low
    found = [
        _test_candidates(points, queries, radius, order, low[a:b], count[a:b], a) for a, b in _chunks(count.sum(1))
    ]
    query, point = (torch.cat(part) for part in zip(*found, strict=True))
    _, by_both = torch.sort(query * len(points) + point)
    return query.index_select(0, by_both), point.index_select(0, by_both)


def _cell_keys(points, queries, radius, point_batch, query_batch):
    """One integer per point and query: batch, then cell along each axis, with a free cell on either side."""
    dim = points.shape[1]
    lowest = torch.minimum(points.amin(0), queries.amin(0))
    extent = torch.maximum(points.amax(0), queries.amax(0)) - lowest
    # a hair wider than the radius, against rounding; at most 2^(54/dim) cells along an axis, so that keys fit 63 bits
    width = torch.clamp(extent / 2 ** (54 // dim), min=radius * (1 + 1e-9))
    cells = ((points - lowest) / width).long() + 1
    query_cells = ((queries - lowest) / width).long() + 1
    size = (extent / width).long() + 3
    strides = torch.ones(dim, dtype=torch.int64, device=points.device)
    for axis in range(dim - 2, -1, -1):
        strides[axis] = strides[axis + 1] * size[axis + 1]
    key, query_key = (cells * strides).sum(1), (query_cells * strides).sum(1)
    if point_batch is not None and query_batch is not None:
        block = strides[0] * size[0]
        key, query_key = key + point_batch * block, query_key + query_batch * block
    return key, query_key, strides


def _chunks(load: Tensor) -> list[tuple[int, int]]:
    """Consecutive ranges of queries with at most _CANDIDATES candidates each (or one query)."""
    before = counts_to_ptr(load)
    total, n = int(before[-1]), len(load)
    targets = torch.arange(0, total + 1, _CANDIDATES, device=load.device)
    cuts = sorted({0, *torch.searchsorted(before, targets).clamp(max=n).tolist(), n})
    return list(pairwise(cuts))


def _test_candidates(points, queries, radius, order, low, count, shift):
    """Pairs within the radius among the runs `low`, `count` (queries, runs) of a chunk starting at query `shift`."""
    ptr = counts_to_ptr(count.reshape(-1))
    run = ptr_to_rows(ptr, int(ptr[-1]))
    within = torch.arange(len(run), device=run.device) - ptr.index_select(0, run)
    point = order.index_select(0, low.reshape(-1).index_select(0, run) + within)
    query = run // count.shape[1] + shift
    squared = (points.index_select(0, point) - queries.index_select(0, query)).square_().sum(1)
    near = torch.nonzero(squared <= radius * radius).squeeze(1)
    return query.index_select(0, near), point.index_select(0, near)
