"""Unique rows of small integer tables by sorting one 64-bit key per row: the engine behind edges and facets."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor


def sort_columns(rows: Int[Tensor, "n k"]) -> Int[Tensor, "n k"]:
    """Sort within each row; for up to four columns by a sorting network, many times faster than a general sort."""
    network = {1: (), 2: ((0, 1),), 3: ((0, 1), (1, 2), (0, 1)), 4: ((0, 1), (2, 3), (0, 2), (1, 3), (1, 2))}
    if rows.shape[1] not in network:
        return rows.sort(1).values
    columns = list(rows.unbind(1))
    for i, j in network[len(columns)]:
        columns[i], columns[j] = torch.minimum(columns[i], columns[j]), torch.maximum(columns[i], columns[j])
    return torch.stack(columns, 0).T  # column by column in memory, as keys are made


def row_keys(rows: Int[Tensor, "n k"], bound: int) -> Int[Tensor, " n"]:
    """One integer per row, equal exactly for equal rows and ordered as the rows are; entries lie in [0, bound).

    For keys of several tables see `comparable_keys`."""
    key = rows[:, 0].clone()
    size = bound
    for column in rows.unbind(1)[1:]:
        if size * bound >= 2**63:  # too wide for 64 bits: number the distinct prefixes first
            key, size = _rank(key)
        width = bound
        if size * width >= 2**63:
            column, width = _rank(column)
        key, size = key.mul_(width).add_(column), size * width
    return key


def comparable_keys(tables: Iterable[Int[Tensor, "_n k"]], bound: int, width: int) -> list[Int[Tensor, " _n"]]:
    """`row_keys` of tables of `width` columns, equal exactly for equal rows of any two of them.

    Keys of wide rows are ranks among the rows of one call: those of separate calls say nothing about each other.
    """
    if bound**width < 2**63:
        return [row_keys(table, bound) for table in tables]  # a generator's tables are freed one by one
    kept = list(tables)
    return list(row_keys(torch.cat(kept), bound).split([len(table) for table in kept]))


def _rank(values: Tensor) -> tuple[Tensor, int]:
    distinct, ranks = torch.unique(values, return_inverse=True)
    return ranks, max(len(distinct), 1)


def sorted_unique(keys: Int[Tensor, " n"]) -> Int[Tensor, " m"]:
    """Distinct keys in ascending order; on CPU by numpy's vectorised sort."""
    ordered = torch.from_numpy(np.sort(keys.numpy())) if keys.device.type == "cpu" else keys.sort().values
    if len(ordered) == 0:
        return ordered
    first = torch.ones(len(ordered), dtype=torch.bool, device=keys.device)
    torch.ne(ordered[1:], ordered[:-1], out=first[1:])
    return torch.masked_select(ordered, first)


def group(keys: Int[Tensor, " n"]) -> tuple[Int[Tensor, " n"], Int[Tensor, " m_plus_1"]]:
    """Rows ordered by key, ties by row number, and the pointer to where each distinct key starts.

    >>> from meshlearn.mesh.unique import group
    >>> group(torch.tensor([7, 3, 7]))
    (tensor([1, 0, 2]), tensor([0, 1, 3]))
    """
    if keys.device.type == "cpu":
        order = torch.from_numpy(np.argsort(keys.numpy()))  # not stable, so ties are put in order below
    else:
        order = keys.argsort()
    ordered = keys.index_select(0, order)
    first = torch.ones(len(keys), dtype=torch.bool, device=keys.device)
    torch.ne(ordered[1:], ordered[:-1], out=first[1:])
    start = first.nonzero().squeeze(1)
    ptr = torch.cat([start, start.new_tensor([len(keys)])])
    size = ptr.diff()
    if len(size) and int(size.max()) > 2:
        return keys.argsort(stable=True), ptr
    pair = start[size == 2]
    a, b = order.index_select(0, pair), order.index_select(0, pair + 1)
    order[pair], order[pair + 1] = torch.minimum(a, b), torch.maximum(a, b)
    return order, ptr
