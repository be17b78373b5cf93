"""Shapes laid over each other before anything corresponds: by bounding boxes, by moments, by pairs of points."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

_FLAT = 1e-3
_FLATTEST = 1e-4
_ROUNDS = 30
_TIE = 1e-3


def boxed(
    points: Float[Tensor, "n dim"], part: Float[Tensor, "m dim"], other: Float[Tensor, "k dim"], size: float
) -> Float[Tensor, "n dim"]:
    """Points moved and scaled along the axes as the bounding box of their part is to that of its counterpart.

    size  of the whole skin: a part with less than a thousandth of it has no extent to scale, and one that is flat on
          one side only would be flattened by it
    """
    low, high, low_there, high_there = part.amin(0), part.amax(0), other.amin(0), other.amax(0)
    scalable = torch.minimum(high - low, high_there - low_there) > _FLAT * size
    scale = torch.where(scalable, (high_there - low_there) / torch.where(scalable, high - low, 1.0), 1.0)
    return (points - 0.5 * (low + high)) * scale + 0.5 * (low_there + high_there)


class Frame:
    """Positions of a mesh about its centre, stretched until the second moments are those of a sphere.

    Affine images differ here by a rotation. What is flat is not stretched to a sphere: no axis more than a hundred
    times as much as another.

    placed   (n, dim); stretch (dim, dim) symmetric, extent (dim,) of the bounding box
    """

    def __init__(self, points: Float[Tensor, "n dim"], weights: Float[Tensor, " n"]) -> None:
        x, share = points.numpy(), (weights / weights.sum()).numpy()
        away = x - share @ x
        values, vectors = np.linalg.eigh(away.T @ (away * share[:, None]))
        self.stretch = (vectors / np.sqrt(np.maximum(values, _FLATTEST * values[-1]))) @ vectors.T
        self.extent = np.ptp(x, axis=0)
        self.placed = away @ self.stretch

    def turn(self, other: Frame) -> np.ndarray:
        """(dim, dim) rotation that lays these positions over others: exact where bounding boxes are stretched alike."""
        whole = np.maximum(self.extent, _FLAT * self.extent.max())
        scale = np.where(other.extent > _FLAT * other.extent.max(), other.extent / whole, 1.0)
        return _nearest_rotation(np.linalg.solve(self.stretch, scale[:, None] * other.stretch))


def best_turn(positions: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(dim, dim) rotation that takes rows (n, dim) nearest to others; none about an axis that they do not fix.

    W. Kabsch, "A solution for the best rotation to relate two sets of vectors", Acta Cryst. A 32 (1976), with a small
    preference for none at all that is taken back round after round.
    """
    product = positions.T @ others
    tie = _TIE * max(float(np.linalg.norm(product)), 1e-300) * np.eye(positions.shape[1])
    turn = np.eye(positions.shape[1])
    for _ in range(_ROUNDS):
        turn = turn @ _nearest_rotation(turn.T @ product + tie)
    return turn


def _nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    left, _, right = np.linalg.svd(matrix)
    sign = np.ones(len(matrix))
    sign[-1] = np.sign(np.linalg.det(left @ right))
    return (left * sign) @ right
