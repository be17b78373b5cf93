"""How sure a field is: fields of fewer planes, each without a part of them, and how much these disagree."""

from __future__ import annotations

import torch
from jaxtyping import Float32
from torch import Tensor

from meshlearn.models.cross_sections.body import Body
from meshlearn.models.cross_sections.choice import plane_points
from meshlearn.models.cross_sections.field import Field
from meshlearn.models.cross_sections.priors import make_field

MEMBERS = 4


class Ensemble:
    """Delete-a-group jackknife (Efron 1982): member g is made without the planes g, g + MEMBERS, ...

    The spread is scaled so that, near contours of planes that a member has not seen, its errors are one standard
    deviation in the mean square.
    """

    def __init__(self, body: Body, make: str, centres: int, seed: int):
        n = len(body.sections)
        groups = [list(range(g, n, MEMBERS)) for g in range(min(MEMBERS, n))]
        self.members: list[Field] = []
        unseen: list[list[int]] = []
        squares, spreads = [], []
        for group in groups:
            keep = [k for k in range(n) if k not in group]
            if sum(bool(body.sections.planes[k].rings) for k in keep) < 2:
                continue
            self.members.append(make_field(body.only(keep), make, centres // 2, seed, levels=1))
            unseen.append(group)
        for member, group in zip(self.members, unseen, strict=True):
            for plane in group:
                points = plane_points(body, plane, every=6)
                truth = body.data[plane][:, ::6, ::6].reshape(len(body.channels), -1).T
                near = truth.abs().amin(1) < 0.1
                if bool(near.any()):
                    points = points[near]
                    squares.append((member(points) - truth[near]).square().mean())
                    spreads.append(self._spread(points).square().mean())
        ratio = (
            torch.stack(squares).mean() / torch.stack(spreads).mean().clamp(min=1e-12) if squares else torch.ones(())
        )
        self.factor = float(ratio.sqrt().clamp(0.1, 10.0))

    def _spread(self, points: Tensor) -> Tensor:
        values = torch.stack([member(points) for member in self.members])
        return (values - values.mean(0)).square().mean(0).sqrt()

    def __call__(self, points: Float32[Tensor, "n 3"]) -> Float32[Tensor, "n c"]:
        """Standard deviations of the values of all channels, in unit frame."""
        if len(self.members) < 2:
            return torch.full((len(points), 1), torch.nan)
        return self.factor * self._spread(points)
