"""Random changes of training samples: noise on the state, and turned scenes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from meshlearn.models.giorom.sample import Window


def add_noise(batch: Window, size: float) -> Window:
    """Noise on the known displacements, which adds up along the way (Sanchez-Gonzalez et al. 2020, appendix B.4).

    The last displacement has standard deviation `size`, the one before a step of the walk less, independent at every
    node; the present place is off by the sum. Nodes that are forced stay. Targets lead to the true displacements, not
    to the true places: (x_k - x_0 - k v_0) / (k (k + 1) / 2) with x_k and x_0 shifted alike.
    """
    dim = batch.places.shape[1]
    history, ahead = batch.velocities.shape[1] // dim, batch.targets["point"].shape[1] // dim
    steps = torch.randn(len(batch.places), history, dim, dtype=batch.places.dtype) * (size / math.sqrt(history))
    walk = steps.to(batch.places).cumsum(1) * batch.free[:, :, None]
    last = walk[:, -1]
    wrong = torch.cat([2 * last / (k + 1) for k in range(1, ahead + 1)], 1)
    return batch.replace(
        velocities=batch.velocities + walk.flatten(1),
        places=batch.places + walk.sum(1),
        targets={"point": batch.targets["point"] - wrong.to(batch.targets["point"])},
    )


def turned(batch: Window) -> Window:
    """Every scene turned somehow about its centre, with all that has a direction."""
    dim = batch.places.shape[1]
    turn = torch.linalg.qr(torch.randn(batch.n_meshes, dim, dim, dtype=torch.float64))[0]
    sign = torch.linalg.det(turn).sign()
    turn = torch.cat([turn[:, :, :1] * sign[:, None, None], turn[:, :, 1:]], dim=2).to(batch.places)
    own = turn.index_select(0, batch.mesh_index("point"))

    def vectors(table: Tensor, turns: Tensor) -> Tensor:
        parts = table.reshape(len(table), -1, dim)
        return (parts @ turns.to(table).transpose(1, 2)).reshape(table.shape)

    return batch.replace(
        rest=vectors(batch.rest, own),
        places=vectors(batch.places, own),
        velocities=vectors(batch.velocities, own),
        driven=vectors(batch.driven, own),
        gravity=vectors(batch.gravity, turn),
        targets={"point": vectors(batch.targets["point"], own)},
    )
