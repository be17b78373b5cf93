"""The walk over training data that the baselines share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshlearn.mesh.trajectory import Trajectory
from meshlearn.train.fields import FieldSet, describe, resolve_fields
from meshlearn.train.items import as_items, check_item
from meshlearn.train.steps import Work, check_still, work_of
from meshlearn.train.survey import Survey
from meshlearn.train.time_steps import TimeSteps


def resolve(meshes: Any, inputs: Any, outputs: Any) -> tuple[Any, FieldSet]:
    """(the training items, their fields looked up on the first)."""
    items = as_items(meshes)
    first = check_item(items[0], 0)
    frame = first.frame(0) if isinstance(first, Trajectory) else first
    return items, resolve_fields(frame, inputs, outputs, describe(first, 0))


def checked_work(
    items: Any, fields: FieldSet, survey: Survey | None = None, steps: TimeSteps | None = None
) -> Iterator[Work]:
    """Every training mesh or time step, after its fields were checked; `survey` and `steps` see all."""
    for work in work_of(items, fields):
        fields.check(work.source, work.where, roles=("inputs",))
        fields.check(work.target, work.where, roles=("outputs",))
        if not isinstance(work.item, Trajectory):
            check_still(fields, work.where)
        yield work
        if work.last:
            where = work.where.rpartition(", frame")[0] or work.where
            if steps is not None:
                steps.see(work.item, where)
            if survey is not None:
                survey.see(work.item, where)
    if survey is not None:
        survey.warn()
