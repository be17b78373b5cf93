"""`meshlearn make-data stars`, `darcy`, `airfoils`, `peaks`, `tensile`: solved meshes to train on, from one table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from meshlearn.cli.series import Settings, write_series

KINDS = {
    "stars": "Heat in star-shaped domains, every one on a mesh of its own.",
    "darcy": "Flow through porous ground with holes, of random conductivity.",
    "airfoils": "Flow around airfoils with flaps, with their lift.",
    "peaks": "Solutions with sharp peaks, on squares.",
    "tensile": "Notched bars that yield under load.",
}


def register(made: typer.Typer) -> None:
    """Add the kinds of data."""
    for kind, what in KINDS.items():
        example = f"[bold]Example[/bold]\n\n  meshlearn make-data {kind} runs --n 100"
        made.command(kind, help=f"{what}\n\n{example}")(_command(kind))


def _command(kind: str) -> Callable[..., None]:
    def command(
        folder: Annotated[Path, typer.Argument(help="Folder for the meshes.", show_default=False)],
        n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of meshes.")] = 50,
        seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same problems.")] = 0,
        settings: Settings = None,
    ) -> None:
        from meshlearn import sim

        write_series(getattr(sim, f"make_{kind}"), folder, n, {"seed": seed}, settings, made="meshes")

    return command
