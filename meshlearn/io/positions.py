"""From numbers as files have them (any, in any order) to positions in an array."""

from __future__ import annotations

import numpy as np


class Positions:
    """From numbers as a file has them to positions; -1 for numbers it does not have."""

    def __init__(self, tags: np.ndarray):
        tags = np.asarray(tags, np.int64)
        self.order = np.argsort(tags, kind="stable")
        self.sorted = tags[self.order]

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        if not len(self.sorted):
            return np.full(numbers.shape, -1, np.int64)
        found = np.minimum(np.searchsorted(self.sorted, numbers), len(self.sorted) - 1)
        return np.where(self.sorted[found] == numbers, self.order[found], -1)
