"""Drawings of two coordinates, put on a plane in space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.errors import MeshReadError
from meshlearn.io.sections.cross_sections import CrossSections
from meshlearn.io.sections.planes import as_plane
from meshlearn.io.sections.polygons import cleaned
from meshlearn.io.sections.section import Ring, Section, plane_axes


def sections_of_drawing(path: Path, rings: list[tuple[int, np.ndarray]], plane: Any, notes: list[str]) -> CrossSections:
    """One section: x and y of the drawing are coordinates on `plane`, counted from its point.

    plane  (point, normal), (A, B, C, D), or a number z; default z = 0. For the normal z, x and y stay what they are
    """
    origin, normal = as_plane(0.0 if plane is None else plane)
    checked = []
    for number, (label, points) in enumerate(rings, 1):
        if not np.isfinite(points).all():
            raise MeshReadError(f"{path}: contour {number} has coordinates that are not finite.")
        ring = cleaned(points)
        if len(ring) < 3:
            raise MeshReadError(
                f"{path}: contour {number} is open: {len(ring)} distinct points enclose nothing; at least 3 are needed."
            )
        checked.append(Ring(label, ring))
    section = Section(origin, plane_axes(normal), tuple(checked))
    found = CrossSections([section], source=str(path))
    return found.noted(notes + found.defects())


def label_of(text: str | None) -> int | None:
    """A label from an attribute or a layer's name: a whole number from 1 on, or None."""
    text = (text or "").strip()
    return int(text) if text.isdigit() and int(text) > 0 else None
