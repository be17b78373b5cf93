"""What the data sets of bodies in motion check alike."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from meshlearn.errors import ParameterError
from meshlearn.hints import did_you_mean
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.sim.collection import bounds
from meshlearn.sim.plate import Range
from meshlearn.train.option_checks import whole

Limits = tuple[float, float]


def requested(
    kind: str,
    kinds: Mapping[str, Mapping[str, Range]],
    dim: int,
    cells: int,
    fewest: int,
    constants: Mapping[str, Range],
    limits: Mapping[str, Limits],
) -> dict[str, Limits]:
    """{constant: (smallest, largest)} of a kind, with those that were given; `limits` are (0, inf) unless named.

    Raises ParameterError for a kind, dimension, number of cells or constant that there is not.
    """
    if kind not in kinds:
        raise ParameterError(f"there is no kind {kind!r}{did_you_mean(str(kind), kinds)} Kinds are {', '.join(kinds)}.")
    if dim not in (2, 3):
        raise ParameterError(f"dim is 2 or 3, not {dim!r}.")
    whole(fewest)("cells", cells)
    known = kinds[kind]
    for name in constants:
        if name not in known:
            guess = did_you_mean(name, known)
            raise ParameterError(f"{kind!r} has no constant {name!r}{guess} It has {', '.join(known)}.")
    given = {**known, **constants}
    return {name: bounds(name, value, *limits.get(name, (0.0, math.inf))) for name, value in given.items()}


def with_facts(film: Trajectory, facts: Mapping[str, object]) -> Trajectory:
    """The trajectory with what was drawn as float32 global data of its mesh."""
    tensors = {name: torch.tensor(value, dtype=torch.float32) for name, value in facts.items()}
    return film.replace(mesh=film.mesh.with_global_data(**tensors))
