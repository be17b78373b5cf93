"""The loss that is the score: relative L2 error of every field on every mesh."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn import ops
from meshlearn.train.field_sizes import FAR, field_sizes
from meshlearn.train.fields import FieldSet
from meshlearn.train.normalization import Normalizers
from meshlearn.train.sample import Sample

FLOOR = 1e-4


def relative_losses(
    outputs: dict[str, Tensor], batch: Sample, fields: FieldSet, normalizers: Normalizers
) -> Float[Tensor, " n_meshes"]:
    """Mean over the fields of f sqrt(sum_i w_i |p_i - t_i|^2 / (sum_i w_i |t_i|^2 + floor)), in physical units.

    w adds up to 1 over each mesh; the floor is 1e-4 of the mean of |t|^2 over the training meshes, so that a mesh whose
    truth vanishes does not rule all others. Everything is divided by that mean, so that squares of fields of any size
    (pascals, metres) neither overflow nor vanish. f is the factor of `field_sizes`: of a field with a large mean, an
    error as large as the spread counts.
    """
    losses = []
    for location, target in batch.targets.items():
        normalizer: Any = normalizers.targets[location]
        sizes = [spec.size for spec in fields.at("outputs", location)]
        scale, mean, factor = (part.to(target) for part in _shares(normalizer, sizes))
        error = (factor * scale * (outputs[location].to(target.dtype) - target)).square()
        energy = (scale * target + mean).square()
        weights = batch.weights[location].to(target)[:, None]
        for e, t in zip(error.split(sizes, 1), energy.split(sizes, 1), strict=True):
            rows = weights * torch.stack([e.sum(1), t.sum(1)], dim=1)
            sums = rows if location == "global" else ops.segment_sum(rows, batch.ptr(location))
            losses.append(((sums[:, 0] + 1e-12) / (sums[:, 1] + FLOOR)).sqrt())
    return torch.stack(losses).mean(0)


def physical_zeros(normalizer: Any) -> Float[Tensor, " width"]:
    """Normalised value of the zero that solutions of different size are multiples about, by channel.

    That is the physical zero; where it is more than three spreads away from the mean (kelvins, absolute pressures), the
    mean. About a zero far away, the least change of an amplitude would move the outputs by many spreads.
    """
    zeros = -normalizer.mean / normalizer.scale
    return torch.where(zeros.abs() > FAR, 0.0, zeros)


def _shares(normalizer: Any, sizes: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Scales and means of the channels, those of each field divided by the field's root mean square in training, and
    the factors f of the fields."""
    size, factor = field_sizes(normalizer, sizes)
    return normalizer.scale.double() / size, normalizer.mean.double() / size, factor
