"""Prolongations: the matrix that carries a finite-element function from a mesh to a finer one.

With nodal basis functions phi_J of the coarse space and nodes x_i of the fine one, P[i, J] = phi_J(x_i). Where the
spaces are nested (uniform refinement of lines, triangles, quads, tetrahedra, hexahedra and wedges) P is the exact
injection, and P^T A P is the matrix of the coarse space; see W. Hackbusch, "Multi-Grid Methods and Applications", 1985.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import MeshError, ParameterError, TopologyError
from meshlearn.mesh.elevation import FULL, second_order
from meshlearn.mesh.interpolation import interpolation_operator
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.reference import reference_cell
from meshlearn.mesh.refinement import Refinement, refine_once
from meshlearn.ops import SparseOperator, counts_to_ptr, gather

_Block = tuple[Tensor, Tensor, Tensor]  # nodes (m,), coarse nodes (m, k), weights (m, k)


def prolongation(
    coarse: Mesh,
    fine: Mesh | None = None,
    order: int = 1,
    how: str = "auto",
    dtype: torch.dtype | None = None,
) -> SparseOperator:
    """The prolongation P (n_fine, n_coarse) of nodal functions; `P @ u` for u (n_coarse,) or (n_coarse, k).

    coarse  mesh of first-order cells
    fine    a finer mesh of the same domain; `refine(coarse)` when left out
    order   1: a value per point of `coarse` and `fine` (P1, Q1); 2: a value per node of `second_order(coarse)` and
            `second_order(fine)` (P2, Q2), only for uniform refinements
    how     "refinement": `fine` must be what `refine` made of `coarse` (its points may be moved to curved geometry);
            weights are exact. "location": rows are the shape functions of the coarse cell that holds the fine point,
            for any finer mesh. "auto": the first where the cells show that it applies, else the second.
    dtype   of the values; the dtype of the points when left out

    Rows sum to 1; on uniform refinements of pyramids the spaces are not nested, but linears are carried over exactly.
    Raises TopologyError for cells that are not of first order or for a `fine` that is no refinement, MeshError for a
    fine point farther from the coarse mesh than its longest edge, ParameterError for unknown arguments.

    >>> from meshlearn.fem.mesh_prolongation import prolongation
    >>> prolongation(ml.shapes.interval(n=1)).to_dense()
    tensor([[1.0000, 0.0000],
            [0.0000, 1.0000],
            [0.5000, 0.5000]])
    """
    if order not in (1, 2):
        raise ParameterError(f"order={order}: prolongations are built for order 1 (P1, Q1) and 2 (P2, Q2).")
    if how not in ("auto", "refinement", "location"):
        raise ParameterError(f"how={how!r}: expected 'auto', 'refinement' or 'location'.")
    dtype = dtype or coarse.points.dtype
    if fine is None:
        refined: Refinement | None = refine_once(coarse.without_data())
    else:
        refined = None if how == "location" else find_refinement(coarse, fine)
    if refined is None and (how == "refinement" or order == 2):
        raise TopologyError(
            f"the fine mesh (cells {fine.cell_counts if fine else None}) is not what refine() makes of the coarse one "
            f"(cells {coarse.cell_counts}); order {order}, how={how!r}.\n"
            "  refine with ml's refine(), or use how='location' (order 1) for other nested meshes."
        )
    if refined is None:
        assert fine is not None
        return _by_location(coarse, fine, dtype)
    return refinement_prolongation(coarse, refined, order, dtype)


def find_refinement(coarse: Mesh, fine: Mesh) -> Refinement | None:
    """`fine` with the parent of every cell, if it has the points and cells of one uniform refinement of `coarse` in the
    same numbering; None otherwise. Its points may have been moved."""
    if any(kind not in FULL for kind in coarse.cells) or fine.n_points <= coarse.n_points:
        return None
    made = refine_once(coarse.without_data())
    same = set(made.mesh.cells) == set(fine.cells) and made.mesh.n_points == fine.n_points
    same = same and all(torch.equal(nodes, fine.cells[kind]) for kind, nodes in made.mesh.cells.items())
    return Refinement(fine, made.parents) if same else None


def refinement_prolongation(
    coarse: Mesh, refined: Refinement, order: int = 1, dtype: torch.dtype | None = None
) -> SparseOperator:
    """`prolongation` to a refinement that is at hand: `refined` is what `refine_once(coarse)` returned."""
    middle = second_order(coarse.without_data())
    if order == 1:
        n_fine, n_coarse, blocks = middle.n_points, coarse.n_points, [_middles(coarse, middle, k) for k in coarse.cells]
    else:
        finer = second_order(refined.mesh.without_data())
        n_fine, n_coarse = finer.n_points, middle.n_points
        blocks = [_children(refined, coarse, middle, finer, k) for k in refined.parents]
    return _from_blocks(n_fine, n_coarse, blocks, dtype or coarse.points.dtype, coarse.device)


def _middles(coarse: Mesh, middle: Mesh, kind: str) -> _Block:
    """New points of a refined cell, from its corners."""
    nodes, full = coarse.cells[kind], reference_cell(FULL[kind])
    weights = reference_cell(kind).shape(full.nodes[nodes.shape[1] :].double())
    new = middle.cells[FULL[kind]][:, nodes.shape[1] :]
    return _outer(new, nodes, weights.to(coarse.device).expand(len(nodes), -1, -1))


def _children(refined: Refinement, coarse: Mesh, middle: Mesh, finer: Mesh, kind: str) -> _Block:
    """Second-order nodes of the children of type `kind`, from the second-order nodes of their parents."""
    blocks, offset = [], 0
    parents, corners = refined.parents[kind], refined.mesh.cells[kind]
    for parent_kind in coarse.domain_types:
        table = middle.cells[FULL[parent_kind]]
        here = ((parents >= offset) & (parents < offset + len(table))).nonzero().squeeze(1)
        own = table.index_select(0, parents.index_select(0, here) - offset)
        local = (corners.index_select(0, here)[:, :, None] == own[:, None, :]).to(torch.int64).argmax(2)
        offset += len(table)
        if not len(here):
            continue
        outer, inner = reference_cell(FULL[parent_kind]), reference_cell(kind)
        places = gather(outer.nodes.double().to(coarse.device), local)  # (m, n_corners, dim) in the parent
        shape = inner.shape(reference_cell(FULL[kind]).nodes[inner.n_nodes :].double()).to(coarse.device)
        weights = outer.shape(shape @ places)  # (m, new nodes, nodes of the parent)
        new = finer.cells[FULL[kind]].index_select(0, here)[:, inner.n_nodes :]
        blocks.append(_outer(new, own, weights))
    if len({cols.shape[1] for _, cols, _ in blocks}) > 1:
        raise TopologyError(f"second-order prolongation: children of type {kind!r} have parents of several types.")
    return (
        torch.cat([nodes for nodes, _, _ in blocks]),
        torch.cat([cols for _, cols, _ in blocks]),
        torch.cat([weights for _, _, weights in blocks]),
    )


def _outer(new: Tensor, old: Tensor, weights: Tensor) -> _Block:
    """(m, j) new nodes, (m, k) old ones and (m, j, k) weights as rows."""
    cols = old[:, None, :].expand(-1, new.shape[1], -1)
    return new.reshape(-1), cols.reshape(-1, old.shape[1]), weights.reshape(-1, old.shape[1])


def _from_blocks(
    n_fine: int, n_coarse: int, blocks: list[_Block], dtype: torch.dtype, device: torch.device
) -> SparseOperator:
    """Identity on the old nodes, then the first row found for each new one."""
    old = torch.arange(n_coarse, device=device)
    taken = torch.zeros(n_fine, dtype=torch.bool, device=device)
    taken[:n_coarse] = True
    rows, cols, values = [old], [old], [torch.ones(n_coarse, dtype=torch.float64, device=device)]
    for nodes, sources, weights in blocks:
        order = torch.argsort(nodes, stable=True)
        ordered = nodes.index_select(0, order)
        first = torch.ones(len(ordered), dtype=torch.bool, device=device)
        first[1:] = ordered[1:] != ordered[:-1]
        chosen = order.index_select(0, (first & ~taken.index_select(0, ordered)).nonzero().squeeze(1))
        nodes, sources, weights = (t.index_select(0, chosen) for t in (nodes, sources, weights))
        taken[nodes] = True
        kept = (weights.abs() > 1e-12).reshape(-1).nonzero().squeeze(1)
        rows.append(nodes.repeat_interleave(sources.shape[1]).index_select(0, kept))
        cols.append(sources.reshape(-1).index_select(0, kept))
        values.append(weights.reshape(-1).index_select(0, kept))
    return SparseOperator.from_coo(torch.cat(rows), torch.cat(cols), torch.cat(values).to(dtype), (n_fine, n_coarse))


def _by_location(coarse: Mesh, fine: Mesh, dtype: torch.dtype) -> SparseOperator:
    points: Float[Tensor, "n dim"] = fine.points.detach().double()
    source = coarse.without_data().double()
    A, _ = interpolation_operator(source, points, outside="clamp")
    ends = gather(source.points.detach(), source.edges)
    longest = (ends[:, 0] - ends[:, 1]).norm(dim=1).max()
    distance = (A @ source.points.detach() - points).norm(dim=1)
    if bool((distance > longest).any()):
        worst = int(distance.argmax())
        raise MeshError(
            f"fine point {worst} at {points[worst].tolist()} is {float(distance[worst]):.3g} away from the coarse "
            f"mesh, whose longest edge is {float(longest):.3g}: do the meshes cover the same domain?"
        )
    tolerance = 100 * torch.finfo(coarse.points.dtype).eps
    kept = (A.values.abs() > tolerance).nonzero().squeeze(1)
    rows = A.adjacency.receivers.index_select(0, kept)
    values = A.values.index_select(0, kept)
    sums = torch.zeros(A.n_rows, dtype=values.dtype, device=values.device).index_add_(0, rows, values)
    values = values / gather(sums, rows)
    ptr = counts_to_ptr(torch.bincount(rows, minlength=A.n_rows))
    return SparseOperator(ptr, A.index.index_select(0, kept), values.to(dtype), A.n_cols)
