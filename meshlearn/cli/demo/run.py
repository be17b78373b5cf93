"""The demo, step by step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from meshlearn.cli.common import results_folder
from meshlearn.cli.demo import report
from meshlearn.cli.demo.settings import FULL, INPUTS, OUTPUTS, QUICK, Settings


def run(folder: Path, quick: bool = False, seed: int = 0, settings: Settings | None = None) -> int:
    """Run the demo in `folder`; returns 0 if the network beats every baseline everywhere, else 1."""
    settings = settings or (QUICK if quick else FULL)
    folder = results_folder(folder)
    seconds: dict[str, float] = {}
    with _one_thread():
        return _run(folder, settings, seed, seconds)


def _run(folder: Path, settings: Settings, seed: int, seconds: dict[str, float]) -> int:
    with _step("1. simulate", seconds):
        _simulate(folder, settings, seed)
    with _step("2. read", seconds):
        meshes = _read(folder, settings)
    with _step("3. train", seconds):
        models = _train(folder, settings, seed, meshes["train"])
    with _step("4. predict and compare", seconds):
        tests = {name: group for name, group in meshes.items() if name != "train"}
        predictions = {
            kind: {name: model.predict(group) for name, group in tests.items()} for kind, model in models.items()
        }
        scores = report.scores(predictions, tests)
        report.write_predictions(folder, predictions["MeshGraphNet"], tests)
    with _step("5. draw", seconds):
        report.draw(folder, predictions["MeshGraphNet"], tests, models["MeshGraphNet"], scores, settings)
    won = report.verdict(scores)
    report.write_results(folder, scores, seconds, settings, seed, won)
    report.show(scores, settings)
    total = sum(seconds.values())
    typer.echo(f"\nall of it took {total:.0f} s: " + ", ".join(f"{k} {v:.0f}" for k, v in seconds.items()))
    typer.echo(
        f"results: {folder / 'results.md'}; pictures: {folder / 'pictures'}; open {folder / 'predictions'} in ParaView"
    )
    if won:
        typer.secho("The network beats every baseline on every group of plates.", fg=typer.colors.GREEN, bold=True)
        return 0
    typer.secho("The network does NOT beat every baseline: see the table.", fg=typer.colors.RED, bold=True, err=True)
    return 1


def _simulate(folder: Path, settings: Settings, seed: int) -> None:
    from meshlearn.sim import make_plates

    for name, group in settings.groups.items():
        target = folder / "data" / name
        for old in target.glob("plate_*.vtu") if target.is_dir() else ():
            old.unlink()
        made = make_plates(group.n, target, seed=1000 + 4 * seed + group.shift, progress=True, **group.options)
        points = sum(mesh.n_points for mesh in made) // group.n
        typer.echo(f"   {target}: {group.n} plates of {points} points on average ({group.title})")


def _read(folder: Path, settings: Settings) -> dict[str, list[Any]]:
    import meshlearn as ml

    return {name: list(ml.read_many(str(folder / "data" / name / "*.vtu"), workers=2)) for name in settings.groups}


def _train(folder: Path, settings: Settings, seed: int, meshes: list[Any]) -> dict[str, Any]:
    import meshlearn as ml

    inputs, outputs = list(INPUTS), list(OUTPUTS)
    models = {
        "mean field": ml.MeanField(inputs, outputs),
        "nearest neighbour": ml.NearestNeighbor(inputs, outputs),
        "ridge regression": ml.RidgeRegression(inputs, outputs),
    }
    for model in models.values():
        model.fit(meshes)
    network = ml.MeshGraphNet(inputs, outputs, **settings.model)
    typer.echo(
        f"   {', '.join(inputs)} -> {', '.join(outputs)}; "
        f"{settings.training['epochs']} epochs or {settings.seconds:.0f} s"
    )
    network.fit(meshes, time_budget=settings.seconds, seed=seed, progress=False, **settings.training)
    typer.echo(f"   {len(network.history_)} epochs; model: {network.save(folder / 'model')}")
    return {**models, "MeshGraphNet": network}


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for torch: the batches are small, and the results then do not depend on the number of cores."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _step(title: str, seconds: dict[str, float]) -> Iterator[None]:
    typer.secho(title, bold=True)
    start = time.perf_counter()
    yield
    seconds[title.split(". ", 1)[1]] = time.perf_counter() - start
