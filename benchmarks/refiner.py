"""Kuramoto-Sivashinsky: one network with and without iterative refinement, equal parameters, data and optimiser steps.

    python benchmarks/refiner.py [--seeds 0 1 2] [--steps 500] [--hidden 8] [--only NAME ...]

Both train on the step from frame to frame of the same trajectories, with the same optimiser, schedule, batches and
moving average of the weights; nothing is chosen on the test set. Then test trajectories are rolled out, and compared
with the truth: the time up to which the correlation over space, averaged over the trajectories, stays above 0.8.
Results: benchmarks/results/refiner.json, written after every model; a seed that is there with as many steps is kept.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from typing import Any

import torch
from common import RESULTS, write_results

import meshlearn as ml
from meshlearn.grids import GridWarning

LENGTH, NODES, STEP, THRESHOLD = 22.0, 32, 1.0, 0.8
FRAMES, TRAINING, TESTS, BATCH = 40, 16, 6, 32
NAMES = {"U-Net": None, "refined, min_noise=4e-7": 4e-7, "refined, min_noise=1e-3": 1e-3}


def data(n: int, seed: int) -> list[ml.Trajectory]:
    """Trajectories on the attractor."""
    return ml.sim.make_kuramoto_sivashinsky(
        n, seed=seed, resolution=NODES, length=LENGTH, time_step=STEP, frames=FRAMES, substeps=5
    )


def build(name: str, options: argparse.Namespace) -> Any:
    """The estimator of a row."""
    core = ml.GridOperator(
        ["u"],
        ["u"],
        core="unet",
        core_options={"hidden": options.hidden, "multipliers": [1, 2, 2], "blocks": 1},
        shape=NODES,
        periodic=True,
        coordinates=False,
        distance=False,
        loss="mse",
    )
    return core if NAMES[name] is None else ml.PDERefiner(core, steps=3, min_noise=NAMES[name])


def correlations(model: Any, tests: list[ml.Trajectory]) -> torch.Tensor:
    """(n_times,) the correlation over space with the truth, averaged over the trajectories."""
    rows = []
    for truth in tests:
        made = model.rollout(truth[0], steps=FRAMES).point_data["u"][:, :-1].double()
        true = truth.point_data["u"][:, :-1].double()
        made, true = (x - x.mean(1, keepdim=True) for x in (made, true))
        rows.append((made * true).sum(1) / (made.norm(dim=1) * true.norm(dim=1)))
    return torch.stack(rows).mean(0)


def spectrum_errors(model: Any, tests: list[ml.Trajectory]) -> list[float]:
    """Error of one step relative to the truth, by octaves of the wave number."""
    made = torch.cat([model.predict(truth[:10]).point_data["u"][1:, :-1] for truth in tests]).double()
    true = torch.cat([truth.point_data["u"][1:10, :-1] for truth in tests]).double()
    error, size = (torch.fft.rfft(x).abs().square().mean(0) for x in (made - true, true))
    bands = [slice(1, 2), slice(2, 4), slice(4, 8), slice(8, 16)]
    return [float((error[band].sum() / size[band].sum()).sqrt()) for band in bands]


def run(name: str, seed: int, train: list[ml.Trajectory], tests: list[ml.Trajectory], options: Any) -> dict[str, Any]:
    """Train one model and measure it."""
    model, start = build(name, options), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GridWarning)
        model.fit(
            train,
            epochs=10_000,
            max_steps=options.steps,
            batch_points=BATCH * (2 * NODES + 1),
            learning_rate=options.rate,
            ema=0.995,
            seed=seed,
            progress=False,
        )
    seconds = time.process_time() - start
    series = correlations(model, tests)
    below = (series < THRESHOLD).nonzero()
    return {
        "parameters": sum(p.numel() for p in model.module_.parameters()),
        "steps": options.steps,
        "processor_seconds": round(seconds, 1),
        "one_step_error": model.score([test[:10] for test in tests])["u"],
        "error_by_octave": spectrum_errors(model, tests),
        "time_to_decorrelation": float(below[0] * STEP) if len(below) else float(FRAMES * STEP),
    }


def main() -> None:
    """Run what is asked for, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--hidden", type=int, default=8)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--only", nargs="+", choices=list(NAMES), default=list(NAMES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    train, tests = data(TRAINING, 0), data(TESTS, 1000)
    path = RESULTS / "refiner.json"
    old = json.loads(path.read_text())["rows"] if path.exists() else {}
    rows: dict[str, dict[str, Any]] = {name: dict(old.get(name, {}).get("seeds", {})) for name in NAMES}
    for seed in options.seeds:
        for name in options.only:
            if rows[name].get(str(seed), {}).get("steps") == options.steps:
                continue
            rows[name][str(seed)] = run(name, seed, train, tests, options)
            print(f"{name}, seed {seed}: {json.dumps(rows[name][str(seed)])}", flush=True)
            write(rows, options)


def write(rows: dict[str, dict[str, Any]], options: argparse.Namespace) -> None:
    """The results so far."""
    found = {}
    for name, seeds in rows.items():
        if seeds:
            times = [row["time_to_decorrelation"] for row in seeds.values()]
            found[name] = {"time_to_decorrelation": statistics.mean(times), "seeds": seeds}
    setting = {"length": LENGTH, "nodes": NODES, "time_step": STEP, "trajectories": TRAINING, "frames": FRAMES}
    setting |= {"hidden": options.hidden, "learning_rate": options.rate}
    write_results("refiner", {"setting": setting, "rows": found})


if __name__ == "__main__":
    main()
