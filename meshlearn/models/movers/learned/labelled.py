"""The meshes of a fit, each with the potential that is to be learned: zeros, or what a classical mover finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from meshlearn.errors import ConvergenceError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.train.fields import describe, resolve_one
from meshlearn.train.items import as_items, check_item

POTENTIAL = "monge_ampere_potential"


class Labelled(Sequence[Mesh]):
    """A sequence of meshes and trajectories as meshes, frame by frame, with the point field `POTENTIAL`.

    field  the point field that has to be there
    find   (mesh) -> potential, for supervised training; it is asked once for each mesh
    """

    def __init__(self, meshes: Any, role: str, field: str, find: Any = None) -> None:
        self.items, self.field, self.find = as_items(meshes, role), field, find
        self._found: dict[int, torch.Tensor] = {}
        self.places: list[tuple[int, int | None]] = []
        for i in range(len(self.items)):
            item = check_item(self.items[i], i)
            frames = range(len(item)) if isinstance(item, Trajectory) else [None]
            self.places += [(i, frame) for frame in frames]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        item, frame = self.places[index]
        mesh = self.items[item] if frame is None else self.items[item].frame(frame)
        resolve_one(mesh, self.field, describe(mesh, index), "point")  # before there is more than the user knows of
        if self.find is None:
            return mesh.with_point_data(**{POTENTIAL: mesh.points.new_zeros(mesh.n_points)})
        if index not in self._found:
            try:
                self._found[index] = self.find(mesh)
            except ConvergenceError as error:
                raise ConvergenceError(
                    f"loss='supervised' needs the classical mover's potential, which it did not find on "
                    f"{describe(mesh, index)}:\n  {error}\n  Leave this mesh out, or train with loss='residual', which "
                    "needs no solutions.",
                    error.residuals,
                ) from error
        return mesh.with_point_data(**{POTENTIAL: self._found[index]})
