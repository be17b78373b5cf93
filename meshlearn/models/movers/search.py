"""One trial of a step: valid cells first, then a lower residual."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from meshlearn.models.movers.safeguard import safe_cell_steps

_MARGIN = 0.9
_DECREASE = 1e-4


class Validity:
    """Which moved points keep every cell above a fraction of its own measure at the start."""

    def __init__(self, points: np.ndarray, cells: np.ndarray, floor: float) -> None:
        self.cells, self.floor = torch.from_numpy(cells), floor
        self._start = self._determinants(points)

    def _determinants(self, points: np.ndarray) -> np.ndarray:
        x = points[self.cells.numpy()]
        return np.linalg.det(x[:, 1:] - x[:, :1])

    def ratios(self, points: np.ndarray) -> np.ndarray:
        """(n_cells,) measures over those of the start, negative for inverted cells."""
        return self._determinants(points) / self._start

    def holds(self, points: np.ndarray) -> bool:
        return bool((self.ratios(points) > self.floor).all())

    def largest(self, points: np.ndarray, moves: np.ndarray) -> float:
        """The step at which a straight move from valid points takes the first cell near its floor, at most 1."""
        floors = torch.from_numpy(np.clip(self.floor / np.maximum(self.ratios(points), 1e-300), 0.0, 1.0))
        steps = safe_cell_steps(torch.from_numpy(points), torch.from_numpy(moves), self.cells, floors)
        smallest = float(steps.min())
        return 1.0 if smallest >= 1 else _MARGIN * smallest


def backtrack(
    attempt: Callable[[float, np.ndarray], tuple[float, Any] | None],
    move: np.ndarray,
    size: float,
    start: float,
    least: float,
) -> tuple[float, Any] | None:
    """(step, outcome) of the first of start, start / 2, ... whose residual is below `size`; None below `least`.

    attempt  (step, move) -> (residual, outcome), or None where cells would be invalid
    """
    step = start
    while step > least:
        made = attempt(step, move)
        if made is not None and made[0] < (1 - _DECREASE * step) * size:
            return step, made[1]
        step /= 2
    return None
