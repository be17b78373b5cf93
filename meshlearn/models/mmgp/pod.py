"""Proper orthogonal decomposition: fields on one mesh as a mean and a few modes, in the L2 inner product of the mesh."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

from meshlearn.errors import ParameterError

EXACT = 3000  # snapshots; more are compressed by random projections
ROUNDING = 1e-14  # of the energy: what eigenvalues of the Gram matrix cannot tell from zero
FOLDS = 5


class POD:
    """Centred modes psi_k of snapshots u_i (rows), orthonormal with respect to the weights w of the entries.

    Modes are those of the weighted covariance (method of snapshots: L. Sirovich, Quart. Appl. Math. 45, 1987); with more
    than 3000 snapshots, of a random projection of it (Halko, Martinsson and Tropp, SIAM Review 53, 2011).

    modes  number of modes, or the share of the energy (variance) that they shall hold, below 1
    limit  number of modes at most

    mean_ (N,), modes_ (r, N), coefficients_ (n, r), energies_ (r,) variances of the coefficients, total_ the variance of
    the snapshots; residual_ (N,): mean square of what the modes leave of a snapshot that they were not made from
    (five-fold cross-validation).
    """

    def __init__(self, modes: int | float = 0.999999, limit: int = 64, seed: int = 0) -> None:
        self.modes, self.limit, self.seed = modes, limit, seed

    def fit(
        self, snapshots: Float64[Tensor, "n N"], weights: Float64[Tensor, " N"], keep: Sequence[int] = ()
    ) -> POD:
        """Modes of n snapshots; `rest_` (len(keep), N) is what modes of other rows leave of these. Returns self."""
        if not isinstance(self.modes, int) and not 0 < self.modes < 1:
            raise ParameterError(f"modes={self.modes!r}: expected a number of modes, or a share of the energy below 1.")
        n = len(snapshots)
        self.mean_ = snapshots.mean(0)
        centred = (snapshots - self.mean_) * weights.sqrt()
        vectors, energies, gram = self._spectrum(centred)
        self.total_ = float(centred.square().sum() / n)
        rank = self._rank(energies)
        singular = (energies[:rank] * n).sqrt()
        combination = vectors[:, :rank] / singular
        lifted = (combination - combination.mean(0)).T @ snapshots
        self.modes_, self.energies_ = lifted, energies[:rank]
        self.coefficients_ = self.encode(snapshots, weights)
        self._cross_validate(snapshots, weights, gram, rank, torch.tensor(keep, dtype=torch.int64))
        return self

    @property
    def rank_(self) -> int:
        """Number of modes."""
        return len(self.modes_)

    def truncate(self, rank: int) -> None:
        """Keep the first modes only; what the others held goes to the residual."""
        dropped, self.modes_ = self.modes_[rank:], self.modes_[:rank]
        self.rest_ = self.rest_ + self.coefficients_.index_select(0, self._keep)[:, rank:] @ dropped
        self.residual_ = self.residual_ + (dropped.square() * self.energies_[rank:, None]).sum(0)
        self.energies_, self.coefficients_ = self.energies_[:rank], self.coefficients_[:, :rank]

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

    def _rank(self, energies: Tensor) -> int:
        held = int((energies > ROUNDING * max(float(energies.sum()), 1e-300)).sum())
        if isinstance(self.modes, int):
            return min(self.modes, held)
        if self.total_ == 0.0:
            return 0
        share = energies.cumsum(0) / self.total_
        return min(int((share < self.modes).sum()) + 1, held, self.limit)

    def _cross_validate(
        self, snapshots: Tensor, weights: Tensor, gram: Tensor | None, rank: int, keep: Tensor
    ) -> None:
        """Set `residual_`, `rest_` of some rows, and `rest_norms_` (n,) of all, from five folds."""
        n = len(snapshots)
        self.residual_ = torch.zeros_like(self.mean_)
        self.rest_norms_ = snapshots.new_zeros(n)
        self.rest_ = snapshots.new_zeros(len(keep), snapshots.shape[1])
        exact = gram is not None and n >= 2 * FOLDS
        for fold in range(FOLDS):
            rows = torch.arange(fold, n, FOLDS)
            if not len(rows):
                continue
            if exact:
                rest = self._held_out(snapshots, gram, rows, rank)
            else:  # what the modes leave of their own snapshots, corrected for the degrees of freedom they took
                rest = snapshots.index_select(0, rows) - self.decode(self.coefficients_.index_select(0, rows))
                rest = rest * (n / max(n - rank - 1, 1)) ** 0.5
            self.residual_ += rest.square().sum(0) / n
            self.rest_norms_[rows] = (rest.square() @ weights).sqrt()
            mine = (keep % FOLDS == fold).nonzero().squeeze(1)
            self.rest_[mine] = rest.index_select(0, keep.index_select(0, mine) // FOLDS)
        self._keep = keep

    def _held_out(self, snapshots: Tensor, gram: Tensor | None, out: Tensor, rank: int) -> Tensor:
        """What modes of all other rows leave of the rows `out`; their modes come from blocks of the Gram matrix."""
        is_out = torch.zeros(len(snapshots), dtype=torch.bool)
        is_out[out] = True
        kept = (~is_out).nonzero().squeeze(1)
        assert gram is not None
        inner = gram.index_select(0, kept)
        block, products = inner.index_select(1, kept), inner.index_select(1, out)
        offset = block.mean(1, keepdim=True)  # inner products with the mean of the kept rows
        products = products - offset - products.mean(0) + offset.mean()
        block = block - offset - offset.T + offset.mean()
        energies, vectors = torch.linalg.eigh(block)
        first = max(len(energies) - rank, 0)
        energies, vectors = energies[first:], vectors[:, first:]
        sound = energies > ROUNDING * max(float(block.diagonal().sum()), 1e-300)
        energies, vectors = energies[sound], vectors[:, sound]
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
