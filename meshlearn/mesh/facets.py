"""Unique facets of the domain with the cells on either side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from meshlearn.mesh.cells import CELL_TYPES, cell_type
from meshlearn.mesh.unique import comparable_keys, group, sort_columns


@dataclass(frozen=True)
class FacetBlock:
    """All facets of one type, each once.

    nodes  (n, k) int64: the facet's nodes as its first cell lists them, outward for a positively oriented cell
    cells  (n, 2) int64: global numbers of its first and second cell; -1 where there is no second one
    local  (n, 2) int64: the facet's number within these cells (row of the cell table); -1 likewise
    count  (n,) int64: number of cells; 1 on the boundary, 2 inside, more where the mesh is not a manifold
    """

    nodes: Int64[Tensor, "n k"]
    cells: Int64[Tensor, "n 2"]
    local: Int64[Tensor, "n 2"]
    count: Int64[Tensor, " n"]

    @property
    def boundary(self) -> Int64[Tensor, " m"]:
        """(m,) int64: rows that belong to one cell only."""
        return (self.count == 1).nonzero().squeeze(1)

    def __len__(self) -> int:
        return len(self.nodes)


def half_facets(
    cells: Mapping[str, Int64[Tensor, "_n _k"]], kinds: list[str]
) -> dict[str, tuple[Int64[Tensor, "_m _k"], Int64[Tensor, " _m"], Int64[Tensor, " _m"]]]:
    """Facets of every cell before they are matched: {facet type: (nodes (m, k), cell (m,), local number (m,))}.

    `cell` counts through `kinds` in order. Rows run facet after facet, so that each block is a column copy.
    """
    parts: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {}
    offset = 0
    for kind in kinds:
        nodes, table = cells[kind], cell_type(kind)
        number = torch.arange(offset, offset + len(nodes), device=nodes.device)
        columns = nodes.unbind(1)
        for local, (facet, members) in enumerate(table.facets):
            rows = torch.stack([columns[i] for i in members], 1)
            parts.setdefault(facet, []).append((rows, number, torch.full_like(number, local)))
        offset += len(nodes)
    return {
        facet: (torch.cat([b[0] for b in blocks]), torch.cat([b[1] for b in blocks]), torch.cat([b[2] for b in blocks]))
        for facet, blocks in parts.items()
    }


def unique_facets(
    cells: Mapping[str, Int64[Tensor, "_n _k"]], kinds: list[str], n_points: int
) -> dict[str, FacetBlock]:
    """Match the facets of all cells of `kinds` by their corner nodes.

    Cost: one sort of a 64-bit key per half facet. Raises TopologyError for a type without a row in the cell table.
    """
    return {facet: _match(facet, *half, n_points) for facet, half in half_facets(cells, kinds).items()}


def facet_keys(facet: str, tables: Sequence[Int64[Tensor, "_n k"]], n_points: int) -> list[Int64[Tensor, " _n"]]:
    """One number per facet of every table, equal exactly for facets with the same corners."""
    corners = CELL_TYPES[facet].corners
    return comparable_keys((sort_columns(nodes[:, :corners]) for nodes in tables), max(n_points, 1), corners)


def _match(facet: str, nodes: Tensor, cell: Tensor, local: Tensor, n_points: int) -> FacetBlock:
    order, ptr = group(facet_keys(facet, [nodes], n_points)[0])
    # Facets are listed local number by local number; ties are in row order, so put the lower cell first.
    first, count = order.index_select(0, ptr[:-1]), ptr.diff()
    second = order.index_select(0, (ptr[:-1] + 1).clamp(max=max(len(order) - 1, 0)))
    swap = (count > 1) & (cell.index_select(0, second) < cell.index_select(0, first))
    first, second = torch.where(swap, second, first), torch.where(swap, first, second)
    inside = count > 1
    return FacetBlock(
        nodes=nodes.index_select(0, first),
        cells=torch.stack([cell.index_select(0, first), cell.index_select(0, second).where(inside, -1)], 1),
        local=torch.stack([local.index_select(0, first), local.index_select(0, second).where(inside, -1)], 1),
        count=count,
    )
