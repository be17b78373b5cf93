"""One pass over many meshes: what the network needs of them, kept for the next fields on the same meshes."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from meshlearn import ops
from meshlearn.errors import ConvergenceError, MeshError
from meshlearn.models.movers.learned.equation import displacement
from meshlearn.models.movers.learned.geometry import Geometry
from meshlearn.models.movers.learned.result import Moved
from meshlearn.models.movers.learned.sample import MoverSample, joined, mover_sample
from meshlearn.models.movers.safeguard import held_back, measures


class Skeleton:
    """The geometries of some meshes side by side, in float64."""

    def __init__(self, geometries: tuple[Geometry, ...]) -> None:
        self.geometries = geometries
        self.sample: MoverSample = joined([mover_sample(geometry) for geometry in geometries])
        self._network: tuple[Any, MoverSample] | None = None

    def for_network(self, normalizers: Any, dtype: torch.dtype, device: torch.device) -> MoverSample:
        """Normalised, in the dtype and on the device of a network."""
        key = (normalizers, dtype, device)  # the object itself: an id may be taken again
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


def moved_points(
    skeleton: Skeleton, potential: Tensor, monitor: Tensor, floor: float, dtypes: list[torch.dtype]
) -> list[Moved]:
    """Where the potentials (n,) of the scaled meshes take their points, each mesh made valid.

    dtypes  of the meshes' points. Raises MeshError where rounding to them inverts a cell.
    """
    sample = skeleton.sample
    if not bool(torch.isfinite(potential).all()):
        raise ConvergenceError(
            "the network's potential is not finite: its weights or the monitor are out of all bounds.\n"
            "  Look for extreme values in the field, and fit again with a smaller learning_rate."
        )
    moves = displacement(sample, potential)
    points, shares, inverted = held_back(sample.operators.points, moves, skeleton.cells, floor, skeleton.place)
    cells = _counts(skeleton, inverted)
    centres = ops.gather_receivers(torch.stack([g.centre for g in skeleton.geometries]), sample.meshes)
    scale = torch.tensor([g.size for g in skeleton.geometries], dtype=torch.float64)
    size = ops.gather_receivers(scale[:, None], sample.meshes)
    points, potential = centres + size * points, potential * size[:, 0] ** 2
    counts = [geometry.n_points for geometry in skeleton.geometries]
    parts = [x.split(counts) for x in (points, potential, monitor, shares)]
    rounded = [x.to(dtype) for x, dtype in zip(parts[0], dtypes, strict=True)]
    if any(dtype != torch.float64 for dtype in dtypes):
        _check_rounding(skeleton, torch.cat([x.double() for x in rounded]), dtypes[0])
    own = zip(skeleton.geometries, rounded, *parts[1:], cells, strict=True)
    return [Moved(*values) for values in own]


def _check_rounding(skeleton: Skeleton, points: Tensor, dtype: torch.dtype) -> None:
    ratio = measures(points, skeleton.cells) / measures(skeleton.sample.operators.points, skeleton.cells)
    bad = int((ratio <= 0).sum())
    if bad:
        raise MeshError(
            f"{bad} cells are inverted by rounding the moved points to {dtype}: they are small beside the coordinates."
            "\n  move mesh.double()."
        )


def _counts(skeleton: Skeleton, inverted: Tensor) -> list[int]:
    """Inverted cells of every mesh."""
    if not bool(inverted.any()):
        return [0] * len(skeleton.geometries)
    return [int(part.sum()) for part in inverted.split(skeleton.sample.counts["cell"].tolist())]
