"""GIOROM on clamped elastic bodies that are struck and swing: errors of rollouts, beside baselines, and speed.

    python benchmarks/giorom.py [--seed 0] [--minutes 25] [--films 256] [--model FOLDER [--resume]] [--data FOLDER]
        [--nodes 32] [--parts velocity,shape,speed,reconstruction] [--test 8] [--small]

Data: explicit finite elements (meshlearn.sim.dynamics), plane strain, a clamped body 0.85 to 1.1 m long and 0.38 to
0.5 m thick, tapered and bent, E = 2 MPa, struck with up to 5 m/s at the tip, 110 frames of 4 ms (a little more than one
period). Training: 256 shapes, a blow each. Test, never trained on: new blows on 8 of these shapes ("velocity"), and
8 shapes that are bent further than any in training ("shape"). Rollouts of 100 frames.

errors     root mean square over all points and times, over the largest displacement: rollout, at the end, of the nodes
           alone, and of points that follow the true nodes; with half, double and many times the nodes, and all points
baselines  constant velocity, ballistic, each point as its nearest node (true nodes; predicted nodes), gappy POD from
           true nodes, and the simulator itself on the finest mesh that takes no longer than the rollout
reconstruction  points that follow true nodes, by the nearest, by least squares, by what is learned of it (the kernel
           alone, and with the correction), and seconds per frame of 100k points that follow 1,000 nodes
speed      100k points from 1,000 nodes: seconds per frame of the stepper, of the reconstruction and of the same stepper
           on the graph of all points, in one run

Seconds are CPU time of this process (one thread). Results: benchmarks/results/giorom.json. With --model the stepper is
loaded from a folder, or trained with checkpoints there (--resume goes on with one that was cut); --data keeps the
trajectories.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from common import RESULTS, write_results

import meshlearn as ml
from meshlearn.models.giorom import Ballistic, ConstantVelocity, GappyPOD
from meshlearn.models.giorom.carriers import RestCarrier, carrier_of
from meshlearn.models.giorom.evaluation import oracle, summary
from meshlearn.models.giorom.rollout import March, nodes_of, start_of
from meshlearn.sim import dynamics

GRAVITY, YOUNG, STEP, FRAMES, HORIZON = 9.81, 2e6, 4e-3, 110, 100
SEEDS = {"train": (1, 5), "velocity": (1, 6), "shape": (3, 7)}


def body(length: float, height: float, taper: float, bow: float, n: tuple[int, int] = (36, 14)) -> ml.Mesh:
    mesh = ml.shapes.rectangle(1.0, 1.0, n=n)
    s, t = mesh.points.T
    y = height * (1 - taper * s) * (t - 0.5) + bow * length * s * s
    return mesh.replace(points=torch.stack([length * s, y], 1))


def blow(points: torch.Tensor, length: float, first: float, second: float) -> torch.Tensor:
    s = points[:, 0] / length
    return torch.stack([0 * s, first * s**2 + second * torch.sin(1.5 * math.pi * s) * s], 1)


def simulated(mesh: ml.Mesh, length: float, blows: tuple[float, float], frames: int = FRAMES) -> ml.Trajectory:
    scene = dynamics.ElasticDynamics(
        mesh,
        dynamics.NeoHookean(YOUNG, 0.3),
        1000.0,
        lambda x: blow(x, length, *blows),
        (0.0, -GRAVITY),
        fixed={"left": 0.0},
    )
    film = dynamics.simulate(scene, duration=frames * STEP, frames=frames)
    facts = film.mesh.with_global_data(gravity=torch.tensor([0.0, -GRAVITY]))
    return film.replace(mesh=facts, point_data={}, cell_data={}).to(torch.float32)


def draws(kind: str, shapes: int) -> Iterator[tuple[tuple[float, float, float, float], tuple[float, float]]]:
    """(shape, blows) of every trajectory of a set."""
    forms, blows = (torch.Generator().manual_seed(seed) for seed in SEEDS[kind])

    def uniform(generator: torch.Generator, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    for _ in range(shapes):
        length, height, taper = uniform(forms, 0.85, 1.1), uniform(forms, 0.38, 0.5), uniform(forms, 0, 0.4)
        bow = uniform(forms, *((-0.3, -0.2) if kind == "shape" else (-0.15, 0.15)))
        yield (length, height, taper, bow), (uniform(blows, -5, 5), uniform(blows, -1.5, 1.5))


def films(kind: str, shapes: int, folder: Path | None) -> list[ml.Trajectory]:
    made = []
    for i, (shape, blows) in enumerate(draws(kind, shapes)):
        file = None if folder is None else folder / f"{kind}_{i:02d}.mesh.safetensors"
        if file is not None and file.is_file():
            made.append(ml.read(file))
            continue
        made.append(simulated(body(*shape), shape[0], blows))
        if file is not None:
            folder.mkdir(parents=True, exist_ok=True)
            ml.write(made[-1], file)
    return made


def mean(values: list[dict[str, Any]]) -> dict[str, float | None]:
    """None where a rollout was not finite."""
    sums = {name: sum(math.nan if v[name] is None else v[name] for v in values) for name in values[0]}
    return {name: round(total / len(values), 5) if math.isfinite(total) else None for name, total in sums.items()}


def compared(model: Any, train: list[ml.Trajectory], test: list[ml.Trajectory]) -> dict[str, Any]:
    """Errors of the rollout and of the baselines on one test set."""
    history = model._history()
    counts = {"half": model.n_nodes // 2, "fitted": model.n_nodes, "double": 2 * model.n_nodes}
    found: dict[str, Any] = {}
    for name, count in counts.items():
        found[f"GIOROM, {name} nodes"] = mean([model.score(film, HORIZON, n_nodes=count) for film in test])
    found["GIOROM, all nodes (first trajectory)"] = mean([model.score(test[0], HORIZON, n_nodes="all")])
    fixed = {"fixed": ["left"], "history": history}
    found["constant velocity"] = mean([ConstantVelocity(**fixed).fit(train).score(film, HORIZON) for film in test])
    found["ballistic"] = mean([Ballistic("gravity", **fixed).fit(train).score(film, HORIZON) for film in test])
    pod = GappyPOD(modes=20).fit([film[::3] for film in train])
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in ("true, nearest", "predicted, nearest", "POD")}
    for film in test:
        truth = film.moving_points[history : history + HORIZON + 1]
        nodes = nodes_of(model, start_of(model, film).body, None, 0).index
        rows["POD"].append(summary(pod.reconstructed(truth[:, nodes], nodes, film.mesh.points), truth))
        model.reconstruction = "nearest"
        rows["true, nearest"].append(summary(oracle(model, film, truth, None), truth))
        rows["predicted, nearest"].append(summary(model.rollout(film, HORIZON).moving_points, truth))
        model.reconstruction = "least_squares"
    found["nearest node, true nodes"] = mean(rows["true, nearest"])
    found["nearest node, predicted nodes"] = mean(rows["predicted, nearest"])
    found["gappy POD of 20 modes, true nodes"] = mean(rows["POD"])
    return found


def coarse(model: Any, kind: str, test: list[ml.Trajectory]) -> dict[str, Any]:
    """The simulator on coarse meshes, carried to all points by its shape functions; and seconds, beside the rollout."""
    history, found = model._history(), {}
    start = time.process_time()
    for film in test:
        model.rollout(film, HORIZON)
    found["GIOROM"] = {"seconds": round((time.process_time() - start) / len(test), 3)}
    for n in ((5, 2), (9, 4), (18, 7)):
        errors, seconds = [], 0.0
        for film, (shape, blows) in zip(test, draws(kind, len(test)), strict=True):
            start = time.process_time()
            rough = simulated(body(*shape, n=n), shape[0], blows)
            seconds += time.process_time() - start
            carry = ml.interpolation_operator(body(*shape, n=n), film.mesh.points)[0]
            shift = (rough.moving_points - rough.mesh.points).movedim(1, 0)
            places = film.mesh.points + (carry @ shift).movedim(0, 1)
            frames = slice(history, history + HORIZON + 1)
            errors.append(summary(places[frames], film.moving_points[frames]))
        found[f"{n[0]} x {n[1]} cells"] = {**mean(errors), "seconds": round(seconds / len(test), 3)}
    return found


def speed(stepper: str, train: list[ml.Trajectory], small: bool) -> dict[str, Any]:
    """Seconds per frame of rollouts of a finely meshed body from few nodes, and from all points; untrained."""
    points, count = ((50, 20), 100) if small else ((500, 200), 1000)
    model = untrained(stepper, 32).fit(train[:2], max_steps=1, progress=False)
    shape, blows = next(draws("velocity", 1))
    mesh = body(*shape, n=points).with_global_data(gravity=torch.tensor([0.0, -GRAVITY]))
    mesh = mesh.with_point_data(velocity=blow(mesh.points, shape[0], *blows))
    start = start_of(model, mesh)
    found: dict[str, Any] = {"points": mesh.n_points}
    for name, asked, steps in (("few", count, 20), ("all", "all", 4)):
        before = time.process_time()
        nodes = nodes_of(model, start.body, asked, 0)
        _ = nodes.sparse.graph, nodes.share
        ready = time.process_time() - before
        march = March(model, start, nodes, None)
        states, times = march.states(steps), []
        next(states)
        with torch.no_grad():
            for _ in range(steps):
                before = time.process_time()
                state = next(states)
                times.append(time.process_time() - before)
        first, *times = times  # a gated stepper sees the body at rest there
        found[name] = {
            "nodes": len(nodes.index),
            "edges": nodes.sparse.graph.n_edges,
            "set_up_s": round(ready + max(first - min(times), 0.0), 3),
            "stepper_s": round(sorted(times)[len(times) // 2], 5),
        }
        if name == "few":
            before = time.process_time()
            rest = mesh.points.index_select(0, nodes.index)
            carrier = RestCarrier(rest, mesh.points, "least_squares", None, mesh.dtype)
            found["operator_s"] = round(time.process_time() - before, 3)
            carrier(state.places)
            times = []
            for _ in range(20):
                before = time.process_time()
                carrier(state.places)
                times.append(time.process_time() - before)
            found["reconstruction_s"] = round(sorted(times)[len(times) // 2], 5)
    frame = found["few"]["stepper_s"] + found["reconstruction_s"]
    found["reconstruction_share"] = round(found["reconstruction_s"] / found["few"]["stepper_s"], 4)
    found["times_faster_than_all"] = round(found["all"]["stepper_s"] / frame, 1)
    return found


def followed(options: argparse.Namespace, train: list[ml.Trajectory]) -> dict[str, Any]:
    """Errors of points that follow true nodes, by every reconstruction, and seconds of a frame."""
    count, fine = (100, (50, 20)) if options.small else (1000, (500, 200))
    settings = {"n_nodes": options.nodes, "fixed": ["left"], "gravity": "gravity", "grid": 0, "layers": 1, "hidden": 8}
    model = ml.GIOROM(**settings, subsets=12, reconstruction="learned")
    start = time.process_time()
    model.fit(train, max_steps=1, progress=False)
    learned = model.reconstruction_
    found: dict[str, Any] = {"fit_s": round(time.process_time() - start, 1), "held_out": learned.scores}
    shares = learned.kernel_share, learned.residual_share
    mesh = body(*next(draws("velocity", 1))[0], n=fine)
    rest = mesh.points.index_select(0, ml.models.giorom.SparseNodes(mesh, count).nodes).double()
    tests = {kind: films(kind, min(len(train), options.test), options.data) for kind in ("velocity", "shape")}
    for name in ("nearest", "least_squares", "kernel", "kernel and correction"):
        model.reconstruction = name if name in ("nearest", "least_squares") else "learned"
        learned.kernel_share, learned.residual_share = shares[0], shares[1] * (name != "kernel")
        row: dict[str, Any] = {}
        for kind, test in tests.items():
            for nodes in (options.nodes // 2, options.nodes, 2 * options.nodes):
                errors = []
                for film in test:
                    truth = film.moving_points[model._history() : model._history() + HORIZON + 1]
                    errors.append(summary(oracle(model, film, truth, nodes), truth))
                row[f"{kind}, {nodes} nodes"] = mean(errors)["rollout"]
        carrier, times = carrier_of(model, rest, mesh.points, mesh.dtype), []
        for _ in range(8):
            before = time.process_time()
            carrier(rest + 0.1 * rest.sin())
            times.append(time.process_time() - before)
        found[name] = {**row, "frame_s": round(sorted(times)[len(times) // 2], 5)}
    return found


def untrained(stepper: str, nodes: int, unroll: int = 4, noise: float = 0.1) -> ml.GIOROM:
    """The model, with either stepper."""
    settings: dict[str, Any] = {"n_nodes": nodes, "fixed": ["left"], "gravity": "gravity", "hidden": 48}
    settings |= {"gated": {"layers": 5}, "operator": {"grid": 5, "layers": 2}}[stepper]
    return ml.GIOROM(**settings, stepper=stepper, unroll=unroll, noise=noise, subsets=12, vary=2.5)


def trained(options: argparse.Namespace, train: list[ml.Trajectory]) -> tuple[Any, dict[str, Any]]:
    folder = options.model
    if folder is not None and (folder / "model.json").is_file() and not options.resume:
        model = ml.load(folder)
        return model, {"steps": model.history_[-1]["step"], "loss": model.history_[-1]["train_loss"]}
    model = untrained(options.stepper, options.nodes, options.unroll, options.noise)
    begun, wall, cpu = time.time(), time.perf_counter(), time.process_time()

    def told(fit: Any) -> None:
        print(f"{time.time() - begun:.0f} s, step {fit.step}, loss {fit.history[-1]['train_loss']:.5f}", flush=True)

    model.fit(
        train,
        epochs=10**6,
        time_budget=60 * options.minutes,
        learning_rate=1e-2,
        batch_points=16 * options.nodes,
        seed=options.seed,
        callbacks=[told],
        progress=False,
        checkpoint=folder,
        checkpoint_steps=None if folder is None else 50,
        resume=options.resume,
    )
    facts = {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "steps": model.history_[-1]["step"],
    }
    return model, {name: round(value, 1) for name, value in facts.items()}


def kept(change: dict[str, Any], options: argparse.Namespace) -> None:
    """Into the result file: what is there of other parts and seeds stays, and the mean over the seeds is made anew."""
    print(change, flush=True)
    if options.small:
        return
    file = RESULTS / "giorom.json"
    results: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    seeds = results.get("seeds", {})
    for seed, parts in change.pop("seeds", {}).items():
        seeds[seed] = {**seeds.get(seed, {}), **parts}
    results |= {**change, "seeds": seeds}
    for kind in ("velocity", "shape"):
        runs = [seeds[seed][kind] for seed in sorted(seeds) if kind in seeds[seed]]
        names = [name for name in (runs[0] if runs else ()) if "nodes" in name]
        results[f"mean, {kind}"] = {name: mean([run[name] for run in runs]) for name in names}
    write_results("giorom", results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--films", type=int, default=256, help="training trajectories")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--nodes", type=int, default=32)
    parser.add_argument("--stepper", default="gated", choices=["gated", "operator"])
    parser.add_argument("--unroll", type=int, default=4)
    parser.add_argument("--noise", type=float, default=0.1)
    parser.add_argument("--test", type=int, default=8, help="trajectories of each test set")
    parser.add_argument("--parts", default="velocity,shape,speed,reconstruction")
    parser.add_argument(
        "--small", action="store_true", help="a check that the script runs: seconds, and no result file"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ml.FitWarning)
    parts = set(options.parts.split(","))
    train = films("train", 4 if options.small else options.films, options.data)
    if "reconstruction" in parts:
        kept({"reconstruction": followed(options, train[:32])}, options)
    if "speed" in parts:
        kept({"speed": {name: speed(name, train, options.small) for name in ("gated", "operator")}}, options)
    if not {"velocity", "shape"} & parts:
        return
    model, facts = trained(options, train)
    weights = sum(p.numel() for p in model.module_.parameters())
    seed = str(options.seed)
    training = {**facts, "trajectories": len(train), "weights": weights, "settings": repr(model)}
    kept({"seeds": {seed: {"training": training}}}, options)
    for kind in ("velocity", "shape"):
        if kind in parts:
            test = films(kind, 4 if options.small else options.test, options.data)
            found = {**compared(model, train[:32], test), "simulator, coarse": coarse(model, kind, test)}
            kept({"seeds": {seed: {kind: {**found, "trajectories": len(test)}}}}, options)


if __name__ == "__main__":
    main()
