"""Angular momentum of points."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

SPINS = {2: ((0, 1),), 3: ((1, 2), (2, 0), (0, 1))}
"""Axes that are turned into each other, one pair for each component."""


def angular_momentum(
    mass: Float[Tensor, " n"],
    position: Float[Tensor, "dim n"],
    velocity: Float[Tensor, "dim n"],
    more: Mapping[tuple[int, int], Tensor] | None = None,
) -> Float[Tensor, "*components"]:
    """About the origin: () in 2-D, (3,) in 3-D; `more` is added, for each pair of axes of `SPINS`."""
    found = []
    for i, j in SPINS[len(position)]:
        total = (mass * (position[i] * velocity[j] - position[j] * velocity[i])).sum()
        found.append(total if more is None else total + more[(i, j)])
    return found[0] if len(found) == 1 else torch.stack(found)
