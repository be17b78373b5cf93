"""Which curves may bound one region: holes inside the outline, apart from each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from meshlearn.errors import ParameterError
from meshlearn.mesh.shapes.mesher.curves import Curve, Ellipse, Polygon, segments_meet

MOST = 5_000_000  # points of one mesh


def check_region(curves: Sequence[Curve], size: float, names: Sequence[str]) -> None:
    """Raise ParameterError, naming the curves, unless the first one contains the others and those are apart."""
    outline = curves[0]
    extent = np.ptp(outline.at(np.linspace(0, 1, 257) if outline.smooth else outline.breaks), axis=0)
    if not (np.isfinite(size) and size > 0):
        raise ParameterError(f"size={size!r}: expected a positive edge length.")
    if size > extent.min():
        raise ParameterError(
            f"size={size:g} is larger than the outline's smaller extent {extent.min():g}: choose a smaller size."
        )
    estimate = np.prod(extent) / (0.86 * size**2)
    if estimate > MOST:
        raise ParameterError(
            f"size={size:g} would give about {estimate:.3g} points, more than {MOST}: choose a larger size."
        )
    start = np.zeros(1)
    for name, hole in zip(names[1:], curves[1:], strict=True):
        if crosses(outline, hole) or not outline.contains(hole.at(start))[0]:
            raise ParameterError(f"{name} is not inside the {names[0]}: {describe(hole)}.")
    for i in range(1, len(curves)):
        for j in range(i + 1, len(curves)):
            a, b = curves[i], curves[j]
            if crosses(a, b) or a.contains(b.at(start))[0] or b.contains(a.at(start))[0]:
                raise ParameterError(f"{names[i]} and {names[j]} overlap: {describe(a)} and {describe(b)}.")


def crosses(a: Curve, b: Curve) -> bool:
    """Whether the two curves meet. Exact unless both are ellipses, of which 1024 points are compared."""
    if isinstance(a, Polygon) and isinstance(b, Polygon):
        ends = np.roll(b.corners, -1, axis=0)
        return any(
            segments_meet(p, q, b.corners, ends).any()
            for p, q in zip(a.corners, np.roll(a.corners, -1, axis=0), strict=True)
        )
    if isinstance(a, Ellipse) and isinstance(b, Ellipse):
        inside = b.contains(a.at(np.linspace(0, 1, 1024, endpoint=False)))
        return bool(inside.any() and not inside.all())
    polygon, ellipse = (a, b) if isinstance(a, Polygon) else (b, a)
    assert isinstance(polygon, Polygon)
    assert isinstance(ellipse, Ellipse)
    corners = (polygon.corners - ellipse.centre) @ ellipse.turn / ellipse.axes  # the ellipse is the unit circle here
    along = np.roll(corners, -1, axis=0) - corners
    t = np.clip(-(corners * along).sum(1) / (along * along).sum(1), 0, 1)
    nearest = np.linalg.norm(corners + t[:, None] * along, axis=1)
    farthest = np.linalg.norm(corners, axis=1).max()
    return bool(nearest.min() <= 1 <= farthest)


def describe(curve: Curve) -> str:
    """A few words for messages."""
    if isinstance(curve, Ellipse):
        x, y = curve.centre
        rx, ry = curve.axes
        return (
            f"circle at ({x:.4g}, {y:.4g}), radius {rx:.4g}"
            if rx == ry
            else (f"ellipse at ({x:.4g}, {y:.4g}), half axes {rx:.4g} and {ry:.4g}")
        )
    assert isinstance(curve, Polygon)
    x, y = curve.corners.mean(0)
    return f"polygon of {len(curve.corners)} corners around ({x:.4g}, {y:.4g})"
