"""How far a prediction is from the truth, weighted by the length, area or volume that each value stands for."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor


def relative_l2(
    prediction: Float[Tensor, "n *shape"], truth: Float[Tensor, "n *shape"], weights: Float[Tensor, " n"]
) -> float:
    """sqrt(sum_i w_i |p_i - t_i|^2 / sum_i w_i |t_i|^2), the relative error in the (lumped) L2 norm of the mesh.

    Sums are taken in float64, of values divided by the largest one, so that no unit is too small or too large. When
    the truth is zero everywhere nothing can be relative to it: the result is NaN, for an exact prediction too.

    >>> relative_l2(torch.tensor([3.0, 3.0]), torch.tensor([3.0, 4.0]), torch.tensor([1.0, 1.0]))
    0.2
    """
    p, t, w = (x.detach().to(torch.float64) for x in (prediction, truth, weights))
    largest = t.abs().max() if t.numel() else t.new_zeros(())
    if float(largest) == 0.0:
        return math.nan
    p, t = p / largest, t / largest
    error = float((w * (p - t).reshape(len(w), -1).square().sum(1)).sum())
    norm = float((w * t.reshape(len(w), -1).square().sum(1)).sum())
    return math.sqrt(error / norm) if norm > 0.0 else math.nan


def rmse(
    prediction: Float[Tensor, "n *shape"], truth: Float[Tensor, "n *shape"], weights: Float[Tensor, " n"]
) -> float:
    """sqrt(sum_i w_i |p_i - t_i|^2 / sum_i w_i), in the unit of the field."""
    p, t, w = (x.detach().to(torch.float64) for x in (prediction, truth, weights))
    error = float((w * (p - t).reshape(len(w), -1).square().sum(1)).sum())
    return math.sqrt(error / float(w.sum()))


def max_error(prediction: Float[Tensor, "n *shape"], truth: Float[Tensor, "n *shape"]) -> float:
    """max_i |p_i - t_i|, in the unit of the field; 0 for no rows."""
    difference = (prediction - truth).detach().to(torch.float64).reshape(len(truth), -1)
    return float(difference.norm(dim=1).max()) if len(difference) else 0.0
