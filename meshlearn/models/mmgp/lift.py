"""Polynomial manifolds: what linear modes leave of a field, as polynomials of the coefficients of the modes.

    u(a) = mean + V a + W q(a),    W orthogonal to V,

with all monomials q of degree 2 (and 3) in the leading coefficients, and W by ridge regression of the residual of the
linear projection: Geelen, Wright and Willcox, "Operator inference for non-intrusive model reduction with quadratic
manifolds", Comput. Methods Appl. Mech. Engrg. 403, 2023; Barnett and Farhat, J. Comput. Phys. 464, 2022. A travelling
front has many linear modes, but the coefficients of the later ones are functions of the first.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import comb

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

DEGREES = {"linear": 1, "quadratic": 2, "cubic": 3}
RIDGES = tuple(10.0**-k for k in range(7))  # smaller ones amplify the errors of coefficients that are predicted
MOST = 600  # monomials
GAIN = 0.98  # the error of snapshots left out must become less than this share of that of the linear modes


class Monomials:
    """Monomials of degree 2 to `degree` in the leading standardised coefficients, as many as `most` allows.

    index (p, degree): numbers of the factors; the number after the last stands for the constant 1.
    """

    def __init__(self, index: Int64[Tensor, "p degree"], scale: Float64[Tensor, " k"]) -> None:
        self.index, self.scale = index, scale

    @classmethod
    def of(cls, coefficients: Float64[Tensor, "n r"], degree: int, most: int) -> Monomials:
        """Those for coefficients whose spread sets the scale."""
        k = coefficients.shape[1]
        while k and sum(comb(k + d - 1, d) for d in range(2, degree + 1)) > most:
            k -= 1
        rows = [
            (*term, *[k] * (degree - d))
            for d in range(2, degree + 1)
            for term in combinations_with_replacement(range(k), d)
        ]
        scale = coefficients[:, :k].square().mean(0).sqrt().clamp(min=1e-300)
        return cls(torch.tensor(rows, dtype=torch.int64).reshape(-1, degree), scale)

    def __call__(self, coefficients: Float64[Tensor, "n r"]) -> Float64[Tensor, "n p"]:
        """Values."""
        return self._factors(coefficients).prod(-1)

    def slopes(self, coefficients: Float64[Tensor, " r"]) -> Float64[Tensor, "r p"]:
        """Derivatives of one row's values with respect to all coefficients."""
        factors = self._factors(coefficients[None])[0]
        k, degree = len(self.scale), self.index.shape[1]
        found = coefficients.new_zeros(len(self.index), k + 1)
        for c in range(degree):
            others = factors[:, [i for i in range(degree) if i != c]].prod(-1)
            found.scatter_add_(1, self.index[:, c : c + 1], others[:, None])
        slopes = coefficients.new_zeros(len(coefficients), len(self.index))
        slopes[:k] = found[:, :k].T / self.scale[:, None]
        return slopes

    def _factors(self, coefficients: Tensor) -> Tensor:
        known = coefficients[:, : len(self.scale)] / self.scale
        padded = torch.cat([known, known.new_ones(len(known), 1)], dim=1)
        return padded[:, self.index]


class Ridge:
    """Regression on standardised monomials, for all ridges at once: rows -> weights of the training rows."""

    def __init__(self, monomials: Monomials, coefficients: Float64[Tensor, "n r"]) -> None:
        self.monomials = monomials
        values = monomials(coefficients)
        self.mean = values.mean(0)
        centred = values - self.mean
        self.scale = centred.square().mean(0).sqrt().clamp(min=1e-300)
        self.centred = centred / self.scale
        energies, self.vectors = torch.linalg.eigh(self.centred.T @ self.centred)
        self.energies = energies.clamp(min=0)

    def matrix(self, ridge: float) -> Float64[Tensor, "p n"]:
        """What takes values of the training rows to the weights of the (unscaled) monomials."""
        damped = self.energies + ridge * len(self.centred)
        return (self.vectors / damped) @ (self.vectors.T @ self.centred.T) / self.scale[:, None]


class Lift:
    """The polynomial part of a manifold: modes (p, N) of the monomials, and the mean of these."""

    def __init__(self, monomials: Monomials, mean: Float64[Tensor, " p"], modes: Float64[Tensor, "p N"]) -> None:
        self.monomials, self.mean, self.modes = monomials, mean, modes

    def __call__(self, coefficients: Float64[Tensor, "n r"]) -> Float64[Tensor, "n N"]:
        """What is added to the linear part."""
        return (self.monomials(coefficients) - self.mean) @ self.modes

    def slopes(self, coefficients: Float64[Tensor, " r"]) -> Float64[Tensor, "r N"]:
        """Derivatives at one row with respect to all coefficients."""
        return self.monomials.slopes(coefficients) @ self.modes

    def get_state(self) -> dict[str, Tensor]:
        """All of it, as tensors."""
        m = self.monomials
        return {"lift_index": m.index, "lift_scale": m.scale, "lift_mean": self.mean, "lift_modes": self.modes}

    @classmethod
    def from_state(cls, tensors: dict[str, Tensor]) -> Lift | None:
        """The inverse; None where there is none."""
        if "lift_modes" not in tensors:
            return None
        monomials = Monomials(tensors["lift_index"], tensors["lift_scale"])
        return cls(monomials, tensors["lift_mean"], tensors["lift_modes"])
