"""The history of a fit as a CSV file and for TensorBoard."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

from meshlearn.errors import ParameterError, require
from meshlearn.train.callbacks import Callback, FitContext


class CSVLog(Callback):
    """`history.csv` in a folder: one row per epoch, written anew after every epoch (a resumed fit leaves no gap)."""

    def __init__(self, folder: str | Path):
        self.path = Path(folder) / "history.csv"

    def on_fit_start(self, context: FitContext) -> None:
        """Make the folder; ParameterError when it cannot be written."""
        if not context.is_main:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._write(context.history)
        except OSError as error:
            raise ParameterError(f"log={str(self.path.parent)!r} cannot be written: {error}.") from error

    def on_epoch_end(self, context: FitContext) -> None:
        """Write the table."""
        if context.is_main:
            self._write(context.history)

    def _write(self, history: list[dict[str, Any]]) -> None:
        names = list(dict.fromkeys(name for record in history for name in record))
        temporary = self.path.with_name(self.path.name + ".part")
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=names)
            writer.writeheader()
            writer.writerows(history)
        os.replace(temporary, self.path)


class TensorBoardLog(Callback):
    """Losses, learning rate and whatever else is in the records, as TensorBoard scalars by epoch."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._writer: Any = None

    def on_fit_start(self, context: FitContext) -> None:
        """Open the event file; MissingDependencyError without the package tensorboard."""
        if context.is_main:
            require("tensorboard", "logs", "TensorBoard output")
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.folder), purge_step=len(context.history))

    def on_epoch_end(self, context: FitContext) -> None:
        """Write the record of the epoch."""
        if self._writer is not None:
            for name, value in context.history[-1].items():
                if isinstance(value, (int, float)) and name != "epoch":
                    self._writer.add_scalar(name, value, context.history[-1]["epoch"])
            self._writer.flush()

    def on_fit_end(self, context: FitContext) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
