"""`meshlearn demo`: from generated files to a trained model, predictions, scores and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    folder: Annotated[Path, typer.Option(help="Where everything goes; made if need be.")] = Path("demo"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer plates and less training: about a minute and a half.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the data and of the training.")] = 0,
) -> None:
    """Run the whole story once: simulate plates with holes, learn from the files, predict unseen plates, compare.

    1. solves a few hundred plates with holes under load (finite elements) and writes them as .vtu files;
    2. reads the files back and trains a MeshGraphNet to predict displacement and stress from shape, load and material;
    3. predicts plates it has not seen: of the same kind, with other numbers of holes, and with finer meshes;
    4. compares it with a mean field, the nearest training plate, and ridge regression.

    Ends with exit code 1 if the network does not beat every one of them. What it leaves in the folder:

      data/           the simulations: train, test_same, test_holes, test_fine

      model/          the trained model, for `meshlearn predict` and `meshlearn score`

      predictions/    test plates with predicted and true fields and the error, as .vtu (open them in ParaView)

      pictures/       truth, prediction and error; training curves; scores

      results.json, results.md   scores of all models, times, settings

    [bold]Example[/bold]

      meshlearn demo --folder demo
    """
    from meshlearn.cli.demo.run import run

    raise typer.Exit(run(folder, quick=quick, seed=seed))
