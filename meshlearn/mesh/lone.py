"""Facets of one cell only, found without building the whole facet table.

All facets of a large solid must be looked at, but few lie on the boundary. Their keys are sorted without keeping
track of where they came from; the keys that occur once are then looked up among all with a bit table that lets
almost nothing else through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from meshlearn.mesh.cells import CELL_TYPES, cell_type
from meshlearn.mesh.unique import comparable_keys, sort_columns

_BITS = 22  # a table of 4 MB stays in the cache


def lone_facets(
    cells: Mapping[str, Int64[Tensor, "_n _k"]], kinds: list[str], n_points: int
) -> dict[str, Int64[Tensor, "_m _k"]]:
    """{facet type: (n, k) int64}: the facets that belong to one cell, as that cell lists them, in the order of their
    sorted corners. CPU tensors only."""
    blocks = {kind: _facet_rows(kind, cells[kind]) for kind in kinds}
    origin: dict[str, list[tuple[str, int]]] = {}
    for kind in kinds:
        for local, (facet, _) in enumerate(cell_type(kind).facets):
            origin.setdefault(facet, []).append((kind, local))
    found = {}
    for facet, places in origin.items():
        tables = (blocks[kind](local) for kind, local in places)
        keys = comparable_keys(tables, max(n_points, 1), CELL_TYPES[facet].corners)
        found[facet] = _lone([block.numpy() for block in keys], places, cells)
    return found


def _is_simplex(kind: str) -> bool:
    cell = cell_type(kind)
    return cell.dim > 0 and cell.corners == cell.dim + 1


def _facet_rows(kind: str, nodes: Tensor) -> Callable[[int], Tensor]:
    """local -> the sorted corners of that facet, one row per cell.

    Of simplices facet i is the one without the corner of rank i: sorted corners have sorted facets.
    """
    if not _is_simplex(kind):
        corners = [list(members[: CELL_TYPES[facet].corners]) for facet, members in cell_type(kind).facets]
        return lambda local: sort_columns(nodes[:, corners[local]])
    ranked = sort_columns(nodes[:, : cell_type(kind).corners]).T.contiguous()
    return lambda left_out: ranked[[rank for rank in range(len(ranked)) if rank != left_out]].T


def _lone(keys: list[np.ndarray], origin: list[tuple[str, int]], cells: Mapping[str, Tensor]) -> Tensor:
    single = _occurring_once(np.concatenate(keys))
    table = np.zeros(1 << _BITS, dtype=bool)
    table[_slot(single)] = True
    found, ranks = [], []
    for block, (kind, local) in zip(keys, origin, strict=True):
        maybe = np.flatnonzero(table[_slot(block)])
        rank = np.searchsorted(single, block[maybe]).clip(max=max(len(single) - 1, 0))
        sure = single[rank] == block[maybe] if len(single) else np.zeros(len(maybe), dtype=bool)
        ranks.append(rank[sure])
        found.append(_nodes(kind, local, cells[kind].index_select(0, torch.from_numpy(maybe[sure]))))
    return torch.cat(found)[torch.from_numpy(np.argsort(np.concatenate(ranks)))]


def _occurring_once(keys: np.ndarray) -> np.ndarray:
    keys.sort()
    alone = np.ones(len(keys), dtype=bool)
    same = keys[1:] == keys[:-1]
    alone[1:][same] = False
    alone[:-1][same] = False
    return keys[alone]


def _slot(keys: np.ndarray) -> np.ndarray:
    """A slot of the bit table for each key: the high bits of a multiplicative hash (Knuth 1998, section 6.4)."""
    return (keys.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - _BITS)


def _nodes(kind: str, local: int, nodes: Tensor) -> Tensor:
    """The facets' nodes: of simplices, the facet without the corner of rank `local`; otherwise facet `local`."""
    facets = cell_type(kind).facets
    if not _is_simplex(kind):
        return nodes[:, list(facets[local][1])]
    n_corners = cell_type(kind).corners
    left_out = nodes[:, :n_corners].argsort(1)[:, local]
    result = torch.empty(len(nodes), len(facets[0][1]), dtype=torch.int64)
    for _, members in facets:
        opposite = next(iter(set(range(n_corners)) - set(members)))
        rows = left_out == opposite
        result[rows] = nodes[rows][:, list(members)]
    return result
