"""Matrices, vectors and integrals of weak forms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.fields import Place
from meshlearn.fem.forms import Jets, coefficients, n_arguments
from meshlearn.fem.local import Side, matrices, unit_coefficients, vectors
from meshlearn.fem.pattern import scatter, scatter_batch
from meshlearn.fem.places import Region, cell_rule, facet_groups, place, region
from meshlearn.fem.stacked import StackedOperator
from meshlearn.ops import SparseOperator

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace

CHUNK = 1 << 24  # numbers of a coefficient array formed at a time

Assembled = SparseOperator | StackedOperator | Tensor


def assemble(
    test: FESpace,
    trial: FESpace,
    form: Callable[..., Any],
    on: Any = None,
    order: int | None = None,
    given: dict[str, Any] | None = None,
) -> Assembled:
    """The integral of a form over the cells, or over the facets `on`; see `FESpace.assemble`."""
    given = given or {}
    count = n_arguments(form)
    sides = [(trial, Jets.of("u", trial.blocks, test.dim)), (test, Jets.of("v", test.blocks, test.dim))][3 - count :]
    if order is None:
        order = sum(s.degree for s, _ in sides) if count == 3 else 2 * test.degree
    pattern = test.pattern(trial) if count == 3 else None
    n = pattern.adjacency.n_edges if pattern else test.n_dofs
    total: Tensor | None = None
    for where in _regions(test, on, order, [s for s, _ in sides]):
        jets = [j for _, j in sides]
        c, slices = coefficients(form, jets, _first(test, where, given), place(test, where, given), test.like)
        if count == 1:
            weighted = c[0, 0] * where.measure[:, None] * where.weights
            one_point = weighted.shape[-1] == 1
            made = (weighted * where.weights.sum() if one_point else weighted).sum((0, 2))
        elif count == 2:
            made = _vector(test, where, c, slices[0], n)
        else:
            made = _matrix(test, trial, where, c, slices, pattern)
        total = made if total is None else total + made
    assert total is not None
    return _finish(total, pattern)


def _finish(total: Tensor, pattern: Any) -> Assembled:
    if pattern is None:
        made = total.transpose(0, -1)
        return made[0] if len(made) == 1 else made.contiguous()
    if total.shape[1] == 1:
        return SparseOperator.from_adjacency(pattern.adjacency, total[:, 0])
    return StackedOperator(pattern.adjacency, total.t().contiguous())


def _regions(space: FESpace, on: Any, order: int, spaces: list[FESpace]) -> Iterator[Region]:
    if on is not None:
        for cells, rule in facet_groups(space, on, order):
            yield region(space, cells, rule)
        return
    rule = cell_rule(space, order)
    n_cells = len(space.element_dofs)
    widths = [sum(sum(torch.Size(s).numel() for s in b.shapes(space.dim).values()) for b in s.blocks) for s in spaces]
    per_cell = 1 if space.geometry.affine else len(rule.weights)
    for width in widths:
        per_cell *= width
    step = max(CHUNK // per_cell, 1)
    if n_cells <= step:
        yield region(space, None, rule)
        return
    for start in range(0, n_cells, step):
        cells = torch.arange(start, min(start + step, n_cells), device=space.device)
        yield region(space, cells, rule)


def _first(space: FESpace, where: Region, given: dict[str, Any]) -> Place:
    """The place of the first cell alone, on which the form is tried."""
    with torch.no_grad():
        cells = torch.zeros(1, dtype=torch.int64, device=space.device) if where.cells is None else where.cells[:1]
        return place(space, region(space, cells, where.rule), given)


def _sides(space: FESpace, where: Region, slices: list[dict[str, slice]]) -> list[tuple[int, Side]]:
    made = []
    for k, (block, mine) in enumerate(zip(space.blocks, slices, strict=True)):
        if mine:
            tables = space.tables(k, where.rule)
            if block.family == "table" and where.cells is not None:
                tables = {part: t.index_select(1, where.cells) for part, t in tables.items()}
            made.append((k, Side(block, tables, mine)))
    return made


def _matrix(test: FESpace, trial: FESpace, where: Region, c: Tensor, slices: list, pattern: Any) -> Tensor:
    total: Tensor | None = None
    cells = where.cells
    for k, v in _sides(test, where, slices[1]):
        for m, u in _sides(trial, where, slices[0]):
            signs = test.local_signs(k, cells), trial.local_signs(m, cells)
            slots = pattern.slots if cells is None else pattern.slots.index_select(2, cells)
            slots = slots.index_select(0, test.rows(k)) if len(test.blocks) > 1 else slots
            slots = slots.index_select(1, trial.rows(m)) if len(trial.blocks) > 1 else slots
            if c.shape[3] > 1 and c.shape[4] == 1 and "table" not in (v.block.family, u.block.family):
                geometry = _oriented(matrices(unit_coefficients(c), where.maps, where.measure, where.weights, v, u), *signs)
                made = scatter_batch(geometry, c, slots, pattern.adjacency.n_edges)
            else:
                local = _oriented(matrices(c, where.maps, where.measure, where.weights, v, u), *signs)
                made = scatter(local, slots, pattern.adjacency.n_edges)
            total = made if total is None else total + made
    assert total is not None
    return total


def _oriented(local: Tensor, signs_v: Tensor | None, signs_u: Tensor | None) -> Tensor:
    if signs_v is not None:
        local = local * signs_v[:, None, :, None]
    return local if signs_u is None else local * signs_u[None, :, :, None]


def _vector(test: FESpace, where: Region, c: Tensor, slices: list, n: int) -> Tensor:
    total: Tensor | None = None
    for k, v in _sides(test, where, slices):
        local = vectors(c, where.maps, where.measure, where.weights, v)
        signs = test.local_signs(k, where.cells)
        if signs is not None:
            local = local * signs[:, :, None]
        made = scatter(local, test.block_dofs(k, where.cells), n)
        total = made if total is None else total + made
    assert total is not None
    return total


def check_spaces(test: FESpace, trial: FESpace) -> None:
    """Trial and test space must be on the same mesh. Raises ParameterError."""
    if test.skmesh is not trial.skmesh and not test.same_mesh(trial):
        raise ParameterError(
            f"trial and test space lie on different meshes ({trial.mesh.n_points} and {test.mesh.n_points} points); "
            "make both from one mesh, or carry fields over with evaluate."
        )
