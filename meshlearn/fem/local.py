"""Integrals over cells: coefficients of a form times functions on the reference cell, as one matrix product.

With C the coefficients at a place, M the matrices that carry value and derivatives to the cell, and w the weights,

    K_ij = sum_q sum_{a, b} phi^_ia(q) phi^_jb(q) w_q (|det J| M^T C M)_ab(q):

the bracket is formed per cell and place, or once per cell where it is constant on cells, and the rest is a product
with a table of the reference cell (the tensor representation of Kirby and Logg, ACM TOMS 32, 2006).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from meshlearn.fem.geometry import Maps, carry
from meshlearn.fem.reference import Block


class Side(NamedTuple):
    """A field of the trial or test space at places: its block, tables of its functions, where its parts lie.

    tables  {part: (n_functions, n_places, width)}, or (n_functions, n_cells, n_places, width) of a "table" block
    where   {part: slice of the hidden axis of the form}
    """

    block: Block
    tables: dict[str, Tensor]
    where: dict[str, slice]


def matrices(c: Tensor, maps: Maps, measure: Tensor, weights: Tensor, test: Side, trial: Side) -> Tensor:
    """(n_test, n_trial, n_cells, n_batch) cell matrices without signs; `c` has the axes of a form.

    measure  (n_cells, 1 or n_places): |det J|, on facets times the stretching of the facet
    weights  (n_places,) of the reference cell or facet
    """
    total: Tensor | None = None
    for v in test.where:
        for u in trial.where:
            part = c[trial.where[u] if len(c) > 1 else slice(None)]
            part = part[:, test.where[v]] if c.shape[1] > 1 else part
            made = _pair(part, maps, measure, weights, (test, v), (trial, u))
            total = made if total is None else total + made
    assert total is not None
    return total


def _pair(c: Tensor, maps: Maps, measure: Tensor, weights: Tensor, v: tuple[Side, str], u: tuple[Side, str]) -> Tensor:
    n_v, n_u = v[0].block.components or 1, u[0].block.components or 1
    g = c.reshape(n_u, c.shape[0] // n_u, n_v, c.shape[1] // n_v, *c.shape[2:])
    g = _carried(g, carry(u[0].block, u[1], maps), 1)
    g = _carried(g, carry(v[0].block, v[1], maps), 3)
    g = (g * measure[:, None]).permute(2, 0, 3, 1, 6, 4, 5)  # v comps, u comps, v width, u width, places, cells, batch
    left, right = v[0].tables[v[1]], u[0].tables[u[1]]
    if v[0].block.family == "table" or u[0].block.family == "table":
        return _on_cells(g, left, right, weights)
    if g.shape[4] == 1:
        table = torch.einsum("iqa,jqb,q->ijab", left, right, weights).flatten(2)
    else:
        table = torch.einsum("iqa,jqb,q->ijabq", left, right, weights).flatten(2)
    cells, batch = g.shape[5:]
    product = table.flatten(0, 1) @ g.reshape(n_v * n_u, -1, cells * batch)
    product = product.reshape(n_v, n_u, len(left), len(right), cells, batch)
    return product.permute(2, 0, 3, 1, 4, 5).reshape(len(left) * n_v, len(right) * n_u, cells, batch)


def _on_cells(g: Tensor, left: Tensor, right: Tensor, weights: Tensor) -> Tensor:
    """With functions tabulated on every cell; neither side has components here unless it is of another family."""
    left = left if left.dim() == 4 else left[:, None]
    right = right if right.dim() == 4 else right[:, None]
    weighted = g * weights[:, None, None]
    if g.shape[4] == 1:
        weighted = weighted.expand(*g.shape[:4], len(weights), *g.shape[5:])
    cells = g.shape[5]
    left, right = (t.expand(len(t), cells, *t.shape[2:]) for t in (left, right))
    product = torch.einsum("iequ,jeqv,cduvqez->icjdez", left, right, weighted)
    return product.reshape(len(left) * len(g), -1, *product.shape[4:])


def vectors(c: Tensor, maps: Maps, measure: Tensor, weights: Tensor, test: Side) -> Tensor:
    """(n_test, n_cells, n_batch) cell vectors without signs, of a form that is linear in the test function."""
    total: Tensor | None = None
    n = test.block.components or 1
    for name, where in test.where.items():
        part = c[0, where] if c.shape[1] > 1 else c[0]
        g = part.reshape(n, part.shape[0] // n, *part.shape[1:])
        g = _carried(g, carry(test.block, name, maps), 1)
        g = (g * measure[:, None]).permute(0, 1, 4, 2, 3)  # comps, width, places, cells, batch
        table = test.tables[name]
        cells, batch = g.shape[3:]
        if table.dim() == 4:
            weighted = (g * weights[:, None, None]).expand(*g.shape[:2], len(weights), *g.shape[3:])
            made = torch.einsum("iequ,cuqez->icez", table, weighted)
        else:
            rule = "iqa,q->ia" if g.shape[2] == 1 else "iqa,q->iaq"
            made = torch.einsum(rule, table, weights).flatten(1) @ g.reshape(n, -1, cells * batch)
            made = made.reshape(n, len(table), cells, batch).transpose(0, 1)
        made = made.reshape(-1, cells, batch)
        total = made if total is None else total + made
    assert total is not None
    return total


def _carried(g: Tensor, matrix: Tensor | None, axis: int) -> Tensor:
    """sum_k matrix[k, …] g[…, k, …] along an axis; the matrix has the axes (k, new, cells, places)."""
    if matrix is None:
        return g
    if matrix.shape[:2] == (1, 1):
        return g * matrix[0, 0][:, None]
    if g.shape[-3:] == (1, 1, 1):  # one coefficient for all cells: a matrix product
        made = torch.tensordot(g[..., 0, 0, 0], matrix, ([axis], [0]))
        return made.movedim(-3, axis).unsqueeze(-2)
    rows = matrix[(slice(None), slice(None), *[None] * (g.dim() - axis - 4), slice(None), None)]
    total = g.narrow(axis, 0, 1) * rows[0]
    for k in range(1, len(matrix)):
        total = torch.addcmul(total, g.narrow(axis, k, 1), rows[k])
    return total
