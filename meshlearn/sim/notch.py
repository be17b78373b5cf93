"""A square with two notches in its sides, round, elliptic or wedge-shaped: the specimen of a tensile test."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.spatial import cKDTree

from meshlearn.errors import ParameterError
from meshlearn.mesh.boundary import tagged_points
from meshlearn.mesh.mesh import Mesh
from meshlearn.sim.triangulation import independent_mesh

SIDE = 2.0
NOTCHES = ("circle", "ellipse", "wedge")
FLATNESS = 0.5  # height of the elliptic notch against its depth
OPENING = math.radians(30)  # of the wedge to both sides of its axis
TIP = 0.25  # radius of the wedge's tip against its depth
SAMPLES = 4096


def specimen(radius: float, size: float, notch: str = "circle", seed: int = 0) -> Mesh:
    """Triangles in float64 on the square [0, 2] x [0, 2] without a notch in the middle of the left and right side.

    radius  depth of the notches: half circles of this radius; half ellipses, half as high as circles; wedges that open
            by 60 degrees, with a round tip
    size    edge length, everywhere the same
    seed    of the interior points

    Cell sets of lines: "bottom", "right", "notch_right", "top", "left", "notch_left"; point set: "bottom_left".
    Nodes of the notches lie on their curves. Raises ParameterError for sizes and depths that do not fit.
    """
    if notch not in NOTCHES:
        raise ParameterError(f"notch is one of {NOTCHES}, not {notch!r}.")
    if not 0 < radius < 0.4 * SIDE:
        raise ParameterError(f"radius is the depth of the notches, between 0 and {0.4 * SIDE:g}, not {radius}.")
    if not 0 < size <= radius / 2:
        raise ParameterError(f"size is an edge length, at most half the depth of a notch ({radius:g}), not {size}.")
    depth, height = _profile(radius, notch)
    right = np.stack([SIDE - depth, SIDE / 2 + height], 1)
    left = SIDE - right  # half a turn around the middle
    chosen = _spread(right, 2 * size)
    k = len(chosen) - 1
    corners = np.concatenate([[(0, 0), (SIDE, 0)], right[chosen], [(SIDE, SIDE), (0, SIDE)], left[chosen]])
    sides = ["bottom", "right", *["notch_right"] * k, "right", "top", "left", *["notch_left"] * k, "left"]
    mesh = independent_mesh(corners, size=2 * size, seed=seed, side_names=sides, refine=1)
    points = mesh.points.clone()
    for name, curve in (("notch_right", right), ("notch_left", left)):
        rows = tagged_points(mesh, name)
        points[rows] = torch.from_numpy(curve[cKDTree(curve).query(points[rows].numpy())[1]])
    return mesh.replace(
        points=points,
        cell_sets={name: kinds for name, kinds in mesh.cell_sets.items() if name != "outline"},
        point_sets={"bottom_left": points.norm(dim=1).argmin()[None]},
    )


def _profile(radius: float, notch: str) -> tuple[np.ndarray, np.ndarray]:
    """Depth and height of many points of a notch, from its lower to its upper end."""
    angle = np.linspace(-math.pi / 2, math.pi / 2, SAMPLES + 1)
    if notch != "wedge":
        flat = FLATNESS if notch == "ellipse" else 1.0
        depth, height = radius * np.cos(angle), flat * radius * np.sin(angle)
        depth[[0, -1]] = 0.0
        return depth, height
    tip = TIP * radius
    turn = np.linspace(OPENING - math.pi / 2, math.pi / 2 - OPENING, SAMPLES // 2)
    depth, height = radius - tip + tip * np.cos(turn), tip * np.sin(turn)
    flank = np.linspace(0, 1, SAMPLES // 4, endpoint=False)
    mouth = height[-1] + depth[-1] * math.tan(OPENING)
    up = flank * depth[0], -mouth + flank * (mouth + height[0])
    return np.concatenate([up[0], depth, up[0][::-1]]), np.concatenate([up[1], height, -up[1][::-1]])


def _spread(curve: np.ndarray, size: float) -> np.ndarray:
    """Rows of a curve's points, both ends included, at about equal distances of at most `size` along it."""
    length = np.append(0.0, np.linalg.norm(np.diff(curve, axis=0), axis=1).cumsum())
    count = max(math.ceil(length[-1] / size), 4)
    return np.searchsorted(length, np.linspace(0, length[-1], count + 1) * (1 - 1e-12))
