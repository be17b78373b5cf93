"""Intervals, rectangles, squares and the L-shape: structured by `n`, unstructured by `size`."""

from __future__ import annotations

import numpy as np
import torch

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.shapes.finish import choice, counts, finish, near, positive
from meshlearn.mesh.shapes.lattice import Cells, grid_points, grid_quads, split_quads

PLANAR = ("triangle", "quad", "mixed")


def interval(
    length: float = 1.0,
    n: int | None = None,
    order: int = 1,
    refine: int = 0,
    boundary: bool = True,
    dtype: torch.dtype | None = None,
) -> Mesh:
    """[0, length] in 1-D as `n` lines (default 8, or 1 if refined). Boundary sets: "left", "right" (vertex cells).

    >>> ml.shapes.interval(2.0, n=2, boundary=False).points.squeeze(1)
    tensor([0., 1., 2.])
    """
    positive(length=length)
    (nx,) = counts(n, 1, refine)
    points = np.linspace(0, length, nx + 1)[:, None]
    lines = np.stack([np.arange(nx), np.arange(1, nx + 1)], axis=1)
    sides = {"left": near(0, 0.0, length), "right": near(0, length, length)}
    return finish(points, {"line": lines}, sides, None, refine, order, boundary, dtype)


def rectangle(
    lx: float = 1.0,
    ly: float = 1.0,
    n: int | tuple[int, int] | None = None,
    size: float | None = None,
    cells: str = "triangle",
    order: int = 1,
    refine: int = 0,
    pattern: str = "right",
    boundary: bool = True,
    seed: int = 0,
    dtype: torch.dtype | None = None,
) -> Mesh:
    """[0, lx] x [0, ly].

    n         cells along x and y of a structured mesh (default 8, or 1 if refined)
    size      instead of n: edge length of an unstructured mesh, reproducible by `seed`
    cells     "triangle", "quad" or "mixed" (structured: quads on the left half, triangles on the right)
    pattern   diagonals of structured triangles: "right", "left", "alternate"
    order     1 or 2; refine  how many times every edge is halved
    boundary  whether to add the boundary as cells, with the sets "left", "right", "bottom", "top"
    dtype     torch.float32 or float64, torch's default if None

    Raises ParameterError for sizes and counts that are not positive.

    >>> mesh = ml.shapes.rectangle(2.0, 1.0, n=(4, 2))
    >>> mesh.cell_counts, list(mesh.cell_sets)
    ({'triangle': 16, 'line': 12}, ['left', 'right', 'bottom', 'top'])
    """
    positive(lx=lx, ly=ly)
    choice("cells", cells, PLANAR)
    if size is not None:
        if n is not None:
            raise ParameterError("rectangle: give n (structured) or size (unstructured), not both.")
        from meshlearn.mesh.shapes.plate import plate_with_holes

        return plate_with_holes((), size, (lx, ly), cells, order, refine, boundary, seed, dtype=dtype)
    nx, ny = counts(n, 2, refine)
    points = grid_points(np.linspace(0, lx, nx + 1), np.linspace(0, ly, ny + 1))
    quads = grid_quads(nx, ny)
    if cells == "mixed":
        left = points[quads].mean(1)[:, 0] < lx / 2 - 1e-9 * lx
        table: Cells = {"quad": quads[left], "triangle": split_quads(quads[~left], "right")}
    else:
        table = {"quad": quads} if cells == "quad" else {"triangle": split_quads(quads, pattern, nx)}
    scale = max(lx, ly)
    sides = {
        "left": near(0, 0.0, scale),
        "right": near(0, lx, scale),
        "bottom": near(1, 0.0, scale),
        "top": near(1, ly, scale),
    }
    return finish(points, table, sides, None, refine, order, boundary, dtype)


def square(
    length: float = 1.0,
    n: int | None = None,
    size: float | None = None,
    cells: str = "triangle",
    order: int = 1,
    refine: int = 0,
    pattern: str = "right",
    boundary: bool = True,
    seed: int = 0,
    dtype: torch.dtype | None = None,
) -> Mesh:
    """[0, length]^2; see `rectangle`.

    >>> ml.shapes.square(n=2, cells="quad", boundary=False).cell_counts
    {'quad': 4}
    """
    return rectangle(length, length, n, size, cells, order, refine, pattern, boundary, seed, dtype)


def l_shape(
    length: float = 1.0,
    n: int | None = None,
    size: float | None = None,
    cells: str = "triangle",
    order: int = 1,
    refine: int = 0,
    pattern: str = "right",
    boundary: bool = True,
    seed: int = 0,
    dtype: torch.dtype | None = None,
) -> Mesh:
    """[0, length]^2 without its upper right quarter; the re-entrant corner is at (length / 2, length / 2).

    n         cells along half the length (default 4, or 1 if refined); size: unstructured instead
    Boundary sets: "left", "bottom", "right" (x = length), "top" (y = length), "inner" (the two re-entrant sides).
    Other arguments as in `rectangle`; structured "mixed" has quads in the lower half.

    >>> ml.shapes.l_shape(2.0, n=1, cells="quad").measure()
    tensor(3.)
    """
    positive(length=length)
    choice("cells", cells, PLANAR)
    half = length / 2
    if size is not None:
        if n is not None:
            raise ParameterError("l_shape: give n (structured) or size (unstructured), not both.")
        from meshlearn.mesh.shapes.plate import planar

        outline = [(0, 0), (length, 0), (length, half), (half, half), (half, length), (0, length)]
        names = ("bottom", "right", "inner", "inner", "top", "left")
        return planar(outline, (), size, cells, order, refine, boundary, seed, dtype=dtype, side_names=names)
    (m,) = counts(n, 1, refine, default=4)
    points = grid_points(np.linspace(0, length, 2 * m + 1), np.linspace(0, length, 2 * m + 1))
    quads = grid_quads(2 * m, 2 * m)
    centre = points[quads].mean(1)
    quads = quads[(centre[:, 0] < half) | (centre[:, 1] < half)]
    used = np.unique(quads)
    number = np.zeros(len(points), dtype=np.int64)
    number[used] = np.arange(len(used))
    points, quads = points[used], number[quads]
    if cells == "mixed":
        lower = points[quads].mean(1)[:, 1] < half
        table: Cells = {"quad": quads[lower], "triangle": split_quads(quads[~lower], "right")}
    else:
        table = {"quad": quads} if cells == "quad" else {"triangle": split_quads(quads, pattern, 2 * m)}
    eps = 1e-9 * length
    sides = {
        "left": near(0, 0.0, length),
        "right": near(0, length, length),
        "bottom": near(1, 0.0, length),
        "top": near(1, length, length),
        "inner": lambda p: (
            ((np.abs(p[:, 0] - half) < eps) & (p[:, 1] > half - eps))
            | ((np.abs(p[:, 1] - half) < eps) & (p[:, 0] > half - eps))
        ),
    }
    return finish(points, table, sides, None, refine, order, boundary, dtype)
