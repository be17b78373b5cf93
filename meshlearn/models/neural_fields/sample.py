"""What neural fields see of a mesh: places, and where its latents begin; batches of unlike meshes, padded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from meshlearn import ops
from meshlearn.train.sample import Sample


@dataclass(frozen=True)
class FieldSample(Sample):
    """One mesh, or several.

    points         (n_points, dim) from the centre of the mesh, in the unit of the mesh
    start          (n_meshes, n_latents, dim) where the latents begin, from the centre; None where the model knows
    frame          (n_meshes, n_latents, dim, dim) their axes in the beginning; None without axes, or as before
    """

    points: Float[Tensor, "n_points dim"] = field(kw_only=True)
    start: Float[Tensor, "n_meshes n_latents dim"] | None = field(default=None, kw_only=True)
    frame: Float[Tensor, "n_meshes n_latents dim dim"] | None = field(default=None, kw_only=True)

    def rows(self, location: str) -> int:
        """Number of rows of `location` in the batch."""
        return len(self.points) if location == "point" else super().rows(location)


class Padding(NamedTuple):
    """How rows of meshes of unlike size lie in one table (n_meshes, longest, ...).

    row    (n_meshes, longest) row of every place; places beyond a mesh repeat its first row
    real   (n_meshes, longest) False for places beyond the mesh
    """

    row: Int[Tensor, "b longest"]
    real: Bool[Tensor, "b longest"]

    def pad(self, rows: Float[Tensor, "n *f"]) -> Float[Tensor, "b longest *f"]:
        """Rows as a table."""
        return ops.gather(rows, self.row)

    def rows(self, table: Float[Tensor, "b longest *f"]) -> Float[Tensor, "n *f"]:
        """The inverse of `pad`."""
        if bool(self.real.all()):
            return table.flatten(0, 1)
        return ops.gather(table.flatten(0, 1), torch.nonzero(self.real.flatten())[:, 0])


def padding(counts: Int[Tensor, " b"]) -> Padding:
    """The padding of meshes with so many rows each."""
    longest = int(counts.max())
    place = torch.arange(longest, device=counts.device).expand(len(counts), -1)
    real = place < counts[:, None]
    first = counts.cumsum(0) - counts
    return Padding(first[:, None] + torch.where(real, place, 0), real)


def some_points(counts: Int[Tensor, " b"], most: int) -> tuple[Int[Tensor, " picked"], Int[Tensor, " b"]]:
    """(rows of at most `most` points of every mesh drawn at random, how many of each); from torch's generator."""
    n = int(counts.sum())
    mesh = torch.repeat_interleave(torch.arange(len(counts)), counts.cpu(), output_size=n)
    order = torch.argsort(mesh + torch.rand(n, dtype=torch.float64))  # mesh by mesh, shuffled within each
    first = (counts.cumsum(0) - counts).cpu()
    rank = torch.arange(n) - first.index_select(0, mesh)
    picked = torch.sort(order[rank < most]).values
    return picked.to(counts.device), counts.clamp(max=most)
