"""Points that follow true nodes: what a reconstruction is learned from, and judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.models.giorom.film import Film
from meshlearn.models.giorom.least_squares import Nearby, checked_count, nearby
from meshlearn.models.giorom.windows import Windows
from meshlearn.train.batching import mix

QUERIES, FRAMES = 128, 12  # of a drawing
DRAWINGS, SETS = 4, 64  # of a trajectory, and in all


@dataclass(frozen=True)
class Examples:
    """Queries and their neighbours among the nodes, at some frames, float64.

    near   neighbours of the m queries in the body at rest
    moved  (m, frames, count, dim) displacements of the neighbours, relative to that of the nearest
    truth  (m, frames, dim) of the queries, likewise
    size   (m,) largest displacement of the trajectory: errors are relative to it
    """

    near: Nearby
    moved: Float[Tensor, "m frames count dim"]
    truth: Float[Tensor, "m frames dim"]
    size: Float[Tensor, " m"]

    def __getitem__(self, rows: Tensor | slice) -> Examples:
        """Some queries."""
        near = Nearby(*(getattr(self.near, part.name)[rows] for part in fields(Nearby)))
        return Examples(near, self.moved[rows], self.truth[rows], self.size[rows])

    def errors(self, displacements: Tensor, frames: Tensor | slice = slice(None)) -> Tensor:
        """(m, frames, dim) errors of displacements, over the largest of the trajectory."""
        return (displacements - self.truth[:, frames]) / self.size[:, None, None]

    def __len__(self) -> int:
        return len(self.size)


def examples_of(windows: Windows, films: Sequence[int], seed: int) -> tuple[Examples, Examples] | None:
    """(to learn from, held out): every fourth trajectory is held out, of fewer than four the last quarter of frames.

    None where all points are nodes.
    """
    draws = max(1, min(DRAWINGS, SETS // len(films)))
    chosen = list(films)[:SETS]
    sets = [(k, film, draw) for k, film in enumerate(chosen) for draw in range(min(draws, windows.draws(film)))]
    asked = {(film, draw): _queries(windows, film, draw, seed) for _, film, draw in sets}
    sets = [one for one in sets if len(asked[one[1:]])]
    if not sets:
        return None
    count = min(checked_count(windows.nodes(*one).sparse.node_points, windows.neighbors, True) for _, *one in sets)
    parts: tuple[list[Examples], list[Examples]] = ([], [])
    for k, film, draw in sets:
        n_times = len(windows.films[film].places)
        cut = (3 * n_times) // 4
        ranges = [(int(k % 4 == 3), (0, n_times))] if len(chosen) >= 4 else [(0, (0, cut)), (1, (cut, n_times))]
        nodes = windows.nodes(film, draw).index
        for side, (begin, end) in ranges:
            frames = torch.linspace(begin, end - 1, FRAMES, dtype=torch.float64).round().long()
            parts[side].append(_examples(windows.films[film], nodes, asked[film, draw], frames, count))
    if not parts[0] or not parts[1]:  # one side has nodes alone
        return None
    return _joined(parts[0]), _joined(parts[1])


def _queries(windows: Windows, film: int, draw: int, seed: int) -> Tensor:
    """Numbers of some points that are neither nodes nor held."""
    body = windows.films[film].body
    free = ~body.held
    free[windows.nodes(film, draw).index] = False
    numbers = free.nonzero()[:, 0]
    generator = torch.Generator().manual_seed(mix(seed, film, draw))
    return numbers[torch.randperm(len(numbers), generator=generator)[:QUERIES]]


def _examples(film: Film, nodes: Tensor, queries: Tensor, frames: Tensor, count: int) -> Examples:
    rest = film.body.rest.points.double()
    near = nearby(rest[nodes], rest[queries], count)
    shift = film.places[frames] - rest
    first = shift[:, nodes][:, near.index[:, :1]]  # (frames, m, 1, dim)
    moved = shift[:, nodes][:, near.index] - first
    truth = shift[:, queries] - first[:, :, 0]
    largest = float((film.places - film.places[:1]).norm(dim=2).max()) or 1.0
    size = torch.full((len(queries),), largest, dtype=torch.float64)
    return Examples(near, moved.movedim(0, 1), truth.movedim(0, 1), size)


def _joined(parts: list[Examples]) -> Examples:
    near = Nearby(*(torch.cat([getattr(part.near, one.name) for part in parts]) for one in fields(Nearby)))
    tables = [torch.cat([getattr(part, name) for part in parts]) for name in ("moved", "truth", "size")]
    return Examples(near, *tables)
