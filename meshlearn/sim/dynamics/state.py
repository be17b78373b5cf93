"""A solid at one time."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from meshlearn.sim.motion.snapshot import Snapshot


@dataclass(frozen=True, kw_only=True)
class ElasticState(Snapshot):
    """A solid at one time: position, velocity, step and time of a `Snapshot`, and

    acceleration  (dim, n): at the same time
    """

    acceleration: Float[Tensor, "dim n"]
