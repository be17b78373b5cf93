"""Mesh-morphing Gaussian processes on data sets of our own, beside the published recipe and simple baselines.

    python benchmarks/mmgp.py tensile|stars|moving_hole [--train 500] [--test 200] [--network 0] [--folder F]

tensile      notched metal specimens, elastic-plastic, about 9,000 points each with a triangulation of its own
stars        Poisson's equation on star-shaped domains, mesh sizes differing by a factor of four
moving_hole  plates with a hole that moves: a ring, not a disc

"published recipe": uniform Tutte weights, interpolation, length scales shared by all modes of a field. Reported are
relative L2 errors (`score`, weighted by area), errors relative to the largest value per mesh as in the paper (arXiv
2305.12871, RRMSE), the floors of transfer and modes, the share of test nodes inside the 95 % band, and times. --network
S also trains a MeshGraphNet for S seconds. Every seed draws another data set.
Results: benchmarks/results/mmgp_<set>.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from common import write_results

import meshlearn as ml

Make = Callable[..., list[ml.Mesh]]
SETS: dict[str, tuple[Make, list[str], list[str]]] = {
    "tensile": (
        ml.sim.make_tensile,
        ["load", "young", "yield_stress", "hardening", "saturation", "rate"],
        ["U1", "U2", "sigma11", "sigma12", "sigma22", "plastic_strain", "max_von_mises", "max_U2", "max_sigma22"],
    ),
    "stars": (ml.sim.make_stars, ["source", "conductivity", "contrast"], ["u", "u_flux", "max_u", "mean_u"]),
    "moving_hole": (
        ml.sim.make_moving_holes,
        ["load", "young", "poisson"],
        ["displacement", "stress", "von_mises", "max_stress"],
    ),
}


def meshes_of(name: str, n: int, seed: int, folder: Path | None) -> list[ml.Mesh]:
    """The data set, from a folder where it was made before."""
    make = SETS[name][0]
    if folder is None:
        return make(n, seed=seed)
    place = folder / f"{name}_{seed}"
    if len(list(place.glob("*.vtu"))) < n:
        make(n, place, seed=seed)
    return list(ml.read_many(str(place / "*.vtu")))[:n]


def value(mesh: ml.Mesh, name: str) -> torch.Tensor:
    return (mesh.point_data if name in mesh.point_data else mesh.global_data)[name].double()


def evaluate(model: ml.MMGP, test: list[ml.Mesh], outputs: list[str]) -> dict[str, Any]:
    """Errors and coverage on the test set."""
    squares: dict[str, list[float]] = {name: [] for name in outputs}
    inside: dict[str, list[float]] = {name: [] for name in outputs}
    widths: dict[str, list[float]] = {name: [] for name in outputs}
    start = time.perf_counter()
    for mesh in test:
        model.predict(mesh)
    predict_s = (time.perf_counter() - start) / len(test)
    start = time.perf_counter()
    predictions = [model.predict(mesh, return_std=True) for mesh in test]
    with_bands_s = (time.perf_counter() - start) / len(test)
    for mesh, predicted in zip(test, predictions, strict=True):
        for name in outputs:
            truth, mean, std = value(mesh, name), value(predicted, name), value(predicted, f"{name}_std")
            error = mean - truth
            inside[name].append(float((error.abs() <= 1.96 * std).double().mean()))
            if bool(truth.any()):
                squares[name].append(float(error.square().mean() / truth.abs().max().square()))
                widths[name].append(float(3.92 * std.mean() / truth.abs().max()))
    mean = lambda table: {k: sum(v) / len(v) for k, v in table.items()}  # noqa: E731
    return {
        "relative_l2": model.score(test),
        "rrmse": {name: v**0.5 for name, v in mean(squares).items()},
        "coverage_95": mean(inside),
        "relative_width_95": mean(widths),
        "predict_s": predict_s,
        "predict_with_bands_s": with_bands_s,
    }


def study(name: str, train: list[ml.Mesh], test: list[ml.Mesh], seconds: float) -> Iterator[dict[str, Any]]:
    """All models on one split; the results so far after each."""
    _, inputs, outputs = SETS[name]
    results: dict[str, Any] = {"points": sum(m.n_points for m in train) / len(train)}
    recipe = {"tied": True, "transfer": "interpolation", "morphing_options": {"weights": "uniform"}}
    for label, more in (("mmgp", {}), ("published_recipe", recipe)):
        start = time.perf_counter()
        model = ml.MMGP(inputs, outputs, **more).fit(train)
        fit_s = time.perf_counter() - start
        results[label] = {
            "fit_s": fit_s,
            **evaluate(model, test, outputs),
            "left_out": model.cv_score_,
            "floors": model.floors_,
            "ranks": model.ranks_,
            "shape_modes": model.regressors_.shape.rank_,
            "factors": model.factors_,
            "morphing": model.morphing_,
        }
        report(label, results[label])
        yield results
    for baseline in (ml.MeanField, ml.NearestNeighbor, ml.RidgeRegression):
        start = time.perf_counter()
        fitted = baseline(inputs, outputs).fit(train)
        fit_s = time.perf_counter() - start
        results[baseline.__name__] = {"fit_s": fit_s, "relative_l2": fitted.score(test)}
        report(baseline.__name__, results[baseline.__name__])
    yield results
    if seconds:
        start = time.perf_counter()
        network = ml.MeshGraphNet(inputs, outputs, hidden=32, steps=4, levels=4)
        network.fit(train, epochs=10_000, time_budget=seconds)
        fit_s = time.perf_counter() - start
        results["MeshGraphNet"] = {"fit_s": fit_s, "epochs": len(network.history_), "relative_l2": network.score(test)}
        report("MeshGraphNet", results["MeshGraphNet"])
        yield results


def report(label: str, found: dict[str, Any]) -> None:
    print(f"{label}: fit {found['fit_s']:.1f} s, predict {found.get('predict_s', float('nan')):.3f} s")
    for name, score in found["relative_l2"].items():
        more = ""
        if "rrmse" in found:
            more = f"  rrmse {found['rrmse'][name]:.2e}  inside 95 % {found['coverage_95'][name]:.3f}"
        print(f"  {name:16s} {score:.2e}{more}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("set", choices=SETS)
    for name, default in (("train", 500), ("test", 200), ("seeds", 1), ("network", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--folder", type=Path)
    a = parser.parse_args()
    results = {}
    for seed in range(a.seeds):
        meshes = meshes_of(a.set, a.train + a.test, seed, a.folder)
        for found in study(a.set, meshes[: a.train], meshes[a.train :], a.network):
            results[f"seed_{seed}"] = found
            write_results(f"mmgp_{a.set}", {"train": a.train, "test": a.test, **results})


if __name__ == "__main__":
    main()
