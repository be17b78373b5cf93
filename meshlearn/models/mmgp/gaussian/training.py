"""Length scales and noise of a batch of Gaussian processes: restarts on a part of the data, the best on all of it."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float64
from torch import Tensor

from meshlearn.models.mmgp.gaussian.lbfgs import Function, minimise
from meshlearn.models.mmgp.gaussian.likelihood import negative_log_likelihood

SCALES = (1e-2, 1e4)  # of standardised inputs
NOISE = (1e-10, 1e2)  # variance, relative to that of the process
ENTRIES = 1 << 18  # of the matrices that are worked on at a time
SUBSET = 160
ROUGHLY, CLOSELY = 1e-5, 1e-8  # gain of -log p per target at which a search ends, on the subset and on all rows


def train(
    x: Float64[Tensor, "n d"],
    y: Float64[Tensor, "batch n m"],
    restarts: int,
    iterations: int,
    generator: torch.Generator,
    prior: bool = True,
) -> tuple[Float64[Tensor, "batch p"], Float64[Tensor, " batch"]]:
    """(log length scales and log noise ratio of every problem, -log p per target).

    prior  maximise likelihood times the prior of `_Prior` instead of the likelihood alone

    The restarts are random points, and run on at most 160 rows drawn at random; the best goes on with all rows.
    """
    n, d = x.shape
    low, high = _bounds(d)
    start = _starts(restarts, d, generator)  # the same for all problems
    batch = len(y)
    theta = start.repeat(batch, 1)
    owner = torch.arange(batch).repeat_interleave(restarts)
    if restarts > 1:
        rows = torch.randperm(n, generator=generator)[: max(SUBSET, 2 * d)].sort().values
        part = y.index_select(1, rows)
        objective = _Objective(x.index_select(0, rows), part, owner, prior)
        theta, value, _ = minimise(objective, theta, low, high, iterations, tolerance=ROUGHLY)
        best = value.reshape(batch, restarts).argmin(1)
        theta, owner = theta.index_select(0, best + restarts * torch.arange(batch)), torch.arange(batch)
    theta, value, _ = minimise(_Objective(x, y, owner, prior), theta, low, high, iterations, tolerance=CLOSELY)
    return theta, value


def retrain(
    x: Float64[Tensor, "n d"],
    y: Float64[Tensor, "batch n m"],
    theta: Float64[Tensor, "batch p"],
    iterations: int,
    prior: bool = True,
) -> Float64[Tensor, "batch p"]:
    """Parameters for other data of the same kind, from known ones."""
    low, high = _bounds(x.shape[1])
    return minimise(_Objective(x, y, torch.arange(len(y)), prior), theta, low, high, iterations, tolerance=ROUGHLY)[0]


def maximise(
    function: Function,
    start: Float64[Tensor, "batch p"],
    targets: int,
    iterations: int,
    prior: bool = True,
) -> tuple[Float64[Tensor, "batch p"], Float64[Tensor, " batch"]]:
    """(parameters, -log p per target with the prior's share) of another likelihood, from known parameters.

    function  (theta, which) -> (-log p per target, gradients); targets: their number in one problem
    """
    d = start.shape[1] - 1
    share = _Prior(d, targets, prior)

    def objective(theta: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        return share.added(theta, *function(theta, which))

    theta, value, _ = minimise(objective, start, *_bounds(d), iterations, tolerance=ROUGHLY)
    return theta, value


def _bounds(d: int) -> tuple[Tensor, Tensor]:
    low, high = ([math.log(SCALES[k])] * d + [math.log(NOISE[k])] for k in (0, 1))
    return torch.tensor(low, dtype=torch.float64), torch.tensor(high, dtype=torch.float64)


def _starts(restarts: int, d: int, generator: torch.Generator) -> Tensor:
    """The first start: length scales that see all inputs at once, little noise; the others: random around it."""
    middle = math.log(2.0) + 0.5 * math.log(max(d, 1))
    theta = torch.empty(restarts, d + 1, dtype=torch.float64)
    theta[:, :d] = middle + torch.rand(restarts, d, generator=generator, dtype=torch.float64) * 3 - 1.5
    theta[:, d] = math.log(1e-6) + torch.rand(restarts, generator=generator, dtype=torch.float64) * math.log(1e5)
    theta[0, :d], theta[0, d] = middle, math.log(1e-4)
    return theta


class _Prior:
    """The prior's share of -log p per target.

    The prior of every log length scale is normal with mean sqrt(2) + log(d) / 2 and variance 3 (Hvarfner, Hellsten and
    Nardi, "Vanilla Bayesian optimization performs great in high dimensions", ICML 2024): with many inputs and few
    samples, likelihood alone finds inputs that matter by chance, and bands that are too narrow.
    """

    def __init__(self, d: int, targets: int, used: bool) -> None:
        self.precision = 1 / (3.0 * targets) if used else 0.0
        self.middle = math.sqrt(2) + 0.5 * math.log(max(d, 1))

    def added(self, theta: Tensor, value: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """(value, gradient) with the prior."""
        away = theta - self.middle
        away[:, -1] = 0.0
        return value + 0.5 * self.precision * away.square().sum(1), gradient + self.precision * away


class _Objective:
    """-log p per target of some problems, a few at a time so that the matrices stay small, with the prior's share."""

    def __init__(self, x: Tensor, y: Tensor, owner: Tensor, prior: bool) -> None:
        self.x, self.y, self.owner = x, y, owner
        self.size = max(1, ENTRIES // max(len(x) ** 2, 1))
        self.prior = _Prior(x.shape[1], y.shape[1] * y.shape[2], prior)

    def __call__(self, theta: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        owner = self.owner.index_select(0, which)
        parts = [
            negative_log_likelihood(t, self.x, self.y.index_select(0, o))
            for t, o in zip(theta.split(self.size), owner.split(self.size), strict=True)
        ]
        value, gradient = (torch.cat([part[k] for part in parts]) for k in (0, 1))
        return self.prior.added(theta, value, gradient)
