"""Operator learning on Poisson's equation with random sources: networks on dofs, against a flat network and ridge.

    python benchmarks/spon.py [--seeds 3] [--epochs 16] [--train 200] [--test 50]

-div grad u = f on the unit square, u = 0 on the boundary; f a random field, u the P1 solution on the same mesh. Trained
on n x n cells, tested there and on the mesh refined once. The map is linear, which suits ridge regression on the dofs.
Results: benchmarks/results/spon.json. One core; about ten minutes.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import in_turns, write_results

import meshlearn as ml
from meshlearn.fem import FESpace, dot, grad, solve
from meshlearn.fem.mesh_prolongation import prolongation

LENGTH, WAVES = 0.15, 24


def sources(points: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """(n_points, count) random fields: cosine series with normal coefficients, deviation (1 + (0.15 pi |k|)^2)^-1."""
    generator = torch.Generator().manual_seed(seed)
    k = torch.arange(WAVES, dtype=torch.float64)
    deviation = 1.0 / (1.0 + (LENGTH * math.pi) ** 2 * (k[:, None] ** 2 + k**2))
    a = torch.randn(count, WAVES, WAVES, generator=generator, dtype=torch.float64) * deviation
    x, y = (torch.cos(math.pi * points.double()[:, i, None] * k) for i in (0, 1))
    return torch.einsum("nk,ckl,nl->nc", x, a, y)


def problems(mesh: ml.Mesh, count: int, seed: int) -> list[ml.Mesh]:
    """Meshes with a source "f" and the solution "u"; all share points and cells."""
    space = FESpace(mesh, "P1")
    A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)))
    M = space.assemble(lambda u, v, x: u * v)
    f = sources(mesh.points, count, seed)
    u = solve(A, M @ f, space.dirichlet("boundary", 0.0))
    return [mesh.with_point_data(f=f[:, i].float(), u=u[:, i].float()) for i in range(count)]


class DofRidge:
    """Linear least squares from all source dofs to all solution dofs, the penalty chosen by leave-one-out error."""

    def fit(self, meshes: list[ml.Mesh]) -> DofRidge:
        """Singular value decomposition of the sources; the closed form of the leave-one-out error per penalty."""
        F, U = (torch.stack([mesh.point_data[name] for mesh in meshes]).double() for name in ("f", "u"))
        left, s, right = torch.linalg.svd(F, full_matrices=False)
        best = math.inf
        for penalty in (s[0] ** 2 * 10.0**-k for k in range(1, 13)):
            shrink = s.square() / (s.square() + penalty)
            hat = (left.square() * shrink).sum(1)
            error = ((U - left @ (shrink[:, None] * (left.T @ U))) / (1 - hat)[:, None]).square().sum()
            if float(error) < best:
                best, self.map = float(error), right.T @ ((s / (s.square() + penalty))[:, None] * (left.T @ U))
        return self

    def errors(self, meshes: list[ml.Mesh], coarse: ml.Mesh) -> float:
        """Mean relative error; on a finer mesh from the source at the coarse points, prolonged."""
        n = coarse.n_points
        P = prolongation(coarse, meshes[0].without_data(), dtype=torch.float64) if meshes[0].n_points > n else None
        found = []
        for mesh in meshes:
            u = mesh.point_data["f"][:n].double() @ self.map
            found.append(relative(mesh, u if P is None else P @ u))
        return float(np.mean(found))


def relative(mesh: ml.Mesh, u: torch.Tensor) -> float:
    """Relative L2 error as `score` has it: weighted by the measure of the points."""
    w, truth = mesh.point_measures().double(), mesh.point_data["u"].double()
    return float(((w * (u - truth).square()).sum() / (w * truth.square()).sum()).sqrt())


def models() -> dict[str, Callable[[], Any]]:
    """Networks of about the same number of weights."""
    zero = {"boundary": 0.0}
    mg = {"hidden": 16, "steps": 1, "coarse_hidden": 32, "coarse_steps": 4, "coarse_dofs": 64}
    return {
        "SPONMultigrid": lambda: ml.SPONMultigrid(["f"], ["u"], dirichlet=zero, **mg),
        "SPON": lambda: ml.SPON(["f"], ["u"], hidden=27, steps=4, parts=32, dirichlet=zero),
        "SPON, parts=0": lambda: ml.SPON(["f"], ["u"], hidden=39, steps=4, parts=0, dirichlet=zero),
        "MeshGraphNet, levels=1": lambda: ml.MeshGraphNet(["f"], ["u"], hidden=34, steps=4, levels=1),
    }


def solve_times(mesh: ml.Mesh) -> dict[str, Any]:
    """Time of the finite-element solution of one source, from scratch and with the factorisation at hand."""
    f = sources(mesh.points, 1, 0)[:, 0]
    space = FESpace(mesh, "P1")
    A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)))
    M = space.assemble(lambda u, v, x: u * v)
    clamp = space.dirichlet("boundary", 0.0)

    def whole() -> torch.Tensor:
        space = FESpace(mesh.replace(points=mesh.points.clone()), "P1")
        A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)))
        b = space.assemble(lambda v, x: x.f * v, f=f)
        return solve(A, b, space.dirichlet("boundary", 0.0))

    found = in_turns({"assemble and solve": whole, "factorised": lambda: solve(A, M @ f, clamp)}, repeat=5)
    return {name: times["best_s"] for name, times in found.items()}


def main() -> None:
    """Run all and write the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--train", type=int, default=200)
    parser.add_argument("--test", type=int, default=50)
    parser.add_argument("--n", type=int, default=16)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--only", default="")
    parser.add_argument("--no-file", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    coarse = ml.shapes.square(n=options.n // 4, boundary=False)
    train_mesh = ml.refine(coarse, 2)
    fine_mesh = ml.refine(train_mesh)
    rows: list[dict[str, Any]] = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        train = problems(train_mesh, options.train, 3 * seed)
        tests = {
            "same mesh": problems(train_mesh, options.test, 3 * seed + 1),
            "refined once": problems(fine_mesh, options.test, 3 * seed + 2),
        }
        start = time.process_time()
        ridge = DofRidge().fit(train)
        seconds = time.process_time() - start
        errors = {name: ridge.errors(meshes, train_mesh) for name, meshes in tests.items()}
        rows.append(
            {"model": "ridge on dofs", "seed": seed, "weights": ridge.map.numel(), "fit, CPU s": seconds, **errors}
        )
        mean = torch.stack([mesh.point_data["u"] for mesh in train]).double().mean(0)
        zero = float(np.mean([relative(mesh, mean) for mesh in tests["same mesh"]]))
        rows.append({"model": "mean of the training", "seed": seed, "weights": 0, "fit, CPU s": 0.0, "same mesh": zero})
        for name, make in models().items():
            if options.only and options.only != name:
                continue
            model = make()
            start = time.process_time()
            model.fit(
                train, epochs=options.epochs, learning_rate=options.rate, batch_points=10 * train_mesh.n_points,
                batch_edges=10**9, ema=0.99, seed=seed, progress=False,
            )  # fmt: skip
            row: dict[str, Any] = {"model": name, "seed": seed, "fit, CPU s": time.process_time() - start}
            row["weights"] = sum(p.numel() for p in model.module_.parameters())
            for place, meshes in tests.items():
                start = time.process_time()
                row[place] = model.score(meshes)["u"]
                row[f"{place}, CPU s per field"] = (time.process_time() - start) / len(meshes)
            rows.append(row)
        for row in rows:
            if row["seed"] == seed:
                print({k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    if options.no_file:
        return
    names = list(dict.fromkeys(row["model"] for row in rows))
    summary = {name: summarise([row for row in rows if row["model"] == name]) for name in names}
    times = {f"{mesh.n_points} points": solve_times(mesh) for mesh in (train_mesh, fine_mesh)}
    settings = {key: value for key, value in vars(options).items() if key not in ("only", "no_file")}
    write_results("spon", {"settings": settings, "summary": summary, "finite elements, s": times, "runs": rows})


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and spread over the seeds."""
    found: dict[str, Any] = {
        "weights": rows[0]["weights"],
        "fit, CPU s": round(float(np.mean([r["fit, CPU s"] for r in rows])), 2),
    }
    for place in ("same mesh", "refined once"):
        values = [row[place] for row in rows if place in row]
        if values:
            found[place] = {"mean": round(float(np.mean(values)), 5), "std": round(float(np.std(values)), 5)}
    return found


if __name__ == "__main__":
    main()
