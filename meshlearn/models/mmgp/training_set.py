"""The training meshes of an MMGP, placed on their common mesh: shapes, inputs and outputs as rows of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import ConvergenceError, MeshError, MeshlearnError
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.choice import choose
from meshlearn.models.mmgp.copies import same_items, same_rows, warn_of_copies
from meshlearn.models.mmgp.family import Family, Placed
from meshlearn.models.mmgp.pod import FOLDS
from meshlearn.train.fields import FieldSet, FieldSpec
from meshlearn.train.steps import Work

CHECKED = 48  # training meshes on which predictions are checked where the user will see them, on their own points


class TrainingSet:
    """Rows of n samples, and what was noticed on the way.

    shapes    (n, N) coordinates on the common mesh
    inputs, fields
              {spec: (n, N)} inputs and outputs on the common mesh; (n, size) for those of the whole mesh
    items     (n,) number of the mesh or trajectory that a sample is of
    groups    (n,) the same, but one number for all that have the same shape and inputs; n_groups of them
    folds     (n,) number of the part that a sample is left out with, the same in a group
    checked   numbers of the samples that are looked at on their own points
    placed, truth
              {number: Placed} and {number: {spec: values}} of these
    quality   worst smallest_jacobian; flipped cells, the meshes that have them and the largest share of them on one;
              the largest distance of the common mesh from a morphed one, in cell sizes; and what was tried
    """

    def __init__(self, works: Sequence[Work], fields: FieldSet, family: Family) -> None:
        n = len(works)
        self.family = family
        every = max(1.0, (n - 1) / (CHECKED - 1))
        self.checked = sorted({min(round(i * every), n - 1) for i in range(min(n, CHECKED))})
        self.placed: dict[int, Placed] = {}
        self.quality: dict[str, Any] = {
            "smallest_jacobian": float("inf"),
            "flipped": 0,
            "flipped_meshes": [],
            "flipped_share": 0.0,
            "outside": 0.0,
        }
        self.truth: dict[int, dict[FieldSpec, Tensor]] = {}
        shapes: Tensor | None = None
        self.fields: dict[FieldSpec, Tensor] = {}
        self.inputs: dict[FieldSpec, Tensor] = {}
        for i, work in enumerate(works):
            try:
                placed = family.place(work.source)
            except MeshlearnError as error:
                raise type(error)(f"{work.where}: {error}") from error
            shape = placed.shape()
            if shapes is None:
                shapes = shape.new_empty(n, len(shape))
            shapes[i] = shape
            self._put(self.inputs, i, n, fields.inputs, work.source, placed, work.where)
            self._put(self.fields, i, n, fields.outputs, work.target, placed, work.where)
            self._look(placed, work.where)
            if i in self.checked:
                self.placed[i] = placed
                self.truth[i] = {s: s.values(work.target, work.where) for s in fields.outputs if s.location != "global"}
        assert shapes is not None
        self.shapes = shapes
        starts = [isinstance(w.item, Mesh) or i == 0 or w.item is not works[i - 1].item for i, w in enumerate(works)]
        self.items = torch.tensor(starts).long().cumsum(0) - 1
        seen = [shapes, *self.inputs.values()]
        alike = same_items(same_rows(seen), self.items)
        if bool((alike == 0).all()):  # nothing tells them apart: each is one more draw of what cannot be known
            alike = torch.arange(len(alike))
        self.groups = torch.unique(alike, return_inverse=True)[1].index_select(0, self.items)
        self.n_groups, self.folds = _folds(self.groups)

    def distinct(self, works: Sequence[Work]) -> list[Work]:
        """The samples without meshes and trajectories that repeat others, outputs included."""
        first = same_items(same_rows([self.shapes, *self.inputs.values(), *self.fields.values()]), self.items)
        kept = (first == torch.arange(len(first))).index_select(0, self.items)
        return [work for work, keep in zip(works, kept.tolist(), strict=True) if keep]

    def _put(
        self, table: dict[FieldSpec, Tensor], i: int, n: int, specs: Any, mesh: Mesh, placed: Placed, where: str
    ) -> None:
        for spec in specs:
            values = spec.values(mesh, where).detach().double().cpu()
            row = values.reshape(-1) if spec.location == "global" else placed.to_common(values, spec.location)
            if spec not in table:
                table[spec] = row.new_empty(n, len(row))
            table[spec][i] = row

    def _look(self, placed: Placed, where: str) -> None:
        q = self.quality
        q["smallest_jacobian"] = min(q["smallest_jacobian"], placed.morph.smallest_jacobian)
        q["outside"] = max(q["outside"], placed.outside)
        if placed.morph.flipped:
            q["flipped"] += placed.morph.flipped
            q["flipped_share"] = max(q["flipped_share"], placed.flipped_share)
            q["flipped_meshes"].append(where)


def _folds(items: Tensor) -> tuple[int, Tensor]:
    """(number of groups, fold of every row): those of one group together, or frames of few trajectories in blocks."""
    count = int(items.max()) + 1
    if count >= FOLDS or count == len(items):
        order = torch.randperm(count, generator=torch.Generator().manual_seed(0))  # sorted designs are mixed
        return count, order.index_select(0, items) % FOLDS
    return count, torch.arange(len(items)) * FOLDS // len(items)


def place_all(
    works: Sequence[Work], fields: FieldSet, morphing: str, landmarks: Any, options: Any, transfer: str
) -> TrainingSet:
    """The training meshes on their common mesh, by the best morphing that does for all of them."""
    choice = choose(works, fields, morphing, landmarks, options, transfer)
    while True:
        for trial in choice.ranked():
            assert trial.family is not None
            try:
                data = TrainingSet(works, fields, trial.family)
            except (MeshError, ConvergenceError) as error:
                choice.fail(trial, error)
                continue
            distinct = data.distinct(works) if data.n_groups < len(works) else list(works)
            if 2 <= len(distinct) < len(works):
                n_items, data = int(data.items[-1]) + 1, TrainingSet(distinct, fields, trial.family)
                warn_of_copies(n_items - int(data.items[-1]) - 1, n_items)
            data.quality["tried"] = choice.tried
            return data
        if not choice.more():
            raise choice.refusal()
