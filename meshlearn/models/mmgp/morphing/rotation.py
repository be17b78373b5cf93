"""The rotation that lays one closed curve best over another, when no corner or tag tells."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

_HARMONICS = 48
_NEWTON_STEPS = 8


@runtime_checkable
class ClosedCurve(Protocol):
    """A polygon of k points in any dimension, by arc length."""

    @property
    def steps(self) -> np.ndarray:
        """(k, d): from each point to the next, from the last to the first, in normalised places."""

    @property
    def fraction(self) -> np.ndarray:
        """(k,) in [0, 1): arc length from the first point over that of the curve."""


def best_shift(loop: ClosedCurve, reference: ClosedCurve) -> float:
    """s in [0, 1) such that fraction t of the loop corresponds to fraction t + s of the reference."""
    return best_rotation(loop, reference)[0]


def best_rotation(loop: ClosedCurve, reference: ClosedCurve) -> tuple[float, float]:
    """(s as in `best_shift`, how well it fits: the integral of the product of the positions).

    Both curves are normalised and taken by arc length; s maximises the integral of the product of their positions about
    their means, as in the alignment of closed curves by Fourier descriptors (C. Zahn, R. Roskies, "Fourier descriptors
    for plane closed curves", IEEE Trans. Computers 21, 1972). The coefficients are exact integrals over the polygons,
    so s changes continuously with the shape as long as the best rotation is the only one.
    """
    numbers = np.concatenate([np.arange(1, _HARMONICS + 1), -np.arange(1, _HARMONICS + 1)])
    product = (np.conj(_coefficients(reference, numbers)) * _coefficients(loop, numbers)).sum(1)
    grid = np.arange(4 * _HARMONICS) / (4 * _HARMONICS)
    omega = -2j * np.pi * numbers
    values = np.real(np.exp(np.outer(grid, omega)) @ product)
    shift, width = grid[np.argmax(values)], grid[1]
    best = shift
    for _ in range(_NEWTON_STEPS):
        wave = product * np.exp(omega * shift)
        slope, bend = np.real((omega * wave).sum()), np.real((omega**2 * wave).sum())
        if bend >= 0:
            break
        shift = float(np.clip(shift - slope / bend, best - width, best + width))
    return float(np.mod(shift, 1.0)), float(np.real(np.exp(omega * shift) @ product))


def _coefficients(curve: ClosedCurve, numbers: np.ndarray) -> np.ndarray:
    """(len(numbers), d) Fourier coefficients of the position over the fraction of arc length, exact for the polygon."""
    knots = np.append(curve.fraction, 1.0)
    steps = np.diff(knots)
    slopes = curve.steps / np.where(steps > 0, steps, 1.0)[:, None]
    frequency = 2j * np.pi * numbers
    waves = np.exp(-np.outer(knots, frequency))
    return ((waves[:-1] - waves[1:]).T @ slopes) / (frequency**2)[:, None]
