"""What the frames ahead weigh in the loss of a stepper that is trained over several."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def horizon_weights(count: int) -> Float[Tensor, " count"]:
    """k (k + 1) / 2 for k = 1 to `count` frames ahead, over their mean; float64.

    Errors are those of mean accelerations. Over one frame they are mostly of short waves, which are over soon; what a
    rollout goes wrong by is the slow motion, whose error is the same over all frames and little beside them. An
    acceleration moves a body by k (k + 1) / 2 of it in k frames: with these weights the loss lies between that of
    accelerations (1) and that of places (the square).

    >>> horizon_weights(2)
    tensor([0.5000, 1.5000], dtype=torch.float64)
    """
    k = torch.arange(1, count + 1, dtype=torch.float64)
    weights = k * (k + 1) / 2
    return weights / weights.mean()
