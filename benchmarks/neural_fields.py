"""Neural fields on latent points: errors on unseen shapes at equal training time, on meshes finer than those of the
training, and the cost of decoding.

    python benchmarks/neural_fields.py stars airfoils elastic --seconds 90 --seeds 0 1 2
    python benchmarks/neural_fields.py decode

The budget is processor time, which the learning rate follows, so that other work on the machine does not matter.
Results are written after every model.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from common import RESULTS, write_results

import meshlearn as ml
from meshlearn.models.neural_fields import signed_distance, stages
from meshlearn.train import loop

RATE = 2e-3
LONG = 1_000_000  # epochs: the time ends the training
NEAREST = (1, 2, 4, 8, 12)
POINTS = (125_000, 250_000, 500_000, 1_000_000)


def stars(n: int, m: int) -> dict[str, Any]:
    """Poisson's equation on star-shaped domains with a varying conductivity; meshes of unlike fineness."""
    train = ml.sim.make_stars(n, seed=0, size=(0.08, 0.15))
    test, fine = (ml.sim.make_stars(m, seed=1, size=size) for size in ((0.08, 0.15), (0.04, 0.075)))
    return described(
        {"train": train, "test": test, "finer": fine},
        ["outline"],
        inputs=["source", "conductivity", "contrast"],
        outputs=["u", "max_u"],
    )


def airfoils(n: int, m: int) -> dict[str, Any]:
    """Potential flow around airfoils with flaps; flap angles of the test set lie beyond those of the training, too."""
    sets = ["airfoil", "flap"]
    train = ml.sim.make_airfoils(n, seed=0, flap=(0.0, 25.0))
    test = ml.sim.make_airfoils(m, seed=1, flap=(0.0, 25.0))
    fine = ml.sim.make_airfoils(m, seed=1, flap=(0.0, 25.0), size=0.056)
    beyond = ml.sim.make_airfoils(m, seed=2, flap=(25.0, 35.0))
    return described(
        {"train": train, "test": test, "finer": fine, "unseen flaps": beyond},
        sets,
        inputs=["angle", "flap"],
        outputs=["velocity", "pressure", "lift"],
    )


def elastic(n: int, m: int) -> dict[str, Any]:
    """Rubber plates with one to three holes, drawn out by 20 to 50 percent."""
    options: dict[str, Any] = {"physics": "hyperelasticity", "stretch": (0.2, 0.5), "size": (5.0, 6.5)}
    train = ml.sim.make_plates(n, seed=0, **options)
    test = ml.sim.make_plates(m, seed=1, **options)
    fine = ml.sim.make_plates(m, seed=1, **{**options, "size": (2.5, 3.25)})
    return described(
        {"train": train, "test": test, "finer": fine},
        ["hole_*", "left", "right", "bottom"],
        inputs=["stretch", "young", "poisson"],
        outputs=["displacement", "von_mises"],
    )


def described(meshes: dict[str, list[Any]], sets: list[str], **names: Any) -> dict[str, Any]:
    """The sets with the distances to named parts as a field that all models may use."""
    made = {
        name: [mesh.with_point_data(signed_distance=signed_distance(mesh, None, sets)) for mesh in part]
        for name, part in meshes.items()
    }
    return {**made, **names, "sets": sets}


MODELS = ["mean field", "nearest neighbour", "Enf2Enf", "Enf2Enf, film", "MeshGraphNet"]
SETS = {"stars": stars, "airfoils": airfoils, "elastic": elastic}


def models(data: dict[str, Any]) -> dict[str, Any]:
    """{name: (model, options of its fit)}."""
    inputs, outputs = data["inputs"], data["outputs"]
    known = [*inputs, "signed_distance"]
    return {
        "mean field": (ml.MeanField([], outputs), None),
        "nearest neighbour": (ml.NearestNeighbor(known, outputs), None),
        "Enf2Enf": (ml.Enf2Enf(inputs, outputs), {"learning_rate": RATE}),
        "Enf2Enf, film": (ml.Enf2Enf(inputs, outputs, backbone="film"), {"learning_rate": RATE}),
        "MeshGraphNet": (ml.MeshGraphNet(inputs, outputs, boundary_sets=data["sets"]), {}),
    }


class Processor:
    """The processor's time in the place of the clock's, so that other work on the machine does not matter."""

    perf_counter = staticmethod(time.process_time)


def trained(model: Any, meshes: list[Any], options: dict[str, Any], seconds: float, seed: int) -> tuple[Any, float]:
    """(the model after so many seconds of processor time, how many they were with the preparation of the meshes)."""
    began = time.process_time()
    model.fit(meshes, time_budget=seconds, epochs=LONG, seed=seed, validation=0.1, progress=False, **options)
    return model, time.process_time() - began


def compare(name: str, data: dict[str, Any], seconds: float, seeds: list[int], chosen: list[str]) -> None:
    """The scores of the chosen models on one data set, added to what was measured before with the same settings."""
    tests = [key for key in data if key not in ("train", "inputs", "outputs", "sets")]
    points = {k: round(sum(m.n_points for m in data[k]) / len(data[k])) for k in ("train", *tests)}
    settings = {"seconds": seconds, "meshes": {k: len(data[k]) for k in ("train", *tests)}, "points": points}
    rows = known(f"neural_fields_{name}", settings)
    for seed in seeds:
        for label, (model, options) in models(data).items():
            if label not in chosen or (options is None and seed):
                continue
            if options is None:
                model, spent = model.fit(data["train"]), 0.0
            else:
                model, spent = trained(model, data["train"], options, seconds, seed)
            scores = {key: model.score(data[key]) for key in tests}
            row = {"seed": seed, "seconds": round(spent, 1), "epochs": len(getattr(model, "history_", [])), **scores}
            rows[label] = [*(other for other in rows.get(label, []) if other["seed"] != seed), row]
            print(name, label, json.dumps(row), flush=True)
            write_results(f"neural_fields_{name}", {**settings, "models": rows})


def known(name: str, settings: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Results by model that were written with these settings."""
    path = RESULTS / f"{name}.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    return found["models"] if all(found.get(key) == value for key, value in settings.items()) else {}


def decode_in_a_process(folder: str, n: int) -> dict[str, Any]:
    """Time and peak memory of decoding n points, in a process that does nothing else."""
    torch.set_num_threads(1)
    model, latents = ml.load(Path(folder) / "model"), ml.read(Path(folder) / "latents.mesh.safetensors")
    points = torch.rand(n, 2, generator=torch.Generator().manual_seed(0))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    spent = []
    for _ in range(2):
        began = time.process_time()
        model.decode(latents, points)  # type: ignore[attr-defined]
        spent.append(time.process_time() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"points": n, "seconds": round(min(spent), 2), "gib_before": round(before, 3), "gib_peak": round(peak, 3)}


def decode() -> None:
    """Time and memory of decoding; what attention to the nearest latents leaves out."""
    train = described({"train": ml.sim.make_airfoils(24, seed=0, size=0.2)}, ["airfoil", "flap"])["train"]
    results: dict[str, Any] = {"rows": [], "truncation": {}, "score": {}}
    fields = {}
    for name, nearest in (("nearest 4", 4), ("all", None)):
        field = ml.EquivariantNeuralField(["signed_distance"], nearest=nearest)
        fields[name] = field.fit(train, epochs=6, learning_rate=RATE, progress=False)
        results["score"][name] = field.score(train)["signed_distance"]
        print(name, results["score"], flush=True)
    for k in NEAREST:
        errors = [fields["all"].truncation_error(mesh, k)["signed_distance"] for mesh in train[:8]]
        results["truncation"][k] = sum(errors) / len(errors)
    print(results["truncation"], flush=True)
    with tempfile.TemporaryDirectory() as folder:
        fields["nearest 4"].save(Path(folder) / "model")
        ml.write(fields["nearest 4"].fit_latents(train[0]), Path(folder) / "latents.mesh.safetensors")
        for n in POINTS:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                results["rows"].append(pool.apply(decode_in_a_process, (folder, n)))
            print(results["rows"][-1], flush=True)
            write_results("neural_fields_decode", results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=[*SETS, "decode"])
    parser.add_argument("--seconds", type=float, default=90.0, help="processor time of every training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--train", type=int, default=64, help="training meshes")
    parser.add_argument("--test", type=int, default=16, help="meshes of every test set")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    loop.time = stages.time = Processor  # type: ignore[attr-defined]
    for part in arguments.parts:
        if part == "decode":
            decode()
        else:
            data = SETS[part](arguments.train, arguments.test)
            compare(part, data, arguments.seconds, arguments.seeds, arguments.models)


if __name__ == "__main__":
    main()
