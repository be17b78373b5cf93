"""`SparseProcesses`: Gaussian processes with inducing points, for more samples than exact ones can take."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from meshlearn.models.mmgp.gaussian.batch import Processes
from meshlearn.models.mmgp.gaussian.bound import Factors, negative_bound
from meshlearn.models.mmgp.gaussian.inducing import choose_inducing
from meshlearn.models.mmgp.gaussian.likelihood import split
from meshlearn.models.mmgp.gaussian.matern import matern
from meshlearn.models.mmgp.gaussian.noise import best_noise
from meshlearn.models.mmgp.gaussian.training import NOISE, maximise, train

SUBSET = 600  # rows on which exact processes find the length scales that the bound starts from
STEPS, EVERY = 12, 5


class SparseProcesses(Processes):
    """Processes as `GaussianProcesses`, through `inducing` points per group (Titsias 2009; see `bound`).

    Length scales and noise are found by exact processes on 600 rows drawn at random; the inducing points are chosen for
    them among all rows (`choose_inducing`), and the bound on the likelihood of all rows is maximised from there, with
    the first half of the points. Where points are many, that makes length scales too long: they grow until the points
    are enough. So both, each with its own best noise (`noise`), predict every fifth row from the others, and the better
    ones are taken. Training costs O(n M^2) per group and step, predictions O(M^2) per row. Targets without noise are
    predicted less sharply than by exact processes on the same rows: what the points cannot represent counts as noise.

    points_ (groups, M) numbers of the inducing rows; shorter choices end with -1.
    """

    points_: Tensor
    STATE = (*Processes.STATE, "points_")

    def __init__(
        self, inducing: int, restarts: int = 4, iterations: int = 200, seed: int = 0, prior: bool = True
    ) -> None:
        self.inducing = inducing
        super().__init__(restarts, iterations, seed, prior)

    def _forget(self) -> None:
        self._solutions: dict[int, Solution] = {}

    def _learn(self, generator: torch.Generator) -> None:
        members = self._members()
        x, n = self.inputs_, len(self.inputs_)
        self.points_ = torch.full((len(members), min(self.inducing, n)), -1)
        rows = torch.randperm(n, generator=generator)[: max(SUBSET, 2 * x.shape[1])].sort().values
        for mine, stacked in self._of_one_size(members):
            start, _ = train(
                x.index_select(0, rows),
                stacked.index_select(1, rows),
                self.restarts,
                self.iterations,
                generator,
                self.prior,
            )
            for k, g in enumerate(mine):
                chosen = choose_inducing(x, start[k, :-1], self.inducing)
                self.points_[g, : len(chosen)] = chosen
                few = x.index_select(0, chosen[: (len(chosen) + 1) // 2])
                theta = _improved(start[k], x, stacked[k], few, self.prior)
                theta = _better([start[k, :-1], theta[:-1]], x, stacked[k], chosen)
                self.parameters_[g] = theta
                self.losses_[g] = negative_bound(theta[None], x, stacked[k : k + 1], few[None])[0][0]
                self.variances_[g] = self._solution(g).variance

    def predict(
        self, x: Float64[Tensor, "k d"], variance: bool = True
    ) -> tuple[Float64[Tensor, "k m"], Float64[Tensor, "k m"]]:
        """(mean, variance) of every target at new inputs, without the noise."""
        z = self._standard(x)
        mean, spread = z.new_zeros(len(x), len(self.groups_)), z.new_zeros(len(x), len(self.groups_))
        for g, mine in enumerate(self._members()):
            if len(mine):
                part, left = self._solution(g).predict(z, variance)
                mean = mean.index_copy(1, mine, part)
                spread = spread.index_copy(1, mine, (self.variances_[g] * left)[:, None].expand(-1, len(mine)))
        return self.y_mean_ + mean * self.y_scale_, spread * self.y_scale_.square()

    def held_out(
        self, folds: Int64[Tensor, " n"], iterations: int = 0
    ) -> tuple[Float64[Tensor, "n m"], Float64[Tensor, "n m"]]:
        """(mean, variance with noise) of every training target from processes that never saw its fold.

        folds  a number per row

        Parameters, of thousands of samples, are kept. Inducing points are places without targets, and stay too.
        """
        mean, var = torch.zeros_like(self.targets_), torch.zeros_like(self.targets_)
        for fold in folds.unique().tolist():
            out, kept = (folds == fold).nonzero().squeeze(1), (folds != fold).nonzero().squeeze(1)
            x, new = self.inputs_.index_select(0, kept), self.inputs_.index_select(0, out)
            for g, mine in enumerate(self._members()):
                if not len(mine):
                    continue
                y = self.targets_.index_select(1, mine).index_select(0, kept)
                z = self.inputs_.index_select(0, self._points(g))
                theta = self.parameters_[g]
                solution = solve(theta, x, y, z)
                part, left = solution.predict(new, True)
                left = solution.variance * (left + theta[-1].exp())
                mean[out[:, None], mine] = part
                var[out[:, None], mine] = left[:, None].expand(-1, len(mine))
        return self.y_mean_ + mean * self.y_scale_, var * self.y_scale_.square()

    def _points(self, g: int) -> Tensor:
        return self.points_[g][self.points_[g] >= 0]

    def _solution(self, g: int) -> Solution:
        """What predictions of a group need, made once."""
        if g not in self._solutions:
            y = self.targets_.index_select(1, self._members()[g])
            z = self.inputs_.index_select(0, self._points(g))
            self._solutions[g] = solve(self.parameters_[g], self.inputs_, y, z)
        return self._solutions[g]


class Solution(NamedTuple):
    """The posterior of one group: inducing points z (M, d), Cholesky factors of k(z, z) and of B, weights (M, m) of
    k(., z), and the variance of the process."""

    log_scales: Tensor
    z: Tensor
    lower: Tensor
    inner: Tensor
    weights: Tensor
    variance: Tensor

    def predict(self, new: Tensor, variance: bool) -> tuple[Tensor, Tensor]:
        """(mean (k, m), variance (k,) relative to that of the process) at new inputs."""
        cross = matern(self.z, new, self.log_scales)[0]
        mean = cross.T @ self.weights
        if not variance:
            return mean, new.new_zeros(len(new))
        whole = torch.linalg.solve_triangular(self.lower, cross, upper=False)
        known = torch.linalg.solve_triangular(self.inner, whole, upper=False)
        return mean, (1 - whole.square().sum(0) + known.square().sum(0)).clamp(min=0)


def solve(theta: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Solution:
    """The posterior of one group at parameters theta (d + 1,): x (n, d), y (n, m), z (M, d)."""
    log_scales, log_ratio = split(theta[None])
    ratio = log_ratio.exp()
    f = Factors(matern(z, z, log_scales), matern(z, x, log_scales), ratio)
    lower, inner, whitened = f.lower[0], f.inner[0], f.whitened[0]
    solved = torch.cholesky_solve(whitened @ y, inner)
    a = (y - whitened.T @ solved) / ratio
    weights = torch.linalg.solve_triangular(lower.T, solved, upper=True) / ratio.sqrt()
    return Solution(log_scales, z, lower, inner, weights, (y * a).mean().clamp(min=1e-300))


def _improved(theta: Tensor, x: Tensor, y: Tensor, z: Tensor, prior: bool) -> Tensor:
    """Parameters that maximise the bound of one group, from known ones."""
    found, _ = maximise(lambda t, _: negative_bound(t, x, y[None], z[None]), theta[None], y.numel(), STEPS, prior)
    return found[0]


def _better(log_scales: list[Tensor], x: Tensor, y: Tensor, chosen: Tensor) -> Tensor:
    """Parameters with the one of several length scales (d,) that predicts every fifth row best from the others."""
    out = torch.arange(len(x)) % EVERY == 0
    z = x.index_select(0, chosen)
    trials = [torch.cat([scales, best_noise(scales, x, y, z, NOISE)[None]]) for scales in log_scales]
    errors = [
        float((solve(theta, x[~out], y[~out], z).predict(x[out], False)[0] - y[out]).square().mean())
        for theta in trials
    ]
    return trials[errors.index(min(errors))]
