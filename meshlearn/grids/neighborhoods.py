"""The values around the nodes of a grid, some thousand nodes at a time: memory and caches are small, meshes are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from meshlearn.errors import MeshError
from meshlearn.grids.grid import RegularGrid
from meshlearn.ops import Adjacency, gather, knn, radius_neighbors, segment_sum
from meshlearn.ops.pointers import counts_to_ptr

_ROUNDS = 5  # doublings of a radius
THIN = 1e-3  # least over largest spread of neighbours that span the space
_NONE = 1e-12  # of the largest spread: rounding
_WIDER = 1.5  # of the distance of the last neighbour that must be there: it then has a weight that counts
_SEARCHED, _AT_ONCE = 1 << 16, 1 << 13  # nodes of one search, and of one block
_LEVELS = 4  # radii of one search lie within a factor of 2^(1 / _LEVELS)


@dataclass(frozen=True)
class Block:
    """Some nodes, and what is within their radii. Lengths are in grid spacings; k nodes have p pairs together.

    nodes   (k,) numbers of the nodes in the grid
    rows    the pairs by node; its index counts the values of the mesh
    offset  (p, dim) from the node to the value
    share   (p,) measure times kernel of each value, adding up to 1 over each node
    reach   (k,) radii
    """

    nodes: Int64[Tensor, " k"]
    rows: Adjacency
    offset: Float[Tensor, "p dim"]
    share: Float[Tensor, " p"]
    reach: Float[Tensor, " k"]

    @cached_property
    def centre(self) -> Float[Tensor, "k dim"]:
        """Of the values, from the node."""
        return segment_sum(self.share[:, None] * self.offset, self.rows)

    @cached_property
    def deviation(self) -> Float[Tensor, "p dim"]:
        """From the centre to each value."""
        return self.offset - gather(self.centre, self.rows.receivers)

    @cached_property
    def spread(self) -> tuple[Float[Tensor, "k dim"], Float[Tensor, "k dim dim"]]:
        """Eigenvalues, rising, and eigenvectors of the second moments about the centre."""
        d, (i, j) = self.deviation, torch.triu_indices(*2 * self.offset.shape[1:], device=self.share.device)
        upper = segment_sum(self.share[:, None] * d.index_select(1, i) * d.index_select(1, j), self.rows)
        moment = upper.new_zeros(len(upper), d.shape[1], d.shape[1])
        moment[:, i, j] = moment[:, j, i] = upper
        return torch.linalg.eigh(moment)

    @property
    def flatness(self) -> Float[Tensor, " k"]:
        """Least over largest spread: 0 where all values lie in one plane or line."""
        size = self.spread[0]
        return (size[:, 0] / size[:, -1].clamp_min(1e-300)).clamp_min(_NONE)

    def only(self, kept: Bool[Tensor, " k"]) -> Block:
        """Some of the nodes."""
        if bool(kept.all()):
            return self
        pairs = kept.index_select(0, self.rows.receivers).nonzero().squeeze(1)
        rows = _rows(self.rows.ptr.diff()[kept], self.rows.index.index_select(0, pairs), self.rows.n_cols)
        return Block(self.nodes[kept], rows, self.offset[pairs], self.share[pairs], self.reach[kept])


def neighborhoods(
    places: Float[Tensor, "n dim"],
    weights: Float[Tensor, " n"],
    grid: RegularGrid,
    at: Float[Tensor, "n_nodes dim"],
    radius: float,
    neighbors: int,
    spanning: bool,
) -> Iterator[Block]:
    """The values around the places `at` of the nodes of a grid; every node is in one block, in any order.

    radius     of the kernel in grid spacings; wider, node by node, until `neighbors` values lie well inside
    neighbors  so many values at least are looked at (all, where there are fewer)
    spanning   widen the radius also where the neighbours lie in a line or plane (not for surfaces), unless all do

    Raises MeshError where no value has a weight.
    """
    search = _Search(places.detach(), weights.detach(), grid, at, radius)
    spanning = spanning and search.spans
    reach = search.least(neighbors)
    level = (_LEVELS * torch.log2(reach / radius)).floor()
    for one in torch.unique(level).tolist():
        for nodes in (level == one).nonzero().squeeze(1).split(_SEARCHED):
            if spanning:
                yield from search.spanning(nodes, reach.index_select(0, nodes))
            else:
                yield from search.within(nodes, reach.index_select(0, nodes))


class _Search:
    """The values of a mesh, repeated over periodic axes, and the nodes of a grid, all in grid spacings."""

    def __init__(self, places: Tensor, weights: Tensor, grid: RegularGrid, at: Tensor, radius: float) -> None:
        known = (weights > 0).nonzero().squeeze(1)
        if not len(known):
            raise MeshError(
                "no value of the mesh stands for any length, area or volume, so there is nothing to average."
            )
        step, own = places.new_tensor(grid.spacing), places.index_select(0, known)
        shifts = [places.new_tensor(shift) for shift in grid.images()]
        self.sources, self.queries = torch.cat([own + shift for shift in shifts]) / step, at / step
        self.owner, self.n, self.n_known, self.radius = known.repeat(len(shifts)), len(places), len(known), radius
        self.masses = weights.index_select(0, self.owner)

    @property
    def spans(self) -> bool:
        """Whether not all values lie in one line or plane."""
        away = self.sources - self.sources.mean(0)
        size = torch.linalg.eigvalsh(away.mT @ away)
        return bool(size[0] > _NONE * size[-1])

    def least(self, neighbors: int) -> Tensor:
        """Per node the radius within which enough values lie."""
        distance = knn(self.sources, self.queries, min(neighbors, self.n_known))[0][:, -1]
        return (distance * _WIDER).clamp_min(self.radius)

    def within(self, nodes: Tensor, reach: Tensor) -> Iterator[Block]:
        """What is within radii that are about alike."""
        found = radius_neighbors(self.sources, self.queries.index_select(0, nodes), float(reach.max()))
        starts = list(range(0, len(nodes), _AT_ONCE))
        for first, last in zip(starts, [*starts[1:], len(nodes)], strict=True):
            pairs = slice(int(found.ptr[first]), int(found.ptr[last]))
            yield self._block(nodes[first:last], found.receivers[pairs] - first, found.index[pairs], reach[first:last])

    def _block(self, nodes: Tensor, query: Tensor, source: Tensor, reach: Tensor) -> Block:
        offset = self.sources.index_select(0, source) - self.queries.index_select(0, nodes).index_select(0, query)
        distance = offset.norm(dim=1) / reach.index_select(0, query)
        inside = (distance < 1).nonzero().squeeze(1)
        query, source = query.index_select(0, inside), source.index_select(0, inside)
        offset, t = offset.index_select(0, inside), distance.index_select(0, inside)
        rows = _rows(torch.bincount(query, minlength=len(nodes)), self.owner.index_select(0, source), self.n)
        rows._keep(receivers=query)
        mass = self.masses.index_select(0, source) * (1 - t) ** 4 * (4 * t + 1)
        return Block(nodes, rows, offset, mass / gather(segment_sum(mass[:, None], rows)[:, 0], query), reach)

    def spanning(self, nodes: Tensor, reach: Tensor, before: Tensor | None = None, turn: int = 0) -> Iterator[Block]:
        """`within`, with radii doubled where all values lie about in one line or plane, if and while that helps.

        before  flatness of the nodes at half the radii; turn counts the doublings of `reach`
        """
        before = reach.new_zeros(len(nodes)) if before is None else before
        some = max(_SEARCHED >> turn * self.queries.shape[1], 64)  # pairs of a search stay as many
        flat: list[Tensor] = []
        for part, radii in zip(nodes.split(some), reach.split(some), strict=True):
            for block in self.within(part, radii * 2**turn):
                flat.append(block.flatness)
                yield block.only(flat[-1] >= THIN)
        flatness = torch.cat(flat)
        left = (flatness < THIN).nonzero().squeeze(1)
        worse = (flatness < before).index_select(0, left) | (turn == _ROUNDS)
        stay, widen = left[worse], left[~worse]
        if len(stay):
            yield from self.within(nodes[stay], reach[stay])
        if len(widen):
            yield from self.spanning(nodes[widen], reach[widen], flatness[widen], turn + 1)


def _rows(counts: Tensor, index: Tensor, n_cols: int) -> Adjacency:
    return Adjacency(counts_to_ptr(counts), index, n_cols)
