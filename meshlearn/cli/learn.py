"""`meshlearn predict` and `score`: from a fitted model to files and numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from meshlearn.cli import common
from meshlearn.errors import FieldError, MeshError, ParameterError

Files = Annotated[
    list[str], typer.Argument(help="Mesh files, folders, or quoted patterns such as 'runs/*.vtu'.", show_default=False)
]
ModelFolder = Annotated[Path, typer.Argument(help="Folder of a fitted model.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("predict")(predict)
    app.command("score")(score)


def predict(
    model: ModelFolder,
    files: Files,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the predictions.")] = Path("predictions"),
    std: Annotated[bool, typer.Option("--std", help="Add standard deviations, where the model knows them.")] = False,
    suffix: Annotated[str | None, typer.Option(help="Format of the results, for example vtk.")] = None,
) -> None:
    """Predict fields on meshes, and write each mesh with its prediction under its own name.

    [bold]Examples[/bold]

      meshlearn predict model new/part.vtu -o predictions

      meshlearn predict model 'new/*.msh' --suffix vtu

    Of several files, those that cannot be read or predicted are named, and the others go on; the exit code is then 1.
    """
    import meshlearn as ml

    estimator = ml.load(model)
    if std and not estimator.probabilistic:
        raise ParameterError(f"a {type(estimator).__name__} knows no standard deviations: leave --std out.")
    paths = common.expand(files)
    ending = None if suffix is None else "." + suffix.lstrip(".")
    wanted = [path.name if ending is None else path.name.split(".")[0] + ending for path in paths]
    for name in wanted:
        common.writable(Path(name))
    folder = common.results_folder(output)
    targets = [folder / name for name in wanted]
    twice = sorted({target.name for target in targets if targets.count(target) > 1})
    if twice:
        raise ParameterError(f"several of the files would be written as {folder / twice[0]}: predict them one by one.")
    same = [path for path, target in zip(paths, targets, strict=True) if path.resolve() == target.resolve()]
    if same:
        raise ParameterError(f"{same[0]} would be overwritten by its prediction: choose another folder with -o.")
    found = dict(zip(paths, targets, strict=True))

    def predict_one(path: Path) -> None:
        ml.write(estimator.predict(_read(path), return_std=std), found[path])
        typer.echo(f"{path} -> {found[path]}")

    n_files, failed = common.each(paths, predict_one)
    if failed:
        typer.echo(f"{n_files} files, {failed} could not be predicted")
        raise typer.Exit(1)


def score(
    model: ModelFolder,
    files: Files,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    each: Annotated[bool, typer.Option("--each", help="One row per file as well.")] = False,
) -> None:
    """Compare predictions with the truth in the files: relative L2 errors (0 is perfect, 1 is as bad as zero).

    Where the truth of a field is zero everywhere it has no relative error: nan (null in JSON), not part of the mean.

    [bold]Examples[/bold]

      meshlearn score model 'test/*.vtu'

      meshlearn score model test --json > scores.json
    """
    import meshlearn as ml
    from meshlearn.train.scoring import mean_scores, warn_of_hidden_errors

    estimator = ml.load(model)
    paths = common.expand(files)
    rows, pairs = {}, []
    for path in paths:
        try:
            own = estimator.pair_scores(_read(path))
            rows[str(path)] = mean_scores(own)
            pairs += own
        except FieldError as error:
            raise FieldError(f"{path} cannot be scored: {error}") from error
    warn_of_hidden_errors(pairs)
    fields = list(next(iter(rows.values())))
    mean = {field: _mean(row[field] for row in rows.values()) for field in fields}
    if as_json:
        by_file = {name: _without_nan(row) for name, row in rows.items()}
        content = {"n_meshes": len(rows), "mean": _without_nan(mean), **({"files": by_file} if each else {})}
        typer.echo(json.dumps(content, indent=2, allow_nan=False))
        return
    from rich.console import Console
    from rich.table import Table

    from meshlearn.io.counts import counted

    table = Table(title=f"relative L2 error, {counted(len(rows), 'mesh', 'meshes')}", title_justify="left")
    table.add_column("mesh")
    for field in fields:
        table.add_column(field, justify="right")
    for name, row in rows.items() if each else ():
        table.add_row(Path(name).name, *(f"{row[field]:.4g}" for field in fields))
    table.add_row("mean", *(f"{mean[field]:.4g}" for field in fields), style="bold")
    Console().print(table)


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _without_nan(row: dict[str, float]) -> dict[str, float | None]:
    """JSON has no NaN."""
    return {field: None if math.isnan(value) else value for field, value in row.items()}


def _read(path: Path) -> Any:
    import meshlearn as ml

    mesh = ml.read(path)
    if isinstance(mesh, ml.Mesh) and not mesh.n_points:
        raise MeshError(f"{path} has no points.")
    return mesh
