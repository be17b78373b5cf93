"""Cells of structured grids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def grid_cells(shape: Sequence[int]) -> tuple[int, np.ndarray]:
    """(VTK type, table) of a grid with `shape` points along x, y, z, the first index running fastest.

    Axes with one point do not count: a grid of (n, m, 1) points has quads, one of (n, 1, 1) points has lines.

    >>> grid_cells([3, 2, 1])[1].tolist()
    [[0, 1, 4, 3], [1, 2, 5, 4]]
    """
    strides = np.cumprod([1, *shape[:-1]])
    axes = [(int(count), int(stride)) for count, stride in zip(shape, strides, strict=True) if count > 1]
    if not axes:
        return 1, np.zeros((1, 1), np.int64)
    corner = np.zeros(1, np.int64)
    for count, stride in axes:
        corner = (np.arange(count - 1)[:, None] * stride + corner).ravel()
    steps = [stride for _, stride in axes]
    if len(steps) == 1:
        local = [0, steps[0]]
    else:
        base = [0, steps[0], steps[0] + steps[1], steps[1]]
        local = base if len(steps) == 2 else base + [steps[2] + node for node in base]
    return {1: 3, 2: 9, 3: 12}[len(steps)], corner[:, None] + np.asarray(local, np.int64)
