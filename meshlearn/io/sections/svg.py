"""Contours in drawings .svg: paths, polygons, rectangles, circles and ellipses, with their transforms.

x and y of the drawing, in its user units (those of the viewBox), become coordinates of the plane as they are; SVG draws
y downwards. Lengths that name a unit become user units, 96 to the inch, as SVG has it. The label of a shape is its
attribute `data-label`, or that of a group around it; layers of Inkscape are layers. What is hidden is left out, and
told. Curves become chords. A file that was written here says on which plane it lies: `data-origin` and `data-axes`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from meshlearn.errors import MeshReadError, ParameterError
from meshlearn.io.sections.cross_sections import CrossSections
from meshlearn.io.sections.drawings import Drawing, sections_of_drawing
from meshlearn.io.sections.labels import label_of
from meshlearn.io.sections.svg_path import path_rings
from meshlearn.io.sections.svg_style import Rules, hides, local_name, rules_of

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_TRANSFORM = re.compile(r"(\w+)\s*\(([^)]*)\)")
_NOT_DRAWN = {"defs", "clipPath", "mask", "symbol", "pattern", "marker", "metadata", "style", "title", "desc"}
_SHAPES = {"path", "polygon", "polyline", "rect", "circle", "ellipse"}
_UNREADABLE = {"text", "image", "use", "line", "foreignObject"}
_LENGTH = re.compile(rf"({_NUMBER.pattern})\s*([a-z%]*)", re.IGNORECASE)
_UNITS = {"": 1.0, "px": 1.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4, "pt": 96 / 72, "pc": 16.0}
_HIDDEN = "hidden shapes"
_INKSCAPE = "{http://www.inkscape.org/namespaces/inkscape}"


def read_svg(path: Path, plane: Any = None, label: Any = 1, labels: Any = None, empty: Any = False) -> CrossSections:
    """The shapes of a drawing on a plane; see `sections_of_drawing`."""
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except ElementTree.ParseError as error:
        what = "the file is empty" if not path.stat().st_size else f"this is no readable SVG ({error})"
        raise MeshReadError(f"{path}: {what}.") from None
    if local_name(root) != "svg":
        raise MeshReadError(f"{path}: this is no SVG: its outermost element is {local_name(root)!r}.")
    drawing = Drawing(path, frame=_frame(root, path), empty=root.get("data-empty") == "true")
    _collect(root, np.eye(3), None, False, rules_of(root), drawing)
    return sections_of_drawing(drawing, plane, label, labels, empty)


def _collect(
    element: Any, matrix: np.ndarray, layer: str | int | None, hidden: bool, rules: Rules, drawing: Drawing
) -> None:
    name = local_name(element)
    if name in _NOT_DRAWN:
        return
    gone, hidden = hides(element, rules, hidden)
    if gone:
        within = sum(isinstance(e.tag, str) and local_name(e) in _SHAPES for e in element.iter())
        for _ in range(within):
            drawing.leave_out(_HIDDEN)
        return
    matrix = matrix @ _matrix(element.get("transform", ""), drawing.path)
    if element.get(f"{_INKSCAPE}groupmode") == "layer":
        layer = element.get(f"{_INKSCAPE}label") or element.get("id") or layer
    stated = element.get("data-label")
    if stated is not None:
        layer = label_of(stated)
        if layer is None:
            raise MeshReadError(
                f"{drawing.path}: data-label={stated!r} is no label: labels are whole numbers from 1 on, 0 is the "
                "outside."
            )
    if name in _UNREADABLE:
        drawing.leave_out(f"{name!r} elements, which are no contours that can be read,")
        return
    if name in _SHAPES and hidden:
        drawing.leave_out(_HIDDEN)
    elif name in _SHAPES:
        for ring in _shape(element, name, drawing.path):
            drawing.shapes.append((layer, ring @ matrix[:2, :2].T + matrix[:2, 2]))
    for child in element:
        if isinstance(child.tag, str) and local_name(child) == "svg":
            drawing.leave_out("'svg' elements within the drawing, which have coordinates of their own,")
        elif isinstance(child.tag, str):
            _collect(child, matrix, layer, hidden, rules, drawing)


def _frame(root: Any, path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """(origin, axes) of the plane that a drawing names."""
    texts = root.get("data-origin"), root.get("data-axes")
    if texts == (None, None):
        return None
    try:
        origin, axes = (np.array([float(x) for x in (text or "").split()]) for text in texts)
        axes = axes.reshape(2, 3)
        good = origin.shape == (3,) and np.isfinite(origin).all() and np.allclose(axes @ axes.T, np.eye(2), atol=1e-6)
    except ValueError:
        good = False
    if not good:
        raise MeshReadError(
            f"{path}: data-origin={texts[0]!r}, data-axes={texts[1]!r} name no plane: three coordinates and two "
            "orthonormal directions are expected."
        )
    return origin, axes


def _shape(element: Any, name: str, path: Path) -> list[np.ndarray]:
    """Rings of one element."""

    def get(key: str, default: float = 0.0) -> float:
        text = (element.get(key) or "").strip()
        found = _LENGTH.fullmatch(text)
        if text and text != "auto" and (found is None or found[2].lower() not in _UNITS):
            raise MeshReadError(
                f"{path}: {key}={text!r} of a {name} is no length that can be read: a number is expected, without a "
                f"unit or with one of {[unit for unit in _UNITS if unit]}."
            )
        return default if found is None else float(found[1]) * _UNITS[found[2].lower()]

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
        rx, ry = get("rx", get("ry")), get("ry", get("rx"))  # one that is not given equals the other
        rx, ry = min(rx, w / 2), min(ry, h / 2)
        if w <= 0 or h <= 0:
            return []
        corners = np.array([[x + w, y + h], [x, y + h], [x, y], [x + w, y]])
        if rx <= 0 or ry <= 0:
            return [corners]
        angle = 0.5 * np.pi * (np.arange(4)[:, None] + np.arange(26) / 25)
        round_ = np.stack([rx * np.cos(angle), ry * np.sin(angle)], axis=2)
        inward = np.array([[-rx, -ry], [rx, -ry], [rx, ry], [-rx, ry]])
        return [((corners + inward)[:, None] + round_).reshape(-1, 2)]
    rx, ry = (get("r"), get("r")) if name == "circle" else (get("rx"), get("ry"))
    angle = 2 * np.pi * np.arange(100) / 100
    round_ = np.stack([get("cx") + rx * np.cos(angle), get("cy") + ry * np.sin(angle)], axis=1)
    return [round_] if rx > 0 and ry > 0 else []


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


def svg_text(sections: CrossSections) -> str:
    """The contours of one plane as a drawing in plane coordinates, with the plane in attributes of the drawing."""
    if len(sections) != 1:
        raise ParameterError(f"an .svg file holds one plane, these are {len(sections)}: write sections[[i]], or .csl.")
    plane = sections.planes[0]
    flat = np.concatenate([ring.points for ring in plane.rings]) if plane.rings else np.zeros((1, 2))
    (x, y), (w, h) = flat.min(0), np.maximum(np.ptp(flat, axis=0), 1e-12)
    words = lambda array: " ".join(repr(v) for v in array.reshape(-1).tolist())  # noqa: E731
    place = f'data-origin="{words(plane.origin)}" data-axes="{words(plane.axes)}"'
    place += "" if plane.rings else ' data-empty="true"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{x:.10g} {y:.10g} {w:.10g} {h:.10g}" {place}>']
    for label in plane.labels:
        d = " ".join(
            "M " + " L ".join(f"{a!r} {b!r}" for a, b in ring.points.tolist()) + " Z"
            for ring in plane.rings
            if ring.label == label
        )
        lines.append(f'  <path data-label="{label}" fill-rule="evenodd" d="{d}"/>')
    return "\n".join([*lines, "</svg>"]) + "\n"
