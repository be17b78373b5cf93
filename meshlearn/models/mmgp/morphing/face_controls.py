"""Where the points of a skin go on another one that is cut in the same way: corners, then curves, then faces."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
from torch import Tensor

from meshlearn.models.mmgp.morphing.alignment import Frame, best_turn, boxed
from meshlearn.models.mmgp.morphing.closest import ClosestPlace
from meshlearn.models.mmgp.morphing.creases import MOST_FACES, Curve, CutSkin, Face, cut_skin
from meshlearn.models.mmgp.morphing.faces import Correspondence, correspondence
from meshlearn.models.mmgp.morphing.rotation import best_rotation
from meshlearn.models.mmgp.morphing.skin import Skin
from meshlearn.models.mmgp.morphing.wendland import follow

_ANGLES = tuple(np.deg2rad([40.0, 30.0, 55.0, 70.0]))  # of edges that are sharp: the first that does, on each mesh
_KINKS = (1.0, 3.0, np.inf)  # fewest corners of a rim: a coarse round hole may seem to have one or two
_STEPS = 4


class Creases:
    """A skin of two-dimensional facets that can be cut at several angles; each cut is made once.

    other  the skin that it shall be matched with, in whose frame it is placed; none for a reference
    """

    def __init__(self, skin: Skin, weights: Tensor, other: Creases | None = None) -> None:
        self.skin, self.frame = skin, Frame(skin.points, weights)
        self.placed = self.frame.placed if other is None else self.frame.placed @ self.frame.turn(other.frame)
        self._cuts: dict[tuple[float, float], CutSkin | None] = {}

    def at(self, angle: float, kinks: float = 1.0) -> CutSkin | None:
        """Cut where it bends by more than an angle: `cut_skin`."""
        if (angle, kinks) not in self._cuts:
            self._cuts[angle, kinks] = cut_skin(self.skin, self.placed, angle, kinks)
        return self._cuts[angle, kinks]

    def matches(self, other: Creases) -> Iterator[tuple[CutSkin, CutSkin, Correspondence]]:
        """Both skins cut so that faces correspond, at the same angle if that does; first with the most corners.

        Rims have none only where nothing else does.
        """
        pairs = sorted(product(_ANGLES, _ANGLES), key=lambda pair: pair[0] != pair[1])
        seen: set[int] = set()
        for kinks in _KINKS:
            if seen and kinks == np.inf:
                return
            for mine, theirs in pairs:
                cut, there = self.at(mine, kinks), other.at(theirs, kinks)
                found = correspondence(cut, there) if cut and there else None
                if cut and there and found:
                    if len(cut.corners) not in seen:
                        seen.add(len(cut.corners))
                        yield cut, there, found
                    break

    def unlike(self, other: Creases) -> str:
        """Why there are no `matches`."""
        cut, there = self.at(_ANGLES[0]), other.at(_ANGLES[0])
        if cut is None or there is None:
            whose = "its" if cut is None else "the reference's"
            return f"sharp edges cut {whose} skin into more than {MOST_FACES} faces"
        how = "that meet in another way than" if str(cut) == str(there) else f"against {there} of"
        return f"sharp edges and tags cut its skin into {cut}, {how} the reference"


def face_controls(cut: CutSkin, other: CutSkin, found: Correspondence) -> tuple[np.ndarray, np.ndarray]:
    """(k,) int64 points of a skin, (k, dim) where they go on the other one.

    Corners go to corners, curves to curves by arc length (closed ones in the best rotation), the inside of a face along
    with what bounds it, by radial functions, and then to the closest points of its counterpart.
    """
    points, there = cut.skin.points.numpy(), other.skin.points.numpy()
    goal = np.full(points.shape, np.nan)
    turn = _turn(cut, other, found)
    for mine, theirs in found.curves:
        goal[mine.nodes] = _on_curve(mine.turned(turn), theirs, there)
    for corner, counterpart in found.corners.items():
        goal[corner] = there[counterpart]
    for face, number in zip(cut.faces, found.faces, strict=True):
        if len(face.inside):
            goal[face.inside] = _on_face(face, other.faces[number], points, other.skin.points, goal)
    nodes = cut.skin.nodes.numpy()
    return nodes, goal[nodes]


def _turn(cut: CutSkin, other: CutSkin, found: Correspondence) -> np.ndarray:
    """The rotation that is left between the positions of what corresponds."""
    pairs = [(face.centre, other.faces[k].centre) for face, k in zip(cut.faces, found.faces, strict=True)]
    pairs += [(cut.placed[a], other.placed[b]) for a, b in found.corners.items()]
    return best_turn(np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]))


def _on_curve(curve: Curve, other: Curve, points: np.ndarray) -> np.ndarray:
    """(k, dim) positions for the points of a curve on its counterpart."""
    fraction = curve.fraction
    if curve.closed:
        ways = [(best_rotation(curve, way), way) for way in (other, other.reversed())]
        (shift, _), other = max(ways, key=lambda pair: pair[0][1])
        fraction = np.mod(fraction + shift, 1.0)
    knots, nodes = other.fraction, other.nodes
    if curve.closed:
        knots, nodes = np.append(knots, 1.0), np.append(nodes, nodes[0])
    return np.stack([np.interp(fraction, knots, axis) for axis in points[nodes].T], axis=1)


def _on_face(face: Face, other: Face, points: np.ndarray, there: Tensor, goal: np.ndarray) -> np.ndarray:
    """(k, dim) positions for the points inside of a face on its counterpart."""
    bounds = np.setdiff1d(face.nodes, face.inside)
    mine, own = torch.from_numpy(points[np.append(bounds, face.inside)]), torch.from_numpy(points[face.nodes])
    start = boxed(mine, own, there[torch.from_numpy(other.nodes)], float(np.ptp(points, axis=0).max())).numpy()
    if len(bounds):
        start = follow(start, np.arange(len(bounds)), goal[bounds], 1.0, _STEPS)
    return ClosestPlace(there, other.facets)(torch.from_numpy(start[len(bounds) :]))[0].numpy()
