"""Darcy flow on plates with holes: grid models through each transfer, mesh models and baselines, equal training time.

    python benchmarks/grids.py [--seeds 0 1 2] [--budget 25] [--train 100] [--test 40] [--only NAME ...] [--data FOLDER]

Log-normal permeability, zero to two holes, 500 to 1,300 points, a mesh of its own for every case, the reference solved
on the mesh refined once (`ml.sim.make_darcy`). The permeability at the points and the source go in, u comes out. Every
model takes as many optimiser steps as fit into the same processor seconds on one core (measured on twenty of its own
steps, so that other work on the machine does not count); nothing is chosen on the test set.
Results: benchmarks/results/grids.json; with --only, those of the models named are put in the place of the old ones.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from common import RESULTS, write_results

import meshlearn as ml
from meshlearn.grids import GridWarning
from meshlearn.train.callbacks import Callback, FitContext

INPUTS, OUTPUTS = ["permeability", "source"], ["u"]
SHAPE, PER_BATCH = 32, 8
FNO = {"hidden": 24, "modes": 10}


def models(mean_points: float) -> dict[str, tuple[Any, dict[str, Any]]]:
    """{name: (estimator, options of its training)}; a batch holds about eight meshes."""
    grid = {"batch_points": int(PER_BATCH * (mean_points + SHAPE**2)), "learning_rate": 3e-3}
    mesh = {"batch_points": int(PER_BATCH * mean_points)}
    found: dict[str, tuple[Any, dict[str, Any]]] = {
        f"FNO, {transfer}": (
            ml.GridOperator(INPUTS, OUTPUTS, core="fno", core_options=FNO, shape=SHAPE, transfer=transfer),
            grid,
        )
        for transfer in ("interpolate", "l2", "conservative", "kernel")
    }
    found["TFNO, interpolate"] = (
        ml.GridOperator(INPUTS, OUTPUTS, core="tfno", core_options={**FNO, "rank": 0.3}, shape=SHAPE),
        grid,
    )
    found["U-Net, interpolate"] = (
        ml.GridOperator(INPUTS, OUTPUTS, core="unet", core_options={"hidden": 16}, shape=SHAPE),
        {**grid, "learning_rate": 2e-3},
    )
    for label, core, core_options in (
        ("MgNO, interpolate", "mgno", {}),
        ("LSM, interpolate", "lsm", {"hidden": 16}),
        ("scOT, interpolate", "scot", {"hidden": 16}),
    ):
        found[label] = (
            ml.GridOperator(INPUTS, OUTPUTS, core=core, core_options=core_options, shape=SHAPE),
            {**grid, "learning_rate": 2e-3},
        )
    found["DeepONet, interpolate"] = (ml.GridOperator(INPUTS, OUTPUTS, core="deeponet", shape=SHAPE), grid)
    found["SliceTransformer"] = (ml.SliceTransformer(INPUTS, OUTPUTS), {**mesh, "learning_rate": 2e-3})
    found["MeshGraphNet"] = (ml.MeshGraphNet(INPUTS, OUTPUTS), {"batch_points": int(1.6 * PER_BATCH * mean_points)})
    found["ridge regression"] = (ml.RidgeRegression(INPUTS, OUTPUTS), {})
    found["nearest neighbour"] = (ml.NearestNeighbor(INPUTS, OUTPUTS), {})
    found["mean field"] = (ml.MeanField(INPUTS, OUTPUTS), {})
    return found


def run(name: str, seed: int, train: list[ml.Mesh], test: list[ml.Mesh], budget: float) -> dict[str, float]:
    """Train one model and score it."""
    model, options = models(sum(mesh.n_points for mesh in train) / len(train))[name]
    return run_model(model, options, seed, train, test, budget)


def run_model(
    model: Any, options: dict[str, Any], seed: int, train: list[ml.Mesh], test: list[ml.Mesh], budget: float
) -> dict[str, float]:
    """Train a model with as many steps as the budget allows, and score it."""
    row: dict[str, float] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GridWarning)
        if isinstance(model, ml.NetworkEstimator):
            options = {**options, "epochs": 10_000, "seed": seed, "progress": False}
            clock = Clock()
            model.fit(train, max_steps=26, callbacks=[clock], **options)
            row["steps"] = max(int(budget / clock.per_step), 1)
            clock = Clock()
            model.fit(train, max_steps=int(row["steps"]), callbacks=[clock], **options)
            row["processor_seconds"] = clock.per_step * row["steps"]
        else:
            start = time.process_time()
            model.fit(train)
            row["processor_seconds"] = time.process_time() - start
    row |= {"test": model.score(test)["u"], "train": model.score(train[: len(test)])["u"]}
    if isinstance(model, ml.NetworkEstimator):
        row["parameters"] = sum(p.numel() for p in model.module_.parameters())
    if isinstance(model, ml.GridOperator) and model.floors_:
        row["floor"] = model.floors_["u"]
    return row


class Clock(Callback):
    """Processor seconds per step, from the second step on."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, context: FitContext) -> None:
        self.times.append(time.process_time())

    @property
    def per_step(self) -> float:
        return (self.times[-1] - self.times[0]) / (len(self.times) - 1)


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--budget", type=float, default=25.0)
    parser.add_argument("--train", type=int, default=100)
    parser.add_argument("--test", type=int, default=40)
    parser.add_argument("--only", nargs="*", default=None)
    parser.add_argument("--data", default=None, help="folder to keep the cases in, or to read them from")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    known = asked.data is not None and len(list(Path(asked.data).glob("darcy_*.vtu"))) == asked.train + asked.test
    cases = (
        list(ml.read_many(f"{asked.data}/darcy_*.vtu"))
        if known
        else ml.sim.make_darcy(asked.train + asked.test, asked.data, seed=0)
    )
    train, test = cases[: asked.train], cases[asked.train :]
    settings = {name: getattr(asked, name) for name in ("budget", "train", "test")}
    points = sum(m.n_points for m in cases) / len(cases)
    for name in asked.only or models(1.0):
        for seed in asked.seeds:
            row = run(name, seed, train, test, asked.budget)
            print(name, seed, {key: float(f"{value:.3g}") for key, value in row.items()}, flush=True)
            keep(name, seed, row, settings, points)


def keep(name: str, seed: int, row: dict[str, float], settings: dict[str, Any], points: float) -> None:
    """Put one run into the file of results, in the place of the same one of before; other settings begin anew."""
    path = RESULTS / "grids.json"
    old = json.loads(path.read_text()) if path.exists() else {}
    runs = old.get("runs", {}) if old.get("settings") == settings else {}
    runs.setdefault(name, {})[str(seed)] = row
    summary = {}
    for each, rows in runs.items():
        errors = [entry["test"] for entry in rows.values()]
        summary[each] = {"test": statistics.mean(errors), "spread": max(errors) - min(errors), "seeds": len(errors)}
    write_results("grids", {"settings": settings, "points": points, "summary": summary, "runs": runs})


if __name__ == "__main__":
    main()
