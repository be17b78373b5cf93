"""What an iteration has done so far, and why it ended."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

CONVERGED = "converged: the residual is below rtol"
_STUCK = "stopped moving"


@dataclass
class Progress:
    """Residuals (the first is that of the start), accepted steps, moved points and potential."""

    points: np.ndarray
    potential: np.ndarray | None = None
    residuals: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    reason: str = ""

    @property
    def iterations(self) -> int:
        return len(self.steps)

    @property
    def converged(self) -> bool:
        return self.reason == CONVERGED

    @property
    def is_stuck(self) -> bool:
        return self.reason.startswith(_STUCK)

    def ended(self, rtol: float, dtol: float, max_iterations: int) -> bool:
        """Whether the iteration is over; sets the reason."""
        last, first = self.residuals[-1], self.residuals[0]
        if last <= rtol:
            self.reason = CONVERGED
        elif last > dtol * first:
            self.reason = f"diverged: the residual is {last:.2e}, more than dtol={dtol:g} times the first, {first:.2e}"
        elif self.iterations >= max_iterations:
            self.reason = f"stopped after max_iterations={max_iterations}"
        else:
            return False
        return True

    def stuck(self, what: str = "no step lowers the residual and keeps every cell valid") -> None:
        self.reason = f"{_STUCK}: {what}"
