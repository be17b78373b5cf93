"""What a smooth field leaves to be mended on the planes: only wrong signs, and only near them.

Replacing a field by the distances that a plane shows would bend every slanted surface upright there, in terraces along
the planes: a distance within a plane is longer than one in space. So a field that has the sign of the plane is left as
it is; where it has not, or is next to zero, a small change is made that gives it the sign.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from meshlearn.models.cross_sections.blends import look_up
from meshlearn.models.cross_sections.body import REACH, Body

LEAST = 0.3
"""Where a plane shows the distance d, a field is at least LEAST * d in size, and has its sign."""
BESIDE = 2.0
FADE = 0.3
"""A correction falls as exp(-(height / (FADE * gap)) ** 2) with the height above its plane."""
RANGE = 2.6
NEAR = 1e-3


def missing(
    prior: Float32[Tensor, "k c g g"], shown: Float32[Tensor, "k c g g"], step: float
) -> Float32[Tensor, "k c g g"]:
    """The small change of `prior` that gives it the signs of `shown`, on grids of spacing `step`.

    Within some steps of a contour it becomes the distance times the slope that it has there, so that it is zero on the
    contour and not only between the right nodes; farther away it is changed where its sign is wrong.
    """
    least = LEAST * shown.clamp(-0.2, 0.2)
    mended = torch.where(shown > 0, torch.maximum(prior, least), torch.minimum(prior, least))
    rise = torch.stack(torch.gradient(prior, spacing=step, dim=(2, 3))).norm(dim=0).clamp(LEAST, 1.2)
    beside = torch.exp(-(shown / (BESIDE * step)).square())
    return mended + beside * (rise * shown - mended) - prior


class Correction:
    """The values on the grids of all planes, faded out with the distance from them; a mean where planes cross."""

    def __init__(self, body: Body, data: Float32[Tensor, "k c g g"]):
        self.data = data
        self.range = RANGE * FADE * body.gap
        self.width = FADE * body.gap
        feet = np.einsum("kij,kj->ki", body.axes, body.origins)
        single = lambda array: torch.from_numpy(np.asarray(array, dtype=np.float32))  # noqa: E731
        self.normals, self.offsets, self.axes = single(body.normals), single(body.offsets), single(body.axes)
        self.middle = single(feet + body.lows + REACH)

    def __call__(self, points: Float32[Tensor, "n 3"]) -> Float32[Tensor, "n c"]:
        """Values to be added at points of the unit frame."""
        values = points.new_zeros(len(points), self.data.shape[1])
        total = points.new_zeros(len(points))
        nearest = points.new_full((len(points),), self.range)
        for k in range(len(self.data)):
            height = (points @ self.normals[k] - self.offsets[k]).abs_()
            rows = (height < self.range).nonzero().squeeze(1)
            if not len(rows):
                continue
            height = height.index_select(0, rows)
            weight = ((1 - height / self.range).square() / (height.square() + NEAR * NEAR)).pow(1.5)
            flat = points.index_select(0, rows) @ self.axes[k].T - self.middle[k]
            values.index_add_(0, rows, weight[:, None] * look_up(self.data[k], flat))
            total.index_add_(0, rows, weight)
            nearest.index_copy_(0, rows, torch.minimum(nearest.index_select(0, rows), height))
        fade = torch.exp(-(nearest / self.width).square()) / total.clamp(min=1e-30)
        return values * fade[:, None]
