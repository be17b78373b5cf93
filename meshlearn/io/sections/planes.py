"""Planes as users give them, and sets of planes through a body."""

from __future__ import annotations

from typing import Any

import numpy as np

from meshlearn.errors import ParameterError

Plane = tuple[np.ndarray, np.ndarray]
"""A point of the plane and its unit normal, (3,) float64 each."""


def as_planes(planes: Any) -> list[Plane]:
    """Planes from pairs (point, normal) or from rows (A, B, C, D) of A x + B y + C z + D = 0; normals of any length.

    Raises ParameterError for what is neither, for normals of length zero and numbers that are not finite.

    >>> as_planes([[0, 0, 2, -1]])[0][0]
    array([0. , 0. , 0.5])
    """
    expected = "a list of pairs (point, normal), or of rows (A, B, C, D) of A x + B y + C z + D = 0, is expected"
    try:
        rows = [_numbers(plane) for plane in planes]
    except (TypeError, ValueError):
        raise ParameterError(f"planes={_short(planes)} is not allowed: {expected}.") from None
    found = []
    for number, row in enumerate(rows):
        if row.shape not in ((2, 3), (4,)):
            raise ParameterError(f"plane {number} is {_short(row.tolist())}: {expected}.")
        normal = row[1] if row.ndim == 2 else row[:3]
        length = float(np.linalg.norm(normal))
        if not np.isfinite(row).all():
            raise ParameterError(f"plane {number} is {_short(row.tolist())}: finite numbers are expected.")
        if length == 0.0:
            raise ParameterError(
                f"plane {number} has the normal {normal.tolist()}: a vector that is not zero is expected."
            )
        normal = normal / length
        point = row[0] if row.ndim == 2 else -row[3] / length * normal
        found.append((point, normal))
    return found


def as_plane(plane: Any) -> Plane:
    """One plane, as in `as_planes`; a single number is the plane z = number."""
    if isinstance(plane, (int, float)) and not isinstance(plane, bool):
        return as_planes([(0.0, 0.0, 1.0, -float(plane))])[0]
    return as_planes([plane])[0]


def parallel_planes(body: Any, n: int, normal: Any = (0.0, 0.0, 1.0)) -> list[Plane]:
    """n equally spaced planes across a body (a Mesh, or anything with points), the ends half a spacing inside.

    >>> planes = parallel_planes(ml.shapes.box(n=1), 4)
    >>> [float(point[2]) for point, normal in planes]
    [0.125, 0.375, 0.625, 0.875]
    """
    points = _points(body)
    normal = as_planes([(np.zeros(3), normal)])[0][1]
    along = points @ normal
    centre = 0.5 * (points.min(0) + points.max(0))
    levels = along.min() + np.ptp(along) * (np.arange(_count(n)) + 0.5) / n
    return [(centre + (level - centre @ normal) * normal, normal) for level in levels]


def random_planes(body: Any, n: int, seed: int = 0) -> list[Plane]:
    """n planes of random direction, each through a random point of the middle half of the body's bounding box."""
    points = _points(body)
    generator = np.random.default_rng(seed)
    low, high = points.min(0), points.max(0)
    normals = generator.normal(size=(_count(n), 3))
    places = low + (high - low) * generator.uniform(0.25, 0.75, size=(n, 3))
    return as_planes(list(zip(places, normals, strict=True)))


def _points(body: Any) -> np.ndarray:
    points = body.points if hasattr(body, "points") else body
    points = np.asarray(points.detach().cpu() if hasattr(points, "detach") else points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not len(points):
        raise ParameterError(f"a body in space is expected, a Mesh or (n, 3) points; got shape {points.shape}.")
    return points


def _count(n: Any) -> int:
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
        raise ParameterError(f"n={n!r} is not allowed: a whole number of at least 1 is expected.")
    return int(n)


def _numbers(plane: Any) -> np.ndarray:
    if isinstance(plane, (tuple, list)) and len(plane) == 2:
        plane = [np.asarray(part, dtype=np.float64).reshape(-1) for part in plane]
    return np.asarray(plane, dtype=np.float64)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
