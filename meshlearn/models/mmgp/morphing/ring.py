"""Plates with one hole to a ring between concentric circles, by angle and radius instead of x and y."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meshlearn.mesh.cells import cell_type
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.morphing.corners import sharp_corners
from meshlearn.models.mmgp.morphing.loop import Loop
from meshlearn.models.mmgp.morphing.means import MeanMap

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_SMALLEST, _LARGEST = 0.1, 0.8


class RingMap:
    """A ring is a cylinder (angle, height) rolled out: there its boundary is convex, in the plane it is not.

    The height runs from 0 at the hole to 1 at the outline, the radius is inner^(1 - height), and both height and angle
    of an inner point are means of its neighbours'. The angle is multi-valued: differences along the edges are counted
    round the hole, which is the method of one-forms (S. Gortler, C. Gotsman, D. Thurston, "Discrete one-forms on meshes
    and applications to 3D mesh parameterization", Computer Aided Geometric Design 23, 2006). On the cylinder the map is
    an embedding as Tutte's is; edges are straight in the plane, not on the cylinder, which very flat cells at the hole
    may not survive, and no cell with three corners on the hole does.

    A hole without anchors (tags, landmarks, corners of the reference) takes the rotation of least twist against the
    outline, which changes continuously with the shape.

    inner  radius of the inner circle: the square root of the hole's share of the reference's area, 0.1 to 0.8
    """

    def __init__(self, loops: list[Loop]) -> None:
        self.inner = float(np.clip(np.sqrt(loops[1].area / loops[0].area), _SMALLEST, _LARGEST))

    @staticmethod
    def is_anchored(hole: Loop, pairs: list[tuple[int, int]]) -> bool:
        """Does anything fix the rotation of the reference's hole?"""
        ends = (hole.tagged != np.roll(hole.tagged, 1, axis=0)).any()
        return bool(pairs) or bool(ends) or len(sharp_corners(hole)) > 0

    def positions(
        self,
        mesh: Mesh,
        loops: list[Loop],
        angles: list[np.ndarray],
        weights: csr_matrix,
        system: MeanMap,
        anchored: bool,
    ) -> np.ndarray:
        """(n_points, 2) positions in the ring.

        angles    of the points of both loops, increasing along them
        anchored  are the hole's angles known? Otherwise only up to one rotation.
        """
        centre = inner_point(loops[1])
        offset = mesh.points.numpy() - centre
        guess = np.arctan2(offset[:, 1], offset[:, 0])
        known, right = np.zeros(mesh.n_points), _angle_defect(weights, guess)
        height, excess = np.zeros(mesh.n_points), []
        height[loops[0].nodes] = 1.0
        for loop, angle in zip(loops, angles, strict=True):
            excess.append(angle - _unrolled(guess[loop.nodes]))
            known[loop.nodes] = excess[-1]
        height = system.solve(height)
        if anchored:
            # the number of turns between hole and outline that twists least
            turns = np.round((_loop_mean(loops[0], excess[0]) - _loop_mean(loops[1], excess[1])) / (2 * np.pi))
            known[loops[1].nodes] += 2 * np.pi * turns
            angle = system.solve(known, -right)
        else:
            angle = system.solve(known, -right)
            angle += (1.0 - height) * _least_twist(mesh, angle, guess, height)
        angle += guess
        radius = self.inner ** (1.0 - height)
        return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _angle_defect(weights: csr_matrix, guess: np.ndarray) -> np.ndarray:
    """(n,): weighted sum over the neighbours of the difference of the guessed angles, each within half a turn."""
    rows = np.repeat(np.arange(len(guess)), np.diff(weights.indptr))
    step = _wrapped(guess[weights.indices] - guess[rows])
    return np.bincount(rows, weights.data * step, minlength=len(guess))


def _wrapped(angle: np.ndarray) -> np.ndarray:
    return angle - 2 * np.pi * np.round(angle / (2 * np.pi))


def _unrolled(angle: np.ndarray) -> np.ndarray:
    """The same angles, continuous along a loop; the first one is kept."""
    return angle[0] + np.concatenate([[0.0], np.cumsum(_wrapped(np.diff(angle)))])


def _loop_mean(loop: Loop, values: np.ndarray) -> float:
    step = np.linalg.norm(loop.chords, axis=1)
    return float((values * (step + np.roll(step, 1))).sum() / (2 * step.sum()))


def inner_point(loop: Loop) -> np.ndarray:
    """(2,): a point inside a loop, its centre if that is inside, else the middle of the widest chord through it.

    Chords are horizontal, at the height of the centre of gravity.
    """
    closed = np.concatenate([loop.points, loop.points[:1]])
    (x0, y0), (x1, y1) = closed[:-1].T, closed[1:].T
    level = loop.centre[1]
    crossing = np.flatnonzero((y0 > level) != (y1 > level))
    cuts = np.sort(x0[crossing] + (level - y0[crossing]) / (y1 - y0)[crossing] * (x1 - x0)[crossing])
    left, right = cuts[0::2], cuts[1::2]
    around = np.flatnonzero((left < loop.centre[0]) & (loop.centre[0] < right))
    widths = right - left
    if len(around) and widths[around[0]] > 0.1 * widths.max():
        return loop.centre
    best = int(np.argmax(widths))
    return np.array([0.5 * (left[best] + right[best]), level])


def _least_twist(mesh: Mesh, angle: np.ndarray, guess: np.ndarray, height: np.ndarray) -> float:
    """Factor of (1 - height) that, added to the angle, makes the integral of its squared gradient smallest."""
    points, top, bottom = mesh.points.numpy(), 0.0, 0.0
    for kind in mesh.domain_types:
        n = cell_type(kind).corners
        nodes = mesh.cells[kind][:, :n].numpy()
        halves = [[0, 1, 2]] if n == 3 else [[0, 1, 2], [0, 2, 3], [1, 2, 3], [1, 3, 0]]  # both diagonals alike
        for corners in halves:
            triangle = nodes[:, corners]
            x = points[triangle]
            area = 0.5 * np.abs(_cross(x[:, 1] - x[:, 0], x[:, 2] - x[:, 0]))
            # gradients of the linear functions, times twice the area and turned by a quarter
            edges = np.stack([x[:, 2] - x[:, 1], x[:, 0] - x[:, 2], x[:, 1] - x[:, 0]], axis=1)
            share = 1.0 / np.maximum(area, 1e-300)
            full = angle[triangle] + guess[triangle[:, :1]] + _wrapped(guess[triangle] - guess[triangle[:, :1]])
            slope = (full[..., None] * edges).sum(1)
            fall = ((1.0 - height[triangle])[..., None] * edges).sum(1)
            top += float((share * (slope * fall).sum(1)).sum())
            bottom += float((share * (fall**2).sum(1)).sum())
    return -top / bottom if bottom > 0 else 0.0


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
