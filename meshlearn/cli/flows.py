"""`meshlearn make-data burgers`, `cylinder`, `cavity`, `vorticity`, `shallow-water`, `chaos` …: motion to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from meshlearn.cli.series import Settings, write_series


def register(made: typer.Typer) -> None:
    """Add the kinds of data."""
    made.command("burgers")(make_burgers)
    made.command("burgers-waves")(make_burgers_waves)
    made.command("cylinder")(make_cylinder)
    made.command("cavity")(make_cavity)
    made.command("tube")(make_tube)
    made.command("dam")(make_dam)
    made.command("vorticity")(make_vorticity)
    made.command("shallow-water")(make_shallow_water)
    made.command("chaos")(make_chaos)


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

      meshlearn make-data burgers holed --n 20 --set holes=[1,3]
    """
    from meshlearn import sim

    write_series(sim.make_burgers, folder, n, {"seed": seed, "resolution": resolution, "frames": frames}, settings)


def make_burgers_waves(
    folder: Annotated[
        Path, typer.Argument(help="Folder for burgers_waves_0000.mesh.safetensors, …", show_default=False)
    ],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of trajectories.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same waves.")] = 0,
    resolution: Annotated[int, typer.Option(min=8, help="Lines of the interval.")] = 128,
    frames: Annotated[int, typer.Option(min=1, help="Times that are kept after the start.")] = 20,
    settings: Settings = None,
) -> None:
    """Waves of Burgers' equation on a periodic interval.

    [bold]Example[/bold]

      meshlearn make-data burgers-waves waves --n 100 --set viscosity=0.01
    """
    from meshlearn import sim

    write_series(
        sim.make_burgers_waves, folder, n, {"seed": seed, "resolution": resolution, "frames": frames}, settings
    )


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


def make_cavity(
    folder: Annotated[Path, typer.Argument(help="Folder for cavity_0000.mesh.safetensors, …", show_default=False)],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of flows.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same flows.")] = 0,
    resolution: Annotated[int, typer.Option(min=4, help="Cells along the width.")] = 24,
    frames: Annotated[int, typer.Option(min=1, help="Times that are kept after the start.")] = 20,
    settings: Settings = None,
) -> None:
    """Flow in a box under a lid that starts to move.

    [bold]Example[/bold]

      meshlearn make-data cavity lids --n 10 --set reynolds=[100,400] --set height=[0.5,2]
    """
    from meshlearn import sim

    write_series(sim.make_cavities, folder, n, {"seed": seed, "resolution": resolution, "frames": frames}, settings)


def make_tube(
    folder: Annotated[Path, typer.Argument(help="Folder for tube_0000.mesh.safetensors, …", show_default=False)],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of flows.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same flows.")] = 0,
    resolution: Annotated[int, typer.Option(min=4, help="Cells across the tube.")] = 12,
    frames: Annotated[int, typer.Option(min=1, help="Times that are kept after the start.")] = 20,
    settings: Settings = None,
) -> None:
    """Flow into a tube, whose walls slow it down.

    [bold]Example[/bold]

      meshlearn make-data tube tubes --n 10 --set reynolds=[500,1500] --set length=[5,10]
    """
    from meshlearn import sim

    write_series(sim.make_tubes, folder, n, {"seed": seed, "resolution": resolution, "frames": frames}, settings)


def make_dam(
    folder: Annotated[Path, typer.Argument(help="Folder for dam_0000.mesh.safetensors, …", show_default=False)],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of flows.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same flows.")] = 0,
    size: Annotated[float, typer.Option(help="Largest edge length; the basin is 12 long and 4 high.")] = 0.3,
    frames: Annotated[int, typer.Option(min=1, help="Times that are kept after the start.")] = 20,
    settings: Settings = None,
) -> None:
    """Flow along a floor and over a barrier, with its drag.

    [bold]Example[/bold]

      meshlearn make-data dam dams --n 10 --set reynolds=20 --set barrier_height=[0.5,1.5]
    """
    from meshlearn import sim

    write_series(sim.make_dams, folder, n, {"seed": seed, "size": size, "frames": frames}, settings)


def make_vorticity(
    folder: Annotated[Path, typer.Argument(help="Folder for vorticity_0000.mesh.safetensors, …", show_default=False)],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of flows.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same flows.")] = 0,
    resolution: Annotated[int, typer.Option(min=8, help="Places along a side of the square.")] = 64,
    frames: Annotated[int, typer.Option(min=1, help="Times that are kept after the start.")] = 20,
    settings: Settings = None,
) -> None:
    """Turbulence in a periodic square, by its vorticity.

    [bold]Example[/bold]

      meshlearn make-data vorticity eddies --n 20 --set viscosity=1e-4 --set forced=false
    """
    from meshlearn import sim

    write_series(sim.make_vorticity, folder, n, {"seed": seed, "resolution": resolution, "frames": frames}, settings)


def make_shallow_water(
    folder: Annotated[
        Path, typer.Argument(help="Folder for shallow_water_0000.mesh.safetensors, …", show_default=False)
    ],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of basins.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same basins.")] = 0,
    size: Annotated[float, typer.Option(help="Edge length of the cells; the basin has side 1.")] = 0.04,
    frames: Annotated[int, typer.Option(min=1, help="Times that are kept after the start.")] = 20,
    settings: Settings = None,
) -> None:
    """Heaps of water that fall apart in a basin.

    [bold]Example[/bold]

      meshlearn make-data shallow-water basins --n 20 --set pillar=true
    """
    from meshlearn import sim

    write_series(sim.make_shallow_water, folder, n, {"seed": seed, "size": size, "frames": frames}, settings)


def make_chaos(
    folder: Annotated[
        Path, typer.Argument(help="Folder for kuramoto_sivashinsky_0000.mesh.safetensors, …", show_default=False)
    ],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of trajectories.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same trajectories.")] = 0,
    resolution: Annotated[int, typer.Option(min=8, help="Lines of the interval.")] = 128,
    frames: Annotated[int, typer.Option(min=1, help="Times that are kept after the start.")] = 100,
    settings: Settings = None,
) -> None:
    """The Kuramoto-Sivashinsky equation: chaos on a periodic interval.

    [bold]Example[/bold]

      meshlearn make-data chaos waves --n 20 --set length=32
    """
    from meshlearn import sim

    options = {"seed": seed, "resolution": resolution, "frames": frames}
    write_series(sim.make_kuramoto_sivashinsky, folder, n, options, settings)
