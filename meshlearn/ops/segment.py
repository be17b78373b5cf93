"""Reductions over the rows of a compressed array: sum, mean, max, min and softmax, with gradients of any order.

Rows without elements give 0 for all of them. The second argument is an `Adjacency` or its `ptr`; with an `Adjacency`
the row of every edge is looked up once per graph rather than once per call.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64, Num
from torch import Tensor

from meshlearn.errors import MeshError
from meshlearn.ops import kernel_inputs
from meshlearn.ops.adjacency import Adjacency
from meshlearn.ops.csr import RowSum
from meshlearn.ops.extreme import RowExtreme
from meshlearn.ops.pointers import check_ptr, ptr_to_rows
from meshlearn.ops.registry import _FLOATS, Kernel
from meshlearn.ops.softmax import RowSoftmax

_sum = Kernel("segment_sum", inputs=kernel_inputs.messages)
_max = Kernel("segment_max", inputs=kernel_inputs.messages)
_min = Kernel("segment_min", inputs=kernel_inputs.messages)
_softmax = Kernel("segment_softmax", inputs=kernel_inputs.messages)


def segment_sum(
    x: Num[Tensor, "n_edges *features"], ptr: Int64[Tensor, " n_offsets"] | Adjacency, backend: str | None = None
) -> Num[Tensor, "n_rows *features"]:
    """Sum of every row's elements: (n_edges, ...) -> (n_rows, ...), dtype of x; an empty row gives 0.

    >>> ml.ops.segment_sum(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 2, 2, 3]))
    tensor([3., 0., 4.])
    """
    ptr, rows = _row_pointers(x, ptr)
    return _sum(x, ptr, rows, backend=backend)


def segment_mean(
    x: Float[Tensor, "n_edges *features"], ptr: Int64[Tensor, " n_offsets"] | Adjacency, backend: str | None = None
) -> Float[Tensor, "n_rows *features"]:
    """Mean of every row's elements: (n_edges, ...) -> (n_rows, ...), dtype of x; an empty row gives 0.

    >>> ml.ops.segment_mean(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 2, 2, 3]))
    tensor([1.5000, 0.0000, 4.0000])
    """
    ptr, rows = _row_pointers(x, ptr)
    count = ptr.diff().clamp_(min=1).to(x.dtype).reshape(-1, *[1] * (x.dim() - 1))
    return _sum(x, ptr, rows, backend=backend) / count


def segment_max(
    x: Num[Tensor, "n_edges *features"], ptr: Int64[Tensor, " n_offsets"] | Adjacency, backend: str | None = None
) -> Num[Tensor, "n_rows *features"]:
    """Largest of every row's elements: (n_edges, ...) -> (n_rows, ...), dtype of x; an empty row gives 0.

    The gradient goes to the largest element, in equal parts where several are equal (as torch.amax has it), so that it
    does not depend on the order of the edges. A NaN in a row makes that row's result NaN, and its gradient NaN.

    >>> ml.ops.segment_max(torch.tensor([1.0, 2.0, -4.0]), torch.tensor([0, 2, 2, 3]))
    tensor([ 2.,  0., -4.])
    """
    ptr, rows = _row_pointers(x, ptr)
    return _max(x, ptr, rows, backend=backend)


def segment_min(
    x: Num[Tensor, "n_edges *features"], ptr: Int64[Tensor, " n_offsets"] | Adjacency, backend: str | None = None
) -> Num[Tensor, "n_rows *features"]:
    """Smallest of every row's elements; see `segment_max`.

    >>> ml.ops.segment_min(torch.tensor([1.0, 2.0, -4.0]), torch.tensor([0, 2, 2, 3]))
    tensor([ 1.,  0., -4.])
    """
    ptr, rows = _row_pointers(x, ptr)
    return _min(x, ptr, rows, backend=backend)


def segment_softmax(
    x: Float[Tensor, "n_edges *features"], ptr: Int64[Tensor, " n_offsets"] | Adjacency, backend: str | None = None
) -> Float[Tensor, "n_edges *features"]:
    """exp(x) over its row's sum of exp(x), per feature: (n_edges, ...) -> (n_edges, ...); safe for large x.

    >>> ml.ops.segment_softmax(torch.tensor([0.0, 0.0, 9.0]), torch.tensor([0, 2, 3]))
    tensor([0.5000, 0.5000, 1.0000])
    """
    ptr, rows = _row_pointers(x, ptr)
    return _softmax(x, ptr, rows, backend=backend)


def _row_pointers(x: Tensor, ptr: Tensor | Adjacency) -> tuple[Tensor, Tensor | None]:
    if isinstance(ptr, Adjacency):
        if x.shape[0] != ptr.n_edges:
            raise MeshError(
                f"x has {x.shape[0]} rows, but the adjacency has {ptr.n_edges} edges.\n"
                f"  x: {tuple(x.shape)}, {ptr}; point values go through ops.gather_senders first."
            )
        return ptr.ptr, ptr.receivers
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        check_ptr(
            ptr, x.shape[0]
        )  # kernels read wherever ptr points; on CUDA this would wait for the device: there the caller vouches for ptr
    return ptr, None


def _known_rows(x: Tensor, ptr: Tensor, rows: Tensor | None) -> Tensor:
    return ptr_to_rows(ptr, x.shape[0]) if rows is None else rows


@_sum.register("baseline")
def _sum_baseline(x, ptr, rows=None):
    return x.new_zeros((ptr.shape[0] - 1, *x.shape[1:])).index_add(0, _known_rows(x, ptr, rows), x)


@_sum.register("bag", rank=10, devices=("cpu", "cuda"), dtypes=_FLOATS)
def _sum_bag(x, ptr, rows=None):
    return RowSum.apply(x, ptr, None, rows, "bag")


@_sum.register("torch_scatter", rank=-1, devices=("cpu", "cuda"), requires="torch_scatter", extra="scatter")
def _sum_torch_scatter(x, ptr, rows=None):
    return RowSum.apply(x, ptr, None, rows, "torch_scatter")


@_sum.register("triton", rank=-1, devices=("cuda",), dtypes=_FLOATS, requires="triton")
def _sum_triton(x, ptr, rows=None):
    return RowSum.apply(x, ptr, None, rows, "triton")


def _extreme_baseline(x, ptr, rows, reduce):
    rows = _known_rows(x, ptr, rows).reshape(-1, *[1] * (x.dim() - 1)).expand_as(x)
    # torch's gradient counts a start value equal to the extreme as one more winner; NaN equals nothing
    start = x.new_full((ptr.shape[0] - 1, *x.shape[1:]), float("nan") if x.is_floating_point() else 0)
    found = start.scatter_reduce(0, rows, x, reduce, include_self=False)
    empty = (ptr.diff() == 0).reshape(-1, *[1] * (x.dim() - 1))
    return torch.where(empty, torch.zeros_like(found), found)


@_max.register("baseline")
def _max_baseline(x, ptr, rows=None):
    return _extreme_baseline(x, ptr, rows, "amax")


@_min.register("baseline")
def _min_baseline(x, ptr, rows=None):
    return _extreme_baseline(x, ptr, rows, "amin")


for _kernel, _largest in ((_max, True), (_min, False)):

    @_kernel.register("paired", rank=10, devices=("cpu", "cuda"), dtypes=_FLOATS)
    def _extreme_paired(x, ptr, rows=None, largest=_largest):
        return RowExtreme.apply(x, ptr, rows, largest, "paired")

    @_kernel.register("torch_scatter", rank=-1, devices=("cpu", "cuda"), requires="torch_scatter", extra="scatter")
    def _extreme_torch_scatter(x, ptr, rows=None, largest=_largest):
        return RowExtreme.apply(x, ptr, rows, largest, "torch_scatter")


@_softmax.register("baseline")
def _softmax_baseline(x, ptr, rows=None):
    rows = _known_rows(x, ptr, rows)
    shifted = (x - _max_baseline(x.detach(), ptr, rows).index_select(0, rows)).exp()
    return shifted / _sum_baseline(shifted, ptr, rows).index_select(0, rows)


@_softmax.register("blocked", rank=10, devices=("cpu", "cuda"), dtypes=_FLOATS)
def _softmax_blocked(x, ptr, rows=None):
    return RowSoftmax.apply(x, ptr, _known_rows(x, ptr, rows))
