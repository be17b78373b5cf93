"""Shapes that are thrown: meshes around the origin, turned somehow, and places in a box for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.hints import did_you_mean
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.shapes import ball, box, cylinder, disc, l_shape, rectangle

SHAPES = {2: ("block", "disc", "angle"), 3: ("block", "ball", "cylinder")}
DRAWN = ("form", "x", "y", "turn", "aim")
"""What `thrown` reads from a draw, each between 0 and 1, beside speed and spin."""


def checked_shapes(shapes: Any, dim: int) -> tuple[str, ...]:
    """Names of shapes, all of them for None. Raises ParameterError for others."""
    known = SHAPES[dim]
    names = known if shapes is None else (shapes,) if isinstance(shapes, str) else tuple(shapes)
    for name in names:
        if name not in known:
            guess = did_you_mean(str(name), known)
            raise ParameterError(f"there is no shape {name!r}{guess} In {dim}-D there are {known}.")
    if not names:
        raise ParameterError(f"shapes is empty; in {dim}-D there are {known}.")
    return names


def thrown(
    values: Mapping[str, float], shapes: tuple[str, ...], dim: int, margin: float, cells: int
) -> tuple[Mesh, Tensor, Callable[[Tensor], Tensor]]:
    """(mesh around the origin, place of its centre (dim,), velocity as a function of places) in the unit box.

    values  `DRAWN`, speed and spin about the centre in the plane of the first and last axis
    margin  that is kept to the sides of the box
    cells   along a side of 0.3 of the mesh
    """
    form = shapes[min(int(values["form"] * len(shapes)), len(shapes) - 1)]
    mesh = _turned(_shape(form, dim, cells), values["turn"])
    reach = float(mesh.points.norm(dim=1).max())
    room = 1.0 - 2 * (reach + margin)
    centre = reach + margin + room * torch.tensor([values["x"]] * (dim - 1) + [0.4 + 0.6 * values["y"]])
    angle = 2 * math.pi * values["aim"]
    towards = torch.tensor([math.cos(angle), *([0.0] * (dim - 2)), math.sin(angle)])

    def velocity(points: Tensor) -> Tensor:
        arm, spun = points - centre.to(points), torch.zeros_like(points)
        spun[:, 0], spun[:, -1] = -arm[:, -1], arm[:, 0]
        return values["speed"] * towards.to(points) + values["spin"] * spun

    return mesh, centre, velocity


def _shape(form: str, dim: int, cells: int) -> Mesh:
    few = max(cells // 2, 1)
    if dim == 2:
        shape = {
            "block": lambda: rectangle(0.3, 0.2, n=(cells, max(2 * cells // 3, 1))),
            "disc": lambda: disc(0.14, n=few),
            "angle": lambda: l_shape(0.3, n=cells if cells % 2 == 0 else cells + 1),
        }
    else:
        across = max(2 * cells // 3, 1)
        shape = {
            "block": lambda: box(0.3, 0.2, 0.2, n=(cells, across, across)),
            "ball": lambda: ball(0.14, n=max(few, 2)),
            "cylinder": lambda: cylinder(0.1, 0.25, n=(max(few, 2), cells)),
        }
    mesh = shape[form]()
    middle = (mesh.points.amin(0) + mesh.points.amax(0)) / 2
    return mesh.replace(points=mesh.points - middle)


def _turned(mesh: Mesh, share: float) -> Mesh:
    """Turned in the plane of the first and the last axis."""
    cosine, sine = math.cos(2 * math.pi * share), math.sin(2 * math.pi * share)
    turn = torch.eye(mesh.dim, dtype=mesh.dtype)
    turn[0, 0], turn[0, -1], turn[-1, 0], turn[-1, -1] = cosine, -sine, sine, cosine
    return mesh.replace(points=mesh.points @ turn.T)
