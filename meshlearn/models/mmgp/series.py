"""What one sample of an MMGP is: a mesh or frame (`Frames`), or a whole trajectory (`SpaceTime`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.models.baselines.training import checked_work
from meshlearn.models.mmgp.family import Family
from meshlearn.train.fields import FieldSet, FieldSpec, describe
from meshlearn.train.items import Items, check_item
from meshlearn.train.steps import Work, frames_to_trajectory, steps_in_time
from meshlearn.train.survey import Survey

SERIES = ("frames", "modes")
SAME = 1e-5  # of the length of a series: times that differ less are the same
Fields = dict[FieldSpec, Tensor]


class Series(ABC):
    """How items become samples and back; `inner` are the fields of a sample, `changing` names of inputs with an axis of
    time."""

    inner: FieldSet
    changing: frozenset[str] = frozenset()

    @abstractmethod
    def works(self, items: Items, survey: Survey) -> list[Work]:
        """The checked training samples."""

    @abstractmethod
    def one(self, action: str, item: Any) -> Mesh:
        """The sample of one item, to which `action` is done."""

    @abstractmethod
    def attach(self, item: Any, fields: Fields) -> Any:
        """The item with fields of its sample."""

    def is_reduced(self, spec: FieldSpec) -> bool:
        """Is a field, or series of values, compressed into modes?"""
        return spec.location != "global"

    def weights(self, family: Family, spec: FieldSpec) -> Float64[Tensor, " N"]:
        """Weights of the entries of a field on the common mesh."""
        return entry_weights(family, spec)


class Frames(Series):
    """Every mesh, and every frame of a trajectory, is a sample of its own."""

    def __init__(self, fields: FieldSet) -> None:
        self.inner = fields

    def works(self, items: Items, survey: Survey) -> list[Work]:
        """One for every mesh and frame."""
        return list(checked_work(items, self.inner, survey))

    def one(self, action: str, item: Any) -> Mesh:
        """The mesh itself."""
        if not isinstance(item, Mesh):
            each = "each frame" if isinstance(item, Trajectory) else "each"
            raise ParameterError(f"{action} takes one Mesh, not a {type(item).__name__}: call it for {each}.")
        self.inner.check(item, roles=("inputs",))
        return item

    def attach(self, item: Any, fields: Fields) -> Any:
        """The mesh with the fields."""
        return self.inner.attach(item, fields)


class SpaceTime(Series):
    """A trajectory is one sample: its fields have an axis of time, (rows, n_times, *shape), and so have their modes.

    fields    those of a frame; `inner`: of a sample, as a mesh in float64 at the points of the first frame
    times     (n_times,) of all trajectories
    changing  inputs that differ from frame to frame
    """

    def __init__(self, fields: FieldSet, times: Tensor, changing: frozenset[str] = frozenset()) -> None:
        self.fields, self.times, self.changing = fields, times, changing
        inputs = tuple(self._longer(s) if s.name in changing else s for s in fields.inputs)
        self.inner = FieldSet(inputs, tuple(self._longer(s) for s in fields.outputs), fields.dim)

    def _longer(self, spec: FieldSpec) -> FieldSpec:
        return FieldSpec(spec.name, spec.location, (len(self.times), *spec.shape))

    @classmethod
    def of(cls, items: Items, fields: FieldSet) -> SpaceTime:
        """Times and changing inputs of a training set; raises ParameterError unless all have the same times."""
        if steps_in_time(fields):
            raise ParameterError(
                'an output is also an input: the model would step in time, and series="modes" has all times at once.\n'
                '  Take it out of the inputs, or series="frames".'
            )
        if any(spec.name == "time" for spec in fields.inputs):
            raise ParameterError(
                'series="modes" predicts all times at once: take "time" out of the inputs, or series="frames".'
            )
        found: SpaceTime | None = None
        changing: set[str] = set()
        for index in range(len(items)):
            item = check_item(items[index], index)
            if not isinstance(item, Trajectory):
                raise ParameterError(
                    f'series="modes" learns from trajectories, {describe(item, index)} is a single mesh.\n'
                    "  ml.Trajectory.from_meshes makes one of meshes."
                )
            if found is None:
                found = cls(fields, item.times.detach().double().cpu())
            found.check_times(item, describe(item, index))
            changing |= {spec.name for spec in fields.inputs if _changes(item, spec)}
        assert found is not None
        return cls(fields, found.times, frozenset(changing))

    def check_times(self, item: Trajectory, where: str) -> None:
        """Raise ParameterError for other times than the model's."""
        times = item.times.detach().double().cpu()
        span = max(float(self.times[-1] - self.times[0]), 1e-300)
        if len(times) == len(self.times) and bool(((times - self.times).abs() <= SAME * span).all()):
            return
        seen, expected = (f"{len(t)} times from {float(t[0]):g} to {float(t[-1]):g}" for t in (times, self.times))
        more = ""
        if len(times) == len(self.times):
            k = int((times - self.times).abs().argmax())
            more = f" (time number {k} is {float(times[k]):g}, not {float(self.times[k]):g})"
        raise ParameterError(
            f'{where} has {seen}, series="modes" expects {expected}, as the first trajectory of the training has{more}.'
            "\n"
            '  Interpolate all trajectories to the same times, or take series="frames" and the input "time".'
        )

    def works(self, items: Items, survey: Survey) -> list[Work]:
        """One for every trajectory, after all frames were checked."""
        for _ in checked_work(items, self.fields, survey):
            pass
        found = []
        for index in range(len(items)):
            item = check_item(items[index], index)
            assert isinstance(item, Trajectory)
            where = describe(item, index)
            sample = self.sample(item, where, ("inputs", "outputs"))
            found.append(Work(item, sample, sample, 0, True, where))
        return found

    def trajectory(self, item: Mesh | Trajectory, where: str) -> Trajectory:
        """A trajectory at the model's times, of which a single mesh has nothing but inputs."""
        if isinstance(item, Mesh):
            return Trajectory(item, self.times.to(item.device))
        self.check_times(item, where)
        return item

    def sample(self, item: Trajectory, where: str, roles: tuple[str, ...]) -> Mesh:
        """The mesh with all fields of some roles, as `inner` has them."""
        frames = list(item)
        mesh = frames[0].detach().cpu().without_data().double()
        fields: Fields = {}
        for role in roles:
            for spec, longer in zip(getattr(self.fields, role), getattr(self.inner, role), strict=True):
                tables = [spec.values(frame, where).detach().double().cpu() for frame in frames]
                if longer is not spec:
                    table = torch.stack(tables, dim=1).reshape(len(tables[0]), -1)
                elif all(torch.equal(tables[0], table) for table in tables[1:]):
                    table = tables[0]
                else:
                    raise FieldError(
                        f"the input {spec.name!r} changes in time on {where}, but held on all training trajectories."
                    )
                fields[longer] = longer.restore(table)
        return self.inner.attach(mesh, fields)

    def one(self, action: str, item: Any) -> Mesh:
        """The sample of a trajectory, or of a mesh with inputs that hold all the time."""
        if not isinstance(item, (Mesh, Trajectory)):
            raise ParameterError(
                f"{action} takes one Trajectory or Mesh, not a {type(item).__name__}: call it for each."
            )
        where = describe(item)
        trajectory = self.trajectory(item, where)
        self.fields.check(trajectory.frame(0), where, roles=("inputs",))
        return self.sample(trajectory, where, ("inputs",))

    def attach(self, item: Any, fields: Fields) -> Trajectory:
        """The trajectory with the fields."""
        trajectory = self.trajectory(item, describe(item))
        frames = dict(enumerate(self.frames(trajectory, fields)))
        specs = tuple(FieldSpec(s.name, s.location, s.shape[1:]) for s in fields)
        return frames_to_trajectory(trajectory, frames, FieldSet((), specs, self.fields.dim))

    def frames(self, item: Trajectory, fields: Fields, suffix: str = "") -> Iterator[Mesh]:
        """Its frames with fields of its sample, one by one."""
        for t, frame in enumerate(item):
            now = {}
            for spec, values in fields.items():
                short = FieldSpec(spec.name, spec.location, spec.shape[1:])
                now[short] = values[t] if spec.location == "global" else values[:, t]
            yield self.fields.attach(frame, now, suffix)

    def predictions(
        self, items: Items, predict: Callable[[Mesh], tuple[Fields, Fields]]
    ) -> Iterator[tuple[Work, Mesh]]:
        """(where it comes from, prediction) for every frame of every item; `predict` takes samples."""
        for index in range(len(items)):
            item = check_item(items[index], index)
            where = describe(item, index if len(items) > 1 else None)
            trajectory = self.trajectory(item, where)
            self.fields.check(trajectory.frame(0), where, roles=("inputs",))
            values, std = predict(self.sample(trajectory, where, ("inputs",)))
            whole = self.attach(trajectory, values)
            bands = self.frames(whole, std, "_std") if std else iter(whole)
            for t, (frame, prediction) in enumerate(zip(trajectory, bands, strict=True)):
                yield Work(trajectory, frame, frame, t, t == len(trajectory) - 1, f"{where}, frame {t}"), prediction

    def is_reduced(self, spec: FieldSpec) -> bool:
        """All outputs are, and inputs that change."""
        return spec.location != "global" or spec in self.inner.outputs or spec.name in self.changing

    def weights(self, family: Family, spec: FieldSpec) -> Float64[Tensor, " N"]:
        """Those in space times those of the trapezoidal rule in time, for which the mean is 1."""
        if spec not in self.inner.outputs and spec.name not in self.changing:
            return entry_weights(family, spec)
        return entry_weights(family, spec, trapezoids(self.times))


def entry_weights(family: Family, spec: FieldSpec, frames: Tensor | None = None) -> Float64[Tensor, " N"]:
    """Weights of a flattened table (rows, size), or (rows, n_times, size) with `frames` weights in time."""
    rows = torch.ones(1, dtype=torch.float64) if spec.location == "global" else family.weights(spec.location, 1)
    if frames is None:
        return rows.repeat_interleave(spec.size)
    return torch.outer(rows, frames).reshape(-1).repeat_interleave(spec.size // len(frames))


def trapezoids(times: Float64[Tensor, " n"]) -> Float64[Tensor, " n"]:
    """Weights of the trapezoidal rule, divided by their mean."""
    if len(times) == 1:
        return torch.ones_like(times)
    steps = times.diff()
    weights = torch.cat([steps[:1], steps[1:] + steps[:-1], steps[-1:]])
    return weights / weights.mean()


def _changes(item: Trajectory, spec: FieldSpec) -> bool:
    tables = [spec.values(frame) for frame in item]
    return not all(torch.equal(tables[0], table) for table in tables[1:])


def make_series(name: str, items: Items, fields: FieldSet) -> Series:
    """`Frames` or `SpaceTime` for a training set."""
    return SpaceTime.of(items, fields) if name == "modes" else Frames(fields)
