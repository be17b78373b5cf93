"""Matrices, vectors and integrals of weak forms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.coefficients import batch_size
from meshlearn.fem.discretization import Discretization
from meshlearn.fem.fields import names_read
from meshlearn.fem.forms import Jets, coefficients, n_arguments, probe
from meshlearn.fem.geometry import pick
from meshlearn.fem.given import check_read
from meshlearn.fem.local import Side, matrices, vectors
from meshlearn.fem.one_side import OneSide
from meshlearn.fem.parts import cells_of
from meshlearn.fem.pattern import scatter
from meshlearn.fem.places import Region, Rule, cell_rule, facet_groups, place, region
from meshlearn.fem.pointwise import check_pointwise, few_cells
from meshlearn.fem.reference import Block
from meshlearn.fem.sides import check_sides
from meshlearn.fem.stacked import StackedOperator
from meshlearn.fem.totals import Total
from meshlearn.ops import SparseOperator

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace

CHUNK = 1 << 21  # numbers of an array of coefficients or cell matrices formed at a time
BATCH_CHUNK = 1 << 20  # of the coefficients of a batch, which are looked at several times

_SETTINGS = ("trial", "on", "order")

Assembled = SparseOperator | StackedOperator | Tensor


def assemble(
    test: FESpace,
    trial: FESpace,
    form: Callable[..., Any],
    on: Any = None,
    order: int | None = None,
    given: dict[str, Any] | None = None,
    read: set[str] | None = None,
) -> Assembled:
    """The integral of a form over the cells, or over the part `on` of the mesh; see `FESpace.assemble`.

    read  names of the coefficients that the form asks for are added to it; without it those that are not asked for are
          refused
    """
    given = given or {}
    count = n_arguments(form)
    sides = [(trial, Jets.of("u", trial.blocks, test.dim)), (test, Jets.of("v", test.blocks, test.dim))][3 - count :]
    order = test.order if order is None else order
    if order is None:
        order = sum(s.degree for s, _ in sides) if count == 3 else 2 * test.degree
        order += test.dim * test.geometry.curved
    pattern = test.pattern(trial) if count == 3 else None
    n = 1 if count == 1 else pattern.adjacency.n_edges if pattern else test.n_dofs
    jets = [mine for _, mine in sides]

    def add(where: Region, c: Tensor, slices: list, total: Total) -> None:
        if count == 1:
            total.add((c[0, 0] * where.measure[:, None] * where.weights).sum((0, 2))[None])
        elif count == 2:
            _vector(test, where, c, slices[0], total)
        else:
            _matrix(test, trial, where, c, slices, pattern, total)

    def alone(where: Region) -> Tensor:
        c, slices = coefficients(form, jets, place(test, where, given), test.like)
        total = Total(n, test.like)
        add(where, c, slices, total)
        return total.result()

    parts = _parts(test, on, order)
    few = few_cells(test, *parts[0])
    check_pointwise(test, form, jets, few, given)
    probe(form, jets, place(test, few, given), test.like)
    if few.rule.normal is not None:
        check_sides(test, on, alone)
    sizes = [batch_size(test, value) for value in given.values()]
    batch = max([size or 1 for size in sizes], default=1)
    step = CHUNK // (batch * _numbers([s for s, _ in sides], len(few.weights)))
    if count == 3 and batch > 1:
        c, slices = coefficients(form, jets, place(test, few, given), test.like)
        if _is_flat(c, [*test.blocks, *trial.blocks]):
            step = BATCH_CHUNK // (batch * len(c) * c.shape[1])
    total, first = Total(n, test.like), True
    for where in _regions(test, parts, max(step, 1)):
        spot = place(test, where, given)
        c, slices = coefficients(form, jets, spot, test.like)
        if first and read is None:
            check_read(given, names_read(spot), _SETTINGS)
        elif first and read is not None:
            read |= names_read(spot)
        add(where, c, slices, total)
        first = False
    made = total.result()
    batched = made.shape[-1] > 1 or any(size is not None for size in sizes)
    return _finish(made[0] if count == 1 else made, pattern, batched)


def _finish(total: Tensor, pattern: Any, batched: bool) -> Assembled:
    """(n, batch) or (batch,) in the form that it is given out."""
    if pattern is None:
        made = total.transpose(0, -1)
        return made.contiguous() if batched else made[0]
    if not batched:
        return SparseOperator.from_adjacency(pattern.adjacency, total[:, 0])
    return StackedOperator(pattern.adjacency, total.t().contiguous())


def _parts(space: FESpace, on: Any, order: int) -> list[tuple[Tensor | None, Rule]]:
    """Cells (None: all) and rules of the part of the mesh to integrate over: facets by their local number, or cells."""
    some = None if on is None or isinstance(on, OneSide) else cells_of(space, on)
    if on is not None and some is None:
        return list(facet_groups(space, on, order))
    return [(some, cell_rule(space, order))]


def _regions(space: FESpace, parts: list[tuple[Tensor | None, Rule]], step: int) -> Iterator[Region]:
    """The parts, in runs of cells whose arrays stay small: fresh memory costs more than sums."""
    for some, rule in parts:
        n_cells = len(space.element_dofs) if some is None else len(some)
        if n_cells <= step or rule.normal is not None:
            yield region(space, some, rule)
            continue
        for start in range(0, n_cells, step):
            run = slice(start, min(start + step, n_cells))
            yield region(space, run if some is None else some[run], rule)


def _numbers(spaces: list[FESpace], n_places: int) -> int:
    """How many numbers an array of coefficients or a cell matrix has, at most."""
    widths = [sum(sum(torch.Size(s).numel() for s in b.shapes(x.dim).values()) for b in x.blocks) for x in spaces]
    return max(math.prod(widths) * n_places, math.prod(s.element_dofs.shape[1] for s in spaces))


def _is_flat(c: Tensor, blocks: Sequence[Block]) -> bool:
    """Whether coefficients are a batch of constants on cells, that cell matrices are multiplied by."""
    return c.shape[3] > 1 and c.shape[4] == 1 and all(block.family != "table" for block in blocks)


def _sides(space: FESpace, where: Region, slices: list[dict[str, slice]]) -> list[tuple[int, Side]]:
    made = []
    for k, (block, mine) in enumerate(zip(space.blocks, slices, strict=True)):
        if mine:
            tables = space.tables(k, where.rule)
            if block.family == "table":
                tables = {part: pick(table, 1, where.cells) for part, table in tables.items()}
            made.append((k, Side(block, tables, mine)))
    return made


def _matrix(test: FESpace, trial: FESpace, where: Region, c: Tensor, slices: list, pattern: Any, total: Total) -> None:
    cells, moving = where.cells, where.measure.requires_grad
    for k, v in _sides(test, where, slices[1]):
        for m, u in _sides(trial, where, slices[0]):
            signs = test.local_signs(k, cells), trial.local_signs(m, cells)
            slots = pick(pattern.slots, 2, cells)
            slots = slots.index_select(0, test.rows(k)) if len(test.blocks) > 1 else slots
            slots = slots.index_select(1, trial.rows(m)) if len(trial.blocks) > 1 else slots

            def made(units: Tensor, v=v, u=u, signs=signs) -> Tensor:
                return _oriented(matrices(units, where.maps, where.measure, where.weights, v, u), *signs)

            if _is_flat(c, (v.block, u.block)):
                total.sums.add(made, c, slots, moving)
            else:
                scatter(made(c), slots, total.rows(c.shape[3]))


def _oriented(local: Tensor, signs_v: Tensor | None, signs_u: Tensor | None) -> Tensor:
    if signs_v is not None:
        local = local * signs_v[:, None, :, None]
    return local if signs_u is None else local * signs_u[None, :, :, None]


def _vector(test: FESpace, where: Region, c: Tensor, slices: list, total: Total) -> None:
    for k, v in _sides(test, where, slices):
        local = vectors(c, where.maps, where.measure, where.weights, v)
        signs = test.local_signs(k, where.cells)
        if signs is not None:
            local = local * signs[:, :, None]
        scatter(local, test.block_dofs(k, where.cells), total.rows(c.shape[3]))


def check_spaces(test: FESpace, trial: Any) -> None:
    """Trial and test space must be on the same mesh. Raises ParameterError."""
    if not isinstance(trial, Discretization):
        raise ParameterError(
            f"trial is {trial!r:.60}, expected a space on the same mesh: trial=space.with_element('P1')."
        )
    if test.skmesh is not trial.skmesh and not test.same_mesh(trial):
        raise ParameterError(
            f"trial and test space lie on different meshes ({trial.mesh.n_points} and {test.mesh.n_points} points); "
            "make both from one mesh, or carry fields over with evaluate."
        )
