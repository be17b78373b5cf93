"""Losses of normalised outputs, weighted by measure: one number per mesh, so that every mesh counts the same."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn import ops
from meshlearn.errors import ParameterError
from meshlearn.train.sample import Sample

PointwiseLoss = Callable[[Tensor, Tensor], Tensor]

POINTWISE: dict[str, PointwiseLoss] = {
    "mse": lambda prediction, target: (prediction - target).square(),
    "mae": lambda prediction, target: (prediction - target).abs(),
    "huber": lambda prediction, target: torch.nn.functional.huber_loss(prediction, target, reduction="none"),
}


def pointwise_loss(name: str) -> PointwiseLoss:
    """The loss of one value by its name: "mse", "mae" or "huber" (with transition at one standard deviation)."""
    if name not in POINTWISE:
        raise ParameterError(f"loss={name!r} is not known; choose one of {sorted(POINTWISE)}.")
    return POINTWISE[name]


def mesh_losses(
    outputs: dict[str, Tensor], targets: dict[str, Tensor], batch: Sample, pointwise: PointwiseLoss
) -> Float[Tensor, " n_meshes"]:
    """L_k = sum over locations, rows i of mesh k and channels c of w_i loss(y_ic, t_ic), divided by the channel count.

    outputs, targets  {location: (rows, width)} in normalised units
    batch             supplies the weights w (adding up to 1 over each mesh) and the offsets of the meshes
    """
    total: Tensor | None = None
    channels = 0
    for location, target in targets.items():
        value = pointwise(outputs[location].to(target.dtype), target).sum(dim=1)
        value = value * batch.weights[location].to(value.dtype)
        summed = value if location == "global" else ops.segment_sum(value[:, None], batch.ptr(location))[:, 0]
        total = summed if total is None else total + summed
        channels += target.shape[1]
    if total is None:
        raise ParameterError("there is no target to compare with: the samples carry no true outputs.")
    return total / channels
