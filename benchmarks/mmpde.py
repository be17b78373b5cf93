"""Rollouts of Burgers' equation: a moving-mesh solver against the same networks on the mesh at rest.

Trajectories are those of `ml.sim.make_burgers`: the truth comes from a finer mesh. All networks are trained on single
steps, with the same data, epochs and optimiser, and rolled out from the first frame of unseen trajectories.

moving   MMPDE with the classical mover
still    the same MMPDE on a mesh that does not move: as many parameters, as many computations
wide     one MeshGraphNet, widened to the same number of parameters
others   no change at all (persistence); finite elements on the same mesh, with their time

usage    python benchmarks/mmpde.py all --data waves --out benchmarks/results/mmpde.json
         python benchmarks/mmpde.py moving --seed 1 --data waves --out ...     (one row; the others stay)
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from common import machine

import meshlearn as ml

SETTINGS: dict[str, Any] = {
    "train": 16,
    "test": 6,
    "resolution": 16,
    "reference": 2,
    "frames": 10,
    "time_step": 0.05,
    "humps": 2,
    "viscosity": (0.008, 0.016),
}
NETWORK: dict[str, Any] = {"hidden": 20, "steps": 3, "levels": 2, "noise": 0.01}
FIT: dict[str, Any] = {"epochs": 30, "learning_rate": 3e-3}
MODELS = ("moving", "still", "wide")


def data(folder: Path) -> list[ml.Trajectory]:
    """The trajectories, made once."""
    options = {name: value for name, value in SETTINGS.items() if name not in ("train", "test")}
    n = SETTINGS["train"] + SETTINGS["test"]
    if len(list(folder.glob("burgers_*.mesh.safetensors"))) < n:
        folder.mkdir(parents=True, exist_ok=True)
        ml.sim.make_burgers(n, folder, seed=0, **options)
    return [ml.read(path) for path in sorted(folder.glob("burgers_*.mesh.safetensors"))][:n]


class Remembered:
    """A mover that knows the frames it has moved before, so that several fits to the same data move them once."""

    def __init__(self) -> None:
        self.mover = ml.MongeAmpereMover(rtol=1e-2, max_iterations=20, strict=False)
        self.known: dict[bytes, Any] = {}

    def move(self, mesh: ml.Mesh, monitor: Any) -> Any:
        """As the mover does."""
        key = monitor.field.numpy().tobytes()
        if key not in self.known:
            self.known[key] = self.mover.move(mesh, monitor)
        return self.known[key]


REMEMBERED = Remembered()


def make(name: str) -> Any:
    """The model of a row."""
    inputs = ["u", "viscosity"]
    if name == "wide":
        return ml.MeshGraphNet(inputs, ["u"], **{**NETWORK, "hidden": round(NETWORK["hidden"] * 2**0.5)})
    return ml.MMPDE(inputs, ["u"], mover=REMEMBERED if name == "moving" else "still", **NETWORK)


def errors(predicted: torch.Tensor, truth: ml.Trajectory) -> torch.Tensor:
    """(n_times - 1,) relative error in L2 at the points, weighted by measure."""
    weight = truth.mesh.point_measures()
    exact = truth.point_data["u"][1:]
    off = (predicted[1:] - exact).square() @ weight
    return (off / (exact.square() @ weight)).sqrt()


def summary(found: list[torch.Tensor]) -> dict[str, float]:
    """Means over the trajectories: over all times, and at the last."""
    table = torch.stack(found).double()
    return {"rollout": float(table.mean()), "last": float(table[:, -1].mean()), "first_step": float(table[:, 0].mean())}


def train(name: str, seed: int, waves: list[ml.Trajectory]) -> dict[str, Any]:
    """One network: its errors, its size, its times."""
    training, test = waves[: SETTINGS["train"]], waves[SETTINGS["train"] :]
    model = make(name)
    start = time.perf_counter()
    model.fit(training, seed=seed, progress=False, **FIT)
    fitted = time.perf_counter() - start
    start = time.perf_counter()
    rolled = [model.rollout(wave) for wave in test]
    seconds = (time.perf_counter() - start) / len(test)
    return {
        "parameters": sum(p.numel() for p in model.module_.parameters()),
        **summary([errors(made.point_data["u"], wave) for made, wave in zip(rolled, test, strict=True)]),
        "one_step_score": model.score(test)["u"],
        "fit_s": fitted,
        "rollout_s": seconds,
        "train_loss": model.history_[-1]["train_loss"],
    }


def baselines(waves: list[ml.Trajectory]) -> dict[str, Any]:
    """Persistence, and finite elements of first order on the same mesh."""
    test = waves[SETTINGS["train"] :]
    still = [errors(wave.point_data["u"][:1].expand_as(wave.point_data["u"]), wave) for wave in test]
    rows: dict[str, Any] = {"persistence": summary(still)}
    for substeps in (1, 4):
        solved, start = [], time.perf_counter()
        for wave in test:
            made = ml.sim.burgers(
                wave.mesh,
                wave.point_data["u"][0],
                float(wave.mesh.global_data["viscosity"]),
                SETTINGS["time_step"],
                SETTINGS["frames"],
                substeps,
                dirichlet={"boundary": 0.0},
            )
            solved.append(errors(made.point_data["u"], wave))
        seconds = (time.perf_counter() - start) / len(test)
        rows[f"finite elements, {substeps} substeps"] = {**summary(solved), "rollout_s": seconds}
    return rows


def main() -> None:
    """One row or all of them, added to what the file holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["all", "baselines", *MODELS])
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--data", type=Path, default=Path("burgers_waves"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "mmpde.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    waves = data(given.data)
    names = MODELS if given.what == "all" else [name for name in MODELS if name == given.what]
    seeds = (0, 1, 2) if given.seed is None else (given.seed,)
    if given.what in ("all", "baselines"):
        add(given.out, baselines(waves))
    for seed in seeds:
        for name in names:
            row = train(name, seed, waves)
            print(name, seed, row, flush=True)
            add(given.out, {f"{name}, seed {seed}": row})


def add(path: Path, rows: dict[str, Any]) -> None:
    """Put rows into the file of results."""
    known = json.loads(path.read_text()) if path.exists() else {"rows": {}}
    known |= {"machine": machine(), "settings": SETTINGS, "network": NETWORK, "fit": FIT}
    known["rows"] |= rows
    path.write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
