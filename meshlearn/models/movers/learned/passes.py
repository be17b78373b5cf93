"""One pass over many meshes: what the network needs of them, kept for the next fields on the same meshes."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from meshlearn.models.movers.learned.equation import displacement
from meshlearn.models.movers.learned.geometry import Geometry
from meshlearn.models.movers.learned.result import Moved
from meshlearn.models.movers.learned.sample import MoverSample, joined, mover_sample
from meshlearn.models.movers.safeguard import held_back


class Skeleton:
    """The geometries of some meshes side by side, in float64."""

    def __init__(self, geometries: tuple[Geometry, ...]) -> None:
        self.geometries = geometries
        self.sample: MoverSample = joined([mover_sample(geometry) for geometry in geometries])
        self._network: tuple[Any, MoverSample] | None = None

    def for_network(self, normalizers: Any, dtype: torch.dtype, device: torch.device) -> MoverSample:
        """Normalised, in the dtype and on the device of a network."""
        key = (id(normalizers), dtype, device)
        if self._network is None or self._network[0] != key:
            self._network = (key, normalizers.normalise(self.sample.to(device, dtype)))
        return self._network[1]

    @cached_property
    def cells(self) -> Tensor:
        """(n_cells, dim + 1) nodes of all meshes."""
        nodes = self.sample.operators.nodes
        return nodes.index.reshape(nodes.n_rows, -1)

    def place(self, points: Tensor) -> Tensor:
        """Points of curved walls put back on them."""
        if not any(geometry.walls.curved for geometry in self.geometries):
            return points
        parts = points.split([geometry.n_points for geometry in self.geometries])
        return torch.cat(
            [torch.from_numpy(g.walls.snap(x.numpy())) for g, x in zip(self.geometries, parts, strict=True)]
        )


def moved_points(skeleton: Skeleton, potential: Tensor, monitor: Tensor, floor: float) -> list[Moved]:
    """Where the potentials (n,) of the scaled meshes take their points, each mesh made valid."""
    sample = skeleton.sample
    moves = displacement(sample.operators, potential)
    points, shares, inverted = held_back(sample.operators.points, moves, skeleton.cells, floor, skeleton.place)
    cells = _counts(skeleton, inverted)
    sizes = [geometry.n_points for geometry in skeleton.geometries]
    parts = zip(*(x.split(sizes) for x in (points, potential, monitor, shares)), strict=True)
    return [
        Moved(g, g.centre + g.size * x, phi * g.size**2, m, share, count)
        for g, (x, phi, m, share), count in zip(skeleton.geometries, parts, cells, strict=True)
    ]


def _counts(skeleton: Skeleton, inverted: Tensor) -> list[int]:
    """Inverted cells of every mesh."""
    if not bool(inverted.any()):
        return [0] * len(skeleton.geometries)
    return [int(part.sum()) for part in inverted.split(skeleton.sample.counts["cell"].tolist())]
