"""Weights in the beginning of a field whose latents are fitted: it depends on them from the first step on.

With the usual ones of linear layers (a third of the variance that He's have), every layer lets less of the variation
through: a fresh field changes by some thousandths over a mesh or with its codes, the inner steps of a meta-learned fit
then move nothing, and the training stands still until the weights have grown. A decoder of given codes, which needs no
such steps, keeps the usual weights: with these it fits training shapes as well, but unseen ones worse.

K. He, X. Zhang, S. Ren, J. Sun 2015, "Delving deep into rectifiers", arXiv:1502.01852, eq. 10: variance 2 / n_in.
"""

from __future__ import annotations

import math

import torch
from torch import nn

GAIN = 2.0


def keep_variance(module: nn.Module) -> None:
    """Give all linear layers of a module weights of variance 2 / n_in, and no biases."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, math.sqrt(GAIN / layer.in_features))
            nn.init.zeros_(layer.bias)


def quieten(layer: nn.Linear, share: float) -> None:
    """Leave a share of the weights of a layer."""
    with torch.no_grad():
        layer.weight.mul_(share)
