"""Data sets of elastic solids in motion: bodies that are thrown and bounce, beams that are struck and swing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.mesh.shapes import box, rectangle
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.sim.collection import SERIES, collect, design
from meshlearn.sim.dynamics.solver import ElasticDynamics
from meshlearn.sim.motion.film import simulate
from meshlearn.sim.motion.requests import requested, with_facts
from meshlearn.sim.motion.shapes import DRAWN as PLACED
from meshlearn.sim.motion.shapes import checked_shapes, thrown
from meshlearn.sim.mpm.elastic import NeoHookean
from meshlearn.sim.plate import Range

GRAVITY = 9.81
DENSITY = 1000.0
DRAWN: dict[str, dict[str, Range]] = {
    "thrown": {"young": (1e5, 4e5), "poisson": (0.2, 0.35), "speed": (0.5, 2.0), "spin": (-8.0, 8.0)},
    "beam": {"young": (1e5, 4e5), "poisson": (0.2, 0.35), "blow": (-1.5, 1.5), "twist": (-15.0, 15.0)},
}
"""What is drawn unless given: Pa; m/s; rad/s."""
LIMITS = {
    "poisson": (-0.9, 0.45),
    "spin": (-math.inf, math.inf),
    "blow": (-math.inf, math.inf),
    "twist": (-math.inf, math.inf),
}


def make_bodies(
    n: int,
    folder: str | Path | None = None,
    seed: int = 0,
    kind: str = "thrown",
    dim: int = 2,
    cells: int = 8,
    duration: float = 1.0,
    frames: int = 100,
    shapes: str | list[str] | tuple[str, ...] | None = None,
    progress: bool = False,
    **constants: Range,
) -> list[Trajectory]:
    """Draw and simulate `n` elastic bodies as meshes; write them as `body_thrown_0000.mesh.safetensors` … to a folder.

    n, seed    body i depends on the seed and on i only (a Sobol sequence in all that is drawn)
    kind       "thrown": a body of some shape, turned somehow, is thrown with a spin in a box of 1 m and bounces;
               "beam": a beam of 1 m by 0.2 m, clamped on the left, is struck (and twisted, in 3-D) and swings, without
               gravity
    dim        2 (triangles, plane strain) or 3 (tetrahedra)
    cells      along 0.3 m of a body, or twice that along a beam
    duration   simulated time in seconds, in `frames` equal steps
    shapes     for "thrown", those to draw from: "block", "disc", "angle" in 2-D; "block", "ball", "cylinder" in 3-D;
               all of them unless given
    progress   show a progress bar (on a terminal)
    constants  young, poisson; speed, spin of what is thrown; blow (speed of the tip), twist (rate at the tip) of beams:
               numbers or ranges (`DRAWN` unless given)

    Every trajectory is a mesh that moves, in float32, with the fields of `dynamics.simulate` and, as global data of its
    mesh, all that was drawn, gravity (dim,) and, of what is thrown, box (2, dim), its corners.
    Raises ParameterError for impossible requests, and for a folder that holds other bodies of this name.

    >>> throw, = ml.sim.make_bodies(1, cells=4, duration=0.1, frames=2)
    >>> list(throw.mesh.global_data)
    ['young', 'poisson', 'speed', 'spin', 'gravity', 'box']
    """
    ranges = requested(kind, DRAWN, dim, cells, 2, constants, LIMITS)
    if shapes is not None and kind == "beam":
        raise ParameterError("a beam is always a beam; shapes are for what is thrown.")
    forms = checked_shapes(shapes, dim)
    drawn = design(n, seed, ranges | dict.fromkeys(PLACED, (0.0, 1.0)))

    def make(i: int) -> Trajectory:
        values = drawn[i]
        scene = _beam(dim, cells, values) if kind == "beam" else _thrown(dim, cells, values, forms)
        film = simulate(scene, duration, frames)
        facts: dict[str, object] = {name: values[name] for name in ranges}
        down = 0.0 if kind == "beam" else -GRAVITY
        facts["gravity"] = [0.0] * (dim - 1) + [down]
        if kind == "thrown":
            facts["box"] = [[0.0] * dim, [1.0] * dim]
        return with_facts(film, facts)

    return collect(make, n, folder, f"body_{kind}", progress, SERIES)


def _thrown(dim: int, cells: int, values: Mapping[str, float], forms: tuple[str, ...]) -> ElasticDynamics:
    mesh, centre, velocity = thrown(values, forms, dim, 0.02, cells)
    return ElasticDynamics(
        mesh.replace(points=mesh.points + centre),
        NeoHookean(values["young"], values["poisson"]),
        DENSITY,
        velocity,
        [0.0] * (dim - 1) + [-GRAVITY],
        lower=(0.0,) * dim,
        upper=(1.0,) * dim,
    )


def _beam(dim: int, cells: int, values: Mapping[str, float]) -> ElasticDynamics:
    across = max(2 * cells // 5, 1)
    mesh = rectangle(1.0, 0.2, n=(2 * cells, across)) if dim == 2 else box(1.0, 0.2, 0.2, n=(2 * cells, across, across))

    def velocity(points: Tensor) -> Tensor:
        along, made = points[:, 0], torch.zeros_like(points)
        made[:, -1] = values["blow"] * along.square()
        if dim == 3:
            made[:, 1] -= values["twist"] * along * (points[:, 2] - 0.1)
            made[:, 2] += values["twist"] * along * (points[:, 1] - 0.1)
        return made

    return ElasticDynamics(mesh, NeoHookean(values["young"], values["poisson"]), DENSITY, velocity, fixed={"left": 0.0})
