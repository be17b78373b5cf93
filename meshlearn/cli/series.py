"""Data sets: made with the options of a command and what `--set` adds, and told of."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from meshlearn.cli import common
from meshlearn.errors import ParameterError

Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Other arguments: viscosity=0.01 or viscosity=[0.005,0.01].")
]


def write_series(
    make: Callable[..., list[Any]],
    folder: Path,
    n: int,
    options: dict[str, Any],
    pairs: list[str] | None,
    what: str = "points",
    made: str = "trajectories",
) -> None:
    """Write the `n` trajectories (or meshes, as `made` says) that `make(n, folder, ...)` makes, and tell about them.

    pairs  name=value of `--set`; ParameterError for names of `options`, and for those that `make` does not know
    """
    from meshlearn.train.named import unknown

    options = {**options, "progress": True}
    chosen = common.settings(pairs or [])
    parameters = inspect.signature(make).parameters.values()
    known = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD and p.name not in ("n", "folder", *options)]
    for name in chosen:
        if name in options or name in ("n", "folder"):
            raise ParameterError(f"--set {name}=…: {name} is decided by the command and its other options.")
        if name not in known and not any(p.kind is p.VAR_KEYWORD for p in parameters):
            raise ParameterError(unknown("--set", name, known))
    folder = common.results_folder(folder)
    items = make(n, folder, **options, **chosen)
    count = sum(item.n_points for item in items) // len(items)
    typer.echo(f"wrote {len(items)} {made} to {folder} ({count} {what} each on average)")
    typer.echo(repr(items[0]))
