"""Proper orthogonal decomposition: fields on one mesh as a mean and a few modes, orthonormal in L2 of the mesh."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.models.mmgp.lift import DEGREES, MOST, Lift, Monomials, Ridge
from meshlearn.models.mmgp.pod_folds import ROUNDING, Fold, choose_ridge, rank_found_again, split_rows

EXACT = 3000  # snapshots; more are compressed by random projections
FOLDS = 5
ENOUGH = 1 - 1e-6  # share of the energy after which no more modes are taken: the rest is 0.1 % of the spread
FEW = 0.9999  # share of the energy kept where there are too few snapshots to leave some out


class POD:
    """Centred modes psi_k of snapshots u_i (rows), orthonormal with respect to the weights w of the entries.

    Modes are those of the weighted covariance (method of snapshots: L. Sirovich, Quart. Appl. Math. 45, 1987); with
    more than 3000 snapshots, of a random projection of it (Halko, Martinsson and Tropp, SIAM Review 53, 2011).

    modes  number of modes; the share of the energy (variance) that they shall hold, below 1; or "cv": as many as are
           found again in snapshots that were left out (five folds): a mode of the others has there at least half of the
           energy that it has in its own. Noise of triangulations makes modes that fail this. Not more than hold
           all but 1e-6 of the variance
    limit  number of modes at most
    manifold
           "linear"; or "quadratic" or "cubic": polynomials of the coefficients describe some of what the modes leave
           (`lift`), with the ridge that is best for snapshots that were left out, unless they help none of these

    mean_ (N,), modes_ (r, N), coefficients_ (n, r), energies_ (r,) variances of the coefficients, total_ the variance
    of the snapshots; residual_ (N,): mean square of what the modes leave of a snapshot that they were not made from
    (five-fold cross-validation).
    """

    mean_: Tensor
    modes_: Tensor
    coefficients_: Tensor
    energies_: Tensor
    residual_: Tensor
    rest_: Tensor
    rest_norms_: Tensor
    total_: float
    lift_: Lift | None = None

    def __init__(self, modes: Any = "cv", limit: int = 64, seed: int = 0, manifold: str = "linear") -> None:
        self.modes, self.limit, self.seed, self.manifold = modes, limit, seed, manifold
        self.ridge: float | None = None

    def fit(
        self,
        snapshots: Float64[Tensor, "n N"],
        weights: Float64[Tensor, " N"],
        keep: Sequence[int] = (),
        folds: Int64[Tensor, " n"] | None = None,
    ) -> POD:
        """Modes of n snapshots; `rest_` (len(keep), N) is what modes of other rows leave of these. Returns self.

        folds  a number per row: what is alike (frames of one trajectory) is left out together; every fifth row if None
        """
        folds = torch.arange(len(snapshots)) % FOLDS if folds is None else folds
        check_modes("modes", self.modes)
        n = len(snapshots)
        self.mean_ = snapshots.mean(0)
        centred = (snapshots - self.mean_) * weights.sqrt()
        vectors, energies, gram = self._spectrum(centred)
        self.total_ = float(centred.square().sum() / n)
        rank = self._rank(energies, gram, folds)
        singular = (energies[:rank] * n).sqrt()
        combination = vectors[:, :rank] / singular
        lifted = (combination - combination.mean(0)).T @ snapshots
        self.modes_, self.energies_ = lifted, energies[:rank]
        self.coefficients_ = self.encode(snapshots, weights)
        self._bend(snapshots, centred, gram, folds)
        self._cross_validate(snapshots, weights, gram, rank, torch.tensor(keep, dtype=torch.int64), folds)
        return self

    @property
    def rank_(self) -> int:
        """Number of modes."""
        return len(self.modes_)

    def encode(self, fields: Float64[Tensor, "n N"], weights: Float64[Tensor, " N"]) -> Float64[Tensor, "n r"]:
        """Coefficients of fields: their inner products with the modes."""
        return ((fields - self.mean_) * weights) @ self.modes_.T

    def decode(self, coefficients: Float64[Tensor, "n r"]) -> Float64[Tensor, "n N"]:
        """Fields of coefficients."""
        flat = self.mean_ + coefficients @ self.modes_
        return flat if self.lift_ is None else flat + self.lift_(coefficients)

    def tangent(self, coefficients: Float64[Tensor, " r"]) -> Float64[Tensor, "r N"]:
        """Derivatives of the field of one row of coefficients: the modes, and the slopes of the polynomials."""
        return self.modes_ if self.lift_ is None else self.modes_ + self.lift_.slopes(coefficients)

    def _bend(self, snapshots: Tensor, centred: Tensor, gram: Tensor | None, folds: Tensor) -> None:
        """Set `lift_` and its ridge, from at most 3000 snapshots."""
        self.lift_, self.ridge = None, None
        n, degree = len(snapshots), DEGREES[self.manifold]
        if degree == 1 or self.rank_ == 0 or n < 2 * FOLDS:
            return
        a = self.coefficients_
        if gram is None:
            some = torch.linspace(0, n - 1, EXACT).round().long()
            snapshots, folds, a = (t.index_select(0, some) for t in (snapshots, folds, a))
            part = centred.index_select(0, some)
            gram = part @ part.T
        self.ridge = choose_ridge(gram, self.rank_, folds, degree, self._monomials(len(a)))
        if self.ridge is None:
            return
        ridge = Ridge(Monomials.of(a, degree, self._monomials(len(a))), a)
        rest = snapshots - self.mean_ - a @ self.modes_
        self.lift_ = Lift(ridge.monomials, ridge.mean, ridge.matrix(self.ridge) @ (rest - rest.mean(0)))

    def _monomials(self, n: int) -> int:
        """How many of them n snapshots determine."""
        return min(MOST, n // 2)

    def _spectrum(self, centred: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """(eigenvectors (n, k) by falling energy, energies (k,), Gram matrix if it was made)."""
        n = len(centred)
        if n <= EXACT:
            gram = centred @ centred.T
            energies, vectors = torch.linalg.eigh(gram)
            return vectors.flip(1), energies.flip(0).clamp(min=0) / n, gram
        generator = torch.Generator().manual_seed(self.seed)
        width = min(self.limit + 20, n, centred.shape[1])
        basis = torch.randn(centred.shape[1], width, generator=generator, dtype=torch.float64)
        for _ in range(3):  # power iterations: sharp also where the spectrum falls slowly
            basis = torch.linalg.qr(centred.T @ torch.linalg.qr(centred @ basis).Q).Q
        vectors, singular, _ = torch.linalg.svd(centred @ basis, full_matrices=False)
        return vectors, singular.square() / n, None

    def _rank(self, energies: Tensor, gram: Tensor | None, folds: Tensor) -> int:
        held = int((energies > ROUNDING * max(float(energies.sum()), 1e-300)).sum())
        if isinstance(self.modes, Integral):
            return min(int(self.modes), held)
        if self.total_ == 0.0:
            return 0
        most = min(held, self.limit)
        share = energies.cumsum(0) / self.total_
        if self.modes != "cv":
            return min(int((share < float(self.modes)).sum()) + 1, most)
        if gram is None or len(gram) < 2 * FOLDS:
            return min(int((share < FEW).sum()) + 1, most)
        return min(rank_found_again(gram, most, folds), int((share < ENOUGH).sum()) + 1)

    def _cross_validate(
        self, snapshots: Tensor, weights: Tensor, gram: Tensor | None, rank: int, keep: Tensor, folds: Tensor
    ) -> None:
        """Set `residual_`, `rest_` of some rows, and `rest_norms_` (n,) of all, from five folds."""
        n = len(snapshots)
        self.residual_ = torch.zeros_like(self.mean_)
        self.rest_norms_ = snapshots.new_zeros(n)
        self.rest_ = snapshots.new_zeros(len(keep), snapshots.shape[1])
        place = torch.zeros(n, dtype=torch.int64)  # of every row in its fold
        for rows in split_rows(folds):
            place[rows] = torch.arange(len(rows))
            if gram is not None:
                rest = self._held_out(snapshots, gram, rows, rank)
            else:  # what the modes leave of their own snapshots, corrected for the degrees of freedom they took
                rest = snapshots.index_select(0, rows) - self.decode(self.coefficients_.index_select(0, rows))
                rest = rest * (n / max(n - self._freedom() - 1, 1)) ** 0.5
            self.residual_ += rest.square().sum(0) / n
            self.rest_norms_[rows] = (rest.square() @ weights).sqrt()
            mine = torch.isin(keep, rows).nonzero().squeeze(1)
            self.rest_[mine] = rest.index_select(0, place.index_select(0, keep.index_select(0, mine)))

    def _held_out(self, snapshots: Tensor, gram: Tensor, out: Tensor, rank: int) -> Tensor:
        """What modes and polynomials of all other rows leave of the rows `out`."""
        fold = Fold(gram, out, rank)
        share = fold.shares()
        if self.ridge is not None:
            degree = DEGREES[self.manifold]
            share = share + fold.lifts(degree, self._monomials(len(snapshots)), (self.ridge,))[0]
        return fold.rest(snapshots, share)

    def _freedom(self) -> int:
        """Degrees of freedom that modes and polynomials take from every entry."""
        return self.rank_ + (0 if self.lift_ is None else len(self.lift_.modes))

    STATE = ("mean_", "modes_", "energies_", "residual_")

    def get_state(self) -> dict[str, Tensor]:
        """What encodes and decodes, as tensors."""
        lift = {} if self.lift_ is None else self.lift_.get_state()
        total = {"total": torch.tensor(self.total_, dtype=torch.float64)}
        return {name.rstrip("_"): getattr(self, name) for name in self.STATE} | total | lift

    def set_state(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of `get_state`."""
        for name in self.STATE:
            setattr(self, name, tensors[name.rstrip("_")])
        self.total_ = float(tensors["total"])
        self.lift_ = Lift.from_state(tensors)


def check_modes(name: str, value: object) -> None:
    """Raise ParameterError unless the value is "cv", a number of modes, or a share of the energy."""
    whole = isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 0
    share = isinstance(value, float) and 0 < value < 1
    if not (whole or share or value == "cv"):
        raise ParameterError(f'{name}={value!r}: expected "cv", a number of modes, or a share of the energy below 1.')
