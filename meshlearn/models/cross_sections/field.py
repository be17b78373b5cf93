"""The field whose sign says what is inside: a smooth prior, corrected so that every plane gets back what it shows."""

from __future__ import annotations

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from meshlearn.models.cross_sections.blends import StackBlend, make_blend
from meshlearn.models.cross_sections.body import Body
from meshlearn.models.cross_sections.grid_field import field_at, on_planes

BULGE, TIGHT = 0.1, 0.03
"""How far a body may reach beyond the hull of its contours, in unit frame, with a smooth prior and without."""


class Field:
    """F(x) = P(x) + B[d - P](x): a prior P on a grid, and a blend B of what it leaves of the distances d on the planes.

    With `local`, the correction fades within half a gap from the planes. On a plane, F is its signed distance,
    whatever the prior; without a prior F is the blend itself. Beyond the planes,
    F is closed by the distance from the convex hull of the contours, or from the outer slices of a stack. F is about a
    distance in unit frame, positive inside.
    """

    def __init__(self, body: Body, blend: str, prior: Tensor | None = None, local: bool = False):
        self.body = body
        self.blend_name = blend
        self.blend = make_blend(body, blend)
        self.prior = prior
        self.local = local
        self.rest = body.data if prior is None else body.data - on_planes(prior, body)
        self.signs = torch.tensor([1.0 if label == 0 else -1.0 for label in body.channels])
        self.hull = torch.from_numpy(body.hull)
        # without a prior nothing but the hull closes the body between planes that are not parallel
        wide = body.parallel or body.given_cap or prior is not None
        self.room = max(body.cap, BULGE) if wide else min(body.cap, TIGHT)

    @torch.no_grad()
    def __call__(self, points: Float32[Tensor, "n 3"]) -> Float32[Tensor, "n c"]:
        """Values of all channels; labels are negative outside, channel 0 (outside) positive there."""
        beyond = self.signs * self.body.cap
        if self.prior is None:
            values = self.blend(points, self.rest, beyond)
        else:
            rest = self.blend(points, self.rest, torch.zeros_like(beyond))
            if self.local:
                rest = rest * self._nearness(points)
            values = field_at(self.prior, points) + rest
        return self.closed(points, values)

    def _nearness(self, points: Tensor) -> Tensor:
        """(n, 1): 1 on planes, next to nothing half a gap away from them."""
        normals = torch.from_numpy(self.body.normals.astype("float32"))
        offsets = torch.from_numpy(self.body.offsets.astype("float32"))
        near = torch.cat([(part @ normals.T - offsets).abs().amin(1) for part in points.split(65536)])
        return torch.exp(-(near / (0.3 * self.body.gap)).square())[:, None]

    def closed(self, points: Tensor, values: Tensor) -> Tensor:
        """No further than the room beyond the hull of all contours, and than the caps of a stack."""
        over = torch.cat([(part @ self.hull[:, :3].T + self.hull[:, 3]).amax(1) for part in points.split(65536)])
        limit = self.room - over
        if isinstance(self.blend, StackBlend):
            z = points[:, 2]
            low, high = float(self.blend.levels[0]), float(self.blend.levels[-1])
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
