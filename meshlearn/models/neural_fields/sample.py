"""What neural fields see of a mesh: places, and where its latents begin; batches of unlike meshes, padded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from meshlearn import ops
from meshlearn.models.neural_fields.latents import precise
from meshlearn.train.sample import Sample

F = TypeVar("F", bound="FieldSample")


@dataclass(frozen=True)
class FieldSample(Sample):
    """One mesh, or several.

    points         (n_points, dim) from the centre of the mesh, in the unit of the mesh
    start          (n_meshes, n_latents, dim) where the latents begin, from the centre; None where the model knows
    frame          (n_meshes, n_latents, dim, dim) their axes in the beginning; None without axes, or as before
    point_weights  (n_points,) what points stand for: shares of the measure of each mesh
    """

    points: Float[Tensor, "n_points dim"] = field(kw_only=True)
    point_weights: Float[Tensor, " n_points"] = field(kw_only=True)
    start: Float[Tensor, "n_meshes n_latents dim"] | None = field(default=None, kw_only=True)
    frame: Float[Tensor, "n_meshes n_latents dim dim"] | None = field(default=None, kw_only=True)

    def rows(self, location: str) -> int:
        """Number of rows of `location` in the batch."""
        return len(self.points) if location == "point" else super().rows(location)


def with_places(batch: F, exact: F) -> F:
    """The batch of a network with the places of `exact`, in float64 where these are; see `precise`."""
    device, dtype = batch.points.device, batch.points.dtype
    start, frame = (None if x is None else precise(x, device, dtype) for x in (exact.start, exact.frame))
    return batch.replace(points=precise(exact.points, device, dtype), start=start, frame=frame)


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


def thinned(batch: F, most: int, names: tuple[str, ...]) -> F:
    """A batch with at most `most` points of every mesh, drawn anew at each call, and weights that add up to 1 again.

    names  tensors of the batch with one row per point, beside point_weights
    """
    rows, counts = some_points(batch.counts["point"], most)
    if len(rows) == int(batch.counts["point"].sum()):
        return batch
    mesh = torch.repeat_interleave(torch.arange(len(counts), device=rows.device), counts)

    def shares(weights: Tensor) -> Tensor:
        weights = weights.index_select(0, rows)
        total = weights.new_zeros(len(counts)).index_add_(0, mesh, weights).clamp(min=1e-30)
        return weights / total.index_select(0, mesh)

    changes: dict[str, Any] = {name: getattr(batch, name).index_select(0, rows) for name in names}
    if "point" in batch.targets:
        changes["targets"] = {**batch.targets, "point": batch.targets["point"].index_select(0, rows)}
        changes["weights"] = {**batch.weights, "point": shares(batch.weights["point"])}
    changes["point_weights"] = shares(batch.point_weights)
    return batch.replace(counts={**batch.counts, "point": counts}, **changes)


@dataclass(frozen=True)
class ShapeSample(FieldSample):
    """One mesh, or several, with the latents of the shape.

    codes          (n_meshes * n_latents, latent_dim) codes of the shape, as the encoder found them
    point_inputs   (n_points, e) numbers that points bring along: the field of the shape, inputs
    global_inputs  (n_meshes, g) global input fields
    shape          (n_points, k) field of the shape at `shape_points` (n_points, dim), for training with the encoder
    """

    codes: Float[Tensor, "n_codes latent_dim"] = field(kw_only=True)
    point_inputs: Float[Tensor, "n_points e"] = field(kw_only=True)
    global_inputs: Float[Tensor, "n_meshes g"] = field(kw_only=True)
    shape: Float[Tensor, "n_points k"] | None = field(default=None, kw_only=True)
    shape_points: Float[Tensor, "n_points dim"] | None = field(default=None, kw_only=True)

    features: ClassVar[tuple[str, ...]] = ("codes", "point_inputs", "global_inputs")
