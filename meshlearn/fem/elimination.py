"""Which degree of freedom follows from which: the algebra behind constraints, on the host, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import ConstraintError, ParameterError

_RANK = 1e-10  # of the largest pivot: below it rows count as dependent
_DENSE = 50_000_000  # entries of the dense block that entangled rows may form


def first_of_equal(dofs: Tensor, values: Tensor) -> Tensor:
    """Places of the first mention of every dof. Raises ConstraintError when a later one has another value."""
    unique, inverse = torch.unique(dofs, return_inverse=True)
    place = torch.arange(len(dofs), device=dofs.device)
    if len(unique) == len(dofs):
        return place
    first = torch.full_like(unique, len(dofs)).scatter_reduce_(0, inverse, place, "amin")
    differs = (values != values.index_select(0, first.index_select(0, inverse))).reshape(len(dofs), -1).any(1)
    if bool(differs.any()):
        at = int(torch.nonzero(differs)[0, 0])
        other = int(first[inverse[at]])
        raise ConstraintError(
            f"degree of freedom {int(dofs[at])} is given two values, {values[other].tolist()} and {values[at].tolist()}"
        )
    return torch.sort(first)[0]


def follow_pairs(n: int, slaves: Tensor, masters: Tensor, weights: Tensor | None) -> tuple[np.ndarray, np.ndarray]:
    """(root, factor), both (n,): u[i] = factor[i] * u[root[i]] for all pairs u[slave] = weight * u[master]."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    s, m = slaves.cpu().numpy(), masters.cpu().numpy()
    w = np.ones(len(s)) if weights is None else weights.detach().cpu().double().numpy()
    if not (np.isfinite(w).all() and (w != 0).all()):
        raise ParameterError("the weights of periodic pairs must be finite and not zero")
    _, group = connected_components(coo_array((np.ones(len(s)), (s, m)), shape=(n, n)), directed=False)
    # the root of a group: a dof that is nobody's slave if there is one, and the lowest of these
    follows = np.zeros(n, dtype=bool)
    follows[s] = True
    order = np.lexsort((np.arange(n), follows, group))
    roots = order[np.unique(group[order], return_index=True)[1]]
    # one search from an extra dof n that leads to all roots: dofs are reached along pairs, parents first
    start = coo_array(
        (np.ones(len(s) + len(roots)), (np.r_[s, np.full(len(roots), n)], np.r_[m, roots])), shape=(n + 1, n + 1)
    )
    _, parent = breadth_first_order(start.tocsr(), n, directed=False)
    step = _step_factors(n, s, m, w, parent)
    root, factor = np.where(parent[:n] == n, np.arange(n), parent[:n]), step
    while True:  # pointer doubling: a chain of length k is followed in log k rounds
        factor, nearer = factor * np.where(root == np.arange(n), 1.0, factor[root]), root[root]
        if (nearer == root).all():
            break
        root = nearer
    wrong = np.abs(factor[s] - w * factor[m]) > 1e-12 * np.abs(factor[s])
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise ConstraintError(
            f"periodic pairs contradict each other at degree of freedom {s[at]}: it is {w[at]:g} times dof {m[at]}, "
            f"and along other pairs {factor[s[at]] / factor[m[at]]:g} times.\n  Together they would force zero."
        )
    return root, factor


def _step_factors(n: int, s: np.ndarray, m: np.ndarray, w: np.ndarray, parent: np.ndarray) -> np.ndarray:
    """factor (n,) with u[i] = factor[i] * u[parent[i]] by one of the pairs between them; 1 for roots."""
    factor = np.ones(n)
    down = parent[s] == m
    factor[s[down]] = w[down]
    up = (parent[m] == s) & (parent[s] != m)
    factor[m[up]] = 1 / w[up]
    return factor


def rows_of_roots(root: np.ndarray, factor: np.ndarray) -> tuple[Any, np.ndarray]:
    """B as a scipy matrix, and the independent dofs, of u[i] = factor[i] * u[root[i]]."""
    from scipy.sparse import csr_array

    n = len(root)
    independent = np.flatnonzero(root == np.arange(n))
    number = np.full(n, -1)
    number[independent] = np.arange(len(independent))
    return csr_array((factor, number[root], np.arange(n + 1)), shape=(n, len(independent))), independent


def eliminate(C: Any, values: np.ndarray, repeats: bool = False) -> tuple[Any, Any, np.ndarray]:
    """Solve C u = values for one dof per row: u = rows @ u[independent] + load @ values.

    Rows with one entry (prescribed dofs) come first, then rows with a dof that no other row has, and what is left is
    entangled and goes through a dense QR factorisation with column pivoting.
    Raises ConstraintError for contradicting rows, and for repeated or dependent ones unless `repeats`.
    """
    from scipy.sparse import csr_array, eye_array, vstack

    rows = csr_array(C, dtype=np.float64)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    m, n = rows.shape
    if not np.isfinite(rows.data).all():
        raise ParameterError("the rows of a linear constraint must be finite")
    scale = np.abs(rows).max(axis=1).toarray().ravel() if m else np.zeros(0)
    if (scale == 0).any():
        raise ConstraintError(f"row {int(np.flatnonzero(scale == 0)[0])} of the linear constraint has no entries")
    # `made` says which combination of the given values each current row equals
    made = csr_array(eye_array(m, format="csr"))
    original, steps = np.arange(m), []
    while rows.shape[0]:
        left, pivots = _single_entries(rows)
        if not len(pivots):
            left, pivots = _private_columns(rows)
        if not len(pivots):
            break
        own = rows[left, pivots]
        weight = csr_array((1 / own, (np.arange(len(own)),) * 2), shape=(len(own),) * 2)
        steps.append((pivots, _without(weight @ rows[left], pivots), weight @ made[left]))
        keep = np.setdiff1d(np.arange(rows.shape[0]), left)
        spread = rows[keep][:, pivots]
        reduced = rows[keep] - spread @ (weight @ rows[left])
        made, original = csr_array(made[keep] - spread @ (weight @ made[left])), original[keep]
        rows = _without(csr_array(reduced), pivots)
        empty = _check_empty(rows, made, scale[original], values, original, repeats)
        rows, made, original = rows[~empty], made[~empty], original[~empty]
    if rows.shape[0]:
        steps.append(_dense_step(rows, made, values, original, repeats))
    pivots = np.concatenate([step[0] for step in steps]) if steps else np.zeros(0, dtype=np.int64)
    independent = np.setdiff1d(np.arange(n), pivots)
    return *_substitute_back(steps, independent, n, m, vstack, csr_array), independent


def _single_entries(rows: Any) -> tuple[np.ndarray, np.ndarray]:
    left = np.flatnonzero(np.diff(rows.indptr) == 1)
    columns = rows.indices[rows.indptr[left]]
    pivots, first = np.unique(columns, return_index=True)
    return left[first], pivots


def _private_columns(rows: Any) -> tuple[np.ndarray, np.ndarray]:
    """For rows that have a column to themselves, the largest such entry."""
    owner = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    private = np.bincount(rows.indices, minlength=rows.shape[1])[rows.indices] == 1
    size = np.where(private, np.abs(rows.data), 0)
    order = np.lexsort((-size, owner))
    left, first = np.unique(owner[order], return_index=True)
    best = order[first]
    largest = np.maximum.reduceat(np.abs(rows.data), rows.indptr[left]) if len(left) else np.zeros(0)
    good = private[best] & (size[best] >= 1e-3 * largest)  # a tiny pivot would blow up rounding
    return left[good], rows.indices[best][good]


def _without(rows: Any, columns: np.ndarray) -> Any:
    """The rows with some columns set to zero, exactly."""
    from scipy.sparse import csr_array

    rows = csr_array(rows)
    gone = np.zeros(rows.shape[1], dtype=bool)
    gone[columns] = True
    rows.data[gone[rows.indices]] = 0
    rows.eliminate_zeros()
    return rows


def _check_empty(rows, made, scale, values, original, repeats) -> np.ndarray:
    """Which rows have been used up by others; raises when what is left of them reads 0 = something."""
    rows.data[np.abs(rows.data) <= 1e-14 * np.repeat(scale, np.diff(rows.indptr))] = 0
    rows.eliminate_zeros()
    empty = np.diff(rows.indptr) == 0
    if empty.any():
        size = _size(made[empty], values)
        _refuse(np.abs(made[empty] @ values), size, original[empty], repeats)
    return empty


def _size(made: Any, values: np.ndarray) -> np.ndarray:
    """What combinations of the values are compared with, 1e-10 of it: of values near 0 the rounding that they carry."""
    return np.abs(made) @ (np.abs(values) + 1e-5 * np.abs(values).max(initial=0.0))


def _refuse(left: np.ndarray, size: np.ndarray, original: np.ndarray, repeats: bool) -> None:
    wrong = left > 1e-10 * size
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise ConstraintError(
            f"row {original[at]} of the linear constraint contradicts the others: they leave 0 = {left[at]:.3e}"
        )
    if not repeats:
        raise ConstraintError(
            f"row {original[0]} of the linear constraint follows from the others "
            f"({len(original)} such rows): leave it out"
        )


def _dense_step(rows, made, values, original, repeats) -> tuple[np.ndarray, Any, Any]:
    from scipy.linalg import qr, solve_triangular
    from scipy.sparse import csr_array

    columns = np.unique(rows.indices)
    if rows.shape[0] * len(columns) > _DENSE:
        raise ParameterError(
            f"{rows.shape[0]} constraint rows share {len(columns)} dofs with each other: too many to disentangle"
        )
    size = np.abs(rows).max(axis=1).toarray().ravel()
    dense = rows[:, columns].toarray() / size[:, None]
    q, r, order = qr(dense, mode="full", pivoting=True)
    pivot = np.abs(np.diag(r))
    rank = int((pivot > _RANK * pivot[0]).sum())
    combined = csr_array(q.T @ (made.toarray() / size[:, None]))
    if rank < rows.shape[0]:
        rest = combined[rank:]
        leading = np.argmax(np.abs(q[:, rank:]), axis=0)
        _refuse(np.abs(rest @ values), _size(rest, values), original[leading], repeats)
    triangle = r[:rank, :rank]
    others = solve_triangular(triangle, r[:rank, rank:])
    others[np.abs(others) < 1e-14] = 0
    pivots = columns[order[:rank]]
    held = csr_array(others).tocoo()
    spread = csr_array((held.data, (held.row, columns[order[rank:]][held.col])), shape=(rank, rows.shape[1]))
    return pivots, spread, csr_array(solve_triangular(triangle, combined[:rank].toarray()))


def _substitute_back(steps, independent, n, m, vstack, csr_array) -> tuple[Any, Any]:
    """u[pivots] = made @ values - others @ u, from the last step to the first: B and load as scipy matrices."""
    unknowns = np.arange(len(independent))
    rows = csr_array((np.ones(len(independent)), (independent, unknowns)), shape=(n, len(independent)))
    load = csr_array((n, m))
    for pivots, others, made in reversed(steps):
        place = csr_array((np.ones(len(pivots)), (pivots, np.arange(len(pivots)))), shape=(n, len(pivots)))
        rows, load = rows - place @ (others @ rows), load + place @ (made - others @ load)
    return csr_array(rows), csr_array(load)
