"""Which cells may matter for a point: every cell lies in a ball around its centre, and the balls are searched by size.

Cells of about the same radius share a KD-tree of their centres, so a few large cells do not slow the others down.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

_MOST_PAIRS = 1 << 20  # (point, cell) pairs formed at a time


class Balls:
    """Centres (n, dim) and radii (n,) of the balls around n cells, in float64 on the CPU."""

    def __init__(self, centres: Float[Tensor, "n dim"], radii: Float[Tensor, " n"], workers: int = 1) -> None:
        from scipy.spatial import cKDTree

        self.workers = workers
        self.centres, self.radii = centres.numpy(), radii.numpy()
        self.tree = cKDTree(self.centres)
        scale = self.radii.max(initial=0.0) or 1.0
        level = np.round(-np.log2(np.maximum(self.radii, 1e-30 * scale) / scale)).astype(np.int64)
        self.groups = []
        for value in np.unique(level):
            members = np.flatnonzero(level == value)
            tree = self.tree if len(members) == len(level) else cKDTree(self.centres[members])
            self.groups.append((members, tree, float(self.radii[members].max())))

    def nearest(self, points: Float[Tensor, "m dim"], k: int = 1, slack: float = 0.0) -> Int64[Tensor, "m k"]:
        """Cells with the k nearest centres; with `slack` some may be farther than the nearest by this fraction."""
        k = min(k, len(self.centres))
        _, index = self.tree.query(points.numpy(), k=k, eps=slack, workers=self.workers)
        return torch.from_numpy(np.asarray(index, dtype=np.int64).reshape(len(points), k))

    def pairs(
        self, points: Float[Tensor, "m dim"], reach: Float[Tensor, " m"]
    ) -> Iterator[tuple[Int64[Tensor, " p"], Int64[Tensor, " p"]]]:
        """All (point, cell) pairs whose ball comes within `reach` of the point, in blocks of bounded size."""
        x, own = points.numpy(), reach.numpy()
        for members, tree, radius in self.groups:
            limit = own + radius
            counts = tree.query_ball_point(x, limit, return_length=True, workers=self.workers)
            for rows in _blocks(np.atleast_1d(counts)):
                found = tree.query_ball_point(x[rows], limit[rows], return_sorted=True, workers=self.workers)
                sizes = counts[rows]
                cell = members[np.fromiter(chain.from_iterable(found), dtype=np.int64, count=int(sizes.sum()))]
                point = np.repeat(rows, sizes)
                distance = np.linalg.norm(x[point] - self.centres[cell], axis=1)
                keep = distance <= own[point] + self.radii[cell]
                if keep.any():
                    yield torch.from_numpy(point[keep]), torch.from_numpy(cell[keep])


def _blocks(counts: np.ndarray) -> Iterator[np.ndarray]:
    """Rows with candidates, in runs whose counts add up to at most `_MOST_PAIRS` (or single rows)."""
    rows = np.flatnonzero(counts)
    total = np.cumsum(counts[rows])
    start = 0
    while start < len(rows):
        base = total[start - 1] if start else 0
        stop = max(int(np.searchsorted(total, base + _MOST_PAIRS, side="right")), start + 1)
        yield rows[start:stop]
        start = stop
