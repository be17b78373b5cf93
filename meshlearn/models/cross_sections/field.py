"""The field whose sign says what is inside: a smooth prior, corrected so that every plane gets back what it shows."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from meshlearn.models.cross_sections.blends import make_blend
from meshlearn.models.cross_sections.body import Body
from meshlearn.models.cross_sections.correction import Correction, missing
from meshlearn.models.cross_sections.grid_field import SplineGrid, beyond_hull, on_planes, weighted

BULGE, TIGHT = 0.1, 0.03
"""How far a body may reach beyond the hull of its contours, in unit frame, with a smooth prior and without."""


class Field:
    """The field whose sign says what is inside; about a distance in unit frame, positive inside.

    Without a prior it is a blend B[d] of the distances d that the planes show. With one, P, there are two ways:
    `local`, P(x) + C(x) with the correction C of signs near the planes; or P(x) + B[d - P](x), where P is small (a
    network alone).
    Beyond the planes it is closed by the distance from the convex hull of the contours, or from the outer slices of a
    stack: a gap of blends, which end sooner as a rule, and half a gap of others, unless a cap is given.
    """

    def __init__(self, body: Body, blend: str, prior: Tensor | None = None, local: bool = False):
        self.body = body
        self.blend_name = blend
        self.blend = make_blend(body, blend)
        self.prior = prior
        self.local = local
        self.spline = None if prior is None else SplineGrid(prior)
        self.rest = body.data
        if self.spline is not None:
            shown = on_planes(self.spline, body)
            self.rest = missing(shown, body.data, body.step) if local else body.data - shown
        self.correction = Correction(body, weighted(body, self.rest)) if local else None
        self.signs = torch.tensor([1.0 if label == 0 else -1.0 for label in body.channels])
        # a blend, with a network or without, is closed by nothing but the hull between planes that are not parallel
        wide = body.parallel or body.given_cap or local
        self.room = max(body.cap, BULGE) if wide else min(body.cap, TIGHT)
        self.end = 0.5 * body.cap if local and not body.given_cap else body.cap

    @torch.no_grad()
    def __call__(self, points: Float32[Tensor, "n 3"]) -> Float32[Tensor, "n c"]:
        """Values of all channels; labels are negative outside, channel 0 (outside) positive there."""
        beyond = self.signs * self.body.cap
        if self.spline is None:
            values = self.blend(points, self.rest, beyond)
        elif self.correction is not None:
            values = self.spline(points) + self.correction(points)
        else:
            values = self.spline(points) + self.blend(points, self.rest, torch.zeros_like(beyond))
        return self.closed(points, values)

    def closed(self, points: Tensor, values: Tensor) -> Tensor:
        """No further than the room beyond the hull of all contours, and than the caps of a stack."""
        limit = self.room - beyond_hull(self.body, points)
        if self.body.parallel:
            z = points[:, 2]
            levels = np.sort(self.body.offsets * np.sign(self.body.normals[:, 2]))
            low, high = float(levels[0]) - self.end, float(levels[-1]) + self.end
            limit = torch.minimum(limit, torch.minimum(z - low, high - z))
        if len(self.body.channels) == 1:
            return torch.minimum(values, limit[:, None])
        labels = torch.minimum(values[:, 1:], limit[:, None])
        outside = torch.minimum(torch.maximum(values[:, :1], -limit[:, None]), -labels.amax(1, keepdim=True))
        return torch.cat([outside, labels], dim=1)

    def margin(self, points: Float32[Tensor, "n 3"], channel: int) -> Float32[Tensor, " n"]:
        """How far a channel is ahead of all others: positive where it wins."""
        return margin_of(self(points), channel)

    def label_at(self, points: Float32[Tensor, "n 3"]) -> Int64[Tensor, " n"]:
        """Labels at points, 0 outside."""
        return labels_of(self(points), self.body.channels)


def margin_of(values: Float32[Tensor, "n c"], channel: int) -> Float32[Tensor, " n"]:
    """Value of a channel less the largest of the others, halved: about a distance; of a lone channel its value."""
    if values.shape[1] == 1:
        return values[:, 0]
    others = values.clone()
    others[:, channel] = -torch.inf
    return 0.5 * (values[:, channel] - others.amax(1))


def labels_of(values: Float32[Tensor, "n c"], channels: list[int]) -> Int64[Tensor, " n"]:
    """Labels of the winning channels; 0 where a lone channel is not positive."""
    if values.shape[1] == 1:
        return (values[:, 0] > 0).to(torch.int64) * channels[0]
    return torch.tensor(channels).index_select(0, values.argmax(1))
