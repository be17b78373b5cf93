"""Contours in drawings .svg: paths, polygons, rectangles, circles and ellipses, with their transforms.

x and y of the drawing become coordinates of the plane as they are (SVG draws y downwards). The label of a shape is its
attribute `data-label`, or that of a group around it. Curves become chords.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from meshlearn.errors import MeshReadError, ParameterError
from meshlearn.io.sections.cross_sections import CrossSections
from meshlearn.io.sections.drawings import label_of, sections_of_drawing
from meshlearn.io.sections.svg_path import path_rings

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_TRANSFORM = re.compile(r"(\w+)\s*\(([^)]*)\)")
_NOT_DRAWN = {"defs", "clipPath", "mask", "symbol", "pattern", "marker", "metadata", "style", "title", "desc"}


def read_svg(path: Path, plane: Any = None, label: int = 1) -> CrossSections:
    """The shapes of a drawing on a plane; see `sections_of_drawing`."""
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except ElementTree.ParseError as error:
        raise MeshReadError(f"{path}: this is no readable SVG ({error}).") from None
    if _name(root) != "svg":
        raise MeshReadError(f"{path}: this is no SVG: its outermost element is {_name(root)!r}.")
    rings: list[tuple[int, np.ndarray]] = []
    notes: list[str] = []
    _collect(root, np.eye(3), label, rings, notes, path)
    return sections_of_drawing(path, rings, plane, notes)


def _collect(
    element: Any, matrix: np.ndarray, label: int, rings: list[tuple[int, np.ndarray]], notes: list[str], path: Path
) -> None:
    name = _name(element)
    if name in _NOT_DRAWN:
        return
    matrix = matrix @ _matrix(element.get("transform", ""), path)
    label = label_of(element.get("data-label")) or label
    found = _shape(element, name, path)
    if found is None and name in ("text", "image", "use"):
        notes.append(f"the element {name!r} is no contour and was left out")
    for ring in found or ():
        rings.append((label, ring @ matrix[:2, :2].T + matrix[:2, 2]))
    for child in element:
        if isinstance(child.tag, str):
            _collect(child, matrix, label, rings, notes, path)


def _shape(element: Any, name: str, path: Path) -> list[np.ndarray] | None:
    """Rings of one element; None for elements that draw none."""

    def get(key: str, default: float = 0.0) -> float:
        text = element.get(key)
        found = _NUMBER.match(text.strip()) if text else None
        return float(found.group()) if found else default

    if name == "path":
        return path_rings(element.get("d", ""), path)
    if name in ("polygon", "polyline"):
        points = np.array([float(x) for x in _NUMBER.findall(element.get("points", ""))])
        if len(points) % 2:
            raise MeshReadError(f"{path}: a {name} has {len(points)} coordinates, which is an odd number.")
        points = points.reshape(-1, 2)
        if name == "polyline" and len(points) and np.abs(points[0] - points[-1]).max() > 1e-6 * np.ptp(points):
            raise MeshReadError(
                f"{path}: a polyline is open: it starts at {points[0].tolist()} and ends at {points[-1].tolist()}.\n"
                "  Regions need closed contours: draw a polygon, or end where it starts."
            )
        return [points] if len(points) else []
    if name == "rect":
        x, y, w, h = get("x"), get("y"), get("width"), get("height")
        return [np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]])] if w > 0 and h > 0 else []
    if name in ("circle", "ellipse"):
        rx, ry = (get("r"), get("r")) if name == "circle" else (get("rx"), get("ry"))
        angle = 2 * np.pi * np.arange(100) / 100
        round_ = np.stack([get("cx") + rx * np.cos(angle), get("cy") + ry * np.sin(angle)], axis=1)
        return [round_] if rx > 0 and ry > 0 else []
    return None


def _matrix(text: str, path: Path) -> np.ndarray:
    """(3, 3) matrix of a transform attribute."""
    total = np.eye(3)
    for kind, arguments in _TRANSFORM.findall(text):
        a = [float(x) for x in _NUMBER.findall(arguments)]
        m = np.eye(3)
        if kind == "matrix" and len(a) == 6:
            m[:2] = np.array(a).reshape(3, 2).T
        elif kind == "translate" and a:
            m[:2, 2] = a[0], a[1] if len(a) > 1 else 0.0
        elif kind == "scale" and a:
            m[0, 0], m[1, 1] = a[0], a[-1]
        elif kind == "rotate" and a:
            c, s = np.cos(np.deg2rad(a[0])), np.sin(np.deg2rad(a[0]))
            m[:2, :2] = [[c, -s], [s, c]]
            if len(a) == 3:
                m[:2, 2] = np.array(a[1:]) - m[:2, :2] @ np.array(a[1:])
        elif kind in ("skewX", "skewY") and a:
            m[(0, 1) if kind == "skewX" else (1, 0)] = np.tan(np.deg2rad(a[0]))
        else:
            raise MeshReadError(f"{path}: the transform {kind}({arguments}) is unknown.")
        total = total @ m
    return total


def _name(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def svg_text(sections: CrossSections) -> str:
    """The contours of one plane as a drawing in plane coordinates; the plane itself is not in the file."""
    if len(sections) != 1:
        raise ParameterError(f"an .svg file holds one plane, these are {len(sections)}: write sections[[i]], or .csl.")
    plane = sections.planes[0]
    flat = np.concatenate([ring.points for ring in plane.rings]) if plane.rings else np.zeros((1, 2))
    (x, y), (w, h) = flat.min(0), np.maximum(np.ptp(flat, axis=0), 1e-12)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{x:.10g} {y:.10g} {w:.10g} {h:.10g}">']
    for label in plane.labels:
        d = " ".join(
            "M " + " L ".join(f"{a!r} {b!r}" for a, b in ring.points.tolist()) + " Z"
            for ring in plane.rings
            if ring.label == label
        )
        lines.append(f'  <path data-label="{label}" fill-rule="evenodd" d="{d}"/>')
    return "\n".join([*lines, "</svg>"]) + "\n"
