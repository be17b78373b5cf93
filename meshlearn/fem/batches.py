"""Matrices of a batch of coefficients: the entries are one sparse product with rows of as many numbers.

Where the coefficients C of a form are constant on cells, the matrices of a batch b are

    K_s(b) = sum over cells c and pairs p = (part of u, part of v) of G_sp(c) C_p(c, b)

with the cell matrices G of unit coefficients. Most C_p vanish or are multiples of each other (in k grad u . grad v all
are k or 0), which is found from their values and not from the form: what is left are a few rows (c, group) of numbers
b, and K is the product of a sparse matrix (entries, rows) with them, summed along contiguous rows. What it costs is
then the memory of K: a matrix is written once, and once more to have every one of the batch in one piece.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function

from meshlearn.fem.pattern import scatter

BLOCK = 1 << 17  # numbers of cell matrices formed at a time
_MOST = 3  # groups above which the matrices of the cells are formed: dense products are cheaper then
_SAME = 8  # roundings by which multiples may differ


class BatchSum:
    """Sum of the cell matrices of a batch, collected run by run of the cells.

    n      number of entries
    batch  how many matrices, 0 before the first run
    """

    def __init__(self, n: int) -> None:
        self.n, self.batch = n, 0
        self._slots: list[Tensor] = []
        self._tensors: list[Tensor] = []
        self._recorded = False

    def add(self, geometry: Callable[[Tensor], Tensor], c: Tensor, slots: Tensor, moving: bool) -> None:
        """A run of cells.

        geometry  from coefficients (trial, test, n_cells or 1, k, 1) to cell matrices (n_test, n_trial, n_cells, k)
        c         (trial, test, n_cells or 1, batch, 1) coefficients of a form
        slots     (n_test, n_trial, n_cells) entries of the cell matrices
        moving    whether the geometry requires a gradient
        """
        self.batch = c.shape[3]
        right = c[..., 0].flatten(0, 1).expand(-1, slots.shape[2], -1)
        if torch.is_grad_enabled() and (c.requires_grad or moving):
            self._recorded = True
            units = torch.eye(len(right), dtype=c.dtype, device=c.device)[:, None]
        else:
            units, kept = multiples(right)
            if not len(kept):
                return
            right = right.index_select(0, kept)
            if bool((units == units[:, :1]).all()):
                units = units[:, :1]
        left = geometry(units.reshape(*c.shape[:2], -1, units.shape[2], 1))
        self._slots.append(slots.flatten(0, 1).t())
        self._tensors += [left.flatten(0, 1).transpose(0, 1), right.transpose(0, 1)]

    def total(self) -> Tensor | None:
        """(n, batch) sum of all runs, laid out so that every matrix of the batch is in one piece; None without any."""
        if not self._slots:
            return None
        if self._recorded:
            return _Sum.apply(self.n, self._slots, *self._tensors).t()
        return _summed(self.n, self._slots, self._tensors).t()


def multiples(c: Tensor) -> tuple[Tensor, Tensor]:
    """Which coefficients (pairs, n_cells, batch) are multiples of others, cell by cell: weights (pairs, n_cells, k) and
    the numbers (k,) of those that are left, so that c = sum_k weights[..., k] c[kept[k]] to rounding."""
    kept: list[int] = []
    weights: list[dict[int, Tensor]] = []
    for p, mine in enumerate(c):
        if not bool(mine[0].any()) and not bool(mine.any()):
            continue
        for first, group in zip(kept, weights, strict=True):
            ratio = _ratio(mine, c[first])
            if ratio is not None:
                group[p] = ratio
                break
        else:
            kept.append(p)
            weights.append({p: c.new_ones(c.shape[1])})
    made = c.new_zeros(len(c), c.shape[1], len(kept))
    for k, group in enumerate(weights):
        for p, weight in group.items():
            made[p, :, k] = weight
    return made, torch.tensor(kept, dtype=torch.int64, device=c.device)


def _ratio(mine: Tensor, other: Tensor) -> Tensor | None:
    """(n_cells,) numbers r with mine = r other for the whole batch, None if there are none."""
    for cells in (slice(0, 1), slice(None)):  # most that differ do so in the first cell
        a, b = mine[cells], other[cells]
        ratio = torch.where(b[:, 0] == 0, 0.0, a[:, 0] / b[:, 0])
        close = (a - ratio[:, None] * b).abs_() <= _SAME * torch.finfo(a.dtype).eps * a.abs()
        if not bool(close.all()):
            return None
    return ratio


class _Sum(Function):
    """(batch, n) sums; backward is made of differentiable products, so that it can itself be differentiated."""

    @staticmethod
    def forward(ctx, n: int, slots: list[Tensor], *tensors: Tensor) -> Tensor:
        ctx.save_for_backward(*tensors)
        ctx.slots = slots
        few: list[Tensor] = []
        for left, right in zip(tensors[::2], tensors[1::2], strict=True):
            weights, kept = multiples(right.transpose(0, 1))
            few += [torch.bmm(left, weights.transpose(0, 1)), right.index_select(1, kept)]
        return _summed(n, slots, few)

    @staticmethod
    def backward(ctx, grad: Tensor):
        rows = grad.t().contiguous()
        found: list[Tensor | None] = []
        tensors = ctx.saved_tensors
        for run, slots in enumerate(ctx.slots):
            left, right = tensors[2 * run : 2 * run + 2]
            n_cells, entries = slots.shape
            step = max(BLOCK // (entries * rows.shape[1]), 1)
            of_left, of_right = [], []
            for start in range(0, n_cells, step):
                block = slice(start, start + step)
                place = slots[block].reshape(-1)
                mine = rows.index_select(0, place).reshape(-1, entries, rows.shape[1])
                if ctx.needs_input_grad[2 + 2 * run]:
                    of_left.append(torch.bmm(mine, right[block].transpose(1, 2)))
                if ctx.needs_input_grad[3 + 2 * run]:
                    of_right.append(torch.bmm(left[block].transpose(1, 2), mine))
            found += [torch.cat(parts) if parts else None for parts in (of_left, of_right)]
        return None, None, *found


def _summed(n: int, slots: list[Tensor], tensors: list[Tensor]) -> Tensor:
    """(batch, n) from runs of left (n_cells, entries, k) and right (n_cells, k, batch)."""
    runs = list(zip(slots, tensors[::2], tensors[1::2], strict=True))
    right = tensors[1]
    if right.device.type == "cpu" and max(part.shape[1] for part in tensors[1::2]) <= _MOST:
        total = _product(n, runs)
    else:
        total = _zeros(n, right.shape[2], right)
        for places, left, right in runs:
            _scatter(left, right, places, total)
    made = _empty(total.shape[1], n, total)
    return made.copy_(total.t())


def _product(n: int, runs: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """Sparse matrix (n, rows) of the cell matrices times rows of numbers."""
    from scipy.sparse import csc_array

    size = sum(left.numel() for _, left, _ in runs)
    columns = [len(right) * right.shape[1] for _, _, right in runs]
    like = runs[0][1]
    whole = torch.empty(0, dtype=torch.int32 if max(n, size) < 2**31 else torch.int64)
    values, index, rows = (
        _empty(1, size, like)[0],
        _empty(1, size, whole)[0],
        _empty(sum(columns), runs[0][2].shape[2], like),
    )
    at, row = 0, 0
    for (places, left, right), count in zip(runs, columns, strict=True):
        n_cells, entries, k = left.shape
        here = slice(at, at + left.numel())
        values[here].view(n_cells, k, entries).copy_(left.transpose(1, 2))
        index[here].view(n_cells, k, entries).copy_(places[:, None].expand(-1, k, -1))
        rows[row : row + count].view(right.shape).copy_(right)
        at, row = here.stop, row + count
    steps = np.repeat([left.shape[1] for _, left, _ in runs], columns)
    ptr = np.concatenate([[0], np.cumsum(steps)]).astype(index.numpy().dtype)
    matrix = csc_array((values.numpy(), index.numpy(), ptr), shape=(n, len(ptr) - 1))
    return torch.from_numpy(matrix @ rows.numpy())


def _scatter(left: Tensor, right: Tensor, places: Tensor, total: Tensor) -> None:
    """Cell matrices formed in blocks that stay in the cache, and added to the rows of total."""
    n_cells, entries = places.shape
    if total.device.type != "cpu":
        scatter(torch.bmm(left, right), places, total)
        return
    step = max(BLOCK // (entries * right.shape[2]), 1)
    for start in range(0, n_cells, step):
        block = slice(start, start + step)
        made = torch.bmm(left[block], right[block])
        total.index_add_(0, places[block].reshape(-1), made.reshape(-1, right.shape[2]))


def _empty(n: int, m: int, like: Tensor) -> Tensor:
    """Memory for (n, m) numbers. Numpy asks the system for large pages, which fresh memory costs several times less
    with; torch does not."""
    if like.device.type != "cpu":
        return torch.empty(n, m, dtype=like.dtype, device=like.device)
    return torch.from_numpy(np.empty((n, m), torch.empty(0, dtype=like.dtype).numpy().dtype))


def _zeros(n: int, m: int, like: Tensor) -> Tensor:
    return _empty(n, m, like).zero_()
