"""Proper orthogonal decomposition: fields on one mesh as a mean and a few modes, orthonormal in L2 of the mesh."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from meshlearn.errors import ParameterError

EXACT = 3000  # snapshots; more are compressed by random projections
ROUNDING = 1e-14  # of the energy: what eigenvalues of the Gram matrix cannot tell from zero
FOLDS = 5
FOUND = 0.5  # share of a mode's energy that must be found again
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

    def __init__(self, modes: int | float | str = "cv", limit: int = 64, seed: int = 0) -> None:
        self.modes, self.limit, self.seed = modes, limit, seed

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
        return self.mean_ + coefficients @ self.modes_

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
        if isinstance(self.modes, int):
            return min(self.modes, held)
        if self.total_ == 0.0:
            return 0
        most = min(held, self.limit)
        share = energies.cumsum(0) / self.total_
        if self.modes != "cv":
            return min(int((share < float(self.modes)).sum()) + 1, most)
        if gram is None or len(gram) < 2 * FOLDS:
            return min(int((share < FEW).sum()) + 1, most)
        return min(_rank_found_again(gram, most, folds), int((share < ENOUGH).sum()) + 1)

    def _cross_validate(
        self, snapshots: Tensor, weights: Tensor, gram: Tensor | None, rank: int, keep: Tensor, folds: Tensor
    ) -> None:
        """Set `residual_`, `rest_` of some rows, and `rest_norms_` (n,) of all, from five folds."""
        n = len(snapshots)
        self.residual_ = torch.zeros_like(self.mean_)
        self.rest_norms_ = snapshots.new_zeros(n)
        self.rest_ = snapshots.new_zeros(len(keep), snapshots.shape[1])
        exact = n >= 2 * FOLDS
        place = torch.zeros(n, dtype=torch.int64)  # of every row in its fold
        for fold in folds.unique().tolist():
            rows = (folds == fold).nonzero().squeeze(1)
            place[rows] = torch.arange(len(rows))
            if exact and gram is not None:
                rest = self._held_out(snapshots, gram, rows, rank)
            else:  # what the modes leave of their own snapshots, corrected for the degrees of freedom they took
                rest = snapshots.index_select(0, rows) - self.decode(self.coefficients_.index_select(0, rows))
                rest = rest * (n / max(n - rank - 1, 1)) ** 0.5
            self.residual_ += rest.square().sum(0) / n
            self.rest_norms_[rows] = (rest.square() @ weights).sqrt()
            mine = (folds.index_select(0, keep) == fold).nonzero().squeeze(1)
            self.rest_[mine] = rest.index_select(0, place.index_select(0, keep.index_select(0, mine)))

    def _held_out(self, snapshots: Tensor, gram: Tensor, out: Tensor, rank: int) -> Tensor:
        """What modes of all other rows leave of the rows `out`."""
        kept, energies, vectors, products = _fold(gram, out, rank)
        share = products.T @ (vectors / energies) @ vectors.T  # the projections as combinations of the kept rows
        mean = snapshots.index_select(0, kept).mean(0)
        share = share - share.mean(1, keepdim=True)  # so that the mean drops out
        return snapshots.index_select(0, out) - mean - share @ snapshots.index_select(0, kept)

    STATE = ("mean_", "modes_", "energies_", "residual_")

    def get_state(self) -> dict[str, Tensor]:
        """What encodes and decodes, as tensors."""
        return {name.rstrip("_"): getattr(self, name) for name in self.STATE}

    def set_state(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of `get_state`."""
        for name in self.STATE:
            setattr(self, name, tensors[name.rstrip("_")])


def check_modes(name: str, value: object) -> None:
    """Raise ParameterError unless the value is "cv", a number of modes, or a share of the energy."""
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    share = isinstance(value, float) and 0 < value < 1
    if not (whole or share or value == "cv"):
        raise ParameterError(f'{name}={value!r}: expected "cv", a number of modes, or a share of the energy below 1.')


def _fold(gram: Tensor, out: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Modes of the rows that are not `out`, from blocks of the Gram matrix: (kept rows, energies, vectors by falling
    energy, centred inner products of kept rows with rows `out`)."""
    is_out = torch.zeros(len(gram), dtype=torch.bool)
    is_out[out] = True
    kept = (~is_out).nonzero().squeeze(1)
    inner = gram.index_select(0, kept)
    block, products = inner.index_select(1, kept), inner.index_select(1, out)
    offset = block.mean(1, keepdim=True)  # inner products with the mean of the kept rows
    products = products - offset - products.mean(0) + offset.mean()
    block = block - offset - offset.T + offset.mean()
    energies, vectors = torch.linalg.eigh(block)
    energies, vectors = energies.flip(0)[:rank], vectors.flip(1)[:, :rank]
    sound = energies > ROUNDING * max(float(block.diagonal().sum()), 1e-300)
    return kept, energies[sound], vectors[:, sound], products


def _rank_found_again(gram: Tensor, most: int, folds: Tensor) -> int:
    """The number of leading modes that keep at least half of their energy in rows that were left out."""
    own, again = gram.new_zeros(most), gram.new_zeros(most)
    for fold in folds.unique().tolist():
        out = (folds == fold).nonzero().squeeze(1)
        kept, energies, vectors, products = _fold(gram, out, most)
        own[: len(energies)] += energies / len(kept)
        again[: len(energies)] += (products.T @ (vectors / energies.sqrt())).square().mean(0)
    lost = again <= FOUND * own  # modes that the folds do not have are lost too
    padded = torch.cat([lost, lost.new_ones(2)]).long()
    noise = lost & (padded[:-2] + padded[1:-1] + padded[2:] > 1)  # two of three modes in a row are lost
    ends = noise.nonzero()
    return max(int(ends[0]) if len(ends) else most, 1)
