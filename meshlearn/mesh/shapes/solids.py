"""Solids: box, cylinder and ball."""

from __future__ import annotations

import numpy as np
import torch

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.shapes.disc import quad_disc, ring_disc
from meshlearn.mesh.shapes.finish import choice, counts, finish, near, on_sphere, positive, to_sphere
from meshlearn.mesh.shapes.lattice import (
    FACES_INWARD,
    Cells,
    extrude,
    grid_hexahedra,
    grid_points,
    split_hexahedra,
    split_to_pyramids,
    split_wedges,
)


def box(
    lx: float = 1.0,
    ly: float = 1.0,
    lz: float = 1.0,
    n: int | tuple[int, int, int] | None = None,
    cells: str = "tetra",
    order: int = 1,
    refine: int = 0,
    boundary: bool = True,
    dtype: torch.dtype | None = None,
) -> Mesh:
    """[0, lx] x [0, ly] x [0, lz].

    n      cubes along each direction (default 4, or 1 if refined)
    cells  what each cube becomes: "hexahedron"; 6 "tetra"; 2 "wedge"; 6 "pyramid" around its centre; "mixed": along x
           hexahedra, then wedges, then tetrahedra joined to them by pyramids (needs 3 cubes or more along x)
    Boundary sets: "left", "right" (x), "front", "back" (y), "bottom", "top" (z).

    >>> ml.shapes.box(n=3, cells="mixed", boundary=False).cell_counts
    {'hexahedron': 9, 'wedge': 18, 'pyramid': 9, 'tetra': 90}
    """
    positive(lx=lx, ly=ly, lz=lz)
    choice("cells", cells, ("tetra", "hexahedron", "wedge", "pyramid", "mixed"))
    shape = counts(n, 3, refine, default=4)
    lengths = (lx, ly, lz)
    points = grid_points(*(np.linspace(0, length, count + 1) for length, count in zip(lengths, shape, strict=True)))
    cubes = grid_hexahedra(*shape)
    table: Cells
    if cells == "pyramid":
        table = {"pyramid": split_to_pyramids(cubes, len(points))}
        points = np.concatenate([points, points[cubes].mean(1)])
    elif cells == "mixed":
        points, table = _mixed_box(points, cubes, shape)
    else:
        table = {"hexahedron": {"hexahedron": cubes}, "tetra": {"tetra": split_hexahedra(cubes)}}.get(
            cells, {"wedge": _split_to_wedges(cubes)}
        )
    scale = max(lengths)
    sides = {
        name: near(axis, value, scale)
        for axis, names in enumerate((("left", "right"), ("front", "back"), ("bottom", "top")))
        for name, value in zip(names, (0.0, lengths[axis]), strict=True)
    }
    return finish(points, table, sides, None, refine, order, boundary, dtype)


def _split_to_wedges(cubes: np.ndarray) -> np.ndarray:
    return cubes[:, np.array([[0, 1, 2, 4, 5, 6], [0, 2, 3, 4, 6, 7]])].reshape(-1, 6)


def _mixed_box(points: np.ndarray, cubes: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, Cells]:
    if shape[0] < 3:
        raise ParameterError(f"box: cells='mixed' needs n of 3 or more along x, got n={shape}.")
    column = np.arange(len(cubes)) % shape[0]
    first, second = shape[0] // 3, 2 * shape[0] // 3
    split = cubes[column >= second]
    faces = split[:, FACES_INWARD]  # (m, 6, 4)
    centres = np.broadcast_to(len(points) + np.arange(len(split))[:, None, None], (len(split), 6, 1))
    joined = np.zeros((len(split), 6), dtype=bool)
    joined[column[column >= second] == second, 5] = True  # the face towards the wedges stays a quad
    pyramids = np.concatenate([faces, centres], axis=2)
    tetra = pyramids[~joined][:, np.array([[0, 1, 2, 4], [0, 2, 3, 4]])].reshape(-1, 4)
    table = {
        "hexahedron": cubes[column < first],
        "wedge": _split_to_wedges(cubes[(column >= first) & (column < second)]),
        "pyramid": pyramids[joined],
        "tetra": tetra,
    }
    return np.concatenate([points, points[split].mean(1)]), table


def cylinder(
    radius: float = 1.0,
    height: float = 1.0,
    n: int | tuple[int, int] | None = None,
    cells: str = "tetra",
    order: int = 1,
    refine: int = 0,
    boundary: bool = True,
    dtype: torch.dtype | None = None,
) -> Mesh:
    """The cylinder of a radius about the z axis, 0 <= z <= height.

    n      rings and layers (default 4 and 4, or 1 and 1 if refined)
    cells  "tetra", "wedge", "hexahedron" or "mixed" (wedges inside, hexahedra along the side)
    Boundary sets: "bottom", "top", "side". Order 2 puts the nodes of the side on the true cylinder.

    >>> ml.shapes.cylinder(n=(1, 1), cells="wedge", boundary=False).cell_counts
    {'wedge': 6}
    """
    positive(radius=radius, height=height)
    choice("cells", cells, ("tetra", "wedge", "hexahedron", "mixed"))
    rings, layers = counts(n, 2, refine, default=4)
    base, planar = quad_disc(rings) if cells == "hexahedron" else ring_disc(rings, cells == "mixed")
    z = np.linspace(0, height, layers + 1)
    points = np.hstack([np.tile(radius * base, (layers + 1, 1)), np.repeat(z, len(base))[:, None]])
    table = extrude(planar, len(base), layers)
    if cells == "tetra":
        table = {"tetra": split_wedges(table["wedge"])}
    sides = {
        "bottom": near(2, 0.0, height),
        "top": near(2, height, height),
        "side": on_sphere(radius, 2),
    }
    return finish(points, table, sides, {"side": to_sphere(radius, 2)}, refine, order, boundary, dtype)


def ball(
    radius: float = 1.0,
    n: int | None = None,
    cells: str = "tetra",
    order: int = 1,
    refine: int = 0,
    boundary: bool = True,
    dtype: torch.dtype | None = None,
) -> Mesh:
    """The solid ball of a radius about the origin: a cube of n^3 cells and n layers around it. Boundary set: "surface".

    n      default 4, or 1 if refined
    cells  "hexahedron", or "tetra" (12 around the centre of each hexahedron)

    >>> ml.shapes.ball(n=1, cells="hexahedron", boundary=False).cell_counts
    {'hexahedron': 7}
    """
    positive(radius=radius)
    choice("cells", cells, ("tetra", "hexahedron"))
    (m,) = counts(n, 1, refine, default=4)
    points, cubes = _ball_blocks(m)
    table: Cells = {"hexahedron": cubes}
    if cells == "tetra":
        faces = cubes[:, FACES_INWARD].reshape(-1, 4)
        turn = (faces.argmin(1)[:, None] + np.arange(4)) % 4  # cut each face through its smallest node
        faces = np.take_along_axis(faces, turn, axis=1)
        apex = np.repeat(len(points) + np.arange(len(cubes)), 6)[:, None]
        table = {"tetra": np.hstack([faces, apex])[:, np.array([[0, 1, 2, 4], [0, 2, 3, 4]])].reshape(-1, 4)}
        points = np.concatenate([points, points[cubes].mean(1)])
    project = {"surface": to_sphere(radius, 3)}
    return finish(radius * points, table, {"surface": on_sphere(radius, 3)}, project, refine, order, boundary, dtype)


def _ball_blocks(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit ball: the lattice cube, rounded a little, and n shells of hexahedra from its faces to the sphere."""
    side = np.linspace(-1, 1, n + 1)
    lattice = grid_points(side, side, side)
    layer = np.abs(lattice).max(1, keepdims=True)
    length = np.maximum(np.linalg.norm(lattice, axis=1, keepdims=True), 1e-300)
    core = 0.5 * lattice * (1 - 0.3 * layer * (1 - layer / length))
    cubes = grid_hexahedra(n, n, n)
    # faces of the cube, seen from outside, matched to the shell points by their number on the cube's surface
    faces = cubes[:, FACES_INWARD[:, ::-1]].reshape(-1, 4)
    key = np.sort(faces, axis=1)
    _, first, count = np.unique(key, axis=0, return_index=True, return_counts=True)
    faces = faces[first[count == 1]]
    rim = np.unique(faces)
    number = np.zeros(len(lattice), dtype=np.int64)
    number[rim] = np.arange(len(rim))
    direction = np.tan(np.pi / 4 * lattice[rim])  # equal angles on each face of the cube
    outer = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    points, shells, previous = [core], [cubes], rim
    for k in range(1, n + 1):
        points.append((1 - k / n) * core[rim] + k / n * outer)
        current = len(lattice) + (k - 1) * len(rim) + np.arange(len(rim))
        shells.append(np.hstack([previous[number[faces]], current[number[faces]]]))
        previous = current
    return np.concatenate(points), np.concatenate(shells)
