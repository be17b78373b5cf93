"""Rollouts of Burgers' equation: does it help when the mesh moves? Errors are those everywhere, not at the points.

The truth is a finite-element solution on a mesh many times as fine, on an interval or on a square. A prediction is the
function that is linear in the cells of its own mesh; it is compared with the truth at all points of the fine mesh, not
at its own points only, where a mesh that misses a front between its points would not be told.

floors   no network: how well the truth itself fits on the mesh at rest, on the moved one, and on the one at rest after
         a way to the moved one and back, which is what a state at rest goes through in every step
moving   MMPDE(state="moved"): the state lives on the moved mesh
still    the same with a mover that moves nothing: as many parameters, as many computations
paper    MMPDE(state="rest"): the state lives on the mesh at rest, a branch of the network on the moved one
wide     one MeshGraphNet on the mesh at rest, widened to about as many parameters
others   no change at all (persistence); finite elements on the mesh at rest

usage    python benchmarks/mmpde.py data --case interval --data waves     (once; the fine solutions)
         python benchmarks/mmpde.py moving still --seed 0 --case interval --data waves
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from common import machine
from torch import Tensor

import meshlearn as ml
from meshlearn.fem.remap import ConservativeRemap

CASES: dict[str, dict[str, Any]] = {
    "interval": {
        "train": 20,
        "test": 6,
        "resolution": 24,
        "fine": 768,
        "frames": 10,
        "time_step": 0.05,
        "humps": 2,
        "viscosity": (0.001, 0.003),
        "substeps": 8,
    },
    "square": {
        "train": 20,
        "test": 6,
        "resolution": 16,
        "fine": 192,
        "frames": 10,
        "time_step": 0.05,
        "humps": 2,
        "viscosity": (0.003, 0.005),
        "substeps": 3,
    },
}
MOTION: dict[str, Any] = {"amplitude": 20.0, "smoothing": 0.04}
NETWORK: dict[str, Any] = {"hidden": 20, "steps": 3, "levels": 2, "noise": 0.01}
FIT: dict[str, Any] = {"epochs": 120, "learning_rate": 3e-3}
MESHES_PER_BATCH = {"interval": 12, "square": 3}
MODELS = ("moving", "still", "paper", "wide")
OTHERS = ("data", "floors", "baselines")
INPUTS = ["u", "viscosity"]


def data(case: str, folder: Path) -> list[ml.Trajectory]:
    """The fine solutions, made once."""
    settings = CASES[case]
    n = settings["train"] + settings["test"]
    if len(list(folder.glob("burgers_*.mesh.safetensors"))) < n:
        folder.mkdir(parents=True, exist_ok=True)
        same = {name: settings[name] for name in ("frames", "time_step", "humps", "viscosity", "substeps")}
        if case == "square":
            ml.sim.make_burgers(n, folder, seed=0, resolution=settings["fine"], reference=1, **same)
        else:
            for i in range(n):
                ml.write(on_interval(i, settings["fine"], **same), folder / f"burgers_{i:04d}.mesh.safetensors")
    return [ml.read(path) for path in sorted(folder.glob("burgers_*.mesh.safetensors"))][:n]


def on_interval(
    i: int, fine: int, frames: int, time_step: float, humps: int, viscosity: tuple[float, float], substeps: int
) -> ml.Trajectory:
    """Humps of either sign on [0, 1] that steepen into fronts."""
    generator = torch.Generator().manual_seed(i)

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(humps, generator=generator, dtype=torch.float64)

    centre, width, height = between(0.15, 0.6), between(0.05, 0.1), between(0.5, 1.0)
    height = torch.where(between(0, 1) < 0.2, -height, height)
    low, high = map(math.log, viscosity)
    nu = math.exp(float(between(low, high)[0]))

    def initial(x: Tensor) -> Tensor:
        return (height * torch.exp(-(x[0][:, None] - centre).square() / (2 * width.square()))).sum(1)

    mesh = ml.shapes.interval(n=fine)
    return ml.sim.burgers(mesh, initial, nu, time_step, frames, substeps, dirichlet={"boundary": 0.0})


def at_start(case: str) -> ml.Mesh:
    """The mesh of the networks, at rest."""
    return getattr(ml.shapes, case)(n=CASES[case]["resolution"])


def make(name: str) -> Any:
    """The model of a row."""
    if name == "wide":
        return ml.MeshGraphNet(INPUTS, ["u"], **{**NETWORK, "hidden": round(NETWORK["hidden"] * 2**0.5)})
    state, mover = ("rest", "newton") if name == "paper" else ("moved", "newton" if name == "moving" else "still")
    return ml.MMPDE(INPUTS, ["u"], mover=mover, state=state, **MOTION, **NETWORK)


def as_seen(name: str, model: Any, wave: ml.Trajectory, rest: ml.Mesh) -> ml.Trajectory:
    """A fine solution as the model sees it: on its own mesh, at the points where this is."""
    if name in ("moving", "still"):
        return model.follow(wave, rest)
    return make("still").follow(wave, rest).replace(moving_points=None, point_data={"u": at_rest(wave, rest)})


def at_rest(wave: ml.Trajectory, rest: ml.Mesh) -> Tensor:
    """(n_times, n_points) values of a fine solution at the points of a mesh."""
    return (ml.interpolation_operator(wave.mesh, rest.points)[0] @ wave.point_data["u"].t()).t()


class Truth:
    """A fine solution, and errors against it."""

    def __init__(self, wave: ml.Trajectory) -> None:
        self.wave, self.weight = wave, wave.mesh.point_measures()

    def error(self, mesh: ml.Mesh, values: Tensor, time: int) -> float:
        """Relative error in L2 of the function on `mesh`, linear in its cells, at a time."""
        exact = self.wave.point_data["u"][time]
        off = ml.interpolation_operator(mesh, self.wave.mesh.points)[0] @ values - exact
        return float((self.weight @ off.square() / (self.weight @ exact.square())).sqrt())

    def errors(self, made: ml.Trajectory) -> list[float]:
        """At all times after the first."""
        return [self.error(made[i], made[i].point_data["u"], i) for i in range(1, len(made))]


def summary(found: list[list[float]]) -> dict[str, float]:
    """Means over the trajectories: over all times, at the last, after the first step."""
    table = torch.tensor(found, dtype=torch.float64)
    return {"rollout": float(table.mean()), "last": float(table[:, -1].mean()), "first_step": float(table[:, 0].mean())}


def train(name: str, seed: int, case: str, waves: list[ml.Trajectory]) -> dict[str, Any]:
    """One network: its errors, its size, its times."""
    model, rest, n = make(name), at_start(case), CASES[case]["train"]
    start = time.perf_counter()
    seen = [as_seen(name, model, wave, rest) for wave in waves]
    made = time.perf_counter() - start
    training, test = seen[:n], seen[n:]
    truths = [Truth(wave) for wave in waves[n:]]

    def tell(context: Any) -> None:
        if context.epoch % 5 == 0:
            print(f"  {name} {seed}: epoch {context.epoch}, {time.perf_counter() - start:.0f} s", flush=True)

    cost = model_cost(name, training[0])  # points of all levels, and of both meshes where there are two
    batch = MESHES_PER_BATCH[case] * cost
    start = time.perf_counter()
    model.fit(training, seed=seed, progress=False, callbacks=[tell], batch_points=batch, batch_edges=10**7, **FIT)
    fitted = time.perf_counter() - start
    start = time.perf_counter()
    rolled = [model.rollout(wave) for wave in test]
    seconds = (time.perf_counter() - start) / len(test)
    return {
        "parameters": sum(p.numel() for p in model.module_.parameters()),
        **summary([truth.errors(own) for truth, own in zip(truths, rolled, strict=True)]),
        "floor": summary([truth.errors(own) for truth, own in zip(truths, test, strict=True)])["rollout"],
        "one_step_score": model.score(test)["u"],
        "data_s": made,
        "fit_s": fitted,
        "rollout_s": seconds,
        "train_loss": model.history_[-1]["train_loss"],
    }


def model_cost(name: str, series: ml.Trajectory) -> int:
    """What one mesh costs of a batch's budget: its points on both levels, twice for the solvers with two branches."""
    coarse = -(-series.n_points // 8)
    return (series.n_points + 2 * coarse) * (1 if name == "wide" else 2)


def floors(case: str, waves: list[ml.Trajectory]) -> dict[str, Any]:
    """What the meshes can hold at all."""
    test, rest, model = waves[CASES[case]["train"] :], at_start(case), make("moving")
    best = ConservativeRemap(test[0].mesh, rest)

    def mean(error: Callable[[Truth, ml.Trajectory, ml.Trajectory, int], float]) -> dict[str, float]:
        found = []
        for wave, follower in zip(test, moved, strict=True):
            still = ml.Trajectory(rest, wave.times, {"u": at_rest(wave, rest)})
            found.append([error(Truth(wave), still, follower, i) for i in range(1, len(wave))])
        return {"rollout": sum(map(sum, found)) / sum(map(len, found))}

    def trip(truth: Truth, still: ml.Trajectory, follower: ml.Trajectory, i: int) -> float:
        there = ml.interpolate(still[i], follower[i].without_data(), ["u"])
        return truth.error(rest, ml.interpolate(there, rest, ["u"]).point_data["u"], i)

    def back(truth: Truth, still: ml.Trajectory, follower: ml.Trajectory, i: int) -> float:
        return truth.error(rest, ml.interpolate(follower[i], rest, ["u"]).point_data["u"], i)

    moved = [model.follow(wave, rest) for wave in test]
    return {
        "floor: truth at the points at rest": mean(lambda t, s, m, i: t.error(rest, s.point_data["u"][i], i)),
        "floor: best function on the mesh at rest": mean(
            lambda t, s, m, i: t.error(rest, best(t.wave.point_data["u"][i]), i)
        ),
        "floor: truth at the moved points": mean(lambda t, s, m, i: t.error(m[i], m[i].point_data["u"], i)),
        "floor: truth at the moved points, brought to rest": mean(back),
        "floor: truth at rest, to the moved mesh and back": mean(trip),
    }


def baselines(case: str, waves: list[ml.Trajectory]) -> dict[str, Any]:
    """Persistence, and finite elements of first order on the mesh at rest."""
    settings, rest = CASES[case], at_start(case)
    test = waves[settings["train"] :]
    starts = [at_rest(wave, rest)[0] for wave in test]
    still = [[Truth(wave).error(rest, u, i) for i in range(1, len(wave))] for wave, u in zip(test, starts, strict=True)]
    rows: dict[str, Any] = {"persistence": summary(still)}
    for substeps in (1, 4):
        solved, start = [], time.perf_counter()
        for wave, u in zip(test, starts, strict=True):
            viscosity = float(wave.mesh.global_data["viscosity"])
            marching = (settings["time_step"], settings["frames"], substeps)
            solved.append(ml.sim.burgers(rest, u, viscosity, *marching, dirichlet={"boundary": 0.0}))
        seconds = (time.perf_counter() - start) / len(test)
        errors = [Truth(wave).errors(own) for wave, own in zip(test, solved, strict=True)]
        rows[f"finite elements at rest, {substeps} substeps"] = {**summary(errors), "rollout_s": seconds}
    return rows


def main() -> None:
    """The rows that were asked for, added to what the file holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="+", choices=[*OTHERS, *MODELS])
    parser.add_argument("--case", choices=list(CASES), default="interval")
    parser.add_argument("--seed", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--data", type=Path, default=Path("burgers_waves"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "mmpde.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    waves = data(given.case, given.data)
    for name, rows in (("floors", floors), ("baselines", baselines)):
        if name in given.what:
            add(given.out, given.case, rows(given.case, waves))
    for seed in given.seed:
        for name in (n for n in MODELS if n in given.what):
            row = train(name, seed, given.case, waves)
            print(name, seed, row, flush=True)
            add(given.out, given.case, {f"{name}, seed {seed}": row})


def add(path: Path, case: str, rows: dict[str, Any]) -> None:
    """Put rows into the file of results."""
    known = json.loads(path.read_text()) if path.exists() else {}
    fit = {**FIT, "meshes_per_batch": MESHES_PER_BATCH[case]}
    known |= {"machine": machine(), "motion": MOTION, "network": NETWORK}
    own = known.setdefault(case, {"rows": {}})
    own |= {"settings": CASES[case], "fit": fit}
    own["rows"] |= rows
    path.write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
