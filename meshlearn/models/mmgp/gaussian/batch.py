"""What batches of Gaussian processes share: standardised data, groups of targets, noise, samples and files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from meshlearn.models.mmgp.gaussian.likelihood import split

CONSTANT = 1e-12  # spread of a column, relative to its size, below which it is a constant
P = TypeVar("P", bound="Processes")


class Processes(ABC):
    """Several targets on the same inputs, each with a Gaussian process of its own, or in groups.

    A subclass trains the groups (`_learn`) and predicts standardised targets; this class standardises, and leaves out
    inputs and targets that do not vary: these targets are predicted as the constant they are.
    """

    inputs_: Tensor  # (n, d) standardised, varying inputs only
    targets_: Tensor  # (n, m) standardised
    parameters_: Tensor  # (groups, d + 1) log length scales and log noise ratio
    variances_: Tensor  # (groups,) of the process
    groups_: Tensor  # (m,)

    def __init__(self, restarts: int = 4, iterations: int = 200, seed: int = 0, prior: bool = True) -> None:
        self.restarts, self.iterations, self.seed, self.prior = restarts, iterations, seed, prior
        self._forget()

    def fit(self: P, x: Float64[Tensor, "n d"], y: Float64[Tensor, "n m"], groups: Sequence[int] | None = None) -> P:
        """Train on n samples; returns self."""
        self.x_mean_, self.x_scale_, self.used_ = _spread(x)
        self.y_mean_, self.y_scale_, self.varies_ = _spread(y)
        self.inputs_ = self._standard(x)
        self.targets_ = (y - self.y_mean_) / self.y_scale_ * self.varies_
        given = torch.arange(y.shape[1]) if groups is None else torch.tensor(groups, dtype=torch.int64)
        _, self.groups_ = torch.unique(given, return_inverse=True)
        self._forget()
        count = int(self.groups_.max()) + 1 if len(self.groups_) else 0
        self.parameters_ = x.new_zeros(count, self.inputs_.shape[1] + 1)
        self.variances_ = x.new_ones(count)
        self.losses_ = x.new_zeros(count)
        self._learn(torch.Generator().manual_seed(self.seed))
        return self

    @abstractmethod
    def _learn(self, generator: torch.Generator) -> None:
        """Set `parameters_`, `losses_` and `variances_` of all groups."""

    @abstractmethod
    def _forget(self) -> None:
        """Drop what was computed from other data or parameters."""

    @abstractmethod
    def predict(
        self, x: Float64[Tensor, "k d"], variance: bool = True
    ) -> tuple[Float64[Tensor, "k m"], Float64[Tensor, "k m"]]:
        """(mean, variance) of every target at new inputs, without the noise; zeros for the variance unless asked for.

        Gradients flow to x.
        """

    @abstractmethod
    def held_out(
        self, folds: Int64[Tensor, " n"], iterations: int = 30
    ) -> tuple[Float64[Tensor, "n m"], Float64[Tensor, "n m"]]:
        """(mean, variance with noise) of every training target from processes that never saw its fold.

        folds  a number per row
        """

    @property
    def log_likelihood_(self) -> Float64[Tensor, " groups"]:
        """Log marginal likelihood of the standardised targets of every group, or a bound on it; times the prior."""
        counts = torch.bincount(self.groups_[self.varies_], minlength=len(self.parameters_))
        return -self.losses_ * counts * len(self.inputs_)

    @property
    def noise_(self) -> Float64[Tensor, " m"]:
        """Variance of the noise of every target, in its own unit squared."""
        ratio = split(self.parameters_)[1].exp()
        return (ratio * self.variances_).index_select(0, self.groups_) * self.y_scale_.square() * self.varies_

    @property
    def spread_(self) -> Float64[Tensor, " m"]:
        """Variance of every target on the training set."""
        return self.y_scale_.square() * self.varies_

    def sample(
        self, x: Float64[Tensor, "k d"], n: int, generator: torch.Generator | None = None
    ) -> Float64[Tensor, "n k m"]:
        """n draws of every target at new inputs, noise included; targets and inputs independent of each other."""
        mean, variance = self.predict(x)
        noise = torch.randn(n, *mean.shape, generator=generator, dtype=torch.float64)
        return mean + noise * (variance + self.noise_).sqrt()

    # -- files -----------------------------------------------------------------------------------------------------

    STATE: tuple[str, ...] = (
        "inputs_",
        "targets_",
        "parameters_",
        "variances_",
        "groups_",
        "losses_",
        *tuple(f"{axis}_{name}_" for axis in "xy" for name in ("mean", "scale")),
        "used_",
        "varies_",
    )

    def get_state(self) -> dict[str, Tensor]:
        """What was learned, as tensors."""
        return {name.rstrip("_"): getattr(self, name) for name in self.STATE}

    def set_state(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of `get_state`."""
        for name in self.STATE:
            setattr(self, name, tensors[name.rstrip("_")])
        self._forget()

    # -- parts -----------------------------------------------------------------------------------------------------

    def _standard(self, x: Tensor) -> Tensor:
        return ((x - self.x_mean_) / self.x_scale_).index_select(1, self.used_.nonzero().squeeze(1))

    def _members(self) -> list[Tensor]:
        """Numbers of the varying targets of every group."""
        return [((self.groups_ == g) & self.varies_).nonzero().squeeze(1) for g in range(len(self.parameters_))]

    def _of_one_size(self, members: list[Tensor]) -> list[tuple[list[int], Tensor]]:
        """(groups, their targets (groups, n, size)) for every size of groups: those are trained side by side."""
        found = []
        for size in sorted({len(m) for m in members} - {0}):
            mine = [g for g, m in enumerate(members) if len(m) == size]
            found.append((mine, torch.stack([self.targets_.index_select(1, members[g]) for g in mine])))
        return found


def _spread(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(mean, standard deviation, whether it varies) of every column; a deviation of 1 for columns that do not."""
    mean = x.mean(0)
    scale = (x - mean).square().mean(0).sqrt()
    varies = scale > CONSTANT * x.abs().amax(0)
    return mean, torch.where(varies, scale, 1.0), varies
