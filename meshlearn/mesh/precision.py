"""Whether single precision is enough for numbers that come without a dtype."""

from __future__ import annotations

import numpy as np

_LOST = 1e-5  # of the spread of a component
_NOISE = 1e-12  # of the largest value: a spread below it is rounding in double precision
_WHOLE = 2.0**24  # beyond it, single precision does not tell n from n + 1


def single_holds(values: np.ndarray) -> bool:
    """True where float32 keeps every component of float64 `values` (n, ...) to 1e-5 of its spread.

    A component without spread, and a number alone, is held as long as whole numbers of its size are. Values that
    overflow, or become zero, are not held.

    >>> single_holds(np.array([[0.1, 0.0], [0.2, 0.3]])), single_holds(np.array([5_000_000.123, 5_000_000.223]))
    (True, False)
    """
    if not values.size:
        return True
    rows = values.reshape(len(values), -1) if values.ndim else values.reshape(1, 1)
    with np.errstate(over="ignore", under="ignore"):
        single = rows.astype(np.float32).astype(np.float64)
    finite = np.isfinite(rows)
    if not finite.any():
        return True
    if (finite & (~np.isfinite(single) | ((single == 0) & (rows != 0)))).any():
        return False
    lost = np.where(finite, np.abs(np.where(finite, single, 0) - np.where(finite, rows, 0)), 0).max(0)
    size = np.where(finite, np.abs(rows), 0).max(0)
    low, high = np.where(finite, rows, np.inf).min(0), np.where(finite, rows, -np.inf).max(0)
    spread = np.where(high >= low, high - low, 0)
    varies = spread > _NOISE * size
    return bool(np.where(varies, lost <= _LOST * spread, (lost == 0) | (size < _WHOLE)).all())
