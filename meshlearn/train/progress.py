"""What a fit shows on the screen."""

from __future__ import annotations

from typing import Any

from meshlearn.train.callbacks import Callback, FitContext

LINES = 10


class ProgressBar(Callback):
    """A bar by epochs with losses and speed; about ten plain lines in all where the output is not a terminal."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._console: Any = None

    def on_fit_start(self, context: FitContext) -> None:
        """Show the bar."""
        if not context.is_main:
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._console = Console(stderr=True)
        if self._console.is_terminal:
            columns = (
                TextColumn("fit"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=self._console)
            self._bar.start()
            self._task = self._bar.add_task("", total=context.epochs, completed=context.epoch)

    def on_step_end(self, context: FitContext) -> None:
        """Move the bar within the epoch."""
        if self._bar is not None:
            self._bar.update(
                self._task, completed=context.epoch + context.step_in_epoch / max(context.steps_in_epoch, 1)
            )

    def on_epoch_end(self, context: FitContext) -> None:
        """Show the losses of the epoch."""
        record = context.history[-1]
        if self._bar is not None:
            self._bar.update(self._task, completed=record["epoch"] + 1, description=_losses(record))
        elif self._console is not None:
            every = max(context.epochs // LINES, 1)
            if (record["epoch"] + 1) % every == 0 or record["epoch"] + 1 == context.epochs:
                self._console.print(f"epoch {record['epoch'] + 1}/{context.epochs}  {_losses(record)}", highlight=False)

    def on_fit_end(self, context: FitContext) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _losses(record: dict[str, Any]) -> str:
    text = f"train {record['train_loss']:.3g}"
    if record.get("val_loss") is not None:
        text += f"  val {record['val_loss']:.3g}"
    return text
