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
from meshlearn.ops.arguments import need_offsets, need_tensor
from meshlearn.ops.csr import RowSpread, RowSum, raw_csr_sum
from meshlearn.ops.extreme import RowExtreme
from meshlearn.ops.functions import PositionalFunction
from meshlearn.ops.pointers import check_ptr, ptr_to_rows
from meshlearn.ops.registry import _FLOATS, Kernel
from meshlearn.ops.softmax import RowSoftmax

_PIECE = 256  # elements of a long row that are added by one thread
_LONG = 4096  # elements per row from which pieces are worth their set-up; not measured
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
    return _sum(x, ptr, rows, backend=backend or _for_long_rows(x, ptr))


def segment_mean(
    x: Float[Tensor, "n_edges *features"], ptr: Int64[Tensor, " n_offsets"] | Adjacency, backend: str | None = None
) -> Float[Tensor, "n_rows *features"]:
    """Mean of every row's elements: (n_edges, ...) -> (n_rows, ...), dtype of x; an empty row gives 0.

    >>> ml.ops.segment_mean(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 2, 2, 3]))
    tensor([1.5000, 0.0000, 4.0000])
    """
    ptr, rows = _row_pointers(x, ptr)
    count = ptr.diff().clamp_(min=1).to(x.dtype).reshape(-1, *[1] * (x.dim() - 1))
    return _sum(x, ptr, rows, backend=backend or _for_long_rows(x, ptr)) / count


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
    need_tensor("x", x)
    if isinstance(ptr, Adjacency):
        if x.shape[0] != ptr.n_edges:
            raise MeshError(
                f"x has {x.shape[0]} rows, but the adjacency has {ptr.n_edges} edges.\n"
                f"  x: {tuple(x.shape)}, {ptr}; point values go through ops.gather_senders first."
            )
        return ptr.ptr, ptr.receivers
    need_offsets("ptr", ptr)
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        check_ptr(
            ptr, x.shape[0]
        )  # kernels read wherever ptr points; on CUDA this would wait for the device: there the caller vouches for ptr
    return ptr, None


def _for_long_rows(x: Tensor, ptr: Tensor) -> str | None:
    """The back end for few, very long rows (means over whole meshes) on CUDA; None: the registry's choice."""
    if x.device.type != "cuda" or x.dtype not in _FLOATS or torch.compiler.is_compiling():
        return None  # a comparison of sizes would tie a compiled model to them
    return "two_stage" if x.shape[0] >= _LONG * max(ptr.shape[0] - 1, 1) else None


def _known_rows(x: Tensor, ptr: Tensor, rows: Tensor | None) -> Tensor:
    return ptr_to_rows(ptr, x.shape[0]) if rows is None else rows


@_sum.register("baseline")
def _sum_baseline(x, ptr, rows=None):
    return x.new_zeros((ptr.shape[0] - 1, *x.shape[1:])).index_add(0, _known_rows(x, ptr, rows), x)


@_sum.register("bag", rank=10, devices=("cpu", "cuda"), dtypes=_FLOATS)
def _sum_bag(x, ptr, rows=None):
    return RowSum.apply(x, ptr, None, rows, "bag")


@_sum.register("two_stage", rank=-1, devices=("cpu", "cuda"), dtypes=_FLOATS)
def _sum_two_stage(x, ptr, rows=None):
    return _LongRowSum.apply(x, ptr, rows)


@_sum.register("torch_scatter", rank=-1, devices=("cpu", "cuda"), requires="torch_scatter", extra="scatter")
def _sum_torch_scatter(x, ptr, rows=None):
    return RowSum.apply(x, ptr, None, rows, "torch_scatter")


@_sum.register("triton", rank=-1, devices=("cuda",), dtypes=_FLOATS, requires="triton")
def _sum_triton(x, ptr, rows=None):
    return RowSum.apply(x, ptr, None, rows, "triton")


class _LongRowSum(PositionalFunction):
    """Sums of rows with thousands of elements: first of pieces of each row, then of the pieces.

    The kernel behind "bag" gives a row to one thread on CUDA; pieces give it many. How many pieces there are depends on
    the rows, but it is at most n_rows + n_edges / _PIECE, known without asking the device; the rest stay empty.
    """

    with_features = (0,)

    @staticmethod
    def forward(x, ptr, rows):
        pieces, piece_ptr = _pieces(ptr, x.shape[0])
        return raw_csr_sum(raw_csr_sum(x, pieces, None, None, "bag"), piece_ptr, None, None, "bag")

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.ptr, ctx.rows = inputs
        ctx.n_elements = x.shape[0]

    @staticmethod
    def backward(ctx, grad):
        rows = ptr_to_rows(ctx.ptr, ctx.n_elements) if ctx.rows is None else ctx.rows
        return RowSpread.apply(grad, ctx.ptr, None, rows, "bag"), None, None


def _pieces(ptr: Tensor, n_elements: int) -> tuple[Tensor, Tensor]:
    """Pointers to the elements of each piece, and to the pieces of each row."""
    most = ptr.shape[0] - 1 + n_elements // _PIECE
    count = torch.div(ptr.diff() + _PIECE - 1, _PIECE, rounding_mode="floor")
    piece_ptr = torch.cat([count.new_zeros(1), count.cumsum(0)])
    piece = torch.arange(most, device=ptr.device)
    row = (torch.searchsorted(piece_ptr, piece, right=True) - 1).clamp(max=ptr.shape[0] - 2)
    start = ptr.index_select(0, row) + _PIECE * (piece - piece_ptr.index_select(0, row))
    pieces = torch.cat([start.clamp(max=n_elements), ptr[-1:]])
    return pieces, torch.cat([piece_ptr[:-1], piece_ptr[-1:].clamp(max=most)])


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
