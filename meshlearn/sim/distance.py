"""Distances from points to the outline and to the holes of a plate: natural inputs of a surrogate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def distance_to_polygon(points: Float[Tensor, "n 2"], corners: Float[Tensor, "k 2"]) -> Float[Tensor, " n"]:
    """Distance from each point to the closed polygon through `corners`, in the unit of the points.

    >>> square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> ml.sim.distance_to_polygon(torch.tensor([[0.5, 0.2], [1.0, 2.0]]), square)
    tensor([0.2000, 1.0000])
    """
    start, side = corners, corners.roll(-1, 0) - corners
    offset = points[:, None] - start
    along = ((offset * side).sum(-1) / side.square().sum(-1)).clamp(0.0, 1.0)
    return (offset - along[..., None] * side).norm(dim=-1).amin(1)


def distance_to_holes(
    points: Float[Tensor, "n 2"], holes: Sequence[tuple[float, float, float]], far: float
) -> Float[Tensor, " n"]:
    """Distance from each point to the nearest circle (x, y, radius), never negative; `far` where there is no hole.

    >>> ml.sim.distance_to_holes(torch.tensor([[3.0, 0.0]]), [(0.0, 0.0, 1.0)], far=10.0)
    tensor([2.])
    """
    if not holes:
        return torch.full_like(points[:, 0], far)
    circles = points.new_tensor(list(holes))
    gap = (points[:, None] - circles[:, :2]).norm(dim=-1) - circles[:, 2]
    return gap.amin(1).clamp(min=0.0)
