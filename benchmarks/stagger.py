"""Vorticity in a periodic square: one U-Net on the grid against several on interleaved grids, equal optimiser steps.

    python benchmarks/stagger.py [--steps 300] [--seed 0]

Decaying turbulence at nu = 1e-3 on 32 x 32 places, 16 flows of ten steps to learn from, 4 to test on. Times are
processor seconds on one core, of a training step of eight fields and of the prediction of one frame.
Results: benchmarks/results/stagger.json.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from typing import Any

import torch
from common import write_results

import meshlearn as ml
from meshlearn.grids import GridWarning

NODES, TRAINING, TESTS, FRAMES, BATCH = 32, 16, 4, 10, 8
UNET = {"multipliers": [1, 2, 2], "blocks": 1}


def build(space: int, shared: bool, hidden: int) -> ml.NeuralStagger:
    """The model of a row."""
    return ml.NeuralStagger(
        ["vorticity"],
        ["vorticity"],
        core="unet",
        core_options={"hidden": hidden, **UNET},
        shape=NODES,
        periodic=True,
        coordinates=False,
        distance=False,
        space=space,
        shared=shared,
    )


def run(model: ml.NeuralStagger, train: list[Any], tests: list[Any], options: argparse.Namespace) -> dict[str, Any]:
    """Train one model and measure it."""
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GridWarning)
        model.fit(
            train,
            epochs=10_000,
            max_steps=options.steps,
            batch_points=BATCH * (NODES**2 + (NODES + 1) ** 2),
            learning_rate=3e-3,
            seed=options.seed,
            progress=False,
        )
    per_step = (time.process_time() - start) / options.steps
    error = model.score(tests)["vorticity"]
    rolled = [model.rollout(test[0], steps=FRAMES).point_data["vorticity"][-1] for test in tests]
    truth = [test.point_data["vorticity"][-1] for test in tests]
    start = time.process_time()
    for _ in range(10):
        model.predict(tests[0][0])
    return {
        "parameters": sum(p.numel() for p in model.module_.parameters()),
        "one_step_error": error,
        "error_after_ten_steps": sum(float((a - b).norm() / b.norm()) for a, b in zip(rolled, truth, strict=True))
        / TESTS,
        "seconds_per_training_step": round(per_step, 4),
        "seconds_per_frame": round((time.process_time() - start) / 10, 4),
    }


def main() -> None:
    """Run all rows, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    flows = {"resolution": NODES, "forced": False, "time_step": 1.0, "frames": FRAMES, "substeps": 20}
    train, tests = ml.sim.make_vorticity(TRAINING, seed=0, **flows), ml.sim.make_vorticity(TESTS, seed=1000, **flows)
    rows = {}
    for name, arguments in {
        "one U-Net, 12 channels": (1, False, 12),
        "four U-Nets on interleaved grids, 12 channels": (2, False, 12),
        "one U-Net for the four grids, 12 channels": (2, True, 12),
        "four U-Nets on interleaved grids, 6 channels": (2, False, 6),
    }.items():
        rows[name] = run(build(*arguments), train, tests, options)
        print(f"{name}: {json.dumps(rows[name])}", flush=True)
    write_results("stagger", {"steps": options.steps, "seed": options.seed, "rows": rows})


if __name__ == "__main__":
    main()
