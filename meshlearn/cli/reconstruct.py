"""`meshlearn reconstruct`: from sections to a watertight surface."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from meshlearn.cli import common
from meshlearn.errors import CheckpointError, ParameterError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reconstruct")(reconstruct)


def reconstruct(
    sections: Annotated[
        Path,
        typer.Argument(help="Sections: .csl, .csv, .nii.gz, .nrrd, .npz or RTSTRUCT (.dcm).", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Mesh file to write.")] = Path("shape.stl"),
    resolution: Annotated[int, typer.Option(help="Voxels along the longest side of the contours.")] = 128,
    label: Annotated[
        int | None, typer.Option(help="The label to write; of several, each gets a file.", show_default="all")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Page with numbers and a picture (.html), or numbers (.json).")
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="Time for learning: what is not expected to be done by then is not tried.")
    ] = 60.0,
    base: Annotated[str, typer.Option(help="auto, linear, cubic, distance, rbf, hermite or mean.")] = "auto",
    network: Annotated[bool, typer.Option("--network/--no-network", help="Try a neural network on top.")] = True,
    cap: Annotated[
        float | None, typer.Option(help="How far bodies reach beyond the planes, in the unit of the file.")
    ] = None,
    axis: Annotated[int | None, typer.Option(help="Of volumes: the axis across the slices, 0, 1 or 2.")] = None,
    every: Annotated[int | None, typer.Option(help="Of volumes: take every n-th slice.")] = None,
    model: Annotated[Path | None, typer.Option(help="Folder to keep the fitted model in.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder to keep every step of the fit in, and the fitted model in the end.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint where there is one; else begin.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of samples and network.")] = 0,
) -> None:
    """Make a closed surface from planar sections, in the frame and unit of the file.

    [bold]Examples[/bold]

      meshlearn reconstruct sections.csl -o shape.stl --resolution 256 --report report.html

      meshlearn reconstruct labels.nii.gz --every 4 -o organs.ply

      meshlearn reconstruct sections.csl --seconds 600 --checkpoint run --resume

    Drawings (.svg, .dxf) hold one plane each, and need several: put them together in Python, write a .csl, and
    reconstruct that; the guide shows how.
    """
    import meshlearn as ml
    from meshlearn.models.cross_sections.progress import bar
    from meshlearn.train.checkpoint import exists

    common.writable(output)
    if resolution < 8:
        raise ParameterError(f"--resolution {resolution}: a whole number of at least 8 is expected.")
    if resume and checkpoint is None:
        raise ParameterError("--resume needs the folder to go on from: --checkpoint FOLDER.")
    if checkpoint is not None and not resume and exists(checkpoint):
        raise CheckpointError(
            f"--checkpoint {checkpoint} holds a model, or an interrupted fit: --resume goes on with it; to begin "
            "anew, name another folder or remove this one."
        )
    if report is not None and report.suffix.lower() not in (".html", ".json"):
        raise ParameterError(f"--report {report}: a page .html or a file .json is expected.")
    for option, path in (("--output", output), ("--report", report)):
        if path is not None and not path.parent.is_dir():
            raise ParameterError(f"{option} {path}: the folder {path.parent} does not exist.")
    found = ml.CrossSections.read(sections, **_options(axis, every))
    typer.echo(f"{sections}: {found!r}")
    if label is not None and label not in found.labels:
        raise ParameterError(f"--label {label}: the sections have the labels {list(found.labels)}.")
    estimator = ml.CrossSectionReconstructor(time_budget=seconds, base=base, network=network, cap=cap, seed=seed).fit(
        found, progress=True, checkpoint=checkpoint, resume="auto" if resume else False
    )
    typer.echo(_choice(estimator))
    if model is not None:
        typer.echo(f"model -> {estimator.save(model)}")
    labels = [label] if label is not None else list(found.labels)
    meshes: dict[int, Any] = {}
    with bar("surface", True) as told:
        for number, one in enumerate(labels, 1):
            meshes[one] = estimator.to_mesh(one, resolution)
            if told is not None:
                told(number / len(labels))
    name, _, ending = output.name.partition(".")  # of shape.mesh.safetensors the whole ending
    for one, mesh in meshes.items():
        path = output if len(labels) == 1 else output.with_name(f"{name}_{one}.{ending}")
        ml.write(mesh, path)
        typer.echo(f"label {one}: {mesh.n_cells} triangles, volume {float(mesh.volume()):.6g} -> {path}")
    if report is not None:
        from meshlearn.cli.reconstruct_report import write_report

        numbers = estimator.report(resolution, meshes=meshes)
        typer.echo(f"report -> {write_report(report, found, meshes, numbers)}")


def _options(axis: int | None, every: int | None) -> dict[str, Any]:
    options: dict[str, Any] = {} if axis is None else {"axis": axis}
    if every is not None:
        if every < 1:
            raise ParameterError(f"--every {every}: a whole number of at least 1 is expected.")
        options["slices"] = slice(None, None, every)
    return options


def _choice(estimator: Any) -> str:
    scores = ", ".join(f"{name} {score:.3f}" for name, score in estimator.base_scores_.items())
    text = f"base: {estimator.base_}" + (f" (on planes left out: {scores})" if scores else "")
    share, skipped = estimator.network_share_, dict(estimator.skipped_)
    if share:
        text += f"; network: {share:.0%} of it"
    elif "network" in skipped:
        text += f"; network: not tried, {skipped.pop('network')}"
    else:
        text += "; network: tried, and not used, as it does not help on planes left out"
    return text + "".join(f"\nnot tried: {name}: {why}" for name, why in skipped.items())
