"""Darcy flow on a square of 16 x 16 nodes, 1,000 cases to learn from: FNO through the adapter beside ridge regression.

    python benchmarks/darcy_square.py [--seeds 0] [--budget 100] [--train 1000] [--test 200]

Permeability 12 where a Gaussian field is positive and 3 elsewhere, f = 1, u = 0 on the boundary; references on 31 x 31
nodes, read at 16 x 16. Ridge regression is told as much as the network: the permeability at all 256 points in, u at
all of them out, its penalty chosen by five-fold cross-validation; `ml.RidgeRegression`, which sees a point at a time,
stands beside it. The network has the steps that fit into `--budget` seconds of one core, measured on its own.
Results: benchmarks/results/darcy_square.json
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
from common import write_results
from grids import run_model
from torch import Tensor

import meshlearn as ml
from meshlearn.fem import FESpace, dot, grad, solve
from meshlearn.fem.sampling import to_mesh
from meshlearn.sim.darcy import HIGH, LOW, GaussianField

NODES, PER_BATCH, FOLDS, AT_ONCE = 16, 20, 5, 100
PENALTIES = [10.0**k for k in range(-2, 8)]
FNO = {"hidden": 24, "modes": 8}


def cases(n: int, seed: int) -> list[ml.Mesh]:
    """n solved cases on one mesh."""
    square = ml.shapes.rectangle(n=(NODES - 1, NODES - 1)).double()
    fine = ml.refine(square)
    space = FESpace(fine, "P1")
    load, walls = space.assemble(lambda v, x: v), space.dirichlet("boundary", 0.0)
    fields = [GaussianField(1_000_003 * seed + i) for i in range(n)]
    centres, made = fine.join_cells(fine.cell_centroids()), []
    for start in range(0, n, AT_ONCE):
        some = fields[start : start + AT_ONCE]
        k = torch.stack([permeability(field, centres) for field in some])
        matrices = space.assemble(lambda u, v, x: x.k * dot(grad(u), grad(v)), k=k)
        dofs = solve(matrices, load.expand(len(some), -1), walls)
        for field, values in zip(some, dofs, strict=True):
            u = to_mesh(space, u=values).point_data["u"][: square.n_points]
            made.append(square.with_point_data(permeability=permeability(field, square.points), u=u).to(torch.float32))
    return made


def permeability(field: GaussianField, points: Tensor) -> Tensor:
    """12 and 3."""
    return torch.where(field(points) > 0, HIGH, LOW).to(points)


def table(meshes: list[ml.Mesh], name: str) -> Tensor:
    """(n, 256) float64."""
    return torch.stack([mesh.point_data[name] for mesh in meshes]).double()


def ridge(x: Tensor, y: Tensor, penalty: float) -> Any:
    """The function x -> y of regularised least squares, intercept apart."""
    a, b = x.mean(0), y.mean(0)
    gram = (x - a).T @ (x - a) + penalty * torch.eye(x.shape[1], dtype=x.dtype)
    weights = torch.linalg.solve(gram, (x - a).T @ (y - b))
    return lambda new: (new - a) @ weights + b


def best_ridge(train: list[ml.Mesh]) -> tuple[Any, float]:
    """Ridge regression of the whole field, with the penalty that cross-validation prefers."""
    x, y = (table(train, name) for name in ("permeability", "u"))
    fold = torch.arange(len(x)) % FOLDS
    errors = []
    for penalty in PENALTIES:
        parts = []
        for k in range(FOLDS):
            predicted = ridge(x[fold != k], y[fold != k], penalty)(x[fold == k])
            parts.append((predicted - y[fold == k]).norm(dim=1) / y[fold == k].norm(dim=1))
        errors.append(float(torch.cat(parts).mean()))
    penalty = PENALTIES[min(range(len(PENALTIES)), key=errors.__getitem__)]
    return ridge(x, y, penalty), penalty


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--budget", type=float, default=100.0)
    parser.add_argument("--train", type=int, default=1000)
    parser.add_argument("--test", type=int, default=200)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    start = time.process_time()
    meshes = cases(asked.train + asked.test, seed=0)
    train, test = meshes[: asked.train], meshes[asked.train :]
    print(f"{len(meshes)} cases in {time.process_time() - start:.0f} s", flush=True)
    predict, penalty = best_ridge(train)
    made = predict(table(test, "permeability")).float()
    predictions = [mesh.with_point_data(u=u) for mesh, u in zip(test, made, strict=True)]
    fields = predict_errors(predictions, test)
    rows: dict[str, Any] = {"ridge regression of the field": {"0": {"test": fields, "penalty": penalty}}}
    print(rows, flush=True)
    others = {
        "FNO": (
            ml.GridOperator(["permeability"], ["u"], core="fno", core_options=FNO, shape=NODES),
            {"batch_points": 2 * PER_BATCH * NODES**2, "learning_rate": 3e-3},
        ),
        "ridge regression at points": (ml.RidgeRegression(["permeability"], ["u"]), {}),
        "mean field": (ml.MeanField([], ["u"]), {}),
    }
    for name, (model, options) in others.items():
        for seed in asked.seeds if isinstance(model, ml.NetworkEstimator) else [0]:
            row = run_model(model, options, seed, train, test, asked.budget)
            rows.setdefault(name, {})[str(seed)] = row
            print(name, seed, {key: float(f"{value:.3g}") for key, value in row.items()}, flush=True)
    settings = {name: getattr(asked, name) for name in ("budget", "train", "test")}
    write_results("darcy_square", {"settings": settings, "runs": rows})


def predict_errors(predictions: list[ml.Mesh], truths: list[ml.Mesh]) -> float:
    """Mean relative L2 error over the meshes, weighted by measure as `score` is."""
    errors = []
    for made, true in zip(predictions, truths, strict=True):
        weights = true.point_measures()
        gap = (made.point_data["u"] - true.point_data["u"]).square()
        errors.append(float(((weights * gap).sum() / (weights * true.point_data["u"].square()).sum()).sqrt()))
    return sum(errors) / len(errors)


if __name__ == "__main__":
    main()
