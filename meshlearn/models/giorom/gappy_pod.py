"""Baseline of the reconstruction: modes of the displacements of training, fitted to what the nodes do.

R. Everson, L. Sirovich, Karhunen-Loève procedure for gappy data, Journal of the Optical Society of America A 12 (1995).
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn.errors import MeshError, ParameterError
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.train.fitted import Fitted
from meshlearn.train.items import as_items
from meshlearn.train.option_checks import whole

G = TypeVar("G", bound="GappyPOD")


class GappyPOD(Fitted):
    """Displacements as a sum of the first modes of those in training, with the coefficients that fit the nodes best.

    modes   how many; there must be fewer than the nodes have coordinates

    All trajectories are of bodies with the same points in the same order, which moving least squares does not ask for.
    """

    modes_: Float[Tensor, "n_modes n_points dim"]
    mean_: Float[Tensor, "n_points dim"]

    def __init__(self, modes: int = 20) -> None:
        self.modes = modes

    @property
    def is_fitted(self) -> bool:
        """True after `fit`."""
        return "modes_" in self.__dict__

    def fit(self: G, meshes: Any) -> G:
        """Find the modes of all frames of all trajectories; returns self. Raises MeshError for unlike bodies."""
        count = int(whole(1)("modes", self.modes))  # type: ignore[arg-type]
        items = as_items(meshes, "trajectories")
        shapes = {i: _moved(items[i], i).shape[1:] for i in range(len(items))}
        strange = next((i for i, shape in shapes.items() if shape != shapes[0]), None)
        if strange is not None:
            raise MeshError(
                f"trajectory {strange} has points {tuple(shapes[strange])}, trajectory 0 {tuple(shapes[0])}: modes are "
                "of one body with the same points in the same order.\n  Moving least squares (GIOROM) carries any body."
            )
        table = torch.cat([_moved(items[i], i) for i in range(len(items))])
        if not bool(torch.isfinite(table).all()):
            bad = [i for i in range(len(items)) if not bool(torch.isfinite(_moved(items[i], i)).all())]
            raise MeshError(f"trajectory {bad[0]} has NaN or infinite places: cut it before, or leave it out.")
        self.mean_ = table.mean(0)
        flat = (table - self.mean_).flatten(1)
        if count > min(flat.shape):
            raise ParameterError(f"modes={count}: {len(flat)} frames of {flat.shape[1]} coordinates have no more.")
        self.modes_ = torch.linalg.svd(flat, full_matrices=False)[2][:count].reshape(count, *self.mean_.shape)
        return self

    def reconstructed(
        self, places: Float[Tensor, "n_times _ _"], nodes: Int64[Tensor, " n"], rest: Float[Tensor, "n_points dim"]
    ) -> Float[Tensor, "n_times n_points dim"]:
        """Places of all points, float64, from those of the nodes with these numbers."""
        self.check_fitted("reconstructed")
        dim = self.mean_.shape[1]
        if len(self.modes_) > len(nodes) * dim:
            raise ParameterError(
                f"{len(self.modes_)} modes cannot be told from {len(nodes)} nodes in {dim}-D: take fewer modes."
            )
        if rest.shape != self.mean_.shape:
            raise MeshError(f"the body has points {tuple(rest.shape)}, the modes {tuple(self.mean_.shape)}.")
        if places.shape[1:] != (len(nodes), dim) or not bool(torch.isfinite(places).all()):
            raise MeshError(
                f"places of the nodes are finite (n_times, {len(nodes)}, {dim}), got {tuple(places.shape)}."
            )
        few = self.modes_.index_select(1, nodes).flatten(1).T
        rest = rest.double()
        shift = places.double() - (rest + self.mean_).index_select(0, nodes)
        amounts = torch.linalg.lstsq(few, shift.flatten(1).T).solution
        return rest + self.mean_ + torch.einsum("mt,mnd->tnd", amounts, self.modes_)


def _moved(item: Any, number: int) -> Float[Tensor, "n_times n_points dim"]:
    if not isinstance(item, Trajectory) or item.moving_points is None:
        raise ParameterError(f"entry {number} is no Trajectory whose points move.")
    return (item.moving_points - item.mesh.points).double()
