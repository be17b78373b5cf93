"""Options of MMGP, measured: inducing points, and polynomial manifolds.

    python benchmarks/mmgp_options.py inducing [--samples 5000] [--inputs 6] [--points 1024]
    python benchmarks/mmgp_options.py fronts [--train 200] [--width 0.15]

inducing  smooth targets with unlike noise: `SparseProcesses`; exact processes on 600 rows, and exact prediction from
          all rows with their length scales; gpytorch's SGPR on the first target with the first 512 inducing points, 20
          steps of Adam. Errors are those of the targets without noise, relative to their spread.
fronts    a tanh layer of varying place and angle on a square: MMGP with linear modes and on manifolds, at equal rank.

Seconds are those of the processor, on one thread. Results: benchmarks/results/mmgp_inducing.json and mmgp_fronts.json.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import torch
from common import write_results

import meshlearn as ml
from meshlearn.models.mmgp.gaussian import GaussianProcesses, SparseProcesses
from meshlearn.models.mmgp.gaussian.matern import matern
from meshlearn.models.mmgp.gaussian.sparse import SUBSET

TEST = 500


def targets(n: int, d: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(x (n, d), clean (n, 3), noisy (n, 3)), spread 1."""
    g = torch.Generator().manual_seed(0)
    x = (torch.rand(n, d, generator=g, dtype=torch.float64) - 0.5) * 12**0.5
    mix = torch.rand(d, generator=g, dtype=torch.float64)
    clean = torch.stack(
        [
            torch.sin(0.7 * x @ mix) + 0.3 * x[:, 1] ** 2,
            torch.tanh(3 * x[:, 0] + x[:, 1]) * x[:, 2],
            torch.exp(0.5 * x[:, 0] * x[:, 2]) + 0.2 * torch.sin(3 * x[:, 1]),
        ],
        dim=1,
    )
    clean = (clean - clean.mean(0)) / clean.std(0)
    noise = torch.tensor([1e-4, 1e-3, 3e-2], dtype=torch.float64)
    return x, clean, clean + noise * torch.randn(n, 3, generator=g, dtype=torch.float64)


def inducing(n: int, d: int, points: int) -> dict[str, Any]:
    x, clean, noisy = targets(n + TEST, d)
    train, test = x[:n], x[n:]
    results: dict[str, Any] = {"samples": n, "inputs": d, "points": points}

    def note(label: str, seconds: float, mean: torch.Tensor, std: torch.Tensor | None = None) -> None:
        found: dict[str, Any] = {"seconds": seconds, "error": (mean - clean[n:]).square().mean(0).sqrt().tolist()}
        if std is not None:
            found["coverage_95"] = ((mean - noisy[n:]).abs() <= 1.96 * std).double().mean(0).tolist()
        results[label] = found
        print(label, found, flush=True)

    start = time.process_time()
    sparse = SparseProcesses(points).fit(train, noisy[:n])
    seconds = time.process_time() - start
    mean, variance = sparse.predict(test)
    note("sparse", seconds, mean, (variance + sparse.noise_).sqrt())
    rows = torch.randperm(n, generator=torch.Generator().manual_seed(0))[:SUBSET]
    start = time.process_time()
    few = GaussianProcesses().fit(train[rows], noisy[:n][rows])
    seconds = time.process_time() - start
    mean, variance = few.predict(test)
    note("exact_on_600", seconds, mean, (variance + few.noise_).sqrt())
    start = time.process_time()
    columns = []
    z, new = few._standard(train), few._standard(test)
    for k in range(3):
        scales = few.parameters_[k : k + 1, :-1]
        c = matern(z, z, scales)[0]
        c.diagonal().add_(few.parameters_[k, -1].exp())
        y = (noisy[:n, k : k + 1] - few.y_mean_[k]) / few.y_scale_[k]
        solved = torch.cholesky_solve(y, torch.linalg.cholesky(c))
        columns.append(few.y_mean_[k] + few.y_scale_[k] * (matern(new, z, scales)[0] @ solved)[:, 0])
    note("exact_on_all_with_length_scales_of_600", time.process_time() - start, torch.stack(columns, 1))
    results["gpytorch_first_target"] = gpytorch_first(sparse, train, noisy[:n, 0], test, clean[n:, 0])
    print(results["gpytorch_first_target"])
    return results


def gpytorch_first(ours: SparseProcesses, train: Any, y: Any, test: Any, clean: Any, steps: int = 20) -> dict[str, Any]:
    """gpytorch's SGPR on the first target, from the same inducing points: seconds, error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import gpytorch
    x, target = ours._standard(train), (y - ours.y_mean_[0]) / ours.y_scale_[0]
    points = x[ours.points_[0][ours.points_[0] >= 0][:512]].clone()

    class Sparse(gpytorch.models.ExactGP):  # type: ignore[misc]
        def __init__(self, likelihood: Any) -> None:
            super().__init__(x, target, likelihood)
            self.mean_module = gpytorch.means.ZeroMean()
            base = gpytorch.kernels.ScaleKernel(gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=x.shape[1]))
            self.covar_module = gpytorch.kernels.InducingPointKernel(base, points, likelihood)

        def forward(self, rows: torch.Tensor) -> Any:
            return gpytorch.distributions.MultivariateNormal(self.mean_module(rows), self.covar_module(rows))

    start = time.process_time()
    floor = gpytorch.constraints.GreaterThan(1e-12)
    likelihood = gpytorch.likelihoods.GaussianLikelihood(noise_constraint=floor)
    model = Sparse(likelihood).double()
    model.covar_module.inducing_points.requires_grad_(False)
    model.covar_module.base_kernel.base_kernel.lengthscale = 2.0 * x.shape[1] ** 0.5
    likelihood.noise = 1e-3
    marginal = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.1)
    with gpytorch.settings.max_cholesky_size(100_000):
        for _ in range(steps):
            optimiser.zero_grad()
            loss = -marginal(model(x), target)
            loss.backward()
            optimiser.step()
        seconds = time.process_time() - start
        model.eval()
        with torch.no_grad():
            mean = ours.y_mean_[0] + ours.y_scale_[0] * model(ours._standard(test)).mean
    error = float((mean - clean).square().mean().sqrt())
    return {
        "seconds": seconds,
        "steps": steps,
        "error": error,
        "bound": -float(loss.detach()),
        "our_bound": -float(ours.losses_[0]),
    }


def front_meshes(count: int, width: float, seed: int) -> list[ml.Mesh]:
    """A tanh layer whose place and angle are inputs."""
    g = torch.Generator().manual_seed(seed)
    mesh, found = ml.shapes.square(n=30).double(), []
    x, y = mesh.points.T
    for place, angle in torch.rand(count, 2, generator=g, dtype=torch.float64):
        u = torch.tanh((x - 0.2 - 0.6 * place - 0.6 * (angle - 0.5) * (y - 0.5)) / width)
        found.append(mesh.with_point_data(u=u).with_global_data(place=place, angle=angle))
    return found


def fronts(n: int, width: float) -> dict[str, Any]:
    meshes, test = front_meshes(n, width, 0), front_meshes(100, width, 1)
    results: dict[str, Any] = {"train": n, "width": width}
    for modes in (4, 6, 12, "cv"):
        for manifold in ("linear", "quadratic", "cubic"):
            start = time.process_time()
            model = ml.MMGP(["place", "angle"], ["u"], modes=modes, manifold=manifold, restarts=2).fit(meshes)
            found = {
                "fit_s": time.process_time() - start,
                "rank": model.ranks_["u"],
                "relative_l2": model.score(test)["u"],
                "left_out": model.cv_score_["u"],
                "coverage_95": model.calibration(test, levels=(0.95,))["u"]["coverage"][0.95],
            }
            results[f"{modes}_{manifold}"] = found
            print(modes, manifold, found, flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("study", choices=("inducing", "fronts"))
    for name, value in (("samples", 5000), ("inputs", 6), ("points", 1024), ("train", 200)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--width", type=float, default=0.15)
    a = parser.parse_args()
    torch.set_num_threads(1)
    if a.study == "inducing":
        write_results("mmgp_inducing", inducing(a.samples, a.inputs, a.points))
    else:
        write_results("mmgp_fronts", fronts(a.train, a.width))


if __name__ == "__main__":
    main()
