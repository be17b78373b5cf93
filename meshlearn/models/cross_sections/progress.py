"""A bar on the screen for work that knows how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(title: str, wanted: bool) -> Iterator[Callable[[float], None] | None]:
    """A function of the progress in [0, 1] that moves a bar on stderr; None where none is wanted.

    Where stderr is no terminal, a line is written for every tenth.
    """
    if not wanted:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        told = -1

        def tell(share: float) -> None:
            nonlocal told
            if int(10 * share) > told:
                told = int(10 * share)
                console.print(f"{title} {share:.0%}", highlight=False)

        yield tell
        return
    with Progress(
        TextColumn(title), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), console=console
    ) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda share: progress.update(task, completed=share)
