"""`GaussianProcesses`: exact ones, for several targets on the same inputs, each with length scales of its own."""

from __future__ import annotations

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from meshlearn.models.mmgp.gaussian.batch import Processes
from meshlearn.models.mmgp.gaussian.likelihood import split
from meshlearn.models.mmgp.gaussian.matern import matern
from meshlearn.models.mmgp.gaussian.training import retrain, train

CACHED = 1 << 27  # entries of the factors that are kept (1 GiB)


class GaussianProcesses(Processes):
    """Exact Gaussian processes with Matérn-5/2 kernels, one length scale per input (ARD), and Gaussian noise.

    fit(x (n, d), y (n, m), groups)   trains all m targets by maximum marginal likelihood (`likelihood`, `training`)
    predict(x)                        mean and variance at new inputs
    leave_one_out()                   the same at every training input, as if it had been left out of the data

    groups  (m,) one number per target: targets of one group share length scales, noise and variance; all different
            if not given. Everything is computed in float64 on the CPU, on standardised inputs and targets; inputs that
            do not vary are left out, and targets that do not vary are predicted as the constant they are.
    """

    def _forget(self) -> None:
        self._factors: dict[int, Tensor] = {}
        self._solved: Tensor | None = None

    def _learn(self, generator: torch.Generator) -> None:
        members = self._members()
        for mine, stacked in self._of_one_size(members):
            theta, loss = train(self.inputs_, stacked, self.restarts, self.iterations, generator, self.prior)
            self.parameters_[mine], self.losses_[mine] = theta, loss
        for g, those in enumerate(members):
            if len(those):
                part = self.targets_.index_select(1, those)
                self.variances_[g] = (part * torch.cholesky_solve(part, self._factor(g))).mean().clamp(min=1e-300)

    def predict(
        self, x: Float64[Tensor, "k d"], variance: bool = True
    ) -> tuple[Float64[Tensor, "k m"], Float64[Tensor, "k m"]]:
        """(mean, variance) of every target at new inputs, without the noise."""
        if not len(self.groups_):
            return x.new_zeros(len(x), 0), x.new_zeros(len(x), 0)
        z = self._standard(x)
        groups = self.groups_.tolist()
        cross = matern(z, self.inputs_, split(self.parameters_)[0])  # (groups, k, n)
        weights = self._weights()
        mean = torch.stack([cross[g] @ weights[column] for column, g in enumerate(groups)], dim=1)
        spread = torch.zeros_like(mean)
        if variance:
            inside = [self.variances_[g] * self._left_over(cross[g], g) for g in range(len(self.parameters_))]
            spread = torch.stack([inside[g] for g in groups], dim=1) * self.varies_
        return self.y_mean_ + mean * self.y_scale_, spread * self.y_scale_.square()

    def _left_over(self, cross: Tensor, g: int) -> Tensor:
        """1 - k^T C^-1 k for rows k."""
        half = torch.linalg.solve_triangular(self._factor(g), cross.T, upper=False)
        return (1 - half.square().sum(0)).clamp(min=0)

    def leave_one_out(self) -> tuple[Float64[Tensor, "n m"], Float64[Tensor, "n m"]]:
        """(mean, variance with noise) of every training target given all the others, hyperparameters kept.

        mean_i = y_i - [C^-1 y]_i / [C^-1]_ii and variance_i = sigma^2 / [C^-1]_ii (Rasmussen and Williams 2006,
        eq. 5.12).
        """
        mean, var = torch.zeros_like(self.targets_), torch.zeros_like(self.targets_)
        for g, mine in enumerate(self._members()):
            if not len(mine):
                continue
            y = self.targets_.index_select(1, mine)
            diagonal = torch.cholesky_inverse(self._factor(g)).diagonal()[:, None]
            mean[:, mine] = y - self._weights().index_select(0, mine).T / diagonal
            var[:, mine] = (self.variances_[g] / diagonal).expand(-1, len(mine))
        return self.y_mean_ + mean * self.y_scale_, var * self.y_scale_.square()

    def held_out(
        self, folds: Int64[Tensor, " n"], iterations: int = 30
    ) -> tuple[Float64[Tensor, "n m"], Float64[Tensor, "n m"]]:
        """(mean, variance with noise) of every training target from processes that never saw its fold.

        folds  a number per row

        Length scales and noise are trained again without the fold, from those of all data; what `leave_one_out` keeps
        of them makes it too sure of itself where samples are few.
        """
        mean, var = torch.zeros_like(self.targets_), torch.zeros_like(self.targets_)
        members = self._members()
        for fold in folds.unique().tolist():
            out, kept = (folds == fold).nonzero().squeeze(1), (folds != fold).nonzero().squeeze(1)
            inputs, new = self.inputs_.index_select(0, kept), self.inputs_.index_select(0, out)
            for mine, targets in self._of_one_size(members):
                part = targets.index_select(1, kept)
                theta = retrain(inputs, part, self.parameters_[mine], iterations, self.prior)
                log_scales, log_ratio = split(theta)
                for k, g in enumerate(mine):
                    ratio = log_ratio[k].exp()
                    factor = _cholesky(inputs, log_scales[k : k + 1], float(ratio))
                    weights = torch.cholesky_solve(part[k], factor)
                    variance = (part[k] * weights).mean()
                    cross = matern(new, inputs, log_scales[k : k + 1])[0]
                    half = torch.linalg.solve_triangular(factor, cross.T, upper=False)
                    left = variance * ((1 - half.square().sum(0)).clamp(min=0) + ratio)
                    mean[out[:, None], members[g]] = cross @ weights
                    var[out[:, None], members[g]] = left[:, None].expand(-1, len(members[g]))
        return self.y_mean_ + mean * self.y_scale_, var * self.y_scale_.square()

    # -- parts -----------------------------------------------------------------------------------------------------

    def _factor(self, g: int) -> Tensor:
        """Lower Cholesky factor of C of a group; kept as long as there is room."""
        if g not in self._factors:
            log_scales, log_ratio = split(self.parameters_[g : g + 1])
            factor = _cholesky(self.inputs_, log_scales, float(log_ratio.exp()))
            if (len(self._factors) + 1) * factor.numel() > CACHED:
                return factor
            self._factors[g] = factor
        return self._factors[g]

    def _weights(self) -> Tensor:
        """(m, n): C^-1 y of every target, made once."""
        if self._solved is None:
            solved = self.targets_.new_zeros(self.targets_.shape[1], self.targets_.shape[0])
            for g, mine in enumerate(self._members()):
                if len(mine):
                    solved[mine] = torch.cholesky_solve(self.targets_.index_select(1, mine), self._factor(g)).T
            self._solved = solved
        return self._solved


def _cholesky(x: Tensor, log_scales: Tensor, ratio: float) -> Tensor:
    """Lower factor of k(x, x) + ratio I."""
    c = matern(x, x, log_scales)[0]
    c.diagonal().fill_(1 + ratio)
    return torch.linalg.cholesky(c)
