"""`meshlearn convert`: a mesh file in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("convert")(convert)


def convert(
    source: Annotated[Path, typer.Argument(help="Mesh file to read.", show_default=False)],
    target: Annotated[Path, typer.Argument(help="File to write; its suffix chooses the format.", show_default=False)],
    format: Annotated[
        str | None, typer.Option(help="Name of the format to write, where the suffix stands for several.")
    ] = None,
) -> None:
    """Write a mesh (or a time series) in another format.

    Points, cells of all types, fields and tags are kept where the format can hold them; what it cannot hold is named.

    [bold]Examples[/bold]

      meshlearn convert bracket.msh bracket.vtu

      meshlearn convert part.inp part.mesh.safetensors
    """
    import meshlearn as ml

    mesh = ml.read(source)
    path = ml.write(mesh, target, format=format)
    for note in getattr(mesh, "report", ()):
        typer.secho(f"note: {note}", fg=typer.colors.YELLOW, err=True)
    typer.echo(f"{source} -> {path}")
    typer.echo(repr(mesh))
