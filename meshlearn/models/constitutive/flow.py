"""The plastic part of a law: how much of a trial deformation stays elastic."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from meshlearn.models.constitutive.smooth_net import ReadyNet, SmoothNet
from meshlearn.sim.mpm.tensors import determinant, identity, product, rotation, trace

Matrices = Float[Tensor, "dim dim n"]
TINY = 1e-30  # under the root of a sum of squares, so that the derivative at zero is zero
UNIT_LEVEL = math.log(math.e - 1)  # softplus of this is 1


class Flow(nn.Module):
    """F_trial = R U becomes F = R U': the deviator of the stretch is scaled back to a limit, at constant volume.

    With the stretch at constant volume U / J^(1/3) = m 1 + D, D free of trace, the size q = |D| (about the norm of the
    logarithmic deviator) is at most a learned limit Y(ln J, a): a network of how the volume has changed and of the
    flow so far, a = sum of the q that was scaled away. So Y tells how strength depends on pressure, and hardening or
    softening. R comes from the polar decomposition: turning the frame turns R only. Flow never adds elastic energy to
    a law that rises with I_1 and I_2.

    limit  of q at rest, at the start of training
    """

    def __init__(self, limit: float, hidden: int, layers: int, random: torch.Generator) -> None:
        super().__init__()
        self.log_limit = nn.Parameter(torch.tensor(math.log(limit), dtype=torch.float64))
        self.net = SmoothNet(2, 1, hidden, layers, False, 0, random)
        self.range = 10 * limit  # of ln J and of the flow, for the network's inputs

    def ready(self, dtype: torch.dtype, device: torch.device) -> ReadyFlow:
        """In a dtype, on a device."""
        return ReadyFlow(self.log_limit.exp().to(device, dtype), self.net.ready(dtype, device), self.range)


class ReadyFlow:
    """`Flow` with its weights as they stand."""

    def __init__(self, limit: Tensor, net: ReadyNet, reach: float) -> None:
        self._limit, self.net, self.range = limit, net, reach
        self.rest = net.values(torch.zeros(2, 1, dtype=limit.dtype, device=limit.device))

    def limit(self, log_volume: Float[Tensor, " n"], flowed: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Y."""
        x = torch.stack([log_volume, flowed]) / self.range
        return self._limit * softplus(self.net.values(x) - self.rest + UNIT_LEVEL)[0]

    def __call__(
        self, trial: Matrices, across: Any, flowed: Float[Tensor, " n"]
    ) -> tuple[Tensor, Any, Float[Tensor, " n"]]:
        """(F, stretch out of the plane in 2-D or None, flow so far) after the flow."""
        turn = rotation(trial)
        stretch = product(turn.transpose(0, 1), trial)
        stretch = 0.5 * (stretch + stretch.transpose(0, 1))
        volume = determinant(trial) if across is None else determinant(trial) * across
        unit = volume ** (1 / 3)
        stretch, eye = stretch / unit, identity(trial)
        out = None if across is None else across / unit
        mean = trace(stretch) / 3 if out is None else (trace(stretch) + out) / 3
        deviator = stretch - mean * eye
        aside = None if out is None else out - mean
        size = (deviator.square().sum((0, 1)) + (0.0 if aside is None else aside.square()) + TINY).sqrt()
        share = (self.limit(volume.log(), flowed) / size).clamp(max=1.0)
        stretch = share * deviator + mean * eye
        out = None if aside is None else share * aside + mean
        left = determinant(stretch) if out is None else determinant(stretch) * out
        back = (volume / left) ** (1 / 3)
        return back * product(turn, stretch), None if out is None else back * out, flowed + (1 - share) * size
