"""Drawings of two coordinates, put on a plane in space; their layers become labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.errors import MeshReadError, ParameterError
from meshlearn.io.sections.cross_sections import CrossSections
from meshlearn.io.sections.labels import checked_label, label_of
from meshlearn.io.sections.planes import as_plane
from meshlearn.io.sections.polygons import cleaned
from meshlearn.io.sections.section import Ring, Section, plane_axes

NO_LAYER = "0"
"""What a .dxf calls the layer of shapes that were put on none."""

Shape = tuple[str | int | None, np.ndarray]
"""(layer, ring (k, 2)): the layer is a name, a label where the drawing states one, or None."""


@dataclass
class Drawing:
    """What a reader found: shapes, and what it left out, by reason.

    frame  (origin (3,), axes (2, 3)) where the drawing says on which plane it lies
    empty  the drawing says that nothing is there
    """

    path: Path
    shapes: list[Shape] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    frame: tuple[np.ndarray, np.ndarray] | None = None
    empty: bool = False

    def leave_out(self, what: str) -> None:
        """Count something that is not read."""
        self.left_out[what] = self.left_out.get(what, 0) + 1

    def notes(self) -> list[str]:
        """What was left out, in words."""
        return [f"{count} {what} left out" for what, count in self.left_out.items()]


def sections_of_drawing(drawing: Drawing, plane: Any, label: Any, labels: Any, empty: Any) -> CrossSections:
    """One section: x and y of the drawing are coordinates on `plane`, counted from its point.

    plane   (point, normal), (A, B, C, D), or a number z; default: what the drawing says, else z = 0. For the normal z,
            x and y stay what they are
    label   of shapes that carry none
    labels  {layer: label}; shapes on other layers are left out. Default: see `_labels_of_layers`
    empty   True: the drawing may hold no contour, and says then that nothing is on its plane
    """
    path = drawing.path
    if not isinstance(empty, bool):
        raise ParameterError(f"empty={empty!r} is not allowed: True or False is expected.")
    if plane is None and drawing.frame is not None:
        origin, axes = drawing.frame
    else:
        origin, normal = as_plane(0.0 if plane is None else plane)
        axes = plane_axes(normal)
    numbers, names, told = _labels_of_layers(drawing, checked_label(label), labels)
    checked = []
    for number, (layer, points) in enumerate(drawing.shapes):
        if layer not in numbers:
            continue
        if not np.isfinite(points).all():
            raise MeshReadError(f"{path}: contour {number} has coordinates that are not finite.")
        ring = cleaned(points)
        if len(ring) < 3:
            raise MeshReadError(
                f"{path}: contour {number} is open: {len(ring)} distinct points enclose nothing; at least 3 are needed."
            )
        checked.append(Ring(numbers[layer], ring))
    notes = drawing.notes() + told
    if not checked and not (empty or drawing.empty):
        raise MeshReadError(
            f"{path}: there is no contour that can be read" + "".join(f"; {note}" for note in notes) + ".\n"
            "  A plane without contours says that nothing is there: read the file with empty=True if that is meant."
        )
    found = CrossSections([Section(origin, axes, tuple(checked))], names, source=str(path))
    return found.noted(notes + found.defects())


def _labels_of_layers(
    drawing: Drawing, label: int, labels: Any
) -> tuple[dict[str | int | None, int], dict[int, str], list[str]]:
    """({layer: label}, {label: name}, notes).

    A stated label, and the name of a layer that is a whole number from 1 on, are labels. A single other layer has
    `label`; of several each has a label of its own, in the order of their names, so that regions are not mixed.
    """
    layers = list(dict.fromkeys(layer for layer, _ in drawing.shapes))
    if labels is not None:
        return _given(drawing, layers, labels, label)
    numbers: dict[str | int | None, int] = {None: label} if None in layers else {}
    free: list[str] = []
    for layer in layers:
        stated = layer if isinstance(layer, int) else label_of(layer)
        if stated is not None:
            numbers[layer] = stated
        elif isinstance(layer, str):
            free.append(layer)
    taken = set(numbers.values())
    unused = (number for number in range(label, label + len(layers) + len(taken)) if number not in taken)
    shown = dict(zip(sorted(free), unused, strict=False))
    names = {number: layer for layer, number in shown.items() if layer != NO_LAYER}
    told = []
    if len(layers) > 1 and free:
        told = [f"every layer became a label of its own: labels={shown!r} (say so, or otherwise, in `read`)"]
    numbers.update(shown)
    return numbers, names, told


def _given(
    drawing: Drawing, layers: Iterable[Any], labels: Any, label: int
) -> tuple[dict[str | int | None, int], dict[int, str], list[str]]:
    if not isinstance(labels, Mapping) or not all(isinstance(name, str) for name in labels):
        raise ParameterError(f"labels={labels!r} is not allowed: {{name of a layer: label}} is expected for drawings.")
    known = {name: checked_label(value, f"labels[{name!r}]") for name, value in labels.items()}
    numbers: dict[str | int | None, int] = {}
    notes = []
    for layer in layers:
        if layer is None or isinstance(layer, int):
            numbers[layer] = label if layer is None else layer
        elif layer in known:
            numbers[layer] = known[layer]
        else:
            count = sum(own == layer for own, _ in drawing.shapes)
            notes.append(f"{count} contours on the layer {layer!r}, which labels= does not name, left out")
    missing = [name for name in known if name not in numbers]
    if missing:
        there = [layer for layer in layers if isinstance(layer, str)]
        notes.append(f"no contour is on the layers {missing} of labels=; there are {there}")
    return numbers, {value: name for name, value in known.items() if name in numbers}, notes
