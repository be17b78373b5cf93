"""The loss that is the score: relative L2 error of every field on every mesh."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn import ops
from meshlearn.train.fields import FieldSet
from meshlearn.train.normalization import Normalizers
from meshlearn.train.sample import Sample

FLOOR = 1e-4


def relative_losses(
    outputs: dict[str, Tensor], batch: Sample, fields: FieldSet, normalizers: Normalizers
) -> Float[Tensor, " n_meshes"]:
    """Mean over the fields of sqrt(sum_i w_i |p_i - t_i|^2 / (sum_i w_i |t_i|^2 + floor)), in physical units.

    w adds up to 1 over each mesh; the floor is 1e-4 of the mean of |t|^2 over the training meshes, so that a mesh whose
    truth vanishes does not rule all others.
    """
    losses = []
    for location, target in batch.targets.items():
        normalizer: Any = normalizers.targets[location]
        scale, mean = normalizer.scale.to(target), normalizer.mean.to(target)
        error = (scale * (outputs[location].to(target.dtype) - target)).square()
        energy = (scale * target + mean).square()
        typical = scale.square() + mean.square()
        sizes = [spec.size for spec in fields.at("outputs", location)]
        weights = batch.weights[location].to(target)[:, None]
        for e, t, floor in zip(error.split(sizes, 1), energy.split(sizes, 1), typical.split(sizes), strict=True):
            rows = weights * torch.stack([e.sum(1), t.sum(1)], dim=1)
            sums = rows if location == "global" else ops.segment_sum(rows, batch.ptr(location))
            losses.append(((sums[:, 0] + 1e-12 * floor.sum()) / (sums[:, 1] + FLOOR * floor.sum())).sqrt())
    return torch.stack(losses).mean(0)
