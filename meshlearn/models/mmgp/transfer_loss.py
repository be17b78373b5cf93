"""What the transfer loses of a field, told from the field and the meshes: a part of the error bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from meshlearn.models.mmgp.bands import ROUNDING
from meshlearn.models.mmgp.family import Placed
from meshlearn.train.fields import FieldSpec
from meshlearn.train.graph import measure_weights


@dataclass
class TransferLoss:
    """What the way of one output from training meshes to the common mesh, and on to a mesh, loses of the field.

    Interpolation loses what fields curve between points (`Slopes.missed`). On the first way it is known from the
    training meshes, and grows with the field; on the second way it is told from the prediction, for any mesh.

    template  (N,) mean square of the first, on the common mesh, for a field of roughness 1
    factor    of both: the mean square of what training meshes lose at their own points, relative to that; 1 where
              nothing is to lose there, as where all share their cells: other meshes lose something
    """

    template: Float64[Tensor, " N"]
    factor: float = 1.0

    def square(self, placed: Placed, flat: Float64[Tensor, " N"], location: str, size: int) -> Tensor:
        """(rows, size) mean square error of the transfer of a field, at the rows of a mesh."""
        rough = placed.family.roughness(flat, location, size)
        before = placed.from_common(rough * self.template[None], location, size, plain=True)[0].clamp(min=0)
        return self.factor * (before + placed.missed_from_common(flat, location, size).square())


def learned_loss(
    spec: FieldSpec,
    placed: Sequence[Placed],
    truths: Sequence[Tensor],
    own: Sequence[Tensor],
    flat: Float64[Tensor, "n N"],
) -> TransferLoss:
    """From training samples: their values, the errors of these after a round trip, and fields on the common mesh."""
    losses = [p.missed_to_common(truth, spec.location).square() for p, truth in zip(placed, truths, strict=True)]
    rough = [p.family.roughness(row, spec.location, spec.size) for p, row in zip(placed, flat, strict=True)]
    template, mean = torch.stack(losses).mean(0), sum(rough) / len(rough)
    loss = TransferLoss(template / mean if mean > 0 else torch.zeros_like(template))
    found = expected = 0.0
    for p, error, row in zip(placed, own, flat, strict=True):
        weights = measure_weights(p.mesh, spec.location).detach().double().cpu()
        found += float(weights @ error.square().sum(1))
        expected += float(weights @ loss.square(p, row, spec.location, spec.size).sum(1))
    size = float(flat.square().mean()) * len(placed)
    return TransferLoss(loss.template, found / expected if expected > ROUNDING**2 * size else 1.0)


def round_trip(placed: Placed, table: Tensor, location: str) -> Tensor:
    """(rows, size) error of a field that is carried to the common mesh and back."""
    there = placed.to_common(table, location)
    return table.double().cpu() - placed.from_common(there[None], location, table.shape[1])[0]
