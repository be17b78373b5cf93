"""What a learned mover sees of one mesh, or of several: P1 operators, surroundings, a density."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn import ops
from meshlearn.models.movers.learned.elliptic import Solvers
from meshlearn.models.movers.learned.geometry import Geometry, Operators
from meshlearn.ops import Adjacency
from meshlearn.train.graph import row_counts
from meshlearn.train.sample import Sample, collate


@dataclass(frozen=True)
class MoverSample(Sample):
    """Meshes about their centres, of measure 1, with a density.

    surroundings  (n, k) features of every point's place, see `Geometry`
    operators     of the meshes, block by block
    meshes        row m holds the points of mesh m
    density       (n,) the monitor at the points over its mean
    wanted        (n,) the potential a classical mover found; zeros without one
    solvers       one for each mesh
    """

    surroundings: Float[Tensor, "n k"] = field(kw_only=True)
    operators: Operators = field(kw_only=True)
    meshes: Adjacency = field(kw_only=True)
    density: Float[Tensor, " n"] = field(kw_only=True)
    wanted: Float[Tensor, " n"] = field(kw_only=True)
    solvers: tuple[Solvers, ...] | None = field(kw_only=True)

    features: ClassVar[tuple[str, ...]] = ("surroundings",)

    @property
    def cost(self) -> tuple[int, int]:
        """(points, edges)."""
        return len(self.density), self.operators.slope.n_entries

    @property
    def all_solvers(self) -> tuple[Solvers, ...]:
        """One for each mesh."""
        assert self.solvers is not None
        return self.solvers

    def sums(self, x: Float[Tensor, " n"]) -> Float[Tensor, " n_meshes"]:
        """Over the points of every mesh."""
        shortcuts = self.operators.shortcuts
        if shortcuts is not None and shortcuts.rows:
            return x.reshape(-1, shortcuts.rows).sum(1)
        return ops.segment_sum(x[:, None], self.meshes)[:, 0]

    def extremes(self, x: Float[Tensor, " n"]) -> tuple[Float[Tensor, " n_meshes"], Float[Tensor, " n_meshes"]]:
        """(smallest, largest) of the points of every mesh."""
        shortcuts = self.operators.shortcuts
        if shortcuts is not None and shortcuts.rows:
            return x.reshape(-1, shortcuts.rows).aminmax(dim=1)
        return ops.segment_min(x[:, None], self.meshes)[:, 0], ops.segment_max(x[:, None], self.meshes)[:, 0]

    def spread(self, x: Float[Tensor, " n_meshes"]) -> Float[Tensor, " n"]:
        """The number of every mesh at its points."""
        shortcuts = self.operators.shortcuts
        if shortcuts is not None and shortcuts.rows:
            return x[:, None].expand(-1, shortcuts.rows).reshape(-1)
        return ops.gather_receivers(x[:, None], self.meshes)[:, 0]

    def rows(self, location: str) -> int:
        """Number of rows of `location` in the batch (from shapes: nothing is read back from a device)."""
        sizes = {"point": len(self.density), "cell": len(self.operators.volume)}
        return sizes[location] if location in sizes else super().rows(location)


def mover_sample(geometry: Geometry) -> MoverSample:
    """Of one mesh, with a density that is the same everywhere."""
    n = geometry.n_points
    return MoverSample(
        counts=row_counts(geometry.scaled),
        surroundings=geometry.surroundings,
        operators=geometry.operators,
        meshes=Adjacency(torch.tensor([0, n]), torch.arange(n), n),
        density=torch.ones(n, dtype=torch.float64),
        wanted=torch.zeros(n, dtype=torch.float64),
        solvers=(geometry.solvers,),
    )


def joined(samples: Sequence[MoverSample]) -> MoverSample:
    """Samples of several meshes as one batch."""
    solvers = tuple(own for sample in samples for own in sample.all_solvers)
    return collate([sample.replace(solvers=None) for sample in samples]).replace(solvers=solvers)
