"""`meshlearn make-data burgers` and `make-data cylinder`: fronts and flows to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from meshlearn.cli.series import write_series

Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Other arguments: viscosity=0.01 or viscosity=[0.005,0.01].")
]


def register(made: typer.Typer) -> None:
    """Add the kinds of data."""
    made.command("burgers")(make_burgers)
    made.command("cylinder")(make_cylinder)


def make_burgers(
    folder: Annotated[Path, typer.Argument(help="Folder for burgers_0000.mesh.safetensors, …", show_default=False)],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of trajectories.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same problems.")] = 0,
    resolution: Annotated[int, typer.Option(min=4, help="Cells along a side of the square.")] = 24,
    frames: Annotated[int, typer.Option(min=1, help="Times that are kept after the start.")] = 20,
    settings: Settings = None,
) -> None:
    """Fronts of Burgers' equation on a square, with the truth of a finer mesh.

    [bold]Example[/bold]

      meshlearn make-data burgers fronts --n 20 --set components=2
    """
    from meshlearn import sim

    write_series(sim.make_burgers, folder, n, {"seed": seed, "resolution": resolution, "frames": frames}, settings)


def make_cylinder(
    folder: Annotated[Path, typer.Argument(help="Folder for cylinder_0000.mesh.safetensors, …", show_default=False)],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of flows.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same flows.")] = 0,
    size: Annotated[float, typer.Option(help="Largest edge length; the channel is 0.41 high.")] = 0.05,
    frames: Annotated[int, typer.Option(min=1, help="Times that are kept after the first.")] = 30,
    settings: Settings = None,
) -> None:
    """Flow past a cylinder in a channel, with drag and lift.

    [bold]Example[/bold]

      meshlearn make-data cylinder streets --n 10 --set reynolds=100 --set start=2
    """
    from meshlearn import sim

    write_series(sim.make_cylinder_flows, folder, n, {"seed": seed, "size": size, "frames": frames}, settings)
