"""Closed surfaces in 3-D: sphere and torus, outward oriented."""

from __future__ import annotations

import numpy as np
import torch

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.shapes.finish import choice, counts, finish, positive, to_sphere
from meshlearn.mesh.shapes.lattice import Cells, grid_quads, split_quads


def sphere(
    radius: float = 1.0,
    refine: int = 3,
    cells: str = "triangle",
    order: int = 1,
    dtype: torch.dtype | None = None,
) -> Mesh:
    """The sphere of a radius about the origin, outward oriented.

    refine  how many times the icosahedron (triangles) or the cube (quads) is refined; 3 gives 642 or 386 points
    cells   "triangle", "quad", or "mixed": the cube with three of its faces in triangles
    order 2 puts every node on the sphere. There is no boundary, so there are no boundary sets.

    >>> ml.shapes.sphere(refine=0)
    Mesh(12 points in 3-D, 20 triangle)
    """
    positive(radius=radius)
    choice("cells", cells, ("triangle", "quad", "mixed"))
    points, table = _icosahedron() if cells == "triangle" else _cube(cells == "mixed")
    points = radius * points / np.linalg.norm(points, axis=1, keepdims=True)
    return finish(points, table, None, to_sphere(radius, 3), refine, order, True, dtype)


def _icosahedron() -> tuple[np.ndarray, Cells]:
    g = (1 + np.sqrt(5)) / 2
    corners = [(0.0, s, t * g) for s in (-1, 1) for t in (-1, 1)]
    points = np.array([np.roll(corner, turn) for turn in range(3) for corner in corners])
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    joined = np.isclose(distance, 2.0)
    faces = [
        (a, b, c) if np.dot(np.cross(points[b] - points[a], points[c] - points[a]), points[a]) > 0 else (a, c, b)
        for a in range(12)
        for b in range(a + 1, 12)
        for c in range(b + 1, 12)
        if joined[a, b] and joined[b, c] and joined[a, c]
    ]
    return points, {"triangle": np.array(faces, dtype=np.int64)}


def _cube(mixed: bool) -> tuple[np.ndarray, Cells]:
    points = np.array([(x, y, z) for z in (-1.0, 1.0) for y in (-1.0, 1.0) for x in (-1.0, 1.0)])
    quads = np.array([[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [1, 3, 7, 5], [3, 2, 6, 7], [2, 0, 4, 6]])
    if mixed:
        return points, {"quad": quads[:3], "triangle": split_quads(quads[3:])}
    return points, {"quad": quads}


def torus(
    major: float = 1.0,
    minor: float = 0.4,
    n: tuple[int, int] | None = None,
    cells: str = "triangle",
    order: int = 1,
    refine: int = 0,
    dtype: torch.dtype | None = None,
) -> Mesh:
    """The torus about the z axis: a circle of radius `minor` at the distance `major`, outward oriented.

    n      cells around the axis and around the tube (default (32, 16), or (6, 3) if refined)
    cells  "triangle", "quad" or "mixed" (one half in triangles)

    >>> ml.shapes.torus(n=(6, 4), cells="quad").topology.euler_characteristic
    0
    """
    positive(major=major, minor=minor)
    choice("cells", cells, ("triangle", "quad", "mixed"))
    if minor >= major:
        raise ParameterError(f"torus: minor={minor} must be smaller than major={major}.")
    around, tube = counts(n or ((6, 3) if refine else (32, 16)), 2, refine)
    if min(around, tube) < 3:
        raise ParameterError(f"torus: n={n!r} needs 3 cells or more in both directions.")
    i, j = (a.reshape(-1, order="F") for a in np.meshgrid(np.arange(around), np.arange(tube), indexing="ij"))
    u, v = 2 * np.pi * i / around, 2 * np.pi * j / tube
    ring = major + minor * np.cos(v)
    points = np.stack([ring * np.cos(u), ring * np.sin(u), minor * np.sin(v)], axis=1)
    quads = grid_quads(around, tube, wrap=True) % (around * tube)
    half = np.arange(len(quads)) % around < around // 2
    if cells == "mixed":
        table: Cells = {"quad": quads[half], "triangle": split_quads(quads[~half])}
    else:
        table = {"quad": quads} if cells == "quad" else {"triangle": split_quads(quads)}
    return finish(points, table, None, _to_torus(major, minor), refine, order, True, dtype)


def _to_torus(major: float, minor: float):
    def project(points: torch.Tensor) -> torch.Tensor:
        planar = points[:, :2]
        centre = torch.cat([major * planar / planar.norm(dim=1, keepdim=True), torch.zeros_like(points[:, :1])], 1)
        offset = points - centre
        return centre + minor * offset / offset.norm(dim=1, keepdim=True)

    return project
