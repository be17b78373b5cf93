"""`GaussianProcesses`: several targets on the same inputs, each with its own length scales, or in groups."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from meshlearn.models.mmgp.gaussian.likelihood import split
from meshlearn.models.mmgp.gaussian.matern import matern
from meshlearn.models.mmgp.gaussian.training import retrain, train

CONSTANT = 1e-12  # spread of a column, relative to its size, below which it is a constant
CACHED = 1 << 27  # entries of the factors that are kept (1 GiB)


class GaussianProcesses:
    """Exact Gaussian processes with Matérn-5/2 kernels, one length scale per input (ARD), and Gaussian noise.

    fit(x (n, d), y (n, m), groups)   trains all m targets by maximum marginal likelihood (`likelihood`, `training`)
    predict(x)                        mean and variance at new inputs
    leave_one_out()                   the same at every training input, as if it had been left out of the data

    groups  (m,) one number per target: targets of one group share length scales, noise and variance; all different
            if not given. Everything is computed in float64 on the CPU, on standardised inputs and targets; inputs that
            do not vary are left out, and targets that do not vary are predicted as the constant they are.
    """

    inputs_: Tensor  # (n, d) standardised, varying inputs only
    targets_: Tensor  # (n, m) standardised
    parameters_: Tensor  # (groups, d + 1) log length scales and log noise ratio
    variances_: Tensor  # (groups,) of the process
    groups_: Tensor  # (m,)

    def __init__(self, restarts: int = 4, iterations: int = 200, seed: int = 0, prior: bool = True) -> None:
        self.restarts, self.iterations, self.seed, self.prior = restarts, iterations, seed, prior
        self._factors: dict[int, Tensor] = {}
        self._solved: Tensor | None = None

    def fit(
        self, x: Float64[Tensor, "n d"], y: Float64[Tensor, "n m"], groups: Sequence[int] | None = None
    ) -> GaussianProcesses:
        """Train on n samples; returns self."""
        self.x_mean_, self.x_scale_, self.used_ = _spread(x)
        self.y_mean_, self.y_scale_, self.varies_ = _spread(y)
        self.inputs_ = self._standard(x)
        self.targets_ = (y - self.y_mean_) / self.y_scale_ * self.varies_
        given = torch.arange(y.shape[1]) if groups is None else torch.tensor(groups, dtype=torch.int64)
        _, self.groups_ = torch.unique(given, return_inverse=True)
        self._factors, self._solved = {}, None
        generator = torch.Generator().manual_seed(self.seed)
        count = int(self.groups_.max()) + 1 if len(self.groups_) else 0
        self.parameters_ = x.new_zeros(count, self.inputs_.shape[1] + 1)
        self.variances_ = x.new_ones(count)
        self.losses_ = x.new_zeros(count)
        members = [((self.groups_ == g) & self.varies_).nonzero().squeeze(1) for g in range(count)]
        for size in sorted({len(m) for m in members} - {0}):  # groups of one size are trained side by side
            mine = [g for g in range(count) if len(members[g]) == size]
            stacked = torch.stack([self.targets_.index_select(1, members[g]) for g in mine])
            theta, loss = train(self.inputs_, stacked, self.restarts, self.iterations, generator, self.prior)
            self.parameters_[mine], self.losses_[mine] = theta, loss
        for g in range(count):
            if len(members[g]):
                part = self.targets_.index_select(1, members[g])
                self.variances_[g] = (part * torch.cholesky_solve(part, self._factor(g))).mean().clamp(min=1e-300)
        return self

    @property
    def log_likelihood_(self) -> Float64[Tensor, " groups"]:
        """Log marginal likelihood of the standardised targets of every group."""
        counts = torch.bincount(self.groups_[self.varies_], minlength=len(self.parameters_))
        return -self.losses_ * counts * len(self.inputs_)

    @property
    def noise_(self) -> Float64[Tensor, " m"]:
        """Variance of the noise of every target, in its own unit squared."""
        ratio = split(self.parameters_)[1].exp()
        return (ratio * self.variances_).index_select(0, self.groups_) * self.y_scale_.square() * self.varies_

    def predict(
        self, x: Float64[Tensor, "k d"], variance: bool = True
    ) -> tuple[Float64[Tensor, "k m"], Float64[Tensor, "k m"]]:
        """(mean, variance) of every target at new inputs, without the noise; zeros for the variance unless asked for.

        Gradients flow to x.
        """
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
        for g in range(len(self.parameters_)):
            mine = ((self.groups_ == g) & self.varies_).nonzero().squeeze(1)
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
        members = [((self.groups_ == g) & self.varies_).nonzero().squeeze(1) for g in range(len(self.parameters_))]
        for fold in folds.unique().tolist():
            out, kept = (folds == fold).nonzero().squeeze(1), (folds != fold).nonzero().squeeze(1)
            inputs, new = self.inputs_.index_select(0, kept), self.inputs_.index_select(0, out)
            for size in sorted({len(m) for m in members} - {0}):
                mine = [g for g, m in enumerate(members) if len(m) == size]
                targets = torch.stack([self.targets_.index_select(1, members[g]) for g in mine])
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
                    var[out[:, None], members[g]] = left[:, None].expand(-1, size)
        return self.y_mean_ + mean * self.y_scale_, var * self.y_scale_.square()

    def sample(
        self, x: Float64[Tensor, "k d"], n: int, generator: torch.Generator | None = None
    ) -> Float64[Tensor, "n k m"]:
        """n draws of every target at new inputs, noise included; targets and inputs independent of each other."""
        mean, variance = self.predict(x)
        noise = torch.randn(n, *mean.shape, generator=generator, dtype=torch.float64)
        return mean + noise * (variance + self.noise_).sqrt()

    # -- files -----------------------------------------------------------------------------------------------------

    STATE = (
        "inputs_",
        "targets_",
        "parameters_",
        "variances_",
        "groups_",
        "losses_",
        *tuple(f"{axis}_{name}_" for axis in "xy" for name in ("mean", "scale")),
    )

    def get_state(self) -> dict[str, Tensor]:
        """What was learned, as tensors."""
        return {name.rstrip("_"): getattr(self, name) for name in (*self.STATE, "used_", "varies_")}

    def set_state(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of `get_state`."""
        for name in (*self.STATE, "used_", "varies_"):
            setattr(self, name, tensors[name.rstrip("_")])
        self._factors, self._solved = {}, None

    # -- parts -----------------------------------------------------------------------------------------------------

    def _standard(self, x: Tensor) -> Tensor:
        return ((x - self.x_mean_) / self.x_scale_).index_select(1, self.used_.nonzero().squeeze(1))

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
            for g in range(len(self.parameters_)):
                mine = ((self.groups_ == g) & self.varies_).nonzero().squeeze(1)
                if len(mine):
                    solved[mine] = torch.cholesky_solve(self.targets_.index_select(1, mine), self._factor(g)).T
            self._solved = solved
        return self._solved


def _cholesky(x: Tensor, log_scales: Tensor, ratio: float) -> Tensor:
    """Lower factor of k(x, x) + ratio I."""
    c = matern(x, x, log_scales)[0]
    c.diagonal().fill_(1 + ratio)
    return torch.linalg.cholesky(c)


def _spread(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(mean, standard deviation, whether it varies) of every column; a deviation of 1 for columns that do not."""
    mean = x.mean(0)
    scale = (x - mean).square().mean(0).sqrt()
    varies = scale > CONSTANT * x.abs().amax(0)
    return mean, torch.where(varies, scale, 1.0), varies
