"""Contours as tables .csv: one row per point.

With the columns x, y, z and `plane`, a file holds all planes; with x and y alone it is a drawing on one plane.
`contour` (or `ring`) tells contours of a plane apart. `label` is a whole number from 1 on in every row, or in none:
then contours have the label that `read` is given, 1 by default. Rows follow each other along the contour, which is
closed from the last to the first. A plane without contours is a row with the columns nx, ny, nz (its normal) and x, y,
z (a point of it), and an empty `contour`.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.errors import MeshReadError, ParameterError
from meshlearn.io.sections.contours import LabelledRings, checked_ring, fitted_plane, off_plane, section_at
from meshlearn.io.sections.cross_sections import CrossSections
from meshlearn.io.sections.drawings import Drawing, Shape, sections_of_drawing
from meshlearn.io.sections.labels import checked_label, label_of
from meshlearn.io.sections.section import Section

OFF_PLANE = 1e-2


def read_csv(path: Path, plane: Any = None, label: Any = 1, empty: Any = False) -> CrossSections:
    """Contours of a table; `plane` and `empty` are for drawings of two coordinates."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    sample = text[:4096]
    separator = max(",;\t", key=sample.count)
    every = csv.reader(io.StringIO(text), delimiter=separator)
    rows = [(every.line_num, row) for row in every if any(cell.strip() for cell in row)]
    if not rows:
        raise MeshReadError(f"{path}: the file is empty.")
    names = [cell.strip().lower().lstrip("#").strip() for cell in rows[0][1]]
    if "x" not in names or "y" not in names:
        raise MeshReadError(
            f"{path}: the first line must name the columns: x, y, z and plane, or x and y; and contour, label where "
            f"needed. It is {rows[0][1]}."
        )
    columns = {{"ring": "contour"}.get(name, name): i for i, name in enumerate(names)}
    if ("z" in columns) != ("plane" in columns):
        raise MeshReadError(f"{path}: the columns z and plane go together: all planes of a body, or x and y of one.")
    table = [(_row(path, number, row, columns)) for number, row in rows[1:]]
    _check_labels(path, table)
    if "z" in columns:
        if plane is not None or empty:
            raise ParameterError(f"{path} says where its planes are: leave plane= and empty= out.")
        if not table:
            raise MeshReadError(f"{path}: there is no row below the names of the columns.")
        return _in_space(path, table, checked_label(label))
    rings: dict[tuple[str, int | None], list[list[float]]] = {}
    for row in table:
        rings.setdefault((row["contour"], row["label"]), []).append(row["point"])
    shapes: list[Shape] = [(key[1], np.array(points)) for key, points in rings.items()]
    return sections_of_drawing(Drawing(path, shapes), plane, label, None, empty)


def _row(path: Path, number: int, row: list[str], columns: dict[str, int]) -> dict[str, Any]:
    def cell(name: str) -> str:
        place = columns.get(name)
        return row[place].strip() if place is not None and place < len(row) else ""

    def value(name: str) -> float:
        try:
            return float(cell(name))
        except ValueError:
            text = f"{cell(name)!r}, which is no number" if cell(name) else "missing"
            raise MeshReadError(f"{path}, line {number}: {name} is {text} ({','.join(row)[:80]}).") from None

    point = [value(name) for name in ("x", "y", "z") if name in columns]
    normal = [value(name) for name in ("nx", "ny", "nz")] if cell("nx") else None
    label = label_of(cell("label"))
    if label is None and cell("label"):
        raise MeshReadError(
            f"{path}, line {number}: the label is {cell('label')!r}; labels are whole numbers from 1 on, 0 is the "
            "outside."
        )
    found = {"point": point, "normal": normal, "plane": cell("plane"), "contour": cell("contour")}
    return {**found, "label": label, "line": number}


def _check_labels(path: Path, table: list[dict[str, Any]]) -> None:
    """Either every row of a contour has a label, or none: a blank one beside others is no label 1."""
    drawn = [row for row in table if row["normal"] is None or row["contour"]]
    bare = [row["line"] for row in drawn if row["label"] is None]
    if bare and len(bare) < len(drawn):
        raise MeshReadError(f"{path}, line {bare[0]}: the label is missing; other rows have one, so all must.")


def _in_space(path: Path, table: list[dict[str, Any]], label: int) -> CrossSections:
    planes: dict[str, dict[tuple[str, int], list[list[float]]]] = {}
    stated: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for row in table:
        rings = planes.setdefault(row["plane"], {})
        if row["normal"] is not None:
            stated.setdefault(row["plane"], (np.array(row["point"]), np.array(row["normal"])))
        if row["normal"] is None or row["contour"]:
            rings.setdefault((row["contour"], row["label"] or label), []).append(row["point"])
    sections, notes = [], []
    for name, parts in planes.items():
        where = f"{path}: plane {name!r}"
        rings_here: LabelledRings = [
            (own, checked_ring(points, f"{where}, contour {contour!r}", MeshReadError))
            for (contour, own), points in parts.items()
        ]
        if not rings_here:
            sections.append(Section.at(*stated[name]))
            continue
        try:
            fitted = fitted_plane(rings_here, where, stated[name][1] if name in stated else None)
        except ParameterError as error:
            raise MeshReadError(str(error)) from None
        off = off_plane(fitted, rings_here)
        if off > OFF_PLANE:
            raise MeshReadError(
                f"{where}: its points do not lie in a plane (off it by {off:.2g} of their extent).\n"
                "  Give the contours of different planes different values in the column plane."
            )
        if off > 1e-6:
            notes.append(f"plane {name!r}: points are off their plane by {off:.2g} of their extent")
        sections.append(section_at(fitted, rings_here))
    found = CrossSections(sections, source=str(path))
    return found.noted(notes + found.defects())


def csv_text(sections: CrossSections) -> str:
    """All planes as a table."""
    lines = ["plane,contour,label,x,y,z,nx,ny,nz"]
    for number, plane in enumerate(sections):
        normal = ",".join(repr(float(x)) for x in plane.normal)
        for i, ring in enumerate(plane.rings):
            for x, y, z in plane.lift(ring.points).tolist():
                lines.append(f"{number},{i},{ring.label},{x!r},{y!r},{z!r},{normal}")
        if not plane.rings:
            x, y, z = plane.origin.tolist()
            lines.append(f"{number},,,{x!r},{y!r},{z!r},{normal}")
    return "\n".join(lines) + "\n"
