"""Discs and annuli: structured, with the boundary on the true circle in both orders."""

from __future__ import annotations

import numpy as np
import torch

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.shapes.finish import choice, counts, finish, on_sphere, positive, to_sphere
from meshlearn.mesh.shapes.lattice import Cells, grid_quads, split_quads

PLANAR = ("triangle", "quad", "mixed")


def disc(
    radius: float = 1.0,
    n: int | None = None,
    size: float | None = None,
    cells: str = "triangle",
    order: int = 1,
    refine: int = 0,
    boundary: bool = True,
    seed: int = 0,
    dtype: torch.dtype | None = None,
) -> Mesh:
    """The disc of a radius about the origin. Boundary set: "circle".

    n      structured: number of rings (default 8, or 1 if refined); triangles: 6 k points on ring k;
           quads: an n x n block in the middle and n rings around it; mixed: triangles inside, quads in the outer ring
    size   instead of n: edge length of an unstructured mesh
    order 2 puts the mid-side nodes of the boundary on the circle.

    >>> ml.shapes.disc(n=1).cell_counts
    {'triangle': 6, 'line': 6}
    """
    positive(radius=radius)
    choice("cells", cells, PLANAR)
    if size is not None:
        if n is not None:
            raise ParameterError("disc: give n (structured) or size (unstructured), not both.")
        from meshlearn.mesh.shapes.plate import planar

        circle = (0.0, 0.0, radius)
        return planar(circle, (), size, cells, order, refine, boundary, seed, dtype=dtype, side_names=("circle",))
    (rings,) = counts(n, 1, refine)
    points, table = quad_disc(rings) if cells == "quad" else ring_disc(rings, cells == "mixed")
    return finish(
        radius * points,
        table,
        {"circle": on_sphere(radius, 2)},
        {"circle": to_sphere(radius, 2)},
        refine,
        order,
        boundary,
        dtype,
    )


def ring_disc(rings: int, quad_rim: bool = False) -> tuple[np.ndarray, Cells]:
    """The unit disc by rings of 6 k points; with `quad_rim` one more ring of quads of the same number of points."""
    points = [np.zeros((1, 2))]
    triangles = []
    first = 1
    for k in range(1, rings + 1):
        angle = 2 * np.pi * np.arange(6 * k) / (6 * k)
        points.append(k / (rings + quad_rim) * np.stack([np.cos(angle), np.sin(angle)], axis=1))
        inner = 0 if k == 1 else first - 6 * (k - 1)
        sector, i = (a.reshape(-1) for a in np.meshgrid(np.arange(6), np.arange(k), indexing="ij"))
        a, b = first + sector * k + i, first + (sector * k + i + 1) % (6 * k)
        width = max(6 * (k - 1), 1)
        p = inner + (sector * (k - 1) + i) % width
        triangles.append(np.stack([a, b, p], axis=1))
        inside = i < k - 1
        q = inner + (sector * (k - 1) + i + 1) % width
        triangles.append(np.stack([p, b, q], axis=1)[inside])
        first += 6 * k
    cells: Cells = {"triangle": np.concatenate(triangles)}
    if quad_rim:
        m = 6 * rings
        angle = 2 * np.pi * np.arange(m) / m
        points.append(np.stack([np.cos(angle), np.sin(angle)], axis=1))
        cells["quad"] = grid_quads(m, 1, wrap=True)[:, [1, 0, 3, 2]] + first - m
    return np.concatenate(points), cells


def quad_disc(n: int) -> tuple[np.ndarray, Cells]:
    """The unit disc as an n x n block whose sides bulge a little, and n rings of quads out to the circle.

    Square layers of the lattice [-1, 1]^2 are blended from squares (middle) to circles (rim).
    """
    side = np.linspace(-1, 1, n + 1)
    x, y = (a.reshape(-1, order="F") for a in np.meshgrid(side, side, indexing="ij"))
    layer = np.maximum(np.abs(x), np.abs(y))
    core = 0.5 * _rounded(x, y, layer, 0.3)
    quads = [grid_quads(n, n)]
    ring = _perimeter(n)
    start = (n + 1) ** 2
    points = [core]
    inner = core[ring]
    outer = inner / np.linalg.norm(inner, axis=1, keepdims=True)
    corner_angle = np.arctan2(y[ring], x[ring])
    # equal angles on the circle, a little better than the radial images of the block
    along = np.arange(len(ring)) * 2 * np.pi / len(ring) + corner_angle[0]
    outer = np.stack([np.cos(along), np.sin(along)], axis=1)
    previous = ring
    for k in range(1, n + 1):
        t = k / n
        points.append((1 - t) * inner + t * outer)
        current = start + np.arange(len(ring))
        start += len(ring)
        quads.append(np.stack([previous, current, np.roll(current, -1), np.roll(previous, -1)], axis=1))
        previous = current
    return np.concatenate(points), {"quad": np.concatenate(quads)}


def _rounded(x: np.ndarray, y: np.ndarray, layer: np.ndarray, amount: float) -> np.ndarray:
    """Square layers pulled towards circles by `amount` times their own size."""
    radius = np.maximum(np.hypot(x, y), 1e-300)
    factor = 1 - amount * layer * (1 - layer / radius)
    return np.stack([x * factor, y * factor], axis=1)


def _perimeter(n: int) -> np.ndarray:
    """Lattice points on the rim of an n x n block, counter-clockwise from the lower left corner."""
    i = np.arange(n)
    width = n + 1
    return np.concatenate([i, n + width * i, width * n + n - i, width * (n - i)])


def annulus(
    inner: float = 0.5,
    outer: float = 1.0,
    n: tuple[int, int] | None = None,
    size: float | None = None,
    cells: str = "triangle",
    order: int = 1,
    refine: int = 0,
    boundary: bool = True,
    seed: int = 0,
    dtype: torch.dtype | None = None,
) -> Mesh:
    """The ring between two circles about the origin. Boundary sets: "inner", "outer".

    n      structured: cells around and across (default (32, 5), or (8, 1) if refined); size: unstructured instead
    cells  "triangle", "quad" or "mixed" (quads along the inner half, triangles outside)

    >>> mesh = ml.shapes.annulus(n=(8, 1), cells="quad")
    >>> mesh.topology.euler_characteristic
    0
    """
    positive(inner=inner, outer=outer)
    choice("cells", cells, PLANAR)
    if inner >= outer:
        raise ParameterError(f"annulus: inner={inner} must be smaller than outer={outer}.")
    if size is not None:
        if n is not None:
            raise ParameterError("annulus: give n (structured) or size (unstructured), not both.")
        from meshlearn.mesh.shapes.plate import planar

        names = ("outer", "inner")
        hole = [(0.0, 0.0, inner)]
        return planar(
            (0.0, 0.0, outer), hole, size, cells, order, refine, boundary, seed, dtype=dtype, side_names=names
        )
    around, across = counts(n or ((8, 1) if refine else (32, 5)), 2, refine)
    if around < 3:
        raise ParameterError(f"annulus: n={n!r} has fewer than 3 cells around.")
    angle = 2 * np.pi * np.arange(around) / around
    radii = np.linspace(inner, outer, across + 1)
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = (radii[:, None, None] * unit[None]).reshape(-1, 2)
    quads = grid_quads(around, across, wrap=True)[:, [1, 0, 3, 2]]
    if cells == "mixed":
        near_hole = np.arange(len(quads)) < around * max(across // 2, 1)
        table: Cells = {"quad": quads[near_hole], "triangle": split_quads(quads[~near_hole])}
    else:
        table = {"quad": quads} if cells == "quad" else {"triangle": split_quads(quads)}
    return finish(
        points,
        table,
        {"inner": on_sphere(inner, 2), "outer": on_sphere(outer, 2)},
        {"inner": to_sphere(inner, 2), "outer": to_sphere(outer, 2)},
        refine,
        order,
        boundary,
        dtype,
    )
