"""`NeuralStagger`: several small networks, each on every s-th node of the grid and every t-th frame.

Paper: X. Huang, W. Shi, Q. Meng, Y. Wang, X. Gao, J. Zhang, T.-Y. Liu 2023, "NeuralStagger: accelerating physics
constrained neural PDE solver with spatial-temporal decomposition", ICML, arXiv:2302.10255, section 3: a network per
interleaved coarse grid, time streams that each go on in longer steps, put together to the fine resolution without loss.

Departures: trained on data instead of on the residual of the equation; the streams in time share their network, since
they follow the same law; the meshes may be any, through the grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, no_type_check

import torch
from torch import Tensor, nn

from meshlearn.errors import ParameterError
from meshlearn.grids.arguments import check_shape
from meshlearn.grids.cores.staggered import StaggeredCore
from meshlearn.grids.operator import GridOperator
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.train.fields import FieldSet
from meshlearn.train.items import Items, as_items
from meshlearn.train.named import arguments_of
from meshlearn.train.network import NetworkEstimator
from meshlearn.train.option_checks import flag, number, whole
from meshlearn.train.steps import PLACES
from meshlearn.train.time_steps import TOLERANCE


class NeuralStagger(GridOperator):
    """A grid network for each of space^dim interleaved grids, and several streams in time.

    space    every so manieth node along each axis belongs to one network; 1: one network, as in `ml.GridOperator`
    streams  the networks step over so many frames; `rollout` follows that many streams side by side
    shared   all sub-grids have one network
    others   as in `ml.GridOperator`; `core` and `core_options` are those of one small network

    A network on a sub-grid reaches `space` times as far with the same kernels and costs space^-dim as much; together
    they cost what one such network on the grid does, and so less only if they are narrower, as they may be. With
    streams > 1 a rollout makes fewer steps in a row, and needs `streams` frames to start from: a Trajectory. `predict`
    and `score` then take trajectories in the steps of the model, `trajectory[::streams]`. Axes that are periodic need a
    multiple of `space` nodes (and what the core needs of the rest). Cores that are read on the mesh ("deeponet") are
    refused.

    >>> waves = ml.sim.make_kuramoto_sivashinsky(2, resolution=32, length=16.0, frames=8, start=20.0)
    >>> options = {"core": "unet", "core_options": {"hidden": 8}, "shape": 32, "periodic": True}
    >>> model = ml.NeuralStagger(["u"], ["u"], **options, space=2, streams=2).fit(waves, epochs=1, progress=False)
    >>> model.rollout(waves[0][:2], steps=5).times.tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    """

    space: int
    streams: int
    shared: bool

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(
        self,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        core: Any = "unet",
        core_options: dict[str, Any] | None = None,
        shape: int | Sequence[int] = 32,
        transfer: str = "interpolate",
        extension: str = "linear",
        periodic: Any = False,
        box: Any = None,
        coordinates: bool = True,
        distance: bool = True,
        loss: str = "relative",
        time: str | None = None,
        learned: int = 0,
        space: int = 2,
        streams: int = 1,
        shared: bool = False,
    ) -> None:
        super().__init__(
            inputs,
            outputs,
            core=core,
            core_options=core_options,
            shape=shape,
            transfer=transfer,
            extension=extension,
            periodic=periodic,
            box=box,
            coordinates=coordinates,
            distance=distance,
            loss=loss,
            time=time,
            learned=learned,
        )
        self.space = space
        self.streams = streams
        self.shared = shared

    @arguments_of(NetworkEstimator.fit)
    def fit(self, meshes: Any, **options: Any) -> NeuralStagger:
        """Train; trajectories are taken apart into their streams. See `GridOperator.fit`."""
        self._check()
        held_out = options.get("validation")
        if self.streams > 1 and held_out is not None and not isinstance(held_out, (float, int)):
            options["validation"] = Streams(held_out, self.streams, "validation")
        super().fit(Streams(meshes, self.streams) if self.streams > 1 else meshes, **options)
        return self

    def build(self, fields: FieldSet) -> nn.Module:
        """A network per sub-grid, behind the same transfers."""
        self._check()
        network: Any = super().build(fields)
        if getattr(network.core, "at_places", False):
            raise ParameterError(
                f"core={self.core!r} is read at the points of the mesh: there is no grid to take apart.\n"
                "  Choose a core on grids, such as 'unet' or 'fno'."
            )
        more: list[Any] = [super(NeuralStagger, self).build(fields) for _ in range(self._n_cores(fields.dim) - 1)]
        cores = [network.core, *(other.core for other in more)]
        network.core = StaggeredCore(cores, self.space, self.adapter.flags(fields.dim), sum(network.widths.values()))
        return network

    def rollout(self, start: Mesh | Trajectory, steps: int | None = None, time_step: float | None = None) -> Trajectory:
        """As `Estimator.rollout`; with streams, from the first `streams` frames of a Trajectory, which are kept.

        time_step  with streams, the time from frame to frame
        """
        if self.streams == 1:
            return super().rollout(start, steps, time_step)
        self.check_fitted("rollout")
        if not isinstance(start, Trajectory) or len(start) < self.streams:
            seen = f"{len(start)} frames" if isinstance(start, Trajectory) else "one mesh"
            raise ParameterError(
                f"{self.streams} streams start from {self.streams} frames, a Trajectory; this is {seen}.\n"
                "  Make them with a solver, or fit a model with streams=1 for the first steps."
            )
        steps = len(start) - 1 if steps is None else int(whole(self.streams)("steps", steps))
        long_step = self._long_step(time_step)
        made = []
        for first in range(self.streams):
            count = (steps - first) // self.streams
            stream = start[first :: self.streams]
            made.append(super().rollout(stream, count, long_step) if count else stream[:1])
        return _interleaved(start, made, steps + 1)

    def _long_step(self, time_step: Any) -> float | None:
        """The step of each stream, for frames so far apart; what does not fit is told of the frames."""
        if time_step is None:
            return None
        step = number("a positive number", lambda x: x > 0)("time_step", time_step)
        known = self.time_step_
        if isinstance(known, float) and abs(self.streams * step - known) > TOLERANCE * known:
            raise ParameterError(
                f"time_step={step:g}: the frames that this model was fitted to are {known / self.streams:g} apart.\n"
                "  Leave time_step out, or fit a model to such frames."
            )
        return self.streams * step

    def _n_cores(self, dim: int) -> int:
        return 1 if self.shared else self.space**dim

    def _check(self) -> None:
        whole(1)("space", self.space)
        whole(1)("streams", self.streams)
        flag("shared", self.shared)
        shape = check_shape(self.shape)
        longest = shape if isinstance(shape, int) else max(shape)
        if self.space > longest:
            raise ParameterError(
                f"space={self.space}: a grid of shape={self.shape!r} cannot be taken apart so many times.\n"
                f"  Choose a small number, such as 2."
            )


class Streams(Sequence[Any]):
    """Each of n trajectories as t, of its frames r, r + t, …; meshes as they are."""

    def __init__(self, items: Any, streams: int, role: str = "meshes") -> None:
        self.items: Items = as_items(items, role)
        self.streams = streams

    def __len__(self) -> int:
        return self.streams * len(self.items)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return [self[k] for k in range(*key.indices(len(self)))]
        index, first = divmod(key, self.streams)
        item = self.items[index]
        if not isinstance(item, Trajectory):
            raise ParameterError(
                f"streams={self.streams}: entry {index} is a single mesh, and has no frames to take apart."
            )
        if len(item) < 2 * self.streams:
            raise ParameterError(
                f"trajectory {index} has {len(item)} frames: {self.streams} streams of at least two frames each need "
                f"{2 * self.streams}."
            )
        return item[first :: self.streams]


def _interleaved(start: Trajectory, streams: list[Trajectory], n: int) -> Trajectory:
    """One trajectory of n frames from the streams."""
    data: dict[str, dict[str, Any]] = {}
    for place in PLACES:
        names = getattr(streams[0], place)
        data[place] = {name: _merged([getattr(stream, place)[name] for stream in streams], n) for name in names}
    times = _merged([stream.times.double().cpu() for stream in streams], n)
    moving = None
    if start.moving_points is not None:
        moving = _merged([stream.moving_points for stream in streams], n)
    return Trajectory(streams[0].mesh, times, **data, moving_points=moving)


def _merged(parts: list[Any], n: int) -> Any:
    if not isinstance(parts[0], Tensor):
        return {kind: _merged([part[kind] for part in parts], n) for kind in parts[0]}
    made = torch.empty(n, *parts[0].shape[1:], dtype=parts[0].dtype, device=parts[0].device)
    for first, part in enumerate(parts):
        made[first :: len(parts)] = part[: len(range(first, n, len(parts)))]
    return made
