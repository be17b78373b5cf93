"""The closest point on vertices, lines and surface cells: exact on straight ones, refined by Newton on the others.

Every element is divided into straight simplices (one each for lines and triangles, more for quads and curved types).
The closest simplex is found exactly; on an element that is not straight the point is then improved by Gauss-Newton
steps within that element.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn.mesh.reference import ReferenceCell, jacobians_each, map_each, reference_cell
from meshlearn.mesh.search.candidates import Balls
from meshlearn.mesh.search.inverse import bounding_balls
from meshlearn.mesh.search.small import solve
from meshlearn.ops import gather

_CHUNK = 1 << 16
_NEIGHBOURS = 4
_DIVISIONS = 4
_STEPS = 20


class ClosestPoint:
    """Elements {type: (n, k) nodes} of one dimension (0, 1 or 2), numbered type after type; float64 on the CPU."""

    def __init__(
        self, points: Float[Tensor, "n dim"], elements: Mapping[str, Int64[Tensor, "_c _k"]], workers: int = 1
    ) -> None:
        self.points = points
        self.elements = {kind: nodes for kind, nodes in elements.items() if len(nodes)}
        self.dim = reference_cell(next(iter(self.elements))).dim
        corners, coordinates, owner, first = [], [], [], 0
        for kind, nodes in self.elements.items():
            cell, parts = reference_cell(kind), _simplices(kind)
            x = gather(points, nodes)
            n, (pieces, k, d) = len(nodes), parts.shape
            corners.append((cell.shape(parts.reshape(pieces * k, d)) @ x).reshape(n * pieces, k, -1))
            coordinates.append(parts.expand(n, -1, -1, -1).reshape(n * pieces, k, d))
            owner.append(torch.arange(first, first + n).repeat_interleave(pieces))
            first += n
        self.corners, self.coordinates, self.owner = torch.cat(corners), torch.cat(coordinates), torch.cat(owner)
        simplex = {0: "vertex", 1: "line", 2: "triangle"}[self.dim]
        k = self.corners.shape[1]
        table = {simplex: torch.arange(len(self.corners) * k).reshape(-1, k)}
        self.balls = Balls(*bounding_balls(self.corners.reshape(-1, points.shape[1]), table), workers=workers)

    def __call__(
        self, queries: Float[Tensor, "m dim"]
    ) -> tuple[Int64[Tensor, " m"], Float[Tensor, "m d"], Float[Tensor, " m"]]:
        """(element, reference coordinates, distance) of the closest point."""
        parts = [self._chunk(chunk) for chunk in queries.split(_CHUNK)]
        element, xi, distance = zip(*parts, strict=True)
        return torch.cat(element), torch.cat(xi), torch.cat(distance)

    def _chunk(self, queries: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        m = len(queries)
        best = torch.full((m,), -1, dtype=torch.int64)
        weights = queries.new_zeros(m, self.corners.shape[1])
        squared = queries.new_full((m,), torch.inf)
        near = self.balls.nearest(queries, _NEIGHBOURS)
        everyone = torch.arange(m)
        for candidate in near.unbind(1):
            self._consider(queries, everyone, candidate, best, weights, squared)
        for point, candidate in self.balls.pairs(queries, squared.sqrt()):
            # simplices of one point follow each other: take them in turns, so that no point occurs twice
            start = torch.ones(len(point), dtype=torch.bool)
            start[1:] = point[1:] != point[:-1]
            index = torch.arange(len(point))
            turn = index - torch.cummax(torch.where(start, index, 0), 0).values
            order = torch.argsort(turn, stable=True)
            for rows in order.split(torch.bincount(turn).tolist()):
                self._consider(queries, point[rows], candidate[rows], best, weights, squared)
        element = self.owner.index_select(0, best)
        xi = (weights[:, :, None] * self.coordinates.index_select(0, best)).sum(1)
        return element, *self._refined(queries, element, xi, squared.sqrt())

    def _consider(self, queries, point, candidate, best, weights, squared) -> None:
        """Keep for each (distinct) point the candidate, if it is closer than what is known."""
        corners = self.corners.index_select(0, candidate)
        w, d = _on_simplex(corners, queries.index_select(0, point))
        closer = (d < squared.index_select(0, point)).nonzero().squeeze(1)
        rows = point.index_select(0, closer)
        best[rows], weights[rows], squared[rows] = candidate[closer], w[closer], d[closer]

    def _refined(self, queries: Tensor, element: Tensor, xi: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
        first = 0
        for kind, nodes in self.elements.items():
            cell = reference_cell(kind)
            mine = ((element >= first) & (element < first + len(nodes))).nonzero().squeeze(1)
            if len(mine) and not cell.is_affine:
                x = gather(self.points, nodes.index_select(0, element.index_select(0, mine) - first))
                xi[mine], distance[mine] = _descend(cell, x, queries.index_select(0, mine), xi.index_select(0, mine))
            first += len(nodes)
        return xi, distance


@cache
def _simplices(kind: str) -> Tensor:
    """(pieces, dim + 1, dim): a division of the reference domain into simplices, fine enough for a first guess."""
    cell = reference_cell(kind)
    if cell.is_affine:
        return cell.nodes[None]
    m = _DIVISIONS
    if cell.dim == 1:
        ends = torch.linspace(0, 1, m + 1, dtype=torch.float64)
        return torch.stack([ends[:-1], ends[1:]], 1)[:, :, None]
    lower = torch.tensor([[0, 0], [1, 0], [0, 1]], dtype=torch.float64)
    upper = torch.tensor([[1, 0], [1, 1], [0, 1]], dtype=torch.float64)
    corners = torch.cartesian_prod(torch.arange(m), torch.arange(m)).double()
    pieces = torch.cat([corners[:, None] + lower, corners[:, None] + upper]) / m
    return pieces[cell.contains(pieces.mean(1))]


def _on_simplex(x: Float[Tensor, "m k dim"], p: Float[Tensor, "m dim"]) -> tuple[Tensor, Tensor]:
    """Barycentric weights (m, k) of the closest point, and the squared distance."""
    k = x.shape[1]
    if k == 1:
        return x.new_ones(len(x), 1), (p - x[:, 0]).square().sum(1)
    if k == 2:
        t, d = _on_segment(x[:, 0], x[:, 1], p)
        return torch.stack([1 - t, t], 1), d
    a, b, r = x[:, 1] - x[:, 0], x[:, 2] - x[:, 0], p - x[:, 0]
    aa, ab, bb, ra, rb = ((u * v).sum(1) for u, v in ((a, a), (a, b), (b, b), (r, a), (r, b)))
    determinant = aa * bb - ab * ab
    flat = determinant <= 1e-24 * aa * bb
    safe = torch.where(flat, 1.0, determinant)
    u, v = (bb * ra - ab * rb) / safe, (aa * rb - ab * ra) / safe
    inside = ~flat & (u >= 0) & (v >= 0) & (u + v <= 1)
    weights = torch.stack([1 - u - v, u, v], 1)
    distance = (r - u[:, None] * a - v[:, None] * b).square().sum(1)
    rest = (~inside).nonzero().squeeze(1)  # these have their closest point on one of the sides
    if len(rest):
        y, q = x.index_select(0, rest), p.index_select(0, rest)
        side_weights, side_distance = y.new_zeros(len(rest), 3), y.new_full((len(rest),), torch.inf)
        for i, j in ((0, 1), (1, 2), (2, 0)):
            t, d = _on_segment(y[:, i], y[:, j], q)
            w = torch.zeros_like(side_weights)
            w[:, i], w[:, j] = 1 - t, t
            closer = d < side_distance
            side_weights = torch.where(closer[:, None], w, side_weights)
            side_distance = torch.where(closer, d, side_distance)
        weights[rest], distance[rest] = side_weights, side_distance
    return weights, distance


def _on_segment(a: Tensor, b: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    along, offset = b - a, p - a
    length = along.square().sum(1).clamp_min(torch.finfo(a.dtype).tiny)
    t = ((offset * along).sum(1) / length).clamp(0, 1)
    return t, (offset - t[:, None] * along).square().sum(1)


def _descend(cell: ReferenceCell, x: Tensor, p: Tensor, xi: Tensor) -> tuple[Tensor, Tensor]:
    """Gauss-Newton steps from `xi`, clamped to the domain, accepted only if they come closer to `p`."""

    def distance_at(at: Tensor) -> Tensor:
        return (p - map_each(cell, x, at)).norm(dim=1)

    distance, trust = distance_at(xi), x.new_ones(len(x), 1)
    for _ in range(_STEPS):
        r, jacobian = p - map_each(cell, x, xi), jacobians_each(cell, x, xi)
        gradient = (jacobian.transpose(1, 2) @ r[:, :, None])[:, :, 0]
        normal = jacobian.transpose(1, 2) @ jacobian
        # a coordinate held at a bound that the gradient pushes against takes no part
        free = ~(((xi <= 0) & (gradient < 0)) | ((xi >= 1) & (gradient > 0)))
        normal = torch.where(free[:, :, None] & free[:, None, :], normal, 0.0) + torch.diag_embed((~free).to(x.dtype))
        new = _into_domain(cell, xi + trust * solve(normal, torch.where(free, gradient, 0.0)))
        d = distance_at(new)
        better = d < distance
        moved = (new - xi).abs().amax(1)
        xi = torch.where(better[:, None], new, xi)
        distance = torch.where(better, d, distance)
        trust = torch.where(better[:, None], (2 * trust).clamp(max=1.0), 0.5 * trust)
        if not bool(((moved > 1e-10) & (trust[:, 0] > 1e-4)).any()):
            break
    return xi, distance


def _into_domain(cell: ReferenceCell, xi: Tensor) -> Tensor:
    """The closest point of the reference line, square or triangle."""
    if cell.domain == "triangle":
        corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=xi.dtype)
        return _on_simplex(corners.expand(len(xi), -1, -1), xi)[0] @ corners
    return xi.clamp(0, 1)
