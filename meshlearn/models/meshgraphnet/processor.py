"""One message-passing step: the interaction layer, or any convolution of PyTorch Geometric."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor, nn

from meshlearn.errors import ParameterError
from meshlearn.nn.activation import activation as find_activation
from meshlearn.nn.interaction import Interaction
from meshlearn.nn.mlp import MLP, Picked
from meshlearn.ops import Adjacency
from meshlearn.quiet import quietly_imported


def make_step(
    processor: str,
    options: dict[str, Any],
    width: int,
    *,
    layers: int,
    activation: str,
    aggregation: str,
    conditioning: int,
    update_edges: bool,
    fused: bool,
    recompute: bool | None,
) -> nn.Module:
    """A step (x, e, adjacency, condition) -> (x, e): "interaction", or the name of a class of torch_geometric.nn."""
    if processor == "interaction":
        if options:
            raise ParameterError(
                f"processor_options={options} are for PyTorch Geometric's convolutions, not 'interaction'."
            )
        return Interaction(width, layers, activation, aggregation, conditioning, update_edges, fused, recompute)
    return ConvolutionStep(processor, options, width, activation, conditioning)


class ConvolutionStep(nn.Module):
    """x <- x + norm(act(conv(x + P c, edges))), with a convolution of PyTorch Geometric.

    The edge latents go in as `edge_attr` where the convolution has an `edge_dim`, and stay as they are. Several heads
    that are concatenated must add up to the width: `{"heads": 4}` gives each a quarter.
    """

    def __init__(self, name: str, options: dict[str, Any], width: int, activation: str, conditioning: int) -> None:
        super().__init__()
        conv = _find_convolution(name)
        parameters = inspect.signature(conv.__init__).parameters
        keywords = dict(options)
        self.uses_edges = "edge_dim" in parameters
        if self.uses_edges:
            keywords.setdefault("edge_dim", width)
        channels = width
        if "heads" in parameters and keywords.get("concat", True):
            heads = keywords.get("heads", 1)
            if width % heads:
                raise ParameterError(f"hidden={width} is not a multiple of heads={heads}: the heads share the width.")
            channels = width // heads
        try:
            self.conv = conv(width, channels, **keywords)
        except TypeError as error:
            raise ParameterError(
                f"processor={name!r} cannot be built as {name}({width}, {channels}, **{keywords}): {error}.\n"
                "  give what its constructor needs as processor_options."
            ) from error
        self.act = find_activation(activation).value
        self.norm = nn.LayerNorm(width)
        self.condition = MLP(conditioning, width, layers=0, norm=False) if conditioning else None

    def forward(
        self, x: Tensor, e: Tensor, adjacency: Adjacency, condition: Tensor | Picked | None = None
    ) -> tuple[Tensor, Tensor]:
        """One step; the edge latents are returned unchanged."""
        y = x
        if self.condition is not None and condition is not None:
            from meshlearn import ops

            if isinstance(condition, Picked):
                y = x + ops.gather_receivers(self.condition(condition.x), condition.adjacency)
            else:
                y = x + self.condition(condition)
        extra = {"edge_attr": e} if self.uses_edges else {}
        return x + self.norm(self.act(self.conv(y, adjacency.edge_index(), **extra))), e


def _find_convolution(name: str) -> Any:
    # PyTorch Geometric still scripts some classes when it is imported.
    layers = quietly_imported("torch_geometric.nn", DeprecationWarning)
    found, base = getattr(layers, name, None), layers.MessagePassing
    if not (isinstance(found, type) and issubclass(found, base) and found is not base):
        raise ParameterError(
            f"processor={name!r} is neither 'interaction' nor a convolution of torch_geometric.nn "
            "(for example 'SAGEConv', 'GATv2Conv', 'TransformerConv', 'GeneralConv')."
        )
    return found
