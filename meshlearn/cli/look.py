"""`meshlearn info`, `check` and `plot`: what is in a mesh file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from meshlearn.cli import common
from meshlearn.errors import ParameterError

Files = Annotated[
    list[str], typer.Argument(help="Mesh files, folders, or quoted patterns such as 'runs/*.vtu'.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("info")(info)
    app.command("check")(check)
    app.command("plot")(plot)


def info(files: Files) -> None:
    """Show what mesh files hold: points, cells, fields, tags, extent and shape quality.

    [bold]Examples[/bold]

      meshlearn info bracket.msh

      meshlearn info 'runs/*.vtu'
    """
    n_files, failed = common.for_each(files, _show)
    if failed:
        typer.echo(f"{n_files} files, {failed} could not be read")
        raise typer.Exit(1)


def _show(path: Path) -> None:
    import meshlearn as ml

    mesh = ml.read(path)
    facts = _facts(mesh) if isinstance(mesh, ml.Mesh) and mesh.n_points else []
    typer.secho(str(path), bold=True)
    typer.echo(repr(mesh))
    for label, text in facts:
        typer.echo(f"  {label:<12} {text}")


def _facts(mesh: Any) -> list[tuple[str, str]]:
    from meshlearn.errors import TopologyError

    broken = _not_finite(mesh)
    if mesh.bounding_box().isnan().any() or mesh.bounding_box().isinf().any():
        return broken  # nothing can be measured
    low, high = mesh.bounding_box().tolist()
    facts = [("extent", " x ".join(f"[{a:.6g}, {b:.6g}]" for a, b in zip(low, high, strict=True))), *broken]
    if not mesh.cell_dim:
        return facts
    try:
        unit = {1: "length", 2: "area", 3: "volume"}[mesh.cell_dim]
        facts.append((unit, f"{mesh.measure().item():.6g}"))
        topology = mesh.topology
        parts = f"{topology.n_components} part" + ("s" if topology.n_components != 1 else "")
        facts.append(("topology", f"{parts}, {len(mesh.edges)} edges, {len(mesh.boundary_points)} boundary points"))
        if mesh.cell_dim == 2 and mesh.dim == 3:
            facts.append(("surface", "watertight" if mesh.is_watertight else "not watertight"))
        facts += _quality(mesh)
    except TopologyError as error:
        facts.append(("note", str(error).splitlines()[0]))
    return facts


def _not_finite(mesh: Any) -> list[tuple[str, str]]:
    """How many points, and values of which fields, are NaN or infinite."""
    fields = {f"{name!r}": [values] for name, values in mesh.point_data.items()}
    fields |= {f"{name!r}": list(parts.values()) for name, parts in mesh.cell_data.items()}
    fields |= {f"{name!r}": [values] for name, values in mesh.global_data.items()}
    counts = {name: sum(int((~values.isfinite()).sum()) for values in parts) for name, parts in fields.items()}
    found = [f"{count} values of {name}" for name, count in counts.items() if count]
    if n_points := int((~mesh.points.isfinite()).any(1).sum()):
        found.insert(0, f"coordinates of {n_points} of {mesh.n_points} points")
    return [("not finite", ", ".join(found))] if found else []


def _quality(mesh: Any) -> list[tuple[str, str]]:
    from meshlearn.mesh.quality import quality_summary

    numbers = quality_summary(mesh)
    worst = f"smallest angle {numbers['min_angle']['min']:.1f} degrees, " if mesh.cell_dim > 1 else ""
    worst += f"aspect ratio up to {numbers['aspect_ratio']['max']:.3g}"
    bad = [
        f"{numbers[key]} {word}"
        for key, word in (("n_inverted", "inverted"), ("n_degenerate", "degenerate"))
        if numbers[key]
    ]
    return [("quality", worst + (f"; {' and '.join(bad)} cells" if bad else ""))]


def check(
    files: Files,
    strict: Annotated[bool, typer.Option("--strict", help="Count warnings as errors.")] = False,
) -> None:
    """Look for defects: inverted or degenerate cells, duplicated points, values that are not finite, and more.

    Exit code 0 if every file can be read and none has a serious defect, 1 otherwise.

    [bold]Example[/bold]

      meshlearn check 'runs/*.vtu'
    """
    import meshlearn as ml

    colors = {"error": typer.colors.RED, "warning": typer.colors.YELLOW, "note": None}
    failed = 0

    def check_one(path: Path) -> None:
        nonlocal failed
        item = ml.read(path)
        single = isinstance(item, ml.Mesh)
        found = _issues([item] if single else item)
        failed += any(severity == "error" or (strict and severity == "warning") for severity, _ in found)
        frames = "" if single else f" ({len(item)} frames)"
        typer.echo(f"{path}: {'no defects' if not found else ''}{frames}")
        for (severity, message), numbers in found.items():
            where = "" if single else f" [frame{'s' * (len(numbers) > 1)} {_ranges(numbers)}]"
            typer.secho(f"  {severity}: {message}{where}", fg=colors[severity])

    n_files, unreadable = common.for_each(files, check_one)
    if n_files > 1:
        bad = f", {unreadable} could not be read" if unreadable else ""
        typer.echo(f"{n_files} files, {failed} with serious defects{bad}")
    if failed or unreadable:
        raise typer.Exit(1)


def _issues(meshes: Any) -> dict[tuple[str, str], list[int]]:
    """{(severity, message): numbers of the meshes that have it}, errors first."""
    from meshlearn.mesh.validity import check_mesh

    found: dict[tuple[str, str], list[int]] = {}
    for number, mesh in enumerate(meshes):
        for issue in check_mesh(mesh):
            found.setdefault((issue.severity, issue.message), []).append(number)
    rank = {"error": 0, "warning": 1, "note": 2}
    return dict(sorted(found.items(), key=lambda entry: rank[entry[0][0]]))


def _ranges(numbers: list[int]) -> str:
    """Ascending numbers in short.

    >>> from meshlearn.cli.look import _ranges
    >>> _ranges([0, 1, 2, 5])
    '0-2, 5'
    """
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)


def plot(
    file: Annotated[Path, typer.Argument(help="Mesh file.", show_default=False)],
    field: Annotated[
        str | None, typer.Option("--field", "-f", help="Point or cell field to colour by; none draws the mesh.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Picture to write (.png, .pdf, .svg); of a time series also a film (.gif).",
            show_default="<file>.png",
        ),
    ] = None,
    component: Annotated[int | None, typer.Option(help="Component of a vector field; none draws its length.")] = None,
    tags: Annotated[bool, typer.Option("--tags", help="Draw the named point and boundary sets (2-D).")] = False,
    edges: Annotated[
        bool | None, typer.Option("--edges/--no-edges", help="Draw the cell edges.", show_default="auto")
    ] = None,
    cmap: Annotated[str, typer.Option(help="matplotlib colour map.")] = "viridis",
    clim: Annotated[
        str | None, typer.Option(help="Ends of the colour scale, for example 0,1.", show_default="auto")
    ] = None,
    frame: Annotated[
        int | None, typer.Option(help="Which time of a time series; -1 is the last.", show_default="-1")
    ] = None,
    up: Annotated[str, typer.Option(help="Axis that points up, in 3-D: x, y or z.")] = "z",
    backend: Annotated[str, typer.Option(help="In 3-D: auto, matplotlib or pyvista.")] = "auto",
    show: Annotated[bool, typer.Option("--show", help="Open a window.")] = False,
) -> None:
    """Draw a mesh and one of its fields.

    [bold]Examples[/bold]

      meshlearn plot plate.vtu --field von_mises

      meshlearn plot car.vtu -f pressure --up y -o car.png

      meshlearn plot heat.pvd -f temperature -o heat.gif
    """
    import meshlearn as ml
    from meshlearn.viz import plot as draw
    from meshlearn.viz.animation import is_film

    if output is None and not show:
        output = Path(file.name.split(".")[0] + (f"_{field}" if field else "") + ".png")
    if output is not None and not is_film(output):
        _check_picture(output)
    item = ml.read(file)
    if not show:
        import matplotlib

        matplotlib.use("Agg")
    limits = None if clim is None else common.pair(clim)
    options: dict[str, Any] = {"component": component, "file": output, "cmap": cmap, "clim": limits, "edges": edges}
    options |= {"tags": tags, "up": up, "backend": backend, "show": show}
    if is_film(output):
        if not isinstance(item, ml.Trajectory) or frame is not None:
            why = f"{file} holds one mesh" if frame is None else f"--frame {frame} asks for one of them"
            raise ParameterError(f"{output}: a film shows the times of a series, but {why}. Write a .png.")
        item.plot(field, title=file.name, **options)
        typer.echo(f"wrote {output} ({len(item)} times)")
        return
    mesh, which = common.one_time(item, frame, file, "--frame")
    draw(mesh, field, title=file.name + which, **options)
    if output is not None:
        typer.echo(f"wrote {output}{which}")


def _check_picture(file: Path) -> None:
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if file.suffix.lower().lstrip(".") not in known:
        raise ParameterError(f"{file}: pictures are written as {', '.join('.' + suffix for suffix in sorted(known))}.")
