"""Training Gaussian processes: all targets in a batch, against scikit-learn's regressor one by one.

    python benchmarks/gaussian_processes.py [--samples 500] [--inputs 12] [--targets 24] [--restarts 4]

Smooth targets with unlike noise on shared inputs; Matérn-5/2 kernels with one length scale per input, a variance and
noise in both, the same bounds and number of starts, likelihood alone (no prior). scikit-learn is run on every fourth
target only and its time scaled up. Results: benchmarks/results/gaussian_processes.json; about three minutes.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import torch
from common import write_results

from meshlearn.models.mmgp.gaussian import GaussianProcesses
from meshlearn.models.mmgp.gaussian.training import NOISE, SCALES

EVERY = 4


def problem(n: int, d: int, m: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(x (n, d), y (n, m)): sines and squares of a few inputs each, noise from 1e-4 to 1e-1."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    mix = torch.rand(m, d, generator=generator, dtype=torch.float64)
    columns = [torch.sin(0.7 * x @ mix[k]) + 0.3 * x[:, k % d] ** 2 for k in range(m)]
    noise = 10.0 ** (-4 + 3 * torch.arange(m, dtype=torch.float64) / max(m - 1, 1))
    return x, torch.stack(columns, 1) + noise * torch.randn(n, m, generator=generator, dtype=torch.float64)


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, value in (("samples", 500), ("inputs", 12), ("targets", 24), ("restarts", 4)):
        parser.add_argument(f"--{name}", type=int, default=value)
    a = parser.parse_args()
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    x, y = problem(a.samples, a.inputs, a.targets)
    start = time.perf_counter()
    ours = GaussianProcesses(a.restarts, prior=False).fit(x, y)
    ours_s = time.perf_counter() - start
    likelihood = ours.log_likelihood_.numpy()
    targets = ours.targets_.numpy()
    theirs_s, worst, gains = 0.0, np.inf, []
    chosen = range(0, a.targets, EVERY)
    for k in chosen:
        kernel = ConstantKernel(1.0, (1e-6, 1e8)) * Matern(np.full(a.inputs, 2 * a.inputs**0.5), SCALES, nu=2.5)
        kernel = kernel + WhiteKernel(1e-4, NOISE)
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # parameters at their bounds
            model = GaussianProcessRegressor(kernel, alpha=0, n_restarts_optimizer=a.restarts - 1, random_state=0)
            model.fit(ours.inputs_.numpy(), targets[:, k])
        theirs_s += time.perf_counter() - start
        gain = float(likelihood[k] - model.log_marginal_likelihood_value_)
        gains.append(gain)
        worst = min(worst, gain)
        print(f"target {k}: log likelihood {likelihood[k]:.2f}, scikit-learn {likelihood[k] - gain:.2f}")
    theirs_s *= a.targets / len(chosen)
    print(f"{a.targets} processes: {ours_s:.1f} s, scikit-learn {theirs_s:.1f} s, ratio {theirs_s / ours_s:.1f}")
    write_results(
        "gaussian_processes",
        {
            **vars(a),
            "ours_s": ours_s,
            "scikit_learn_s": theirs_s,
            "ratio": theirs_s / ours_s,
            "log_likelihood_gain_worst": worst,
            "log_likelihood_gain_median": float(np.median(gains)),
        },
    )


if __name__ == "__main__":
    main()
