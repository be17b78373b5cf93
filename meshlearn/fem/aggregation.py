"""Algebraic coarsening: groups of strongly coupled unknowns become the unknowns of the coarse level.

P. Vanek, J. Mandel, M. Brezina, "Algebraic multigrid by smoothed aggregation for second and fourth order elliptic
problems", Computing 56, 1996: greedy disjoint neighbourhoods, a tentative prolongation that carries the near null
space exactly, smoothed by one step of damped Jacobi.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

ROUNDING = 1e-12


@dataclass(frozen=True)
class Coarsening:
    """One step: P (n, n_coarse) scipy csr, near null space (n_coarse, k), node of every coarse unknown (n_coarse,)."""

    P: Any
    near: np.ndarray
    nodes: np.ndarray


def coarsen(A: Any, near: np.ndarray, nodes: np.ndarray, smooth: bool, strength: float, omega: float) -> Coarsening:
    """Aggregate the unknowns of A.

    A         scipy csr (n, n), symmetric positive definite
    near      (n, k) float64, vectors that the coarse space must hold (constants; rigid motions)
    nodes     (n,) int64, node of every unknown: unknowns of a node are aggregated together
    smooth    whether the tentative prolongation is smoothed
    strength  nodes i, j are coupled where |a_ij| > strength * sqrt(a_ii a_jj) (norms of the blocks)
    omega     (I - omega D^-1 A) T, already divided by the largest eigenvalue of D^-1 A
    """
    graph = node_graph(A, nodes, strength)
    aggregate = greedy_aggregates(graph)
    T, coarse_near, coarse_nodes = tentative(aggregate[nodes], near)
    if smooth:
        filtered = _without_weak(A, graph, nodes) if strength > 0 else A
        T = T - sp.diags_array(omega / filtered.diagonal()) @ (filtered @ T)
    P = sp.csr_array(T)
    P.sort_indices()
    return Coarsening(P, coarse_near, coarse_nodes)


def node_graph(A: Any, nodes: np.ndarray, strength: float) -> Any:
    """csr (n_nodes, n_nodes) of the strong couplings |a_ij|, without a diagonal; symmetric for symmetric A.

    What rounding left where entries cancel (the diagonals of a square grid of triangles) is no coupling.
    """
    entries = sp.coo_array(A)
    n = int(nodes.max(initial=-1)) + 1
    squares = sp.csr_array((entries.data**2, (nodes[entries.row], nodes[entries.col])), shape=(n, n))
    diagonal = np.sqrt(np.sqrt(squares.diagonal()))
    pairs = sp.coo_array(squares)
    size = np.sqrt(pairs.data)
    floor = max(strength, ROUNDING) * diagonal[pairs.row] * diagonal[pairs.col]
    strong = (pairs.row != pairs.col) & (size > floor)
    return sp.csr_array((size[strong], (pairs.row[strong], pairs.col[strong])), shape=(n, n))


def greedy_aggregates(graph: Any) -> np.ndarray:
    """(n,) int64 aggregate of every node, -1 for nodes without couplings (a smoother solves those).

    First pass, in the order of the numbers: a node whose neighbours are all free founds an aggregate, with all of them.
    Every node left then has a neighbour in one; the second pass puts it to the strongest of these neighbours.
    """
    ptr, index = graph.indptr.tolist(), graph.indices.tolist()
    n = graph.shape[0]
    owner, count = [-1] * n, 0
    for node in range(n):
        around = index[ptr[node] : ptr[node + 1]]
        if owner[node] >= 0 or not around or any(owner[k] >= 0 for k in around):
            continue
        for k in around:
            owner[k] = count
        owner[node] = count
        count += 1
    found = np.asarray(owner, dtype=np.int64)
    entries = sp.coo_array(graph)
    joins = (found[entries.row] < 0) & (found[entries.col] >= 0)
    row, col, size = entries.row[joins], entries.col[joins], entries.data[joins]
    order = np.lexsort((-col, size, row))  # the last entry of a row: strongest, then of the smallest number
    row, col = row[order], col[order]
    last = np.append(row[1:] != row[:-1], True) if len(row) else np.zeros(0, dtype=bool)
    result = found.copy()
    result[row[last]] = found[col[last]]
    return result


def tentative(aggregate: np.ndarray, near: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
    """T with orthonormal columns on each aggregate and T near_coarse = near: (T, near_coarse, node of each column).

    Directions that an aggregate cannot tell apart (three rigid motions on one node) give no column.
    """
    inside = np.flatnonzero(aggregate >= 0)
    owner, n_near = aggregate[inside], near.shape[1]
    n_aggregates = int(owner.max(initial=-1)) + 1
    order = np.argsort(owner, kind="stable")
    inside, owner = inside[order], owner[order]
    rows = near[inside]
    gram = np.zeros((n_aggregates, n_near, n_near))
    for i in range(n_near):
        for j in range(n_near):
            gram[:, i, j] = np.bincount(owner, rows[:, i] * rows[:, j], minlength=n_aggregates)
    size, vectors = np.linalg.eigh(gram)
    kept = size > 1e-10 * np.maximum(size[:, -1:], np.finfo(float).tiny)
    root = np.sqrt(np.where(kept, size, 1.0))
    column = np.cumsum(kept.reshape(-1)).reshape(kept.shape) - 1
    local = np.einsum("ni,nij->nj", rows, vectors[owner]) / root[owner]
    used = kept[owner]
    T = sp.csr_array(
        (local[used], (np.repeat(inside, used.sum(1)), column[owner][used])), shape=(len(aggregate), int(kept.sum()))
    )
    coarse_near = (np.swapaxes(vectors, 1, 2) * root[:, :, None])[kept]
    return T, coarse_near, np.repeat(np.arange(n_aggregates), kept.sum(1))


def _without_weak(A: Any, graph: Any, nodes: np.ndarray) -> Any:
    """A with its weak couplings moved to the diagonal, so that row sums stay."""
    entries = sp.coo_array(A)
    n = graph.shape[0]
    strong = sp.coo_array(graph)
    keys = np.sort(strong.row.astype(np.int64) * n + strong.col)
    mine = nodes[entries.row].astype(np.int64) * n + nodes[entries.col]
    place = np.minimum(np.searchsorted(keys, mine), max(len(keys) - 1, 0))
    kept = nodes[entries.row] == nodes[entries.col]
    if len(keys):
        kept = kept | (keys[place] == mine)
    col = np.where(kept, entries.col, entries.row)
    return sp.csr_array((entries.data, (entries.row, col)), shape=A.shape)
