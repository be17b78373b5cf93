"""How well a surface agrees with the sections it was made from: it is cut by the same planes again."""

from __future__ import annotations

from typing import Any

import numpy as np

from meshlearn.io.sections import CrossSections, Section
from meshlearn.io.sections.polygons import distance, pieces_of
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.cross_sections.raster import parity

GRID = 400


def facts(sections: CrossSections, mesh: Mesh, label: int) -> dict[str, Any]:
    """A label's surface in numbers: volume, area, topology, and "planes" as `compare` has them."""
    again = CrossSections.from_mesh(mesh, [(plane.origin, plane.normal) for plane in sections])
    rows = compare(sections, again, label)
    return {
        "name": sections.label_names.get(label),
        "volume": float(mesh.volume()),
        "area": float(mesh.measure()),
        "euler": mesh.topology.euler_characteristic,
        "surfaces": mesh.topology.n_components,
        "watertight": mesh.is_watertight,
        "worst_dice": min(row["dice"] for row in rows),
        "planes": rows,
    }


def compare(sections: CrossSections, again: CrossSections, label: int) -> list[dict[str, Any]]:
    """For every plane: {"plane", "dice", "error_99", "error_max"} of one label.

    dice       twice the common area over the sum of both areas; 1 where both are empty
    error_99   99th percentile of the distance between the contours, both ways, in the unit of the sections; NaN where
               one of them is missing
    """
    rows = []
    for number, (given, found) in enumerate(zip(sections, again, strict=True)):
        a = given.segments(label)
        b = _in_plane(found, given, label)
        errors = _errors(a, b)
        rows.append(
            {
                "plane": number,
                "dice": _dice(a, b, given, label),
                "error_99": float(np.quantile(errors, 0.99)) if len(errors) else float("nan"),
                "error_max": float(errors.max()) if len(errors) else float("nan"),
            }
        )
    return rows


def _in_plane(found: Section, given: Section, label: int) -> np.ndarray:
    """Segments of a cut in the coordinates of the given plane."""
    parts = [given.project(found.lift(ring.points)) for ring in found.rings]
    segments = [np.stack([part, np.roll(part, -1, axis=0)], axis=1) for part in parts]
    return np.concatenate(segments) if segments else np.zeros((0, 2, 2))


def _dice(a: np.ndarray, b: np.ndarray, given: Section, label: int) -> float:
    both = np.concatenate([a, b]).reshape(-1, 2)
    if not len(both):
        return 1.0
    low, size = both.min(0), np.maximum(np.ptp(both, axis=0), 1e-300)
    step = float(size.max()) / GRID
    n0, n1 = (int(np.ceil(s / step)) + 1 for s in size)
    x, y = parity(a, low, step, (n0, n1)), parity(b, low, step, (n0, n1))
    for smaller in given.overlaps.get(label, ()):
        x &= ~parity(given.segments(smaller), low, step, (n0, n1))
    total = int(x.sum()) + int(y.sum())
    return 2 * int((x & y).sum()) / total if total else 1.0


def _errors(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if not len(a) or not len(b):
        return np.zeros(0)
    longest = float(np.ptp(a.reshape(-1, 2), axis=0).max()) / 200
    one, two = pieces_of(a, longest).mean(1), pieces_of(b, longest).mean(1)
    return np.concatenate([distance(one, b), distance(two, a)])
