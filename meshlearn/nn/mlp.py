"""The multilayer perceptron of the graph networks: inputs side by side, some of them gathered, LayerNorm at the end."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meshlearn import ops
from meshlearn.errors import ParameterError
from meshlearn.nn import fused
from meshlearn.nn.activation import activation
from meshlearn.nn.fused import NORM_EPS, FusedMLP, Plan
from meshlearn.ops import Adjacency


class Picked(NamedTuple):
    """An input of an MLP that lives on the points of a graph and is read by its edges.

    It stands for `ops.gather_senders(x, adjacency)` or `ops.gather_receivers(x, adjacency)`, which is never formed.
    """

    x: Float[Tensor, "n_points f"]
    adjacency: Adjacency
    side: str


class MLP(nn.Module):
    """y = norm(W_L act(… act(W_1 [x_1, …, x_k] + b_1) …) + b_L), row by row.

    in_features    width of the input, or widths of several inputs [x_1, …, x_k] that stand side by side
    out_features   width of the result; `width` is that of the hidden layers
    layers         number of hidden layers; 0 is a linear map
    norm           LayerNorm of the result
    fused          block-wise kernel (see `meshlearn.nn.fused`); False: plain operations, which keep all intermediate
                   arrays but can be differentiated more than once. Compiled code uses the latter.
    recompute      whether the block-wise kernel keeps nothing for the backward and computes the layers again; None:
                   only where the arrays are too large for the cache

    The inputs are never concatenated: W_1 is cut into its columns, and of a `Picked` input the product with W_1 is
    formed once per point and gathered, rather than once per edge (the map is linear, so the result is the same).

    forward(*inputs) -> (n_rows, out_features), dtype of the first tensor (the products' under autocast without norm)
      inputs  (n_rows, f_k) tensors, or Picked; at least one tensor unless all are Picked
    """

    def __init__(
        self,
        in_features: int | Sequence[int],
        out_features: int,
        width: int | None = None,
        layers: int = 1,
        activation: str = "silu",
        norm: bool = True,
        fused: bool = True,
        recompute: bool | None = None,
    ) -> None:
        super().__init__()
        self.in_features = (in_features,) if isinstance(in_features, int) else tuple(in_features)
        self.out_features, self.activation = out_features, activation
        self.fused, self.recompute = fused, recompute
        _check(self.in_features, out_features, layers, activation)
        width = out_features if width is None else width
        sizes = [sum(self.in_features), *[width] * layers, out_features]
        self.linears = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.norm = nn.LayerNorm(out_features, eps=NORM_EPS) if norm else None

    def forward(self, *inputs: Tensor | Picked) -> Float[Tensor, "n_rows out"]:
        """The network's value on every row."""
        out, _ = self.evaluate(inputs)
        assert out is not None
        return out

    def residual(self, *inputs: Tensor | Picked) -> Float[Tensor, "n_rows out"]:
        """x_1 + the network's value; the first input must be a tensor of the width of the result."""
        out, _ = self.evaluate(inputs, residual=True)
        assert out is not None
        return out

    def evaluate(
        self,
        inputs: Sequence[Tensor | Picked],
        residual: bool = False,
        sum_over: Adjacency | None = None,
        keep: bool = True,
    ) -> tuple[Tensor | None, Tensor | None]:
        """(result, sums): the result on every row (+ x_1 with `residual`), None unless `keep`; and the sum of the
        network's values, without x_1, over every row of the adjacency `sum_over`, or None."""
        if len(inputs) != len(self.in_features):
            raise ParameterError(f"this MLP takes {len(self.in_features)} inputs, got {len(inputs)}.")
        weights = self._linears()[0].weight.split(self.in_features, dim=1)
        dense = [(x, w) for x, w in zip(inputs, weights, strict=True) if isinstance(x, Tensor)]
        picked = [(x, w) for x, w in zip(inputs, weights, strict=True) if isinstance(x, Picked)]
        if self.fused and dense and not torch.compiler.is_compiling():
            return self._blockwise(dense, picked, residual, sum_over, keep)
        return self._plain(dense, picked, residual, sum_over, keep)

    def _plain(self, dense, picked, residual, sum_over, keep):
        linears = self._linears()
        z: Tensor = linears[0].bias
        for x, weight in dense:
            z = z + nn.functional.linear(x, weight)
        for (x, adjacency, side), weight in picked:
            gather = ops.gather_senders if side == "senders" else ops.gather_receivers
            z = z + gather(nn.functional.linear(x, weight), adjacency)
        act = activation(self.activation).value
        for linear in linears[1:]:
            z = linear(act(z))
        if self.norm is not None:
            z = self.norm(z.to(self.norm.weight.dtype))
        sums = None if sum_over is None else ops.segment_sum(z, sum_over)
        return ((dense[0][0] + z if residual else z) if keep else None), sums

    def _blockwise(self, dense, picked, residual, sum_over, keep):
        linears = self._linears()
        bias = linears[0].bias
        tables = [nn.functional.linear(x, w, bias if k == 0 else None) for k, ((x, _, _), w) in enumerate(picked)]
        parameters: list[Tensor | None] = [None if tables else bias]
        for linear in linears[1:]:
            parameters += [linear.weight, linear.bias]
        if self.norm is not None:
            parameters += [self.norm.weight, self.norm.bias]
        device = dense[0][0].device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else bias.dtype
        plan = Plan(
            n_dense=len(dense),
            sides=tuple((adjacency, side) for (_, adjacency, side), _ in picked),
            n_layers=len(self.linears) - 1,
            activation=self.activation,
            norm=self.norm is not None,
            residual=residual,
            sum_over=sum_over,
            keep=keep,
            store=torch.is_grad_enabled() and not self._recomputes(len(dense[0][0])),
            dtype=dtype,
            out_dtype=bias.dtype,
        )
        return FusedMLP.apply(plan, *[x for x, _ in dense], *tables, *[w for _, w in dense], *parameters)

    def _recomputes(self, n_rows: int) -> bool:
        if self.recompute is not None:
            return self.recompute
        return n_rows * max(len(linear.weight) for linear in self._linears()) > fused.STORED_ELEMENTS

    def _linears(self) -> list[nn.Linear]:
        return list(self.linears)  # type: ignore[arg-type]

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, activation={self.activation!r}, fused={self.fused}"


def _check(in_features: tuple[int, ...], out_features: int, layers: int, name: str) -> None:
    if not in_features or min(in_features) < 1 or out_features < 1:
        raise ParameterError(
            f"an MLP needs positive widths, got in_features={in_features}, out_features={out_features}."
        )
    if layers < 0:
        raise ParameterError(f"layers={layers}: the number of hidden layers cannot be negative.")
    activation(name)
