"""Layers that several models share: plain torch modules on tensors and graphs."""

from meshlearn.nn.interaction import Interaction
from meshlearn.nn.mlp import MLP, Picked

__all__ = ["MLP", "Interaction", "Picked"]
