"""Contours in drawings .dxf (text): LWPOLYLINE and POLYLINE with bulges, CIRCLE, ELLIPSE, and LINE and ARC joined.

The layer of a contour says its label: its name where that is a whole number from 1 on; of several other layers each has
a label of its own. Layers that are off or frozen, and entities that are invisible, are left out, and told. Pieces on
one layer are joined where their ends meet; what stays open is an error.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.errors import MeshReadError
from meshlearn.io.sections.cross_sections import CrossSections
from meshlearn.io.sections.drawings import NO_LAYER, Drawing, sections_of_drawing

Entity = tuple[str, list[tuple[int, str]]]
_NO_SHAPE = {"SEQEND", "VIEWPORT", "ATTRIB"}


def read_dxf(path: Path, plane: Any = None, label: Any = 1, labels: Any = None, empty: Any = False) -> CrossSections:
    """The closed contours of a drawing on a plane; see `sections_of_drawing`."""
    drawing = Drawing(path)
    loose: dict[str, list[np.ndarray]] = {}
    entities, hidden = _entities(path)
    for kind, pairs in entities:
        values = dict(pairs)
        layer = values.get(8, NO_LAYER)
        if layer in hidden or values.get(60, "0").strip() not in ("", "0"):
            drawing.leave_out("hidden entities")
            continue
        shape = _shape(kind, pairs, values, path)
        if shape is None:
            if kind not in _NO_SHAPE:
                drawing.leave_out(f"{kind} entities, which are no contours that can be read,")
        elif shape[1]:
            drawing.shapes.append((layer, shape[0]))
        else:
            loose.setdefault(layer, []).append(shape[0])
    for layer, pieces in loose.items():
        drawing.shapes += [(layer, ring) for ring in _joined(pieces, path)]
    return sections_of_drawing(drawing, plane, label, labels, empty)


def _entities(path: Path) -> tuple[list[Entity], set[str]]:
    """((kind, group codes with their values) of every entity, names of the layers that are off or frozen).

    Vertices are put into their POLYLINE.
    """
    pairs = _pairs(path)
    starts = [i for i, (code, _) in enumerate(pairs) if code == 0] + [len(pairs)]
    if not starts[:-1]:
        raise MeshReadError(f"{path}: no DXF entity was found.")
    section, poly = "", None
    found: list[Entity] = []
    hidden: set[str] = set()
    for start, end in itertools.pairwise(starts):
        kind, content = pairs[start][1].upper(), pairs[start + 1 : end]
        if kind == "SECTION":
            section = content[0][1].upper() if content else ""
        elif kind == "ENDSEC":
            section = ""
        elif section == "TABLES" and kind == "LAYER" and _is_hidden(dict(content)):
            hidden.add(dict(content).get(2, ""))
        elif section == "ENTITIES" and kind == "POLYLINE":
            poly = list(content)
        elif section == "ENTITIES" and kind == "VERTEX" and poly is not None:
            poly += [(code, value) for code, value in content if code in (10, 20, 42)]
        elif section == "ENTITIES" and kind == "SEQEND" and poly is not None:
            found.append(("POLYLINE", poly))
            poly = None
        elif section == "ENTITIES":
            found.append((kind, content))
    return found, hidden


def _is_hidden(layer: dict[int, str]) -> bool:
    """Off layers have a negative colour (62), frozen ones the first bit of the flags (70)."""
    colour, flags = layer.get(62, "7").strip(), layer.get(70, "0").strip()
    return colour.startswith("-") or (flags.isdecimal() and bool(int(flags) & 1))


def _pairs(path: Path) -> list[tuple[int, str]]:
    """Group codes and their values, line by line."""
    data = path.read_bytes()
    if not data.strip():
        raise MeshReadError(f"{path}: the file is empty.")
    if data.startswith(b"AutoCAD Binary DXF"):
        raise MeshReadError(f"{path}: a binary DXF; save it as text (ASCII DXF).")
    lines = data.decode("utf-8", errors="replace").splitlines()
    pairs: list[tuple[int, str]] = []
    for number in range(0, len(lines) - 1, 2):
        try:
            pairs.append((int(lines[number]), lines[number + 1].strip()))
        except ValueError:
            raise MeshReadError(f"{path}, line {number + 1}: {lines[number][:20]!r} is no DXF group code.") from None
    return pairs


def _shape(
    kind: str, pairs: list[tuple[int, str]], values: dict[int, str], path: Path
) -> tuple[np.ndarray, bool] | None:
    """(points, closed) of an entity that draws a line."""

    def get(code: int, default: float = 0.0) -> float:
        try:
            return float(values.get(code, default))
        except ValueError:
            raise MeshReadError(f"{path}: group code {code} of a {kind} is {values[code]!r}, no number.") from None

    if kind in ("LWPOLYLINE", "POLYLINE"):
        points = _bulged(pairs, bool(int(get(70)) & 1), kind == "POLYLINE", path)
        ends_meet = len(points) > 3 and np.abs(points[0] - points[-1]).max() <= 1e-6 * np.ptp(points, axis=0).max()
        return points, bool(int(get(70)) & 1) or bool(ends_meet)
    centre = np.array([get(10), get(20)])
    if kind == "LINE":
        return np.array([centre, [get(11), get(21)]]), False
    if kind in ("CIRCLE", "ARC"):
        low, high = (0.0, 360.0) if kind == "CIRCLE" else (get(50), get(51, 360.0))
        high += 360.0 * (high <= low)
        angle = np.deg2rad(np.linspace(low, high, max(int((high - low) / 3.6) + 1, 2)))
        points = centre + get(40) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return (points[:-1], True) if kind == "CIRCLE" else (points, False)
    if kind == "ELLIPSE":
        low, high = get(41), get(42, 2 * np.pi)
        major = np.array([get(11), get(21)])
        minor = get(40, 1.0) * np.array([-major[1], major[0]])
        angle = np.linspace(low, high, 101)[:, None]
        points = centre + np.cos(angle) * major + np.sin(angle) * minor
        whole = abs(high - low - 2 * np.pi) < 1e-6
        return (points[:-1], True) if whole else (points, False)
    return None


def _bulged(pairs: list[tuple[int, str]], closed: bool, skip_first: bool, path: Path) -> np.ndarray:
    """Points of a polyline; a bulge is the tangent of a quarter of the angle that an arc to the next point spans."""
    rows: list[list[float]] = []
    try:
        for code, value in pairs:
            if code == 10:
                rows.append([float(value), 0.0, 0.0])
            elif code in (20, 42) and rows:
                rows[-1][1 if code == 20 else 2] = float(value)
    except ValueError as error:
        raise MeshReadError(f"{path}: a polyline has {error}.") from None
    rows = rows[1:] if skip_first and rows else rows  # the elevation of a POLYLINE stands before its vertices
    points: list[np.ndarray] = []
    for k, (x, y, bulge) in enumerate(rows):
        a = np.array([x, y])
        points.append(a)
        if bulge and (closed or k + 1 < len(rows)):
            b = np.array(rows[(k + 1) % len(rows)][:2])
            points += list(_arc(a, b, bulge))
    return np.array(points).reshape(-1, 2)


def _arc(a: np.ndarray, b: np.ndarray, bulge: float) -> np.ndarray:
    """Points between the ends of an arc."""
    along = b - a
    centre = (a + b) / 2 + (1 - bulge**2) / (4 * bulge) * np.array([-along[1], along[0]])
    n = max(int(4 * abs(np.arctan(bulge)) / 0.06), 2)
    angle = 4 * np.arctan(bulge) * np.arange(1, n) / n
    x, y = a - centre
    c, s = np.cos(angle), np.sin(angle)
    return centre + np.stack([c * x - s * y, s * x + c * y], axis=1)


def _joined(pieces: list[np.ndarray], path: Path) -> list[np.ndarray]:
    """Closed rings of pieces that share their ends."""
    every = np.concatenate(pieces)
    tolerance = 1e-6 * max(float(np.ptp(every, axis=0).max()), 1e-300)
    rest, rings = list(pieces), []
    while rest:
        ring = rest.pop(0)
        while np.abs(ring[0] - ring[-1]).max() > tolerance or len(ring) < 3:
            for k, piece in enumerate(rest):
                if np.abs(piece[0] - ring[-1]).max() <= tolerance:
                    ring = np.concatenate([ring, rest.pop(k)[1:]])
                    break
                if np.abs(piece[-1] - ring[-1]).max() <= tolerance:
                    ring = np.concatenate([ring, rest.pop(k)[-2::-1]])
                    break
            else:
                raise MeshReadError(
                    f"{path}: a contour is open: nothing continues it at {ring[-1].tolist()}.\n"
                    "  Regions need closed contours: close it in the drawing."
                )
        rings.append(ring[:-1])
    return rings
