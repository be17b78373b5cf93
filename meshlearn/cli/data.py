"""`meshlearn make-data`: solved plates, particles and elastic bodies in motion, to train on."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from meshlearn.cli import common, flows, steady
from meshlearn.cli.series import write_series

PLATES = "plates"


class Physics(StrEnum):
    """What is solved on the plates."""

    elasticity = "elasticity"
    poisson = "poisson"
    hyperelasticity = "hyperelasticity"


class Kind(StrEnum):
    """What moves."""

    elastic = "elastic"
    metal = "metal"
    water = "water"
    sand = "sand"


class Moving(StrEnum):
    """What elastic bodies do."""

    thrown = "thrown"
    beam = "beam"


class PlatesUnlessNamed(TyperGroup):
    """`make-data FOLDER …` is `make-data plates FOLDER …`; a folder named like a kind of data is written ./mpm."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the kind first where there is none."""
        if args and args[0] not in self.commands and not {"--help", "-h"} & set(args[:1]):
            args = [PLATES, *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    made = typer.Typer(cls=PlatesUnlessNamed, no_args_is_help=True, help=make_data.__doc__, rich_markup_mode="rich")
    made.command(PLATES)(make_plates)
    made.command("mpm")(make_mpm)
    made.command("bodies")(make_bodies)
    flows.register(made)
    steady.register(made)
    app.add_typer(made, name="make-data")


def make_data() -> None:
    """Make a folder of simulations: plates with holes, particles, bodies and fronts in motion, or flows.

    Without the name of a kind, plates are made. `meshlearn info` lists what a file holds.

    [bold]Examples[/bold]

      meshlearn make-data runs --n 200

      meshlearn make-data mpm drops --n 20 --kind water

      meshlearn make-data bodies throws --n 20 --dim 3

      meshlearn make-data burgers fronts --n 20

      meshlearn make-data cylinder streets --n 10

      meshlearn make-data mpm --help
    """


def make_plates(
    folder: Annotated[Path, typer.Argument(help="Folder for plate_0000.vtu, plate_0001.vtu, …", show_default=False)],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of plates.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same plates.")] = 0,
    physics: Annotated[
        Physics, typer.Option(help="Stress under load, heat conduction, or stretched rubber.")
    ] = Physics.elasticity,
    holes: Annotated[str, typer.Option(help="Number of holes: a number or a range.")] = "1-3",
    size: Annotated[str, typer.Option(help="Edge length of the mesh in mm: a number or a range.")] = "3.5-5",
) -> None:
    """Plates with holes, by finite elements.

    Each file holds the mesh with its named boundaries, the loads and material (inputs) and the solution (outputs).

    [bold]Examples[/bold]

      meshlearn make-data runs --n 200

      meshlearn make-data hot --physics poisson --holes 2 --size 3
    """
    from meshlearn import sim

    folder = common.results_folder(folder)
    meshes = sim.make_plates(
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


def make_mpm(
    folder: Annotated[Path, typer.Argument(help="Folder for mpm_elastic_0000.mesh.safetensors, …", show_default=False)],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of scenes.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same scenes.")] = 0,
    kind: Annotated[
        Kind, typer.Option(help="Bodies that are thrown (elastic, metal), a dam that breaks, a column of sand.")
    ] = Kind.elastic,
    dim: Annotated[int, typer.Option(min=2, max=3, help="2 (plane strain) or 3.")] = 2,
    cells: Annotated[int, typer.Option(min=8, help="Cells of the grid along a side of the box.")] = 32,
    duration: Annotated[float, typer.Option(help="Simulated seconds.")] = 1.0,
    frames: Annotated[int, typer.Option(min=1, help="Times that are kept after the start.")] = 100,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Constants of material and scene: young=1e4 or young=[1e4,1e5]."),
    ] = None,
) -> None:
    """Particles in motion, by the material point method.

    Each file holds one trajectory of a point cloud in a box of 1 m, with velocities, energies and what was drawn.

    [bold]Examples[/bold]

      meshlearn make-data mpm drops --n 20 --kind water

      meshlearn make-data mpm jelly --dim 3 --cells 24 --set young=[2e4,5e4] --set speed=1
    """
    from meshlearn import sim

    options = {"seed": seed, "kind": kind.value, "dim": dim, "cells": cells, "duration": duration, "frames": frames}
    write_series(sim.make_mpm, folder, n, options, settings, "particles")


def make_bodies(
    folder: Annotated[Path, typer.Argument(help="Folder for body_thrown_0000.mesh.safetensors, …", show_default=False)],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of bodies.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bodies.")] = 0,
    kind: Annotated[
        Moving, typer.Option(help="Bodies that are thrown and bounce, or beams that are struck and swing.")
    ] = Moving.thrown,
    dim: Annotated[int, typer.Option(min=2, max=3, help="2 (triangles) or 3 (tetrahedra).")] = 2,
    cells: Annotated[int, typer.Option(min=2, help="Cells along 0.3 m.")] = 8,
    duration: Annotated[float, typer.Option(help="Simulated seconds.")] = 1.0,
    frames: Annotated[int, typer.Option(min=1, help="Times that are kept after the start.")] = 100,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Constants of material and motion: young=1e5 or young=[1e5,4e5].")
    ] = None,
) -> None:
    """Elastic bodies in motion, by explicit finite elements.

    Each file holds one trajectory of a mesh, with velocities, energies and what was drawn.

    [bold]Examples[/bold]

      meshlearn make-data bodies throws --n 20 --dim 3

      meshlearn make-data bodies beams --kind beam --set young=2e5
    """
    from meshlearn import sim

    options = {"seed": seed, "kind": kind.value, "dim": dim, "cells": cells, "duration": duration, "frames": frames}
    write_series(sim.make_bodies, folder, n, options, settings)
