"""Corners of boundary loops, and the points of another loop that correspond to them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from meshlearn.models.mmgp.morphing.loop import Loop

_SHARP = 0.5  # radians
_MOST = 48
_CANDIDATES = (10, 40)
_TURNING, _POSITION, _ARC = 1.0, 1.0, 0.25


@dataclass(frozen=True)
class Anchor:
    """A point of the reference loop and the points of another loop that may correspond to it.

    fraction    of the reference loop's length
    candidates  (m,) positions in the other loop
    costs       (m,) of choosing them
    """

    fraction: float
    candidates: np.ndarray
    costs: np.ndarray


def sharp_corners(loop: Loop) -> np.ndarray:
    """(m,) positions in the loop of its corners: turning by half a radian or more, and twice as much as next to them.

    The second condition tells corners from coarse polygons on smooth curves.
    """
    turn = np.abs(loop.turning)
    beside = np.maximum(np.roll(turn, 1), np.roll(turn, -1))
    found = np.flatnonzero(loop.corner & turns_sharply(turn, beside))
    if len(found) > _MOST:
        found = np.sort(found[np.argsort(-turn[found], kind="stable")[:_MOST]])
    return found


def turns_sharply(turn: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """(n,) bool: is an angle (radians) that of a corner, given the larger one of those next to it?"""
    return np.asarray((turn > _SHARP) & (turn > 2 * beside))


def corner_anchor(loop: Loop, reference: Loop, corner: int, wide: bool = False) -> Anchor:
    """The points of `loop` most like a corner of the reference, by turning angle and by place.

    Places are normalised (`Loop.placed`), about 1 from the centre: a corner that turns as the reference's is preferred
    to a smooth point in the right place.
    """
    places = np.flatnonzero(loop.corner)
    turning = _TURNING * (loop.turning[places] - reference.turning[corner]) ** 2
    distance = _POSITION * ((loop.placed[places] - reference.placed[corner]) ** 2).sum(1)
    cost = turning + distance
    best = np.sort(np.argsort(cost, kind="stable")[: _CANDIDATES[wide]])
    return Anchor(float(reference.fraction[corner]), places[best], cost[best])


def assign(loop: Loop, anchors: list[Anchor]) -> np.ndarray | None:
    """(n,) positions in the loop, one for each anchor, in the cyclic order of the anchors; None if there are none.

    The choice with the smallest sum of costs and of squared differences of the arc lengths (as angles) between
    neighbours, by dynamic programming over the anchors for each candidate of the first.

    anchors  in ascending order of their fraction
    """
    first = min(range(len(anchors)), key=lambda k: len(anchors[k].candidates))
    ring = anchors[first:] + anchors[:first]
    # arc lengths of everything from each candidate of the first anchor: rows are starts
    start = ring[0].candidates
    total = np.where(np.eye(len(start), dtype=bool), ring[0].costs[:, None], np.inf)
    place = np.mod(loop.fraction[start][None] - loop.fraction[start][:, None], 1.0)
    back: list[np.ndarray] = []
    for previous, anchor in pairwise(ring):
        gap = (anchor.fraction - previous.fraction) % 1.0
        here = np.mod(loop.fraction[anchor.candidates][None] - loop.fraction[start][:, None], 1.0)
        step = here[:, None, :] - place[:, :, None]
        cost = total[:, :, None] + _ARC * (2 * np.pi * (step - gap)) ** 2
        cost = np.where((step > 0) & (here[:, None, :] > 0), cost, np.inf)
        choice = cost.argmin(1)
        back.append(choice)
        total = np.take_along_axis(cost, choice[:, None], 1)[:, 0] + anchor.costs[None]
        place = here
    if len(ring) > 1:
        gap = (ring[0].fraction - ring[-1].fraction) % 1.0
        total = total + _ARC * (2 * np.pi * (1.0 - place - gap)) ** 2
    if not np.isfinite(total).any():
        return None
    row, column = np.unravel_index(total.argmin(), total.shape)
    chosen = [int(column)]
    for choice in reversed(back):
        chosen.append(int(choice[row, chosen[-1]]))
    picked = [int(a.candidates[c]) for a, c in zip(ring, reversed(chosen), strict=True)]
    return np.roll(np.array(picked), first)
