"""Whether a run went well, and where and why it did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import torch

from meshlearn.errors import SimulationError
from meshlearn.sim.mpm.state import State

if TYPE_CHECKING:
    from meshlearn.sim.mpm.solver import MPM

FASTEST = 1.0  # cells that a particle may move in one step


@torch.no_grad()
def check_run(scene: MPM, begin: State, end: State, time_step: float) -> None:
    """Raise SimulationError for a run whose end is no physical state.

    It is made again, step by step, to find the first step that went wrong: this costs nothing where all went well.
    """
    if not problem(scene, end, time_step):
        return
    state = begin.detach()
    while state.step < end.step:
        before, state = state, scene.step(state, time_step)
        cause = problem(scene, state, time_step)
        if cause:
            _refuse(scene, before, state, cause, time_step)
    _refuse(scene, begin, end, problem(scene, end, time_step), time_step)


def problem(scene: MPM, state: State, time_step: float) -> str:
    """What is wrong with a state, in words; empty if nothing is."""
    first = 0
    for number, (body, memory) in enumerate(zip(scene.bodies, state.memory, strict=True)):
        ratio = body.material.volume_ratio(memory)
        bad = ~(ratio > 0)
        if bool(bad.any()):
            i = int(bad.nonzero()[0])
            return (
                f"{int(bad.sum())} particles of body {number} are turned inside out or have no volume (particle "
                f"{first + i}: volume ratio {float(ratio[i]):.3g})"
            )
        first += body.n
    if not state.is_finite():
        return "velocities or places are not finite"
    outside = scene.grid.outside(state.position)
    if bool(outside.any()):
        i = int(outside.nonzero()[0])
        place = ", ".join(f"{x:.4g}" for x in state.position[:, i].tolist())
        return f"{int(outside.sum())} particles left the box (particle {i} is at ({place}))"
    moved = float(state.velocity.abs().max()) * time_step / scene.grid.spacing
    return f"a particle moves {moved:.2g} cells in one step" if moved > FASTEST else ""


def _refuse(scene: MPM, before: State, state: State, cause: str, time_step: float) -> NoReturn:
    if not before.is_finite():
        advice = "Begin with finite values."
    elif "left the box" in cause:
        advice = "Make the box larger, or give it walls on that side; behind walls, take smaller time steps."
    else:
        stable = scene.stable_step(before)
        advice = (
            f"The time step is {time_step:.3g}, stable is {stable:.3g} for these materials at rest. "
            + ("Take that. " if time_step > stable * 1.001 else "Take a smaller cfl, ")
            + ("" if time_step > stable * 1.001 else "more particles per cell, a stiffer material or slower bodies. ")
            + "Corotated() bears stronger compression than NeoHookean()."
        )
    raise SimulationError(f"step {state.step} (time {state.time:.4g}): {cause}.\n  {advice}")
