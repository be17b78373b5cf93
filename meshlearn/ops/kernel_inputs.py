"""Example arguments on which every back end must agree with its baseline: empty, one row, a hub, random, ties."""

from __future__ import annotations

import torch
from torch import Tensor

from meshlearn.ops.adjacency import Adjacency
from meshlearn.ops.pointers import counts_to_ptr


def _ragged(n_rows: int, longest: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, longest + 1, (n_rows,), generator=generator)


def _normal(shape: tuple[int, ...], dtype: torch.dtype, device: str) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(device, dtype)


def messages(dtype: torch.dtype, device: str) -> list[tuple]:
    """(x, ptr) for segment reductions, with empty rows, a hub row, ties, and trailing shapes (), (f,), (a, b)."""
    cases = [
        (torch.zeros(0, dtype=torch.int64), (3,)),
        (torch.zeros(4, dtype=torch.int64), (3,)),
        (torch.tensor([5]), (2,)),
        (torch.tensor([0, 700, 1, 0]), (8,)),
        (_ragged(50, 9, 1), ()),
        (_ragged(60, 6, 2), (64,)),
        (_ragged(40, 5, 3), (3, 2)),
        (_ragged(10, 3, 4), (0,)),
    ]
    made = [(_normal((int(c.sum()), *f), dtype, device), counts_to_ptr(c).to(device)) for c, f in cases]
    x, ptr = made[5]
    made.append((x.clamp(-0.5, 0.5), ptr))
    made.append((x.clamp(max=0.0), ptr))
    return made


def graphs(device: str) -> list[Adjacency]:
    """Graphs without rows, without edges, rectangular, with repeated edges, random."""
    generator = torch.Generator().manual_seed(5)

    def random(n_rows: int, n_cols: int, n_edges: int) -> Adjacency:
        senders, receivers = (torch.randint(0, n, (n_edges,), generator=generator) for n in (n_cols, n_rows))
        return Adjacency.from_edges(senders, receivers, n_rows, n_cols).to(device)

    empty = torch.zeros(0, dtype=torch.int64)
    return [
        Adjacency(torch.zeros(1, dtype=torch.int64), empty).to(device),
        Adjacency(torch.zeros(4, dtype=torch.int64), empty, 2).to(device),
        random(1, 1, 3),
        random(7, 4, 30),
        random(50, 60, 250),
    ]


def sent(dtype: torch.dtype, device: str) -> list[tuple]:
    """(x, adjacency) with x on the senders."""
    return [(_normal((g.n_cols, *f), dtype, device), g) for g in graphs(device) for f in ((), (16,), (3, 2))]


def received(dtype: torch.dtype, device: str) -> list[tuple]:
    """(x, adjacency) with x on the receivers."""
    return [(_normal((g.n_rows, *f), dtype, device), g) for g in graphs(device) for f in ((), (16,), (3, 2))]


def products(dtype: torch.dtype, device: str) -> list[tuple]:
    """(x, values, adjacency) for sparse products, with values and without."""
    pairs = sent(dtype, device)
    return [(x, _normal((g.n_edges,), dtype, device), g) for x, g in pairs] + [(x, None, g) for x, g in pairs]


def _clouds(dtype: torch.dtype, device: str, dim: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """points, queries and their offsets for three meshes in the same place, so that crossing would show."""
    points, queries = _normal((90, dim), dtype, device), _normal((60, dim), dtype, device)
    points[10:20] = points[30:40]
    points_ptr, queries_ptr = torch.tensor([[0, 30, 70, 90], [0, 25, 30, 60]], device=device)
    return points, queries, points_ptr, queries_ptr


def radius_searches(dtype: torch.dtype, device: str) -> list[tuple]:
    """(points, queries, radius[, points_ptr, queries_ptr]) in one to three dimensions, batched and not."""
    cases: list[tuple] = []
    for dim in (1, 2, 3):
        points, queries, points_ptr, queries_ptr = _clouds(dtype, device, dim)
        cases += [(points, queries, r) for r in (1e-12, 0.3, 50.0)]
        cases += [(points, points, 0.5), (points, queries, 0.7, points_ptr, queries_ptr)]
    grid = torch.cartesian_prod(torch.arange(6), torch.arange(5)).to(device, dtype)
    empty = grid[:0]
    return [*cases, (grid, grid, 1.0), (grid, grid + 100, 1.0), (empty, grid, 1.0), (grid, empty, 1.0)]


def nearest_searches(dtype: torch.dtype, device: str) -> list[tuple]:
    """(points, queries, k[, points_ptr, queries_ptr]) with all distances different."""
    cases: list[tuple] = []
    for dim in (1, 2, 3):
        points, queries, points_ptr, queries_ptr = _clouds(dtype, device, dim)
        points[10:20] += 0.01
        cases += [(points, queries, k) for k in (1, 7, 90)] + [(points, queries, 4, points_ptr, queries_ptr)]
    return [*cases, (points, queries[:0], 3)]


def layers(dtype: torch.dtype, device: str) -> list[tuple]:
    """(x, weight, bias, add, out) for products of rows with a weight: no rows, one row, with and without the rest."""

    def case(n: int, f: int, g: int, bias: int, add: int, out: int) -> tuple:
        made = [_normal(shape, dtype, device) for shape in ((n, f), (g, f), (g,), (n, g), (n, g))]
        return made[0], made[1], *(t if used else None for t, used in zip(made[2:], (bias, add, out), strict=True))

    shapes = [(0, 3, 4), (1, 1, 1), (5, 7, 3), (700, 128, 64)]
    made = [case(*s, *used) for s in shapes for used in ((0, 0, 0), (1, 0, 1), (0, 1, 1), (1, 1, 0))]
    x, weight, *rest = made[-1]
    strided = weight.repeat(1, 2)[:, : weight.shape[1]]
    return [*made, (x, strided, *rest), (x, weight.t().contiguous().t(), *rest)]
