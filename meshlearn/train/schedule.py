"""Learning-rate schedules: a factor for the peak rate as a function of the progress of the training in [0, 1]."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable

from meshlearn.errors import ParameterError

Schedule = Callable[[float], float]

SCHEDULES: dict[str, Schedule] = {
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1.0 - 0.99 * progress,
    "cosine": lambda progress: 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * progress)),
    "exponential": lambda progress: 0.001**progress,
}


def learning_rate_factor(schedule: str | Schedule, warmup: float, progress: float) -> float:
    """Factor at `progress` in [0, 1]: rises linearly during the first `warmup` share, then follows the schedule.

    "constant" stays at 1; "linear" and "cosine" fall to 0.01; "exponential" falls to 0.001.

    >>> [round(learning_rate_factor("linear", 0.5, progress), 3) for progress in (0.25, 0.5, 1.0)]
    [0.505, 1.0, 0.01]
    """
    progress = min(max(progress, 0.0), 1.0)
    if progress < warmup:
        return 0.01 + 0.99 * progress / warmup
    function = SCHEDULES[schedule] if isinstance(schedule, str) else schedule
    share = (progress - warmup) / (1.0 - warmup)
    factor = function(share)
    if not isinstance(factor, numbers.Real) or not math.isfinite(factor) or factor < 0:
        raise ParameterError(f"schedule returned {factor!r} at the progress {share:.3g}: a factor >= 0 is expected.")
    return float(factor)
