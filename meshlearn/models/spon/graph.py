"""The graph of dofs with the entries of mass and stiffness matrix on its edges, free of units and mesh size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn import ops
from meshlearn.ops import Adjacency, SparseOperator


@dataclass(frozen=True)
class DofGraph:
    """Dofs that meet in the mass or the stiffness matrix.

    edges            row i holds the other dofs that dof i meets
    features         (n_edges, k): position of the sender relative to the receiver and its length, in units of the
                     local spacing h; M_ij / sqrt(M_ii M_jj); K_ij / sqrt(K_ii K_jj); of directed dofs each entry times
                     the matrix of the products of both directions, which does not depend on their signs
    spacing          (n,) local spacing h: mean length of the edges of a dof
    mass_diagonal, mass_edges, stiffness_diagonal, stiffness_edges
                     (n,) and (n_edges,): the matrices, for spread dofs (see `Discretisation.spread`)
    """

    edges: Adjacency
    features: Float[Tensor, "n_edges k"]
    spacing: Float[Tensor, " n"]
    mass_diagonal: Float[Tensor, " n"]
    mass_edges: Float[Tensor, " n_edges"]
    stiffness_diagonal: Float[Tensor, " n"]
    stiffness_edges: Float[Tensor, " n_edges"]


def dof_graph(
    points: Float[Tensor, "n dim"],
    mass: SparseOperator,
    stiffness: SparseOperator,
    functionals: tuple[Tensor, Tensor] | None = None,
) -> DofGraph:
    """The graph of two symmetric matrices of dofs at points; `functionals` as in `Discretisation.functionals`."""
    M, K = mass.to_scipy().tocsr(), stiffness.to_scipy().tocsr()
    if functionals is not None:
        scale = sp.diags(functionals[1].cpu().numpy())
        M, K = scale @ M @ scale, scale @ K @ scale
    pairs = sum(sp.csr_matrix((np.ones(A.nnz), A.indices, A.indptr), A.shape) for A in (M, K)).tocoo()
    off = pairs.row != pairs.col
    rows, columns = (torch.from_numpy(index[off].astype("int64")) for index in (pairs.row, pairs.col))
    edges = Adjacency.from_edges(columns, rows, len(points), len(points))
    rows, columns = edges.receivers, edges.index
    m, k = (_entries(matrix, rows, columns) for matrix in (M, K))
    m_diagonal, k_diagonal = (torch.from_numpy(matrix.diagonal().copy()) for matrix in (M, K))
    device = points.device
    edges = edges.to(device)
    edges.transpose()  # built once here, and kept by every batch made of this sample
    m, k, m_diagonal, k_diagonal = (t.to(device) for t in (m, k, m_diagonal, k_diagonal))

    offset = ops.gather_senders(points, edges) - ops.gather_receivers(points, edges)
    length = offset.norm(dim=1)
    spacing = _spacing(points, edges, length)
    local = 0.5 * (ops.gather_senders(spacing, edges) + ops.gather_receivers(spacing, edges))
    columns_ = [offset / local[:, None], (length / local)[:, None]]
    for entries, diagonal in ((m, m_diagonal), (k, k_diagonal)):
        size = diagonal.clamp(min=1e-300).sqrt()
        scaled = entries / (ops.gather_senders(size, edges) * ops.gather_receivers(size, edges))
        scaled = scaled.clamp(-10.0, 10.0)
        columns_.append(scaled[:, None] if functionals is None else _directed(scaled, functionals[0], edges))
    return DofGraph(edges, torch.cat(columns_, dim=1), spacing, m_diagonal, m, k_diagonal, k)


def _spacing(points: Tensor, edges: Adjacency, length: Tensor) -> Tensor:
    """Mean length of the edges of every dof; the diagonal of the bounding box for a dof without edges."""
    mean = ops.segment_mean(length, edges)
    diagonal = (points.amax(0) - points.amin(0)).norm().clamp(min=1e-30)
    return torch.where(mean > 0, mean, diagonal)


def _entries(matrix: Any, rows: Tensor, columns: Tensor) -> Tensor:
    """matrix[rows, columns], 0 where nothing is stored."""
    stored = matrix.tocoo()
    keys = torch.from_numpy(stored.row.astype("int64") * matrix.shape[1] + stored.col.astype("int64"))
    keys, order = torch.sort(keys)
    values = torch.from_numpy(stored.data.astype("float64")).index_select(0, order)
    wanted = rows * matrix.shape[1] + columns
    place = torch.searchsorted(keys, wanted).clamp(max=max(len(keys) - 1, 0))
    return torch.where(keys.index_select(0, place) == wanted, values.index_select(0, place), 0.0)


def _directed(values: Tensor, direction: Tensor, edges: Adjacency) -> Tensor:
    """(n_edges, dim * dim) entry times receiver's direction times sender's direction."""
    receiver, sender = ops.gather_receivers(direction, edges), ops.gather_senders(direction, edges)
    return (values[:, None, None] * receiver[:, :, None] * sender[:, None, :]).flatten(1)
