"""Closest points on pieces of a mesh's skin, as positions."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn.mesh.reference import map_each, reference_cell
from meshlearn.mesh.search.closest import ClosestPoint
from meshlearn.ops import gather


class ClosestPlace:
    """Elements {type: (n, k) nodes} of one dimension on float64 points (n_points, dim)."""

    def __init__(self, points: Float[Tensor, "n dim"], elements: Mapping[str, Int64[Tensor, "_c _k"]]) -> None:
        self.points = points
        self.search = ClosestPoint(points, elements)

    def __call__(
        self, queries: Float[Tensor, "m dim"]
    ) -> tuple[Float[Tensor, "m dim"], Int64[Tensor, " m"], Float[Tensor, "m d"]]:
        """Closest positions, their elements (numbered type after type), and reference coordinates there."""
        if self.search.dim == 0:  # a corner or a few: no search
            chosen = torch.cdist(queries, self.search.corners[:, 0]).argmin(1)
            return self.search.corners[chosen, 0], chosen, queries.new_zeros(len(queries), 0)
        element, xi, _ = self.search(queries)
        place = torch.empty_like(queries)
        first = 0
        for kind, nodes in self.search.elements.items():
            mine = ((element >= first) & (element < first + len(nodes))).nonzero().squeeze(1)
            if len(mine):
                x = gather(self.points, nodes.index_select(0, element.index_select(0, mine) - first))
                place[mine] = map_each(reference_cell(kind), x, xi.index_select(0, mine))
            first += len(nodes)
        return place, element, xi
