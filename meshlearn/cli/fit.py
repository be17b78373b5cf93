"""`meshlearn fit`: from files to a model."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from meshlearn.cli import common
from meshlearn.cli.settings import KINDS, checkpoint_folder, model_class, show_settings, sort_settings

Files = Annotated[
    list[str], typer.Argument(help="Mesh files, folders, or quoted patterns such as 'runs/*.vtu'.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("fit")(fit)


def fit(
    files: Files,
    outputs: Annotated[
        str, typer.Option(help="Fields the model shall predict: names, separated by commas.", show_default=False)
    ],
    inputs: Annotated[
        str,
        typer.Option(help="Fields the model may use: names, separated by commas.", show_default="the shape alone"),
    ] = "",
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the fitted model.")] = Path("model"),
    model: Annotated[str, typer.Option(help=f"Kind of model: {', '.join(KINDS)}.")] = "MeshGraphNet",
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training meshes.")] = None,
    validation: Annotated[
        float | None, typer.Option(help="Share of the meshes held out to pick the best epoch, for example 0.1.")
    ] = None,
    set: Annotated[
        list[str] | None,
        typer.Option(
            help="Any other setting of the model or its training: name=value; lists as JSON. May be repeated. "
            "--settings shows them all."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same model.")] = None,
    cache: Annotated[bool, typer.Option(help="Keep parsed files in the user's cache folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that is in the folder.")] = False,
    settings: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            is_eager=True,
            callback=show_settings,
            help="List the settings of a kind of model and of its training, with their defaults, and stop.",
        ),
    ] = None,
    picture: Annotated[bool, typer.Option(help="Draw the training curves into the model folder.")] = True,
) -> None:
    """Train a model on a folder of simulations.

    Inputs and outputs are names of point, cell or global fields that every file has. Coordinates are always known to
    the model: without --inputs it predicts from the shape alone. The model folder holds numbers and text only, and
    works with `predict` and `score`.

    [bold]Examples[/bold]

      meshlearn fit 'runs/*.vtu' --inputs load,young --outputs displacement -o model

      meshlearn fit runs --inputs sdf --outputs pressure --epochs 50 --set hidden=128 --set learning_rate=1e-3

      meshlearn fit runs --inputs load --outputs stress --set 'boundary_sets=["left", "hole_*"]'

      meshlearn fit runs --inputs load --outputs stress --set checkpoint=run --set resume=auto

      meshlearn fit --settings MeshGraphNet

    Ctrl-C ends the training after the step at hand; the model is then written to its folder, or, with --set
    checkpoint=FOLDER, kept as a checkpoint there, and --set resume=true goes on from it. The exit code is 130.
    """
    import meshlearn as ml
    from meshlearn.io.counts import counted
    from meshlearn.train.checkpoint import exists

    paths = common.expand(files)
    kind = model_class(model)
    chosen = common.settings(set or [])
    for name, option in (("epochs", epochs), ("validation", validation), ("seed", seed)):
        if option is not None:
            chosen[name] = option
    constructor, training = sort_settings(kind, chosen)
    checkpoint = checkpoint_folder(training)
    in_checkpoint = checkpoint is not None and checkpoint.resolve() == output.expanduser().resolve()
    estimator = kind(inputs=common.names(inputs), outputs=common.names(outputs), **constructor)
    meshes = ml.read_many(paths, cache=cache or None)
    given = ", ".join(common.names(inputs)) or "shape"
    typer.echo(f"{model}: {counted(len(meshes), 'mesh', 'meshes')}, {given} -> {', '.join(common.names(outputs))}")
    with common.model_folder(output, overwrite or in_checkpoint) as folder:
        _train(estimator, meshes, training)
        interrupted = getattr(estimator, "interrupted_", False)
        if interrupted and (checkpoint is not None or exists(folder)):
            kept = f"{folder} is as it was" if checkpoint is None else f"go on from {checkpoint}: --set resume=true"
            common.say("interrupted", f"no model was written; {kept}")
            raise common.Interrupted
        if not in_checkpoint:  # a checkpoint is a model, and more: it can be resumed
            estimator.save(folder)
        typer.echo(f"model written to {folder}" + (", as far as it got" if interrupted else ""))
    if interrupted:
        common.say("interrupted", "the model holds what it had learned")
        raise common.Interrupted
    if picture and getattr(estimator, "history_", None):
        from meshlearn.viz import training_curves

        training_curves(estimator, file=folder / "training_curves.png", title=model)
        typer.echo(f"training curves: {folder / 'training_curves.png'}")


def _train(estimator: Any, meshes: Any, training: dict[str, Any]) -> None:
    """Fit; that it was interrupted is told by the caller, in terms of the command."""
    from meshlearn.train import FitInterruptedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitInterruptedWarning)
        estimator.fit(meshes, **training)
