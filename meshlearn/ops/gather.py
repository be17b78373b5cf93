"""Gathers from points to edges whose backward is a sum over compressed rows: deterministic, and fast on CPU."""

from __future__ import annotations

import torch
from jaxtyping import Int64, Num
from torch import Tensor

from meshlearn.errors import MeshError
from meshlearn.ops import kernel_inputs
from meshlearn.ops.adjacency import Adjacency
from meshlearn.ops.csr import RowSpread, raw_csr_sum
from meshlearn.ops.functions import PositionalFunction, is_transformed
from meshlearn.ops.memory import pick_rows
from meshlearn.ops.registry import _FLOATS, Kernel

_senders = Kernel("gather_senders", inputs=kernel_inputs.sent)
_receivers = Kernel("gather_receivers", inputs=kernel_inputs.received)


def gather_senders(
    x: Num[Tensor, "n_cols *features"], adjacency: Adjacency, backend: str | None = None
) -> Num[Tensor, "n_edges *features"]:
    """The sender's value on every edge: (n_cols, ...) -> (n_edges, ...).

    >>> path = ml.ops.Adjacency.from_edges(torch.tensor([0, 1]), torch.tensor([1, 2]), n_rows=3)
    >>> ml.ops.gather_senders(torch.tensor([1.0, 2.0, 3.0]), path)
    tensor([1., 2.])
    """
    _check_rows(x, adjacency.n_cols, "senders (columns)", adjacency)
    return _senders(x, adjacency, backend=backend)


def gather_receivers(
    x: Num[Tensor, "n_rows *features"], adjacency: Adjacency, backend: str | None = None
) -> Num[Tensor, "n_edges *features"]:
    """The receiver's value on every edge: (n_rows, ...) -> (n_edges, ...).

    >>> path = ml.ops.Adjacency.from_edges(torch.tensor([0, 1]), torch.tensor([1, 2]), n_rows=3)
    >>> ml.ops.gather_receivers(torch.tensor([1.0, 2.0, 3.0]), path)
    tensor([2., 3.])
    """
    _check_rows(x, adjacency.n_rows, "receivers (rows)", adjacency)
    return _receivers(x, adjacency, backend=backend)


def gather(x: Num[Tensor, "n_rows *features"], index: Int64[Tensor, "*picked"]) -> Num[Tensor, "*picked *features"]:
    """Rows of x by any index: (n_rows, ...), (*picked) -> (*picked, ...), for tables such as cells.

    The backward adds in a fixed order, so that two runs agree to the last bit on CPU and on CUDA. For the edges of a
    graph use `gather_senders` and `gather_receivers`, which know the order of the edges beforehand.

    >>> ml.ops.gather(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([[0, 2], [2, 1]]))
    tensor([[1., 4.],
            [4., 2.]])
    """
    flat = index.reshape(-1)
    rows = _Pick.apply(x, flat) if x.requires_grad or is_transformed() else pick_rows(x, flat)
    return rows.reshape(*index.shape, *x.shape[1:])


class _Pick(PositionalFunction):
    with_features = (0,)

    @staticmethod
    def forward(x, index):
        return pick_rows(x, index)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.index = inputs
        ctx.n_rows = x.shape[0]

    @staticmethod
    def backward(ctx, grad):
        return _Put.apply(grad, ctx.index, ctx.n_rows), None


class _Put(PositionalFunction):
    with_features = (0,)

    @staticmethod
    def forward(grad, index, n_rows):
        if grad.device.type == "cpu" or grad.dtype not in _FLOATS:
            return grad.new_zeros((n_rows, *grad.shape[1:])).index_add_(0, index, grad)
        rows, order = torch.sort(index, stable=True)
        ptr = torch.searchsorted(rows, torch.arange(n_rows + 1, device=rows.device))
        return raw_csr_sum(grad, ptr, order, None, "bag")

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, ctx.index, _ = inputs

    @staticmethod
    def backward(ctx, grad):
        return _Pick.apply(grad, ctx.index), None, None


def _check_rows(x: Tensor, n: int, side: str, adjacency: Adjacency) -> None:
    if x.dim() == 0 or x.shape[0] != n:
        raise MeshError(
            f"x has shape {tuple(x.shape)}, but the adjacency has {n} {side}.\n"
            f"  {adjacency}; expected x of shape ({n}, ...)."
        )


@_senders.register("baseline")
def _senders_baseline(x, adjacency):
    return x.index_select(0, adjacency.index)


@_senders.register("paired", rank=10, dtypes=_FLOATS)
def _senders_paired(x, adjacency):
    if not (torch.is_grad_enabled() and x.requires_grad) and not is_transformed():
        return pick_rows(x, adjacency.index)
    reverse, order = adjacency.transpose()
    return RowSpread.apply(x, reverse.ptr, order, adjacency.index, "bag")


@_receivers.register("baseline")
def _receivers_baseline(x, adjacency):
    return x.index_select(0, adjacency.receivers)


@_receivers.register("paired", rank=10, dtypes=_FLOATS)
def _receivers_paired(x, adjacency):
    return RowSpread.apply(x, adjacency.ptr, None, adjacency.receivers, "bag")
