"""torch.compile for networks on meshes, whose sizes change from batch to batch."""

from __future__ import annotations

import warnings
from typing import Any

from torch import nn


def compile_module(module: nn.Module) -> Any:
    """The module compiled for varying sizes (one graph for all batches, not one per size)."""
    with warnings.catch_warnings():
        # raised by torch's own imports, not by the module
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.script.* is deprecated", category=DeprecationWarning)
        import torch

        return torch.compile(module, dynamic=True)
