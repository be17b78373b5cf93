"""Sections from contours in space: planes fitted to points, rings checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from meshlearn.errors import MeshlearnError, ParameterError
from meshlearn.io.sections.cross_sections import CrossSections
from meshlearn.io.sections.labels import checked_label
from meshlearn.io.sections.planes import Plane, as_planes
from meshlearn.io.sections.polygons import cleaned
from meshlearn.io.sections.section import Section

FLAT = 1e-3
"""How far points may be off their plane, as a share of their extent."""

LabelledRings = list[tuple[int, np.ndarray]]


def sections_of_contours(contours: Any, planes: Any, label_names: Mapping[int, str] | None) -> CrossSections:
    """See `CrossSections.from_contours`."""
    if isinstance(contours, (str, bytes, Mapping)) or not isinstance(contours, Iterable):
        raise ParameterError("contours must be a list: for every plane a list of rings, or {label: list of rings}.")
    listed = [_labelled(plane, number) for number, plane in enumerate(contours)]
    known = [None] * len(listed) if planes is None else as_planes(planes)
    if len(known) != len(listed):
        raise ParameterError(f"there are {len(known)} planes, and contours for {len(listed)}: one each is expected.")
    sections = []
    for number, (rings, plane) in enumerate(zip(listed, known, strict=True)):
        where = f"plane {number}"
        checked = [(label, checked_ring(points, f"{where}, ring {i}")) for i, (label, points) in enumerate(rings)]
        if plane is None:
            plane = fitted_plane(checked, where)
        far = off_plane(plane, checked)
        if far > FLAT:
            raise ParameterError(
                f"{where}: points are off the plane by {far:.2g} of their extent; contours of one plane are expected.\n"
                "  Give every plane an entry of its own."
            )
        sections.append(section_at(plane, checked))
    found = CrossSections(sections, label_names)
    return found.noted(found.defects())


def section_at(plane: Plane, rings: LabelledRings) -> Section:
    """The section on a plane, with its origin at the mean of the contours."""
    origin, normal = plane
    if rings:
        mean = np.concatenate([points for _, points in rings]).mean(0)
        origin = mean - ((mean - origin) @ normal) * normal
    return Section.at(origin, normal, rings)


def checked_ring(points: Any, where: str, error: type[MeshlearnError] = ParameterError) -> np.ndarray:
    """(k, 3) float64 points of a ring without repeated ones; raises `error` for what is no closed contour."""
    try:
        ring = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError):
        raise error(f"{where}: points (k, 3) are expected, got {type(points).__name__}.") from None
    if ring.ndim != 2 or ring.shape[1] != 3:
        raise error(f"{where}: points (k, 3) are expected, got an array of shape {ring.shape}.")
    if not np.isfinite(ring).all():
        raise error(f"{where}: coordinates that are not finite.")
    distinct = cleaned(ring)
    if len(distinct) < 3:
        raise error(
            f"{where}: an open contour of {len(distinct)} distinct point{'s' * (len(distinct) != 1)} encloses nothing; "
            "a closed contour has at least 3."
        )
    return distinct


def fitted_plane(rings: LabelledRings, where: str, normal: np.ndarray | None = None) -> Plane:
    """The plane nearest to the points of rings; with `normal`, on that side of it.

    Raises ParameterError where the points do not determine one.
    """
    if not rings:
        raise ParameterError(f"{where} has no contour, which is evidence too: say where it is with planes=.")
    points = np.concatenate([points for _, points in rings])
    centre = points.mean(0)
    _, sizes, directions = np.linalg.svd(points - centre, full_matrices=False)
    if len(sizes) < 3 or sizes[1] <= 1e-9 * sizes[0]:
        raise ParameterError(f"{where}: its points lie in a line and determine no plane: give it with planes=.")
    found = directions[2]
    if normal is None:
        # the direction in which the first ring runs counter-clockwise
        ring = rings[0][1] - rings[0][1].mean(0)
        normal = np.cross(ring, np.roll(ring, -1, axis=0)).sum(0)
    return centre, found if found @ normal >= 0 else -found


def off_plane(plane: Plane, rings: LabelledRings) -> float:
    """The largest distance of a point from the plane, as a share of the extent of the points."""
    if not rings:
        return 0.0
    points = np.concatenate([points for _, points in rings])
    extent = float(np.ptp(points, axis=0).max())
    return float(np.abs((points - plane[0]) @ plane[1]).max()) / max(extent, 1e-300)


def _labelled(plane: Any, number: int) -> list[tuple[int, Any]]:
    if isinstance(plane, Mapping):
        pairs = [(label, ring) for label, rings in plane.items() for ring in rings]
    else:
        try:
            pairs = [(1, ring) for ring in plane]
        except TypeError:
            raise ParameterError(f"plane {number}: a list of rings is expected, got {plane!r}.") from None
    if any(
        np.ndim(entry) == 1 and np.size(entry) == 3 for _, entry in pairs[:1] if not isinstance(entry, (str, bytes))
    ):
        raise ParameterError(
            f"plane {number}: a list of rings is expected, this is a ring by itself: write [ring], and for several "
            "planes [[ring], [ring, hole], []]."
        )
    return [(checked_label(label, f"plane {number}: label"), ring) for label, ring in pairs]
