"""Unstructured planar meshes of any outline with holes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from meshlearn.errors import ParameterError
from meshlearn.mesh.elevation import Projection
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.shapes.finish import check_common, choice, complete
from meshlearn.mesh.shapes.mesher import Curve, Polygon, Triangulation, as_curve, triangulate
from meshlearn.mesh.shapes.mesher.recombine import divide_to_quads, pair_triangles
from meshlearn.mesh.shapes.mesher.region import check_region


def planar(
    outline: Any,
    holes: Sequence[Any] = (),
    size: float = 0.1,
    cells: str = "triangle",
    order: int = 1,
    refine: int = 0,
    boundary: bool = True,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    side_names: Sequence[str] | None = None,
) -> Mesh:
    """An unstructured mesh of the region inside `outline` and outside `holes`; reproducible by `seed`.

    outline, holes   each (x, y, r) a circle; (x, y, rx, ry) or (x, y, rx, ry, angle) an ellipse; (n, 2) corners of a
                     simple polygon, in either direction
    size             edge length; smaller, and growing gradually, around small features and in narrow gaps
    cells            "triangle"; "mixed": pairs of triangles joined to quads where these are good; "quad": quads only
    order, refine    1 or 2, and how many times every edge is halved; new boundary nodes lie on circles and ellipses
    boundary         whether to add the boundary as cells, with sets: "outline" and for polygons "side_0", "side_1" …
                     (side i runs from corner i to corner i + 1), "hole_0", "hole_1" …
    side_names       other names for the sides of the outline (repeated names join sides), then for the holes

    Angles stay above 20 degrees (usually 30) where the outline itself has none below 60. Cost: about 60 us per point.
    Raises ParameterError for holes outside the outline, overlapping or nearly touching curves, polygons that cross
    themselves, and sizes that do not fit; MeshError if no mesh was found.

    >>> mesh = ml.shapes.planar([(0, 0), (2, 0), (1, 1)], holes=[(1.0, 0.35, 0.1)], size=0.2)
    >>> sorted(mesh.cell_sets)
    ['hole_0', 'outline', 'side_0', 'side_1', 'side_2']
    """
    check_common(refine, order)
    choice("cells", cells, ("triangle", "quad", "mixed"))
    curves = [as_curve(outline), *(as_curve(hole) for hole in holes)]
    names = ["outline", *(f"hole_{i}" for i in range(len(holes)))]
    check_region(curves, size, names)
    result = triangulate(curves, 2 * size if cells == "quad" and 2 * size <= _extent(curves[0]) else size, seed, names)
    points, table, segments, curve, piece = _cells(result, curves, cells)
    sets, project = _sets(curves, curve, piece, side_names)
    mesh = Mesh(
        torch.from_numpy(points),
        {
            **{kind: torch.from_numpy(nodes) for kind, nodes in table.items() if len(nodes)},
            "line": torch.from_numpy(segments),
        },
        cell_sets={name: {"line": torch.from_numpy(rows)} for name, rows in sets.items()},
    )
    return complete(mesh, project, refine, order, boundary, dtype)


def plate_with_holes(
    holes: Sequence[Any] = ((0.5, 0.5, 0.2),),
    size: float = 0.1,
    outline: Any = (1.0, 1.0),
    cells: str = "triangle",
    order: int = 1,
    refine: int = 0,
    boundary: bool = True,
    seed: int = 0,
    dtype: torch.dtype | None = None,
) -> Mesh:
    """A rectangular plate [0, lx] x [0, ly] with holes, or a plate of any outline.

    outline   (lx, ly), or a curve as in `planar`
    holes     circles (x, y, r), or ellipses or polygons as in `planar`
    Boundary sets: "left", "right", "bottom", "top" (of a rectangle), "outline", "hole_0", "hole_1" …
    Other arguments and errors as in `planar`.

    >>> mesh = ml.shapes.plate_with_holes([(0.5, 0.5, 0.2)], size=0.1, order=2)
    >>> sorted(mesh.cell_sets), mesh.domain_types
    (['bottom', 'hole_0', 'left', 'outline', 'right', 'top'], ['triangle6'])
    """
    if not isinstance(outline, Curve) and np.shape(outline) == (2,):
        lx, ly = (float(length) for length in outline)
        if not (np.isfinite([lx, ly]).all() and min(lx, ly) > 0):
            raise ParameterError(f"plate_with_holes: outline={outline!r}: expected two positive lengths, or a curve.")
        corners = [(0.0, 0.0), (lx, 0.0), (lx, ly), (0.0, ly)]
        names = ("bottom", "right", "top", "left")
        return planar(corners, holes, size, cells, order, refine, boundary, seed, dtype, names)
    return planar(outline, holes, size, cells, order, refine, boundary, seed, dtype)


def _extent(curve: Curve) -> float:
    return float(np.ptp(curve.at(np.linspace(0, 1, 257)), axis=0).min())


def _cells(result: Triangulation, curves: Sequence[Curve], cells: str):
    """Points, cell tables, segments, and the curve and piece of each segment."""
    points, segments = result.points, result.segments
    if cells == "triangle":
        return points, {"triangle": result.triangles}, segments, result.curve, result.piece
    quads, rest = pair_triangles(points, result.triangles)
    if cells == "mixed":
        return points, {"quad": quads, "triangle": rest}, segments, result.curve, result.piece
    middles = torch.from_numpy(points[segments].mean(1))
    for number, curve in enumerate(curves):
        if curve.smooth:
            rows = torch.from_numpy(np.flatnonzero(result.curve == number))
            middles[rows] = curve.project(middles[rows])
    points, quads, segments = divide_to_quads(points, quads, rest, segments, middles.numpy())
    return points, {"quad": quads}, segments, np.repeat(result.curve, 2), np.repeat(result.piece, 2)


def _sets(
    curves: Sequence[Curve], curve: np.ndarray, piece: np.ndarray, side_names: Sequence[str] | None
) -> tuple[dict[str, np.ndarray], dict[str, Projection]]:
    """Segments by name, and where the new nodes of smooth curves belong."""
    outline = curves[0]
    sides = outline.pieces if isinstance(outline, Polygon) else 1
    given = list(side_names or ())
    default = [f"side_{i}" for i in range(sides)] if isinstance(outline, Polygon) else ["outline"]
    outer = given[:sides] or default
    inner = given[sides:] or [f"hole_{i}" for i in range(len(curves) - 1)]
    if len(outer) != sides or len(inner) != len(curves) - 1:
        raise ParameterError(f"side_names has {len(given)} names, expected {sides} sides and {len(curves) - 1} holes.")
    sets: dict[str, list[np.ndarray]] = {}
    project: dict[str, Projection] = {}
    for i, name in enumerate(outer):
        mine = curve == 0
        if isinstance(outline, Polygon):
            mine &= np.array([outline.side_index(p) for p in range(sides)])[np.where(mine, piece, 0)] == i
        sets.setdefault(name, []).append(np.flatnonzero(mine))
    if isinstance(outline, Polygon):
        sets["outline"] = [np.flatnonzero(curve == 0)]
    for number, name in enumerate(inner, start=1):
        sets.setdefault(name, []).append(np.flatnonzero(curve == number))
    for name, shape in zip([*outer[:1], *inner], curves, strict=True):
        if shape.smooth:
            project[name] = shape.project
    return {name: np.sort(np.concatenate(rows)) for name, rows in sets.items()}, project
