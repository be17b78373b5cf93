"""Round holes of the unit square that are drawn for data sets: up to four, one in each quarter, so that none meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meshlearn.errors import ParameterError

SMALLEST_HOLE, LARGEST_HOLE = 0.08, 0.14
CENTRES = ((0.28, 0.3), (0.7, 0.72), (0.72, 0.27), (0.27, 0.74))  # before they are moved
_MOVED = 0.06


def hole_numbers(holes: Any) -> tuple[int, int]:
    """(fewest, most) from a number of holes or a pair. Raises ParameterError for others than 0 to 4."""
    pair = list(holes) if isinstance(holes, (list, tuple)) else [holes, holes]
    good = len(pair) == 2 and all(isinstance(part, int) and not isinstance(part, bool) for part in pair)
    if not (good and 0 <= pair[0] <= pair[1] <= len(CENTRES)):
        raise ParameterError(f"holes={holes}: a number from 0 to {len(CENTRES)}, or a pair of them, is expected.")
    return pair[0], pair[1]


def hole_ranges(fewest: int, most: int) -> dict[str, tuple[float, float]]:
    """What is drawn of the holes, by name: their number, and of each the move of its centre and its radius."""
    ranges = {"holes": (float(fewest), float(most) + 1 - 1e-9)}
    for hole in range(len(CENTRES)):
        ranges |= {f"hole_x{hole}": (-_MOVED, _MOVED), f"hole_y{hole}": (-_MOVED, _MOVED)}
        ranges[f"hole_r{hole}"] = (SMALLEST_HOLE, LARGEST_HOLE)
    return ranges


def circles(case: Mapping[str, float]) -> list[tuple[float, float, float]]:
    """(x, y, radius) of the holes of a case that was drawn from `hole_ranges`.

    >>> from meshlearn.sim.holes import circles
    >>> circles({"holes": 1.5, "hole_x0": 0.01, "hole_y0": 0.0, "hole_r0": 0.1})
    [(0.29000000000000004, 0.3, 0.1)]
    """
    return [
        (x + case[f"hole_x{hole}"], y + case[f"hole_y{hole}"], case[f"hole_r{hole}"])
        for hole, (x, y) in enumerate(CENTRES[: int(case["holes"])])
    ]
