"""One pass over many meshes: what the network needs of them, kept for the next fields on the same meshes."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from meshlearn import ops
from meshlearn.errors import ConvergenceError, MeshError
from meshlearn.models.movers.convexity import is_convex
from meshlearn.models.movers.learned.equation import displacement
from meshlearn.models.movers.learned.geometry import Geometry, Operators
from meshlearn.models.movers.learned.matrix import Matrix, Repeated
from meshlearn.models.movers.learned.result import Moved
from meshlearn.models.movers.learned.sample import MoverSample, joined, mover_sample
from meshlearn.models.movers.learned.walk import Boxes, Shortcuts
from meshlearn.models.movers.safeguard import held_back, measures

_WORTH = 4  # equal meshes in a row from which on their matrices are kept once


class Skeleton:
    """The geometries of some meshes side by side, in float64."""

    def __init__(self, geometries: tuple[Geometry, ...]) -> None:
        self.geometries = geometries
        sample = joined([mover_sample(geometry) for geometry in geometries])
        runs = [list(run) for _, run in groupby(geometries, key=id)]
        operators, boxes = sample.operators, None
        if len(geometries) >= _WORTH * len(runs):
            operators, boxes = _repeated(operators, runs)
        shortcuts = Shortcuts.of(operators, [geometry.n_points for geometry in geometries], boxes)
        self.sample: MoverSample = sample.replace(operators=replace(operators, shortcuts=shortcuts))
        self._network: tuple[Any, MoverSample] | None = None

    def for_network(self, normalizers: Any, dtype: torch.dtype, device: torch.device) -> MoverSample:
        """Normalised, in the dtype and on the device of a network."""
        key = (normalizers, dtype, device)  # the object itself: an id may be taken again
        if self._network is None or self._network[0] != key:
            self._network = (key, normalizers.normalise(self.sample.to(device, dtype)))
        return self._network[1]

    @cached_property
    def cells(self) -> Tensor:
        """(n_cells, dim + 1) nodes of all meshes, column after column in memory."""
        shortcuts = self.sample.operators.shortcuts
        assert shortcuts is not None
        return shortcuts.nodes.reshape(len(shortcuts.beyond), -1).t()

    @cached_property
    def measures(self) -> Tensor:
        """(n_cells,) `measures` of the scaled meshes."""
        return measures(self.sample.operators.points, self.cells)

    def place(self, points: Tensor) -> Tensor:
        """Points of curved walls put back on them."""
        if not any(geometry.walls.curved for geometry in self.geometries):
            return points
        parts = points.split([geometry.n_points for geometry in self.geometries])
        return torch.cat(
            [torch.from_numpy(g.walls.snap(x.numpy())) for g, x in zip(self.geometries, parts, strict=True)]
        )


def _repeated(operators: Operators, runs: list[list[Geometry]]) -> tuple[Operators, Boxes | None]:
    """The same, with every matrix of equal meshes that follow each other only once, and boxes to look up cells.

    Boxes are for convex domains, where the cell of a point does not depend on the way to it.
    """
    copies = tuple(len(run) for run in runs)
    blocks = [run[0].operators for run in runs]
    meshes = [run[0].scaled for run in runs]
    boxes = Boxes.over(meshes, copies) if all(is_convex(mesh) for mesh in meshes) else None
    short = replace(
        operators,
        slope=_once([block.slope for block in blocks], copies),
        recovery=_once([block.recovery for block in blocks], copies),
        clement=_once([block.clement for block in blocks], copies),
    )
    return short, boxes


def _once(blocks: list[Matrix | Repeated], copies: tuple[int, ...]) -> Repeated:
    return Repeated(tuple(block for block in blocks if isinstance(block, Matrix)), copies)  # as all of one mesh are


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
    points, shares, inverted = held_back(
        sample.operators.points, moves, skeleton.cells, floor, skeleton.place, skeleton.measures
    )
    cells = _counts(skeleton, inverted)
    centres = ops.gather_receivers(torch.stack([g.centre for g in skeleton.geometries]), sample.meshes)
    scale = torch.tensor([g.size for g in skeleton.geometries], dtype=torch.float64)
    size = ops.gather_receivers(scale[:, None], sample.meshes)
    points, potential = centres + size * points, potential * size[:, 0] ** 2
    counts = [geometry.n_points for geometry in skeleton.geometries]
    if len(set(dtypes)) == 1:
        rounded = points.to(dtypes[0])
        wide, places = rounded.double(), rounded.split(counts)
    else:
        places = tuple(x.to(dtype) for x, dtype in zip(points.split(counts), dtypes, strict=True))
        wide = torch.cat([x.double() for x in places])
    if any(dtype != torch.float64 for dtype in dtypes):
        _check_rounding(skeleton, wide, dtypes)
    parts = [x.split(counts) for x in (potential, monitor, shares)]
    own = zip(skeleton.geometries, places, *parts, cells, strict=True)
    return [Moved(*values) for values in own]


def _check_rounding(skeleton: Skeleton, points: Tensor, dtypes: list[torch.dtype]) -> None:
    ratio = measures(points, skeleton.cells) / skeleton.measures
    bad = int((ratio <= 0).sum())
    if bad:
        kinds = " and ".join(sorted({str(dtype) for dtype in dtypes}))
        raise MeshError(
            f"{bad} cells are inverted by rounding the moved points to {kinds}: they are small beside the coordinates."
            "\n  move mesh.double()."
        )


def _counts(skeleton: Skeleton, inverted: Tensor) -> list[int]:
    """Inverted cells of every mesh."""
    if not bool(inverted.any()):
        return [0] * len(skeleton.geometries)
    return [int(part.sum()) for part in inverted.split(skeleton.sample.counts["cell"].tolist())]
