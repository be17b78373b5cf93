"""Steps of a simulator from frame to frame of a film, and how many they are."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from meshlearn.errors import SimulationError
from meshlearn.models.constitutive.observed import Observed
from meshlearn.sim.motion.system import Motion
from meshlearn.train.survey import FitWarning

MOST = 100_000  # steps of one frame: more would not end
MANY = 1_000_000  # steps of a whole training: told before


def frames_between(
    world: Motion, state: Any, times: list[float], time_step: float | None, recompute: bool = False
) -> Iterator[Any]:
    """States of a scene at some times, one after the other, led on from a state at the first."""
    for before, after in itertools.pairwise(times):
        length = after - before
        steps = max(1, math.ceil(length / longest_step(world, state, length, time_step) - 1e-9))
        state = world.run(state, steps, length / steps, checkpoint=steps if recompute else 0)
        yield state


def longest_step(world: Motion, state: Any, length: float, time_step: float | None) -> float:
    """The longest time step within a frame; raises SimulationError where a frame would take more than `MOST`."""
    longest = time_step or world.stable_step(state, world.acceleration_bound() * length)
    if not longest * MOST >= length:  # nor is NaN
        count = f"{length / longest:.2g}" if longest > 0 else "endlessly many"
        why = "give a longer time_step" if time_step else "no longer one is stable with a law as stiff as this"
        raise SimulationError(
            f"a frame of {length:.3g} would take {count} time steps of {longest:.2g}, {MOST:,} at most are made: {why}."
        )
    return longest


def warn_of_many_steps(world: Motion, observed: Observed, updates: int, frames: float, time_step: float | None) -> None:
    """A FitWarning where so many updates, of so many frames in all, take very many steps with the law as it is."""
    film = observed.times[-1] - observed.times[0]
    frame = film / (observed.n_frames - 1)
    with torch.no_grad():
        longest = longest_step(world, observed.state(0, world), frame, time_step)
    steps = frames * frame / longest
    if steps > MANY:
        warnings.warn(
            f"{updates} updates take about {steps:.2g} time steps, {film / longest:.2g} for the film once: a step is "
            f"{longest:.2g} long with the law that training begins with, a frame {frame:.2g}.\n  A stiff law has "
            "short steps: give young= and poisson= about those of the body. Fewer updates, a shorter film or a coarser "
            "scene take fewer.",
            FitWarning,
            stacklevel=5,
        )
