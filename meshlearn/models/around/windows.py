"""Trajectories whose frames know the ones that follow: what a model is trained on that takes several steps at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.train.items import Items, as_items
from meshlearn.train.steps import PLACES


def ahead(name: str, frames: int) -> str:
    """The name of a field as it is so many frames later."""
    return f"{name} (+{frames})"


class Windows(Sequence[Any]):
    """Trajectories with their fields of the next frames as additional fields, and the last frames left out.

    Frame i of a trajectory of n frames also has, for every name of `names` that changes in time, the values of the
    frames i + 1 to i + steps. n - steps + 1 frames are left, whose n - steps time steps begin a window each. Raises
    ParameterError for trajectories that are too short, and whose points move.
    """

    def __init__(self, items: Any, names: Sequence[str], steps: int, role: str = "meshes") -> None:
        self.items: Items = as_items(items, role)
        self.names, self.steps = list(names), steps

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        item = self.items[index]
        if not isinstance(item, Trajectory):
            return item
        if len(item) <= self.steps:
            raise ParameterError(
                f"trajectory {index} has {len(item)} frames: {self.steps} steps at once need at least {self.steps + 1}."
            )
        if item.moving_points is not None:
            raise ParameterError(
                f"the points of trajectory {index} move: several steps at once need points that stay.\n"
                "  Give the motion as a displacement field, or train step by step."
            )
        left = len(item) - self.steps + 1
        series: dict[str, dict[str, Any]] = {}
        for place in PLACES:
            known = getattr(item, place)
            series[place] = {name: _shifted(values, 0, left) for name, values in known.items()}
            for name in [name for name in known if name in self.names]:
                for k in range(1, self.steps + 1):
                    series[place][ahead(name, k)] = _shifted(known[name], k, left)
        return Trajectory(item.mesh, item.times[:left], **series)


def later(mesh: Mesh, names: Sequence[str], frames: int) -> Mesh:
    """The mesh of a window as it is so many frames later, as far as these fields tell; those that stay are kept."""
    changes = {}
    for place in PLACES:
        data = getattr(mesh, place)
        found = {name: data[ahead(name, frames)] for name in names if ahead(name, frames) in data}
        if found:
            changes[place] = {**data, **found}
    return mesh.replace(**changes)


def _shifted(values: Any, first: int, count: int) -> Any:
    """Frames first, first + 1, …; beyond the last one that is known, the last."""
    if not isinstance(values, Tensor):
        return {kind: _shifted(part, first, count) for kind, part in values.items()}
    at = [min(first + i, len(values) - 1) for i in range(count)]
    return values[at]
