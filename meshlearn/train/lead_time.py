"""Pairs of frames at all distances in time, for models that are told how far ahead to predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from meshlearn.errors import ParameterError
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.train.batching import mix
from meshlearn.train.items import Items, as_items
from meshlearn.train.option_checks import text, whole


class LeadTimePairs(Sequence[Trajectory]):
    """From every frame of trajectories to every later one: trajectories of two frames, made when they are asked for.

    trajectories  a Trajectory, or a sequence of them; lazy ones are loaded when a pair of theirs is wanted
    largest       most frames from the first of a pair to the second; None: all
    name          global field with the time between the two: among a model's inputs, it is what the model is told.
                  Cores of ml.GridOperator with `takes_time` are conditioned on it by time="lead_time"
    number        pairs drawn from each trajectory, evenly among all there are; None: all (n (n - 1) / 2 of n frames)
    seed          decides which are drawn

    A trajectory of n frames so gives n (n - 1) / 2 samples instead of n - 1, and a model that goes far ahead in one
    step: the all-to-all training of M. Herde et al. 2024, "Poseidon: efficient foundation models for PDEs",
    arXiv:2405.19101, section 2. Such a model predicts at any time: `predict(mesh.with_global_data(lead_time=...))`, and
    `rollout` takes steps of the length that the mesh names. Hold out trajectories for validation, not pairs. Raises
    ParameterError for anything but trajectories of at least two frames, and for a name that they have.

    >>> mesh = ml.shapes.interval(n=2)
    >>> pairs = ml.LeadTimePairs(ml.Trajectory(mesh, [0.0, 0.5, 2.0], {"u": torch.zeros(3, 3)}))
    >>> [(pair.times.tolist(), pair[0].global_data["lead_time"].item()) for pair in pairs]
    [([0.0, 0.5], 0.5), ([0.0, 2.0], 2.0), ([0.5, 2.0], 1.5)]
    """

    def __init__(
        self,
        trajectories: Any,
        largest: Any = None,
        name: Any = "lead_time",
        number: Any = None,
        seed: Any = 0,
    ) -> None:
        self.items: Items = as_items(trajectories, "trajectories")
        self.name = text("the name of a field")("name", name)
        largest, number = whole(1, optional=True)("largest", largest), whole(1, optional=True)("number", number)
        seed = whole(0)("seed", seed)
        self._pairs: list[tuple[int, int, int]] = []
        self._last: tuple[int, Trajectory] | None = None
        for index in range(len(self.items)):
            trajectory = self._item(index)
            n = len(trajectory)
            pairs = [(index, i, j) for i in range(n) for j in range(i + 1, n if largest is None else i + largest + 1)]
            pairs = [pair for pair in pairs if pair[2] < n]
            if number is not None:
                generator = torch.Generator().manual_seed(mix(seed, index))
                chosen = torch.randperm(len(pairs), generator=generator)[:number].sort().values
                pairs = [pairs[k] for k in chosen.tolist()]
            self._pairs += pairs

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return [self[k] for k in range(*key.indices(len(self)))]
        index, i, j = self._pairs[key]
        pair = self._item(index)[i : j + 1 : j - i]
        lead = (pair.times[1] - pair.times[0]).to(pair.mesh.points.dtype)
        return pair.replace(global_data={**pair.global_data, self.name: lead.expand(2)})

    def _item(self, index: int) -> Trajectory:
        if self._last is None or self._last[0] != index:
            item = self.items[index]
            if not isinstance(item, Trajectory) or len(item) < 2:
                seen = f"{len(item)} frame" if isinstance(item, Trajectory) else f"a {type(item).__name__}"
                raise ParameterError(
                    f"entry {index} of the trajectories is {seen}: a Trajectory of at least two frames is expected."
                )
            for place in ("point_data", "cell_data", "global_data"):
                if self.name in getattr(item, place) or self.name in getattr(item.mesh, place):
                    raise ParameterError(
                        f"trajectory {index} has a field {self.name!r} in its {place}: choose another name."
                    )
            self._last = (index, item)
        return self._last[1]
