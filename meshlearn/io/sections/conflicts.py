"""Where two planes cross they describe the same points: places where they say different things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from meshlearn.io.sections.section import Section

SAMPLES = 256


@dataclass(frozen=True)
class Conflict:
    """Two planes that contradict each other along a part of the line in which they cross.

    planes  their numbers
    labels  what the first and the second say at `point`, 0 is nothing
    point   (3,) the place that is farthest from the contours of both
    length  of the contradicting part of the line, in the unit of the sections
    depth   distance of `point` from the nearer of the two contours: how far one of them would have to move
    """

    planes: tuple[int, int]
    labels: tuple[int, int]
    point: tuple[float, float, float]
    length: float
    depth: float

    def __str__(self) -> str:
        i, j = self.planes
        here = ", ".join(f"{x:.4g}" for x in self.point)
        return (
            f"planes {i} and {j} contradict each other along {self.length:.3g}: at ({here}) the first has label "
            f"{self.labels[0]}, the second {self.labels[1]} (contours are {self.depth:.3g} or more away)"
        )


def find_conflicts(planes: Sequence[Section], box: np.ndarray, tolerance: float) -> list[Conflict]:
    """Contradictions deeper than `tolerance`, the deepest first.

    box  (2, 3) the part of space to look at
    """
    found = []
    for i, first in enumerate(planes):
        for j in range(i + 1, len(planes)):
            line = _common_line(first, planes[j], box)
            conflict = None if line is None else _compare(first, planes[j], line, tolerance, (i, j))
            if conflict is not None:
                found.append(conflict)
    return sorted(found, key=lambda c: -c.depth)


def _common_line(first: Section, second: Section, box: np.ndarray) -> np.ndarray | None:
    """(2, 3) ends of the part of the common line within the box; None where there is none."""
    direction = np.cross(first.normal, second.normal)
    length = float(np.linalg.norm(direction))
    if length < 1e-6:
        return None
    direction /= length
    rows = np.stack([first.normal, second.normal, direction])
    centre = box.mean(0)
    point = np.linalg.solve(rows, [first.normal @ first.origin, second.normal @ second.origin, direction @ centre])
    low, high = -np.inf, np.inf
    for k in range(3):
        if abs(direction[k]) < 1e-12:
            if not box[0, k] <= point[k] <= box[1, k]:
                return None
            continue
        ends = sorted((box[:, k] - point[k]) / direction[k])
        low, high = max(low, ends[0]), min(high, ends[1])
    return None if low >= high else point + np.array([[low], [high]]) * direction


def _compare(a: Section, b: Section, line: np.ndarray, tolerance: float, numbers: tuple[int, int]) -> Conflict | None:
    if not a.rings and not b.rings:
        return None
    share = (np.arange(SAMPLES) + 0.5)[:, None] / SAMPLES
    points = line[0] + share * (line[1] - line[0])
    here, there = a.label_at(a.project(points)), b.label_at(b.project(points))
    differ = np.flatnonzero(here != there)
    if not len(differ):
        return None
    depth = np.full(len(differ), np.inf)
    for section in (a, b):
        flat = section.project(points[differ])
        for label in section.labels:
            depth = np.minimum(depth, np.abs(section.signed_distance(flat, label)))
    worst = int(depth.argmax())
    if depth[worst] <= tolerance:
        return None
    at = differ[worst]
    length = float(np.linalg.norm(line[1] - line[0])) * float((depth > tolerance).sum()) / SAMPLES
    x, y, z = (float(v) for v in points[at])
    return Conflict(numbers, (int(here[at]), int(there[at])), (x, y, z), length, float(depth[worst]))
