"""The samples of a fit: prepared once, checked on the way, kept in memory or made again when asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.train.fields import FieldSet, describe
from meshlearn.train.items import Items, check_item
from meshlearn.train.reach import check_reach
from meshlearn.train.sample import Sample
from meshlearn.train.steps import check_still, frame_of, time_pairs
from meshlearn.train.time_steps import TimeSteps

MakeSample = Callable[[Mesh, Mesh], Sample]


class SampleStore:
    """A sequence of samples made from meshes and trajectories; `store[i]` is one sample.

    The constructor goes through all items once: it checks every field of every mesh (against `dtype`, that of the fit,
    too: see `check_reach`), calls `see(sample)` (statistics for normalisers), `steps.see` and `look(item, name)`, and
    notes what each sample costs. With `cache` the samples stay in memory; without, only the item loaded last does, and
    samples are made again at every access. Errors call the meshes by `numbers`, after `role`.
    """

    def __init__(
        self,
        items: Items,
        fields: FieldSet,
        make: MakeSample,
        cache: bool = True,
        see: Callable[[Sample], None] | None = None,
        numbers: Sequence[int] | None = None,
        dtype: torch.dtype = torch.float32,
        role: str = "",
        look: Callable[[Any, str], None] | None = None,
        steps: TimeSteps | None = None,
    ):
        self.dtype = dtype
        self.items, self.fields, self.make, self.cache = items, fields, make, cache
        self.entries: list[tuple[int, int, int]] = []
        self.costs: list[tuple[int, int]] = []
        self._samples: list[Sample] = []
        self._last: tuple[int, Any] | None = None
        for index in range(len(items)):
            number = index if numbers is None else numbers[index]
            item = check_item(items[index], number)
            self._last = (index, item)
            name = role + describe(item, number)
            if not isinstance(item, Trajectory):
                check_still(fields, name)
            pairs = time_pairs(item, fields) if isinstance(item, Trajectory) else [(0, 0)]
            if steps is not None:
                steps.see(item, name)
            for source, target in pairs:
                self._add(item, index, name, source, target, see)
            if look is not None:
                look(item, name)

    def _add(self, item: Any, index: int, name: str, source: int, target: int, see: Any) -> None:
        before, after = self._meshes(item, source, target)
        where = name + (f", frame {source}" if isinstance(item, Trajectory) else "")
        self._check(before, where)
        if after is not before:
            self._check(after, f"{name}, frame {target}")
        sample = self.make(before, after)
        if see is not None:
            see(sample)
        self.entries.append((index, source, target))
        self.costs.append(sample.cost)
        if self.cache:
            self._samples.append(sample)

    def _check(self, mesh: Mesh, where: str) -> None:
        self.fields.check(mesh, where)
        check_reach(self.fields, mesh, self.dtype, where)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, i: int) -> Sample:
        if self.cache:
            return self._samples[i]
        index, source, target = self.entries[i]
        if self._last is None or self._last[0] != index:
            self._last = (index, self.items[index])
        return self.make(*self._meshes(self._last[1], source, target))

    @staticmethod
    def _meshes(item: Any, source: int, target: int) -> tuple[Mesh, Mesh]:
        if not isinstance(item, Trajectory):
            return item, item
        before = frame_of(item, source)
        return before, (before if source == target else frame_of(item, target))
