"""Ctrl-C during a fit: finish the step at hand, keep what was learned."""

from __future__ import annotations

import signal
import threading
import warnings
from types import FrameType
from typing import Any


class FitInterruptedWarning(UserWarning):
    """A fit was interrupted by the user; the model holds what it had learned until then."""


class InterruptGuard:
    """Within the context the first SIGINT sets `requested`, to be looked at after every step; a second one interrupts.

    Outside the main thread signals cannot be handled: there the context does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None

    def __enter__(self) -> InterruptGuard:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: Any) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    @staticmethod
    def warn(folder: Any, epoch: int, step: int) -> None:
        """Tell the user what was kept."""
        kept = f" A checkpoint is in {folder}: continue with resume=True." if folder is not None else ""
        warnings.warn(
            f"the fit was interrupted in epoch {epoch} after {step} steps; the model keeps what it has learned.{kept}",
            FitInterruptedWarning,
            stacklevel=2,
        )
