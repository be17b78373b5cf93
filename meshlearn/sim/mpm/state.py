"""The particles at one time."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from meshlearn.sim.motion.snapshot import Snapshot


@dataclass(frozen=True, kw_only=True)
class State(Snapshot):
    """Particles at one time: position, velocity, step and time of a `Snapshot`, and

    affine  (dim, dim, n): the velocity gradient that a particle carries
    memory  of the materials, one (k, n_of_body) for each body
    """

    affine: Float[Tensor, "dim dim n"]
    memory: tuple[Tensor, ...]
