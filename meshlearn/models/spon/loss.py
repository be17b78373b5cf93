"""The loss: relative error of every field on every mesh in the norm of its space, by the mass matrix."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn import ops
from meshlearn.models.spon.sample import DofSample
from meshlearn.train.field_sizes import field_sizes
from meshlearn.train.fields import FieldSet
from meshlearn.train.normalization import Normalizers

FLOOR = 1e-4


def norm_losses(
    outputs: dict[str, Tensor], batch: DofSample, fields: FieldSet, normalizers: Normalizers
) -> Float[Tensor, " n_meshes"]:
    """Mean over the fields of f sqrt(e^T A e / (u^T A u + floor)): u true dofs, e errors of the dofs with the
    prescribed ones imposed, A = M for L2 and M + l^2 K for H1 with the size l = measure^(1/dim) of the mesh.

    M is divided by the measure of the mesh and u by its root mean square in training, so that the floor of 1e-4 keeps a
    mesh whose truth vanishes from ruling all others. f is the factor of `field_sizes`: of a field with a large mean, an
    error as large as the spread counts.
    """
    losses = []
    ptr = batch.ptr("point")
    for location, target in batch.targets.items():
        normalizer: Any = normalizers.targets[location]
        sizes = [spec.size for spec in fields.at("outputs", location)]
        unit, factor = field_sizes(normalizer, sizes)
        scale, mean = ((part.double() / unit).to(target) for part in (normalizer.scale, normalizer.mean))
        error = _along(scale * (outputs[location] - target), batch, sizes)
        truth = _along(scale * target + mean, batch, sizes)
        if batch.direction is not None:
            unit, factor = (torch.stack([part[0] for part in each.split(sizes)]) for each in (unit, factor))
            sizes = [1] * len(sizes)
        imposed = (batch.values[location].double() / unit).to(target) - truth
        error = torch.where(batch.fixed[location] > 0, imposed, error)
        energies = [_energy(table, batch) for table in (factor.to(target) * error, truth)]
        sums = [ops.segment_sum(energy, ptr) for energy in energies]
        for e, t in zip(sums[0].split(sizes, 1), sums[1].split(sizes, 1), strict=True):
            losses.append(((e.sum(1).clamp(min=0) + 1e-12) / (t.sum(1).clamp(min=0) + FLOOR)).sqrt())
    return torch.stack(losses).mean(0)


def _energy(e: Tensor, batch: DofSample) -> Tensor:
    """(n, columns) e_i (A e)_i."""
    product = batch.mass_diagonal[:, None] * e + ops.neighbor_sum(e, batch.edges, batch.mass_edges)
    if batch.stiffness_diagonal is not None:
        product = product + batch.stiffness_diagonal[:, None] * e
        product = product + ops.neighbor_sum(e, batch.edges, batch.stiffness_edges)
    return e * product


def _along(table: Tensor, batch: DofSample, sizes: list[int]) -> Tensor:
    """Of directed dofs the components along their directions, one column per field."""
    if batch.direction is None:
        return table
    return torch.stack([(part * batch.direction).sum(1) for part in table.split(sizes, 1)], dim=1)
