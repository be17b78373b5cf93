"""Planes that contradict others: what they show is not taken at its word near such places."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from meshlearn.io.sections import Conflict


@dataclass(frozen=True)
class Doubt:
    """Within `reach` of `point`, plane `plane` may be off by `depth`; all in unit frame.

    alone  the plane contradicts more planes than the ones it contradicts here: it is they that are believed
    """

    plane: int
    point: np.ndarray
    reach: float
    depth: float
    alone: bool


def doubts_of(conflicts: list[Conflict]) -> list[Doubt]:
    """The doubts that conflicts raise.

    The plane that is in more conflicts than the other bears the doubt: one plane that is wrong contradicts all that
    cross it, a right one only that. Where both are in as many, both do, and the result lies between.
    """
    count = Counter(plane for conflict in conflicts for plane in conflict.planes)
    found = []
    for conflict in conflicts:
        i, j = conflict.planes
        blamed = [i, j] if count[i] == count[j] else [max(i, j, key=lambda plane: count[plane])]
        reach = max(0.75 * conflict.length, 2 * conflict.depth)
        found += [Doubt(k, np.array(conflict.point), reach, conflict.depth, len(blamed) == 1) for k in blamed]
    return found


def noise_at(doubts: list[Doubt], plane: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(n,) by how much a plane may be off at its points (n, 3); 0 where nothing is in doubt."""
    found = np.zeros(len(points))
    for doubt in doubts:
        near = (plane == doubt.plane) & (np.linalg.norm(points - doubt.point, axis=1) < doubt.reach)
        found[near] = np.maximum(found[near], doubt.depth)
    return found


def trust_at(doubts: list[Doubt], plane: int, points: np.ndarray) -> np.ndarray:
    """(n,) in [0, 1]: how far a plane is to be met at its points; 0 near places where it alone is contradicted."""
    found = np.ones(len(points))
    for doubt in doubts:
        if doubt.plane == plane and doubt.alone:
            far = np.linalg.norm(points - doubt.point, axis=1) / doubt.reach
            found = np.minimum(found, np.clip(2 * far - 1, 0, 1))
    return found
