"""Groups of motions, and the numbers that do not change when a point and a pose are moved together (bi-invariants).

    name   motions                  pose            a(x, p)
    "Rn"   translations             position        x - p
    "En"   all rigid motions        position        |x - p|
    "SE2"  rotations, translations  position, R     R^T (x - p), in the plane
    "SE3"  rotations, translations  position, R     R^T (x - p), in space
    "Tn"   translations of a box    position        cos and sin of 2 pi (x - p) / period, axis by axis
           with periodic sides

Source: D. Wessels, D. Knigge et al. 2024, "Grounding continuous representations in geometry: equivariant neural
fields", arXiv:2406.05753, section 3; SE(3) is the same construction in space.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

GROUPS = ("Rn", "En", "SE2", "SE3", "Tn")
# Distances are sqrt(d^2 + SMOOTH^2) where they enter the network: their second derivatives stay finite at d = 0.
SMOOTH = 1e-3


@dataclass(frozen=True)
class Group:
    """One group, in a space of `dim` dimensions.

    period  for "Tn": period of every axis in the units of the network; 0 for an axis that is not periodic
    """

    name: str
    dim: int
    period: tuple[float, ...] = ()

    @property
    def oriented(self) -> bool:
        """True if poses have frames."""
        return self.name in ("SE2", "SE3")

    @property
    def n_turns(self) -> int:
        """Dimension of the rotations of a pose."""
        return {"SE2": 1, "SE3": 3}.get(self.name, 0)

    @property
    def n_invariants(self) -> int:
        """How many numbers `invariants` gives."""
        if self.name == "En":
            return 1
        return self.dim + sum(p > 0 for p in self.period)

    def invariants(self, offset: Float[Tensor, "*n dim"], frame: Tensor | None) -> Float[Tensor, "*n a"]:
        """a(x, p) of the offset x - p and the frame of p (`offset`'s shape with one more axis, or broadcastable)."""
        if self.name == "En":
            return (offset.square().sum(-1, keepdim=True) + SMOOTH**2).sqrt()
        if self.oriented:
            assert frame is not None
            return (offset[..., :, None] * frame).sum(-2)
        if self.name == "Tn":
            return torch.cat([part for axis in range(self.dim) for part in self._axis(offset, axis)], -1)
        return offset

    def squared_distance(self, offset: Float[Tensor, "*n dim"]) -> Float[Tensor, "*n"]:
        """|x - p|^2, the square of the window's distance; along a periodic axis that of the chord:
        (period / 2 pi)^2 (2 - 2 cos(2 pi d / period)), which is d^2 for small d."""
        if self.name != "Tn":
            return offset.square().sum(-1)
        return torch.stack([_chord(offset[..., i], p) for i, p in enumerate(self.period)]).sum(0)

    def embedded(self, points: Float[Tensor, "*n dim"]) -> Float[Tensor, "*n e"]:
        """Places whose Euclidean distance is that of `squared_distance`, for neighbour searches."""
        if self.name != "Tn":
            return points
        columns = []
        for axis, period in enumerate(self.period):
            x = points[..., axis]
            turns, radius = 2 * math.pi / period if period else 0.0, period / (2 * math.pi)
            columns += [radius * (turns * x).cos(), radius * (turns * x).sin()] if period else [x]
        return torch.stack(columns, -1)

    def _axis(self, offset: Tensor, axis: int) -> list[Tensor]:
        x, period = offset[..., axis : axis + 1], self.period[axis]
        if not period:
            return [x]
        angle = 2 * math.pi / period * x
        return [angle.cos(), angle.sin()]


def _chord(d: Tensor, period: float) -> Tensor:
    if not period:
        return d.square()
    return (period / math.pi * (math.pi / period * d).sin()).square()
