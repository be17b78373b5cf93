"""The training set of a stepper: all frames of all trajectories, on nodes that are drawn anew."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.models.giorom.body import Nodes
from meshlearn.models.giorom.crowding import CrowdedGraphWarning
from meshlearn.models.giorom.film import Film
from meshlearn.models.giorom.network import SMALLEST, Scales, offsets
from meshlearn.models.giorom.sample import Window
from meshlearn.train.batching import mix

GOLDEN = 0.6180339887498949
LOOKED_AT = 8  # frames of a trajectory that scales are taken from
KEY = "giorom_window"


class Windows:
    """Trajectories, and the nodes that were drawn of them.

    n_nodes, sampling, radius, neighbors   as in `GIOROM`
    subsets, vary                          how many drawings there are of every body; the first has n_nodes, those that
                                           follow between n_nodes / vary and n_nodes * vary
    """

    def __init__(self, films: list[Film], model: Any) -> None:
        self.films, self.history, self.ahead = films, model._history(), model.unroll
        self.solid = model.kind == "solid"
        self.n_nodes = None if model.n_nodes == "all" else model.n_nodes
        self.sampling = model.sampling
        self.radius, self.neighbors, self.subsets, self.vary = model.radius, model.neighbors, model.subsets, model.vary

    def nodes(self, film: int, draw: int) -> Nodes:
        """Drawing number `draw` of a trajectory's body."""
        count = self.n_nodes
        if count is not None and draw:
            least = self.films[film].places.shape[2] + 1
            share = math.fmod(draw * GOLDEN, 1.0)
            count = max(least, round(count * self.vary ** (2 * share - 1)))
        return self.films[film].body.nodes(count, self.sampling, mix(film, draw), self.radius, self.neighbors)

    def window(self, film: int, frame: int, draw: int) -> Window:
        """One sample."""
        nodes = self.nodes(film, draw)
        return self.films[film].window(film, frame, nodes, self.history, self.ahead, self.solid)

    def draws(self, film: int) -> int:
        """How many drawings there are: one where all points are nodes."""
        return 1 if self.n_nodes is None or self.n_nodes >= self.films[film].places.shape[1] else self.subsets

    def frames(self, film: int) -> range:
        """Frames with enough history and future."""
        return range(self.history, len(self.films[film].places) - self.ahead)

    def reduced(self, film: int, inputs: Sequence[str]) -> Trajectory:
        """A trajectory of the first drawing as the training loop reads it: constants, and which samples to ask for.

        The field that is learned stands in it with its shape alone; samples bring the values.
        """
        source, nodes, frames = self.films[film], self.nodes(film, 0).index, self.frames(film)
        rest = source.body.rest
        cloud = Mesh(
            rest.points.index_select(0, nodes),
            point_data={
                name: rest.point_data[name].index_select(0, nodes) for name in inputs if name in rest.point_data
            },
            global_data={name: rest.global_data[name] for name in inputs if name in rest.global_data},
            source=rest.source,
        )
        return Trajectory(
            cloud,
            [float(frame) for frame in frames],
            {"acceleration": torch.zeros(len(frames), len(nodes), self.ahead * rest.dim)},
            global_data={KEY: torch.tensor([[film, frame] for frame in frames])},
            moving_points=source.places[frames.start : frames.stop].index_select(1, nodes),
        )

    def scales(self, films: Sequence[int]) -> Scales:
        """Root mean squares over some frames of these trajectories, the first drawing; raises where nothing moves.

        A CrowdedGraphWarning tells of trajectories whose graphs are far denser than usual.
        """
        sums: dict[str, list[Tensor]] = {
            name: [] for name in ("length", "velocity", "acceleration", "shift", "stretch")
        }
        extents, reaches = [], []
        for film in films:
            frames = self.frames(film)
            for frame in frames[:: max(1, len(frames) // LOOKED_AT)]:
                sample = self.window(film, frame, 0)
                now, rest = offsets(sample.places, sample.adjacency), offsets(sample.rest, sample.adjacency)
                before = rest.norm(dim=1) if self.solid else now.norm(dim=1)
                free = sample.free[:, 0] > 0
                sums["length"].append(before)
                sums["velocity"].append(sample.velocities.flatten())
                sums["acceleration"].append(sample.targets["point"][free].flatten())
                sums["shift"].append((now - rest).flatten())
                sums["stretch"].append(now.norm(dim=1) / before.clamp(min=1e-300) - 1)
                extents.append(float(sample.places.abs().max()))
                reaches.append(float(sample.radius.max()))
        self._tell_crowded(films)
        sizes = {name: float(torch.cat(values).square().mean().sqrt()) for name, values in sums.items()}
        length = sizes["length"]
        if sizes["velocity"] < SMALLEST * length and sizes["acceleration"] < SMALLEST * length:
            raise ParameterError("nothing moves in the training trajectories: there is no motion to learn.")
        least = {"velocity": SMALLEST * length, "acceleration": 1e-6 * max(sizes["velocity"], SMALLEST * length)}
        least |= {"shift": 1e-6 * length, "stretch": 1e-6}
        sizes = {name: max(value, least.get(name, 0.0)) for name, value in sizes.items()}
        return Scales(**sizes, extent=1.1 * max(extents), reach=sum(reaches) / len(reaches))

    def _tell_crowded(self, films: Sequence[int]) -> None:
        crowded = [film for film in films if self.nodes(film, 0).sparse.crowding]
        if crowded:
            first = crowded[0]
            warnings.warn(
                f"{len(crowded)} of {len(films)} trajectories have crowded graphs; of the first, "
                f"{self.films[first].body.where}, {self.nodes(first, 0).sparse.crowding}",
                CrowdedGraphWarning,
                stacklevel=5,
            )


class Prepared(Sequence[Any]):
    """`Windows.reduced` of some trajectories, made when asked for."""

    def __init__(self, windows: Windows, films: Sequence[int], inputs: Sequence[str]) -> None:
        self.windows, self.films, self.inputs = windows, list(films), list(inputs)

    def __len__(self) -> int:
        return len(self.films)

    def __getitem__(self, index: Any) -> Any:
        return self.windows.reduced(self.films[index], self.inputs)
