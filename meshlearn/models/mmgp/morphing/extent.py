"""Which facets and edges of a skin carry a tag: those of the tag's cells, not those whose points all have the tag.

The points of a rim also hold the cells in its corners, and edges through the inside; these are no part of the rim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from meshlearn.mesh.cells import CELL_TYPES, cell_dim, cell_type
from meshlearn.mesh.facets import half_facets, unique_facets
from meshlearn.mesh.unique import row_keys, sort_columns

Elements = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Extent:
    """{type: (n,) bool} for all facets, and for all edges of facets that have any: does it carry the tag?"""

    facets: Elements
    edges: Elements


def edges_of(facets: Mapping[str, Tensor], n_points: int) -> Elements:
    """{type: (n, k)}: every side of two-dimensional facets once; nothing for lines."""
    kinds = [kind for kind in facets if cell_dim(kind) == 2]
    return {kind: block.nodes for kind, block in unique_facets(facets, kinds, n_points).items()}


def extent_of(facets: Elements, edges: Elements, cells: Mapping[str, Tensor]) -> Extent:
    """The facets that are cells of the tag or their sides, and the edges of all cells of the tag.

    Types are compared by their corners: a tag on "triangle" is found on "triangle6".
    """
    known = {kind: nodes for kind, nodes in cells.items() if kind in CELL_TYPES and cell_dim(kind) > 0}
    found = [(cell_type(kind).domain, nodes[:, : cell_type(kind).corners]) for kind, nodes in known.items()]
    found += [
        (cell_type(side).domain, nodes[:, : cell_type(side).corners])
        for side, (nodes, _, _) in half_facets(known, list(known)).items()
    ]
    pairs = [nodes[:, list(pair)] for kind, nodes in known.items() for pair in cell_type(kind).edges]
    return Extent(
        {
            kind: _among(kind, nodes, [c for domain, c in found if domain == cell_type(kind).domain])
            for kind, nodes in facets.items()
        },
        {kind: _among(kind, nodes, pairs) for kind, nodes in edges.items()},
    )


def extent_of_points(facets: Elements, edges: Elements, chosen: Tensor) -> Extent:
    """All facets and edges between chosen points, (n_points,) bool: where no others have all their points there."""
    return Extent(
        {kind: chosen[nodes].all(1) for kind, nodes in facets.items()},
        {kind: chosen[nodes].all(1) for kind, nodes in edges.items()},
    )


def _among(kind: str, nodes: Tensor, tagged: list[Tensor]) -> Tensor:
    """(n,) bool: elements with the same corners as one of the tagged ones, in any order."""
    corners = torch.cat([nodes[:, : cell_type(kind).corners], *tagged])
    keys = row_keys(sort_columns(corners), int(corners.max()) + 1 if len(corners) else 1)
    return torch.isin(keys[: len(nodes)], keys[len(nodes) :])
