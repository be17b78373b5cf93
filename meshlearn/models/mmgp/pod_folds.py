"""Modes of snapshots that were left out, from blocks of the Gram matrix of all: no snapshot is touched."""

from __future__ import annotations

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from meshlearn.models.mmgp.lift import GAIN, RIDGES, Monomials, Ridge

ROUNDING = 1e-14  # of the energy: what eigenvalues of the Gram matrix cannot tell from zero
FOUND = 0.5  # share of a mode's energy that must be found again


class Fold:
    """Modes of the rows that are not `out`.

    kept     numbers of these rows
    energies, vectors
             eigenvalues and eigenvectors of their centred Gram matrix, by falling energy
    products (kept, out) centred inner products
    """

    def __init__(self, gram: Float64[Tensor, "n n"], out: Int64[Tensor, " out"], rank: int) -> None:
        is_out = torch.zeros(len(gram), dtype=torch.bool)
        is_out[out] = True
        self.out, self.kept = out, (~is_out).nonzero().squeeze(1)
        inner = gram.index_select(0, self.kept)
        block, products = inner.index_select(1, self.kept), inner.index_select(1, out)
        offset = block.mean(1, keepdim=True)  # inner products with the mean of the kept rows
        self.norms = gram.diagonal()[out] - 2 * products.mean(0) + offset.mean()  # squares of the centred rows `out`
        self.products = products - offset - products.mean(0) + offset.mean()
        self.block = block - offset - offset.T + offset.mean()
        energies, vectors = torch.linalg.eigh(self.block)
        energies, vectors = energies.flip(0)[:rank], vectors.flip(1)[:, :rank]
        sound = energies > ROUNDING * max(float(self.block.diagonal().sum()), 1e-300)
        self.energies, self.vectors = energies[sound], vectors[:, sound]

    def shares(self) -> Float64[Tensor, "out kept"]:
        """The projections of the rows `out` as combinations of the centred kept rows."""
        return self.products.T @ (self.vectors / self.energies) @ self.vectors.T

    def coefficients(self) -> tuple[Tensor, Tensor]:
        """Of the kept rows, and of the rows `out`."""
        root = self.energies.sqrt()
        return self.vectors * root, self.products.T @ (self.vectors / root)

    def lifts(self, degree: int, most: int, ridges: tuple[float, ...]) -> list[Float64[Tensor, "out kept"]]:
        """What polynomials of the coefficients add to `shares`, for every ridge."""
        own, others = self.coefficients()
        monomials = Monomials.of(own, degree, most)
        ridge = Ridge(monomials, own)
        values = monomials(others) - ridge.mean
        return [self._beside(values @ ridge.matrix(strength)) for strength in ridges]

    def _beside(self, share: Tensor) -> Tensor:
        """A combination of rows as that of what the modes leave of them."""
        return share - (share @ self.vectors) @ self.vectors.T

    def squares(self, share: Float64[Tensor, "out kept"]) -> Float64[Tensor, " out"]:
        """|u - share U|^2 of the centred rows `out`."""
        return self.norms + (share @ self.block * share).sum(1) - 2 * (share * self.products.T).sum(1)

    def rest(self, snapshots: Float64[Tensor, "n N"], share: Float64[Tensor, "out kept"]) -> Float64[Tensor, "out N"]:
        """What combinations leave of the rows `out`."""
        mean = snapshots.index_select(0, self.kept).mean(0)
        share = share - share.mean(1, keepdim=True)  # so that the mean drops out
        return snapshots.index_select(0, self.out) - mean - share @ snapshots.index_select(0, self.kept)


def split_rows(folds: Int64[Tensor, " n"]) -> list[Int64[Tensor, " _"]]:
    """The rows of every fold."""
    return [(folds == fold).nonzero().squeeze(1) for fold in folds.unique().tolist()]


def rank_found_again(gram: Float64[Tensor, "n n"], most: int, folds: Int64[Tensor, " n"]) -> int:
    """The number of leading modes that keep at least half of their energy in rows that were left out."""
    own, again = gram.new_zeros(most), gram.new_zeros(most)
    for out in split_rows(folds):
        fold = Fold(gram, out, most)
        size = len(fold.energies)
        own[:size] += fold.energies / len(fold.kept)
        again[:size] += fold.coefficients()[1].square().mean(0)
    lost = again <= FOUND * own  # modes that the folds do not have are lost too
    padded = torch.cat([lost, lost.new_ones(2)]).long()
    noise = lost & (padded[:-2] + padded[1:-1] + padded[2:] > 1)  # two of three modes in a row are lost
    ends = noise.nonzero()
    return max(int(ends[0]) if len(ends) else most, 1)


def choose_ridge(
    gram: Float64[Tensor, "n n"], rank: int, folds: Int64[Tensor, " n"], degree: int, most: int
) -> float | None:
    """The ridge with the least error on rows that were left out; None where polynomials do not help there."""
    linear, lifted = 0.0, [0.0] * len(RIDGES)
    for out in split_rows(folds):
        fold = Fold(gram, out, rank)
        share = fold.shares()
        linear += float(fold.squares(share).sum())
        for k, more in enumerate(fold.lifts(degree, most, RIDGES)):
            lifted[k] += float(fold.squares(share + more).sum())
    best = min(range(len(RIDGES)), key=lambda k: lifted[k])
    return RIDGES[best] if lifted[best] < GAIN * linear else None
