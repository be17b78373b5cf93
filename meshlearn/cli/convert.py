"""`meshlearn convert`: a mesh file in another format."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import typer

from meshlearn.cli import common
from meshlearn.errors import MeshReadWarning, ParameterError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("convert")(convert)


def convert(
    source: Annotated[Path, typer.Argument(help="Mesh file to read.", show_default=False)],
    target: Annotated[Path, typer.Argument(help="File to write; its suffix chooses the format.", show_default=False)],
    format: Annotated[
        str | None, typer.Option(help="Name of the format to write, where the suffix stands for several.")
    ] = None,
    step: Annotated[
        int | None, typer.Option(help="Write one time of a time series, from 0 on; -1 is the last.", show_default="all")
    ] = None,
) -> None:
    """Write a mesh, a time series, or one step of it, in another format.

    Points, cells of all types, fields and tags are kept where the format can hold them; what it cannot hold is named.

    [bold]Examples[/bold]

      meshlearn convert bracket.msh bracket.vtu

      meshlearn convert part.inp part.mesh.safetensors

      meshlearn convert series.pvd last.vtu --step -1
    """
    import meshlearn as ml

    if format is None:
        common.writable(target)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MeshReadWarning)
        item = ml.read(source)
    if step is not None:
        item = common.one_time(item, step, source, "--step")[0]
    elif isinstance(item, ml.Trajectory):
        _check_series(len(item), source, target, format)
    path = ml.write(item, target, format=format)
    report = item.report if isinstance(item, ml.Mesh) else item.mesh.report
    for warning in caught:  # what a reader could not keep is in the report as well: each note is told once
        if not any(str(warning.message).endswith(note) for note in report):
            warnings.showwarning(warning.message, warning.category, warning.filename, warning.lineno)
    for note in report:
        common.say("note", note)
    typer.echo(f"{source} -> {path}")
    typer.echo(_content(path))


def _check_series(n_times: int, source: Path, target: Path, format: str | None) -> None:
    """Raise ParameterError when the format to write holds one time only."""
    from meshlearn.io import registry

    chosen = registry.by_name(format) if format else registry.for_writing(target)
    if chosen.writes and not chosen.series:
        able = sorted(suffix for f in registry.supported_formats() if f.series and f.writes for suffix in f.suffixes)
        raise ParameterError(
            f"{target}: {chosen.title} holds one time, {source} has {n_times}.\n"
            f"  Write one of them with --step (-1 is the last), or all in a format for time series: {' '.join(able)}."
        )


def _content(path: Path) -> str:
    """What the written file holds, which need not be all of the source."""
    import meshlearn as ml

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeshReadWarning)  # what is lost was told when it was written
        item = ml.read(path)
    return repr(item.replace(report=()) if isinstance(item, ml.Mesh) else item)
