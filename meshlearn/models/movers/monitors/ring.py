"""A ring (or ball, or band) of dense cells."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from meshlearn.errors import ParameterError


class Ring:
    """1 + amplitude / cosh^2(sharpness (|x - centre|^2 - radius^2)): dense on a circle or sphere around `centre`.

    A radius of 0 gives a ball; sharpness is in 1 / (unit of the points)^2. In 1-D the ring is two points.

    >>> ring = ml.models.movers.Ring(amplitude=20.0, sharpness=200.0, radius=0.4, centre=(0.5, 0.5))
    >>> ring(torch.tensor([[0.9, 0.5], [0.5, 0.5]]))
    tensor([21.0000,  1.0000])
    """

    def __init__(
        self,
        amplitude: float = 10.0,
        sharpness: float = 200.0,
        radius: float = 0.4,
        centre: Sequence[float] = (0.5, 0.5),
    ) -> None:
        if not (amplitude > -1 and sharpness > 0 and radius >= 0):
            raise ParameterError(
                f"amplitude={amplitude}, sharpness={sharpness}, radius={radius}: expected amplitude > -1 (the monitor "
                "is positive), sharpness > 0 and radius >= 0."
            )
        self.amplitude, self.sharpness, self.radius, self.centre = amplitude, sharpness, radius, tuple(centre)

    def __call__(self, points: Tensor) -> Tensor:
        if points.shape[1] != len(self.centre):
            raise ParameterError(f"centre={self.centre} has {len(self.centre)} coordinates, points {points.shape[1]}.")
        centre = torch.tensor(self.centre, dtype=points.dtype, device=points.device)
        level = self.sharpness * ((points - centre).square().sum(1) - self.radius**2)
        decay = torch.exp(-2 * level.abs())  # 1 / cosh^2 without overflow
        return 1 + self.amplitude * 4 * decay / (1 + decay).square()
