"""Products of many rows with a small weight: x W^T + b + c, for layers that write their own backward.

torch's products of float32 on a CPU go through MKL, which takes its older instructions on processors of other makers:
there oneDNN, which torch carries too, computes a block of rows of width 128 twice as fast (`benchmarks/ops.py`). torch
offers it as an operation made for its own compiler; where that is missing the baseline runs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from meshlearn.ops import kernel_inputs
from meshlearn.ops.registry import Kernel

_linear = Kernel("linear", inputs=kernel_inputs.layers, differentiable=False)


def linear(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, add: Tensor | None = None, out: Tensor | None = None
) -> Tensor:
    """x W^T (+ bias) (+ add), without autograd.

    x       (n_rows, f) float tensor
    weight  (g, f), of the dtype of x
    bias    (g,)
    add     (n_rows, g); may be `out`
    out     (n_rows, g) tensor that receives the result; None: a new one
    """
    return _linear(x, weight, bias, add, out)


@_linear.register("baseline")
def _baseline(x, weight, bias, add, out):
    if bias is None:
        return torch.mm(x, weight.t(), out=out) if add is None else torch.addmm(add, x, weight.t(), out=out)
    if add is None:
        return torch.addmm(bias, x, weight.t(), out=out)
    return torch.addmm(add, x, weight.t(), out=out).add_(bias)


_mkldnn: Any = getattr(torch.ops, "mkldnn", None)
if torch.backends.mkldnn.is_available() and hasattr(_mkldnn, "_linear_pointwise"):

    @_linear.register("onednn", rank=10, devices=("cpu",), dtypes=frozenset({torch.float32}))
    def _onednn(x, weight, bias, add, out):
        x = x.contiguous()
        if not weight.t().is_contiguous():  # its reference loops run on other strides, a hundred times slower
            weight = weight.contiguous()
        if add is None:
            result = _mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        else:
            result = _mkldnn._linear_pointwise.binary(x, add.contiguous(), weight, bias, "add")
        return result if out is None else out.copy_(result)
