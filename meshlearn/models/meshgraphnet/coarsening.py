"""A coarser graph from a graph: aggregates around roots that are at least three edges apart, as in algebraic multigrid.

The roots form a maximal independent set of the graph's second power, found in a few parallel rounds (Bell, Dalton and
Olson 2012, "Exposing fine-grained parallelism in algebraic multigrid methods", SIAM J. Sci. Comput. 34(4), algorithm
5). It follows the mesh rather than space: thin gaps are not bridged, fine regions stay finer. A level has about
a ninth of the points in triangles, about a twenty-fifth in tetrahedra. Ties are broken by the position of the points,
never by their numbers, so that a renumbered mesh gets the same coarse graph.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from meshlearn import ops
from meshlearn.ops import Adjacency

# The projection on this direction orders the points of any mesh: no lattice has two points with the same value.
_DIRECTION = (1.0, 0.6180339887498949, 0.3247179572447460)
_SCRAMBLE = 2654435761  # odd, close to 2^32 divided by the golden ratio: neighbouring ranks get distant priorities


class Coarsening(NamedTuple):
    """`aggregate[i]` is the coarse point that fine point i belongs to; see `coarsen` for the graphs."""

    points: Float[Tensor, "n_coarse dim"]
    aggregate: Int[Tensor, " n_points"]
    edges: Adjacency
    down: Adjacency
    up: Adjacency


def coarsen(points: Float[Tensor, "n_points dim"], graph: Adjacency) -> Coarsening:
    """One coarser level of a symmetric graph with positions.

    points     (n_coarse, dim) mean position of each aggregate
    edges      joins two aggregates that an edge of the graph joins; symmetric, without self-loops
    down       row c holds the points of aggregate c
    up         row i holds the aggregate of point i and those of its neighbours

    >>> mesh = ml.shapes.square(n=8)
    >>> coarse = coarsen(mesh.points, mesh.point_adjacency)
    >>> len(coarse.points) < mesh.n_points / 4
    True
    """
    priority = priorities(points)
    roots = independent_roots(graph, priority)
    aggregate = join_roots(graph, priority, roots)
    n, n_coarse = len(points), int(roots.sum())
    own = torch.arange(n, device=points.device)
    down = Adjacency.from_edges(own, aggregate, n_coarse, n)
    left, right = ops.gather(aggregate, graph.receivers), ops.gather(aggregate, graph.index)
    joined = left != right
    edges = _unique_graph(right[joined], left[joined], n_coarse, n_coarse)
    up = _unique_graph(torch.cat([aggregate, right]), torch.cat([own, graph.receivers]), n, n_coarse)
    means = ops.segment_mean(ops.gather(points, down.index), down)
    return Coarsening(means, aggregate, edges, down, up)


def priorities(points: Float[Tensor, "n_points dim"]) -> Int[Tensor, " n_points"]:
    """(n_points,) distinct numbers below 2^31 that look random but depend on positions only, not on the numbering."""
    direction = points.new_tensor(_DIRECTION[: points.shape[1]], dtype=torch.float64)
    order = torch.argsort(points.detach().double() @ direction, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(points), device=points.device)
    return (rank * _SCRAMBLE) % 2**31


def independent_roots(graph: Adjacency, priority: Int[Tensor, " n_points"]) -> Tensor:
    """(n_points,) bool: a maximal set of points of which no two are joined by a path of one or two edges."""
    out, undecided, chosen = 0, 2**31, 2**32  # added to the priority: decided points win or lose against all others
    state = torch.full_like(priority, undecided)
    while bool((state == undecided).any()):
        key = torch.where(state == out, 0, priority + state)
        best = _best_near(graph, _best_near(graph, key))
        open_ = state == undecided
        state = torch.where(open_ & (best == key), chosen, torch.where(open_ & (best >= chosen), out, state))
    return state == chosen


def join_roots(graph: Adjacency, priority: Int[Tensor, " n_points"], roots: Tensor) -> Int[Tensor, " n_points"]:
    """(n_points,) the aggregate of every point: that of its root, else of the neighbour with the strongest root."""
    number = torch.cumsum(roots, 0) - 1
    root = torch.where(roots, priority + 1, 0)  # 0: no root yet
    for _ in range(2):
        root = torch.where(root > 0, root, _best_near(graph, root))
    by_priority, order = torch.sort(priority[roots] + 1)
    return number[roots].index_select(0, order).index_select(0, torch.searchsorted(by_priority, root))


def _best_near(graph: Adjacency, key: Tensor) -> Tensor:
    """The largest key of every point and its neighbours."""
    return torch.maximum(key, ops.segment_max(ops.gather_senders(key, graph), graph))


def _unique_graph(senders: Tensor, receivers: Tensor, n_rows: int, n_cols: int) -> Adjacency:
    keys = torch.unique(receivers * n_cols + senders)
    return Adjacency.from_edges(keys % n_cols, keys // n_cols, n_rows, n_cols)
