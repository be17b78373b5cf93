"""Kuramoto-Sivashinsky: one network with and without iterative refinement, equal parameters, data and optimiser steps.

    python benchmarks/refiner.py [--seeds 0 1 2] [--steps 500] [--trajectories 16] [--frames 40] [--only NAME ...]

Both train on the step from frame to frame of the same trajectories, with the same optimiser, schedule, batches and
moving average of the weights; nothing is chosen on the test set. Then test trajectories are rolled out, and compared
with the truth: the time up to which the correlation over space, averaged over the trajectories, stays above 0.8.
Results: benchmarks/results/refiner.json, written after every model; a seed that is there is not run again.
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
TESTS, BATCH = 16, 32
REFINED = {  # refinements, and the variance of the last noise
    "3 refinements to 4e-7": (3, 4e-7),
    "3 refinements to 1e-3": (3, 1e-3),
    "2 refinements to 1e-5": (2, 1e-5),
    "1 refinement at 1e-4": (1, 1e-4),
    "1 refinement at 1e-5": (1, 1e-5),
}
NAMES = ["U-Net", *REFINED]


def data(n: int, seed: int, frames: int) -> list[ml.Trajectory]:
    """Trajectories on the attractor."""
    return ml.sim.make_kuramoto_sivashinsky(
        n, seed=seed, resolution=NODES, length=LENGTH, time_step=STEP, frames=frames, substeps=5
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
    if name not in REFINED:
        return core
    steps, noise = REFINED[name]
    return ml.PDERefiner(core, steps=steps, min_noise=noise)


def correlations(model: Any, tests: list[ml.Trajectory]) -> torch.Tensor:
    """(n_times,) the correlation over space with the truth, averaged over the trajectories."""
    rows = []
    for truth in tests:
        made = model.rollout(truth[0], steps=len(truth) - 1).point_data["u"][:, :-1].double()
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
        "time_to_decorrelation": float(below[0] * STEP) if len(below) else float(options.frames * STEP),
    }


def main() -> None:
    """Run what is asked for, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--trajectories", type=int, default=16)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--hidden", type=int, default=8)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES[:3])
    options = parser.parse_args()
    torch.set_num_threads(1)
    train, tests = data(options.trajectories, 0, options.frames), data(TESTS, 1000, options.frames)
    path = RESULTS / "refiner.json"
    runs: dict[str, Any] = json.loads(path.read_text())["runs"] if path.exists() else {}
    setting = f"{options.steps} steps, {options.trajectories} trajectories of {options.frames} frames"
    rows: dict[str, Any] = runs.setdefault(setting, {})
    for seed in options.seeds:
        for name in options.only:
            seeds = rows.setdefault(name, {"seeds": {}})["seeds"]
            if str(seed) in seeds:
                continue
            seeds[str(seed)] = run(name, seed, train, tests, options)
            print(f"{name}, seed {seed}: {json.dumps(seeds[str(seed)])}", flush=True)
            times = [row["time_to_decorrelation"] for row in seeds.values()]
            rows[name]["time_to_decorrelation"] = statistics.mean(times)
            write_results("refiner", {"length": LENGTH, "nodes": NODES, "time_step": STEP, "runs": runs})


if __name__ == "__main__":
    main()
