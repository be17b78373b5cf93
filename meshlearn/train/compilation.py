"""torch.compile for networks on meshes, whose sizes change from batch to batch."""

from __future__ import annotations

from typing import Any

from torch import nn

from meshlearn.quiet import quiet


def compile_module(module: nn.Module) -> Any:
    """The module compiled for varying sizes (one graph for all batches, not one per size)."""
    import torch

    with quiet(DeprecationWarning):  # raised by torch's own imports, not by the module
        return torch.compile(module, dynamic=True)
