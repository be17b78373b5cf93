"""`meshlearn make-data`: solved plates to train on."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from meshlearn.cli import common


class Physics(StrEnum):
    """What is solved on the plates."""

    elasticity = "elasticity"
    poisson = "poisson"
    hyperelasticity = "hyperelasticity"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("make-data")(make_data)


def make_data(
    folder: Annotated[Path, typer.Argument(help="Folder for plate_0000.vtu, plate_0001.vtu, …", show_default=False)],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of plates.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same plates.")] = 0,
    physics: Annotated[
        Physics, typer.Option(help="Stress under load, heat conduction, or stretched rubber.")
    ] = Physics.elasticity,
    holes: Annotated[str, typer.Option(help="Number of holes: a number or a range.")] = "1-3",
    size: Annotated[str, typer.Option(help="Edge length of the mesh in mm: a number or a range.")] = "3.5-5",
) -> None:
    """Make a folder of finite-element simulations of plates with holes.

    Each file holds the mesh with its named boundaries, the loads and material (inputs) and the solution (outputs).
    `meshlearn info` lists them.

    [bold]Examples[/bold]

      meshlearn make-data runs --n 200

      meshlearn make-data hot --physics poisson --holes 2 --size 3
    """
    from meshlearn.sim import make_plates

    folder = common.results_folder(folder)
    meshes = make_plates(
        n,
        folder,
        seed=seed,
        holes=common.bounds(holes, int),
        size=common.bounds(size),
        physics=physics.value,
        progress=True,
    )
    points = sum(mesh.n_points for mesh in meshes)
    typer.echo(f"wrote {n} plates to {folder} ({points // n} points each on average)")
    typer.echo(repr(meshes[0]))
