"""Parts and copies of sparse matrices: free unknowns only, and one block per component of a vector field."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.ops import SparseOperator, gather


def expand_components(P: SparseOperator, components: int) -> SparseOperator:
    """P for vector fields: component c of node i is unknown `i * components + c` on both levels (P ⊗ identity).

    Raises ParameterError for fewer than one component.
    """
    if components < 1:
        raise ParameterError(f"components={components}: expected 1 or more.")
    if components == 1:
        return P
    component = torch.arange(components, device=P.device)
    rows = (P.adjacency.receivers[:, None] * components + component).reshape(-1)
    cols = (P.index[:, None] * components + component).reshape(-1)
    values = P.values.repeat_interleave(components)
    return SparseOperator.from_coo(rows, cols, values, (P.n_rows * components, P.n_cols * components))


def submatrix(
    A: SparseOperator, rows: Int64[Tensor, " n_kept_rows"], cols: Int64[Tensor, " n_kept_cols"]
) -> SparseOperator:
    """A[rows][:, cols] (n_kept_rows, n_kept_cols), differentiable in the values; ids are distinct, in any order.

    >>> from meshlearn.fem.restriction import submatrix
    >>> A = ml.ops.SparseOperator.from_dense(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    >>> submatrix(A, torch.tensor([1]), torch.tensor([0, 1])).to_dense()
    tensor([[3., 4.]])
    """
    new_row, new_col = _renumbering(rows, A.n_rows), _renumbering(cols, A.n_cols)
    r, c = gather(new_row, A.adjacency.receivers), gather(new_col, A.index)
    kept = ((r >= 0) & (c >= 0)).nonzero().squeeze(1)
    r, c = r.index_select(0, kept), c.index_select(0, kept)
    return SparseOperator.from_coo(r, c, gather(A.values, kept), (len(rows), len(cols)))


def coarse_free(P: SparseOperator, free: Bool[Tensor, " n_fine"]) -> Bool[Tensor, " n_coarse"]:
    """(n_coarse,) bool: coarse functions that vanish at every constrained fine node, so that P keeps Dirichlet data.

    `free` (n_fine,) bool marks the unconstrained fine nodes.
    """
    touched = (P.values.detach().abs() > 1e-10) & ~free.index_select(0, P.adjacency.receivers)
    mask = torch.ones(P.n_cols, dtype=torch.bool, device=P.device)
    mask[P.index.index_select(0, touched.nonzero().squeeze(1))] = False
    return mask


def _renumbering(ids: Tensor, n: int) -> Tensor:
    number = torch.full((n,), -1, dtype=torch.int64, device=ids.device)
    number[ids] = torch.arange(len(ids), device=ids.device)
    return number
