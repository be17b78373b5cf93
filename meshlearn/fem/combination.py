"""Two affine constraints at once."""

from __future__ import annotations

import torch
from torch import Tensor

from meshlearn.errors import ConstraintError, ParameterError
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.ops import SparseOperator


def combine(a: AffineConstraint, b: AffineConstraint) -> AffineConstraint:
    """u that satisfies both. Raises ConstraintError naming a dof where they contradict each other.

    Prescribed values stay exact. Constraints that repeat each other are fine (corners of periodic boxes).
    """
    if a.n != b.n or a.g.device != b.g.device:
        raise ParameterError(f"{a} on {a.g.device} and {b} on {b.g.device} cannot be combined")
    if a.is_identity or b.is_identity:
        return b if a.is_identity else a
    g_a, g_b = _same_columns(a, b)
    number, zero = a.from_number and b.from_number, a.is_homogeneous and b.is_homogeneous
    if a.free is not None and b.free is not None:
        return _both_prescribed(a, b, g_a, g_b, number, zero)
    if g_a.dim() == 2:
        raise ParameterError(
            "several sets of data, (n, k), combine for prescribed dofs only; combine one set at a time"
        )
    (upper, data_a), (lower, data_b) = _as_rows(a, g_a), _as_rows(b, g_b)
    stacked, data = _stack(upper, lower), torch.cat([data_a, data_b])
    try:
        made = AffineConstraint._of_elimination(stacked, data, number, zero, repeats=True)
    except ConstraintError as error:
        names = torch.cat([a.constrained, b.constrained])
        raise ConstraintError(
            f"{a} and {b} contradict each other.\n  {error}\n  rows are those of the constrained dofs, in order: "
            f"{names[:5].tolist()}, ... ({len(names)})"
        ) from None
    made.moving = _moving(a, b)
    return made


def _moving(a: AffineConstraint, b: AffineConstraint) -> tuple[Tensor, AffineConstraint] | None:
    """The weights of a mean value that require a gradient, and all constraints but this one."""
    if a.moving is not None and b.moving is not None:
        raise ParameterError(
            "two mean values whose weights require a gradient: derivatives follow one of them. Fix the other in one "
            "point, or let its weights stand still, weights.detach()."
        )
    if a.moving is not None:
        return a.moving[0], a.moving[1] & b
    return None if b.moving is None else (b.moving[0], a & b.moving[1])


def _same_columns(a: AffineConstraint, b: AffineConstraint) -> tuple[Tensor, Tensor]:
    dtype = torch.promote_types(a.g.dtype, b.g.dtype)
    if a.from_number != b.from_number:  # numbers take the dtype of the tensor
        dtype = b.g.dtype if a.from_number else a.g.dtype
    g_a, g_b = a.g.to(dtype), b.g.to(dtype)
    if g_a.dim() != g_b.dim():
        k = max(g_a.dim() and g_a.shape[-1] * (g_a.dim() == 2), g_b.shape[-1] * (g_b.dim() == 2))
        g_a = g_a if g_a.dim() == 2 else g_a.unsqueeze(1).expand(-1, k)
        g_b = g_b if g_b.dim() == 2 else g_b.unsqueeze(1).expand(-1, k)
    if g_a.shape != g_b.shape:
        raise ParameterError(f"the constraints have data of shapes {tuple(a.g.shape)} and {tuple(b.g.shape)}")
    return g_a, g_b


def _both_prescribed(a, b, g_a: Tensor, g_b: Tensor, number: bool, zero: bool) -> AffineConstraint:
    free_a, free_b = (torch.zeros(a.n, dtype=torch.bool, device=g_a.device) for _ in range(2))
    free_a[a.independent], free_b[b.independent] = True, True
    differs = (g_a.detach() != g_b.detach()).reshape(a.n, -1).any(1) & ~free_a & ~free_b
    if bool(differs.any()):
        dof = int(torch.nonzero(differs)[0, 0])
        raise ConstraintError(
            f"degree of freedom {dof} is prescribed twice, as {g_a[dof].tolist()} and as {g_b[dof].tolist()} "
            f"({int(differs.sum())} such dofs)"
        )
    only_b = free_a & ~free_b
    g = torch.where(only_b.reshape(-1, *[1] * (g_a.dim() - 1)), g_b, g_a)
    return AffineConstraint(torch.nonzero(free_a & free_b).squeeze(1), g, None, None, number, zero)


def _as_rows(constraint: AffineConstraint, g: Tensor) -> tuple[SparseOperator, Tensor]:
    """C, c with C u = c: u[i] - sum_j B[i, j] u[independent[j]] = g[i] for every constrained dof i."""
    dofs = constraint.constrained
    B = constraint.B
    number = torch.full((constraint.n,), -1, dtype=torch.int64, device=dofs.device)
    number[dofs] = torch.arange(len(dofs), device=dofs.device)
    owner = number.index_select(0, B.adjacency.receivers)
    keep = torch.nonzero(owner >= 0).squeeze(1)
    rows = torch.cat([torch.arange(len(dofs), device=dofs.device), owner.index_select(0, keep)])
    columns = torch.cat([dofs, constraint.independent.index_select(0, B.index.index_select(0, keep))])
    entries = torch.cat([B.values.new_ones(len(dofs)), -B.values.index_select(0, keep)])
    return SparseOperator.from_coo(rows, columns, entries, (len(dofs), constraint.n)), g.index_select(0, dofs)


def _stack(upper: SparseOperator, lower: SparseOperator) -> SparseOperator:
    n_entries, n_rows = upper.adjacency.n_edges, upper.n_rows
    return (
        SparseOperator(
            torch.cat([upper.ptr, lower.ptr[1:] + n_entries]),
            torch.cat([upper.index, lower.index]),
            torch.cat([upper.values, lower.values]),
            upper.n_cols,
        )
        if n_rows
        else lower
    )
