"""Neural fields on latent points: errors on unseen shapes at equal training time, on meshes finer than those of the
training, and the cost of decoding.

    python benchmarks/neural_fields.py stars airfoils elastic --seconds 90 --seeds 3
    python benchmarks/neural_fields.py decode

The budget is processor time: the epochs of every model are set from the time that its first ones take, so that other
work on the machine does not matter. Results are written after every model.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import time
from typing import Any

import torch
from common import write_results

import meshlearn as ml
from meshlearn.models.neural_fields import signed_distance

RATE = 2e-3
NEAREST = (1, 2, 4, 8)


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


def trained(model: Any, meshes: list[Any], options: dict[str, Any], seconds: float, seed: int) -> tuple[Any, float]:
    """(the model after so many seconds of processor time, how many they really were)."""
    common = {"progress": False, "seed": seed, "validation": 0.1, **options}
    model.fit(meshes[:2], epochs=1, progress=False)  # imports
    spent = []
    for epochs in (3, 10):  # both stages of an Enf2Enf, in the proportion of a long training
        began = time.process_time()
        model.fit(meshes, epochs=epochs, **common)
        spent.append(time.process_time() - began)
    each = max((spent[1] - spent[0]) / 7, 1e-3)
    epochs = max(round((seconds - spent[0]) / each) + 3, 1)
    began = time.process_time()
    model.fit(meshes, epochs=epochs, **common)
    return model, time.process_time() - began


def compare(name: str, data: dict[str, Any], seconds: float, seeds: int) -> None:
    """The scores of all models on one data set."""
    tests = [key for key in data if key not in ("train", "inputs", "outputs", "sets")]
    points = {k: round(sum(m.n_points for m in data[k]) / len(data[k])) for k in ("train", *tests)}
    rows: dict[str, list[dict[str, Any]]] = {}
    results = {"seconds": seconds, "meshes": len(data["train"]), "points": points, "models": rows}
    for seed in range(seeds):
        for label, (model, options) in models(data).items():
            if options is None:
                if seed:
                    continue
                model.fit(data["train"])
                spent = 0.0
            else:
                model, spent = trained(model, data["train"], options, seconds, seed)
            scores = {key: model.score(data[key]) for key in tests}
            row = {"seed": seed, "seconds": round(spent, 1), "epochs": len(getattr(model, "history_", [])), **scores}
            rows.setdefault(label, []).append(row)
            print(name, label, json.dumps(row), flush=True)
            write_results(f"neural_fields_{name}", results)


def decode() -> None:
    """Time and memory of decoding; what attention to the nearest latents leaves out."""
    train = described({"train": ml.sim.make_airfoils(24, seed=0, size=0.2)}, ["airfoil", "flap"])["train"]
    model = ml.EquivariantNeuralField(["signed_distance"], nearest=4)
    model.fit(train, epochs=1, progress=False)
    latents = model.fit_latents(train[0])
    rows = []
    for n in (125_000, 250_000, 500_000, 1_000_000):
        points = torch.rand(n, 2, generator=torch.Generator().manual_seed(0))
        best = math.inf
        for _ in range(2):
            began = time.process_time()
            model.decode(latents, points)
            best = min(best, time.process_time() - began)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        rows.append({"points": n, "seconds": round(best, 2), "peak_gib": round(peak, 3)})
        print(rows[-1], flush=True)
    everywhere = ml.EquivariantNeuralField(["signed_distance"], nearest=None, hidden=32)
    everywhere.fit(train, epochs=10, learning_rate=RATE, progress=False)
    cut = {k: everywhere.truncation_error(train[0], k)["signed_distance"] for k in NEAREST}
    tapered = ml.EquivariantNeuralField(["signed_distance"], nearest=4, hidden=32)
    tapered.fit(train, epochs=10, learning_rate=RATE, progress=False)
    results = {
        "rows": rows,
        "truncation": cut,
        "score": {"all": everywhere.score(train), "nearest 4": tapered.score(train)},
    }
    print(results, flush=True)
    write_results("neural_fields_decode", results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=[*SETS, "decode"])
    parser.add_argument("--seconds", type=float, default=90.0, help="processor time of every training")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--train", type=int, default=64, help="training meshes")
    parser.add_argument("--test", type=int, default=16, help="meshes of every test set")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for part in arguments.parts:
        if part == "decode":
            decode()
        else:
            compare(part, SETS[part](arguments.train, arguments.test), arguments.seconds, arguments.seeds)


if __name__ == "__main__":
    main()
