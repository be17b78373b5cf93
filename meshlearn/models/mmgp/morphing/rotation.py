"""The rotation that lays one closed curve best over another, when no corner or tag tells."""

from __future__ import annotations

import numpy as np

from meshlearn.models.mmgp.morphing.loop import Loop

_HARMONICS = 48
_NEWTON_STEPS = 8


def best_shift(loop: Loop, reference: Loop) -> float:
    """s in [0, 1) such that fraction t of the loop corresponds to fraction t + s of the reference.

    Both curves are normalised (`Loop.placed`) and taken by arc length; s maximises the integral of the product of their
    positions, as in the alignment of closed curves by Fourier descriptors (C. Zahn, R. Roskies, "Fourier descriptors
    for plane closed curves", IEEE Trans. Computers 21, 1972). The coefficients are exact integrals over the polygons,
    so s changes continuously with the shape as long as the best rotation is the only one.
    """
    numbers = np.concatenate([np.arange(1, _HARMONICS + 1), -np.arange(1, _HARMONICS + 1)])
    product = np.conj(_coefficients(reference, numbers)) * _coefficients(loop, numbers)
    grid = np.arange(4 * _HARMONICS) / (4 * _HARMONICS)
    values = np.real(np.exp(-2j * np.pi * np.outer(grid, numbers)) @ product)
    shift, width = grid[np.argmax(values)], grid[1]
    best = shift
    omega = -2j * np.pi * numbers
    for _ in range(_NEWTON_STEPS):
        wave = product * np.exp(omega * shift)
        slope, bend = np.real((omega * wave).sum()), np.real((omega**2 * wave).sum())
        if bend >= 0:
            break
        shift = float(np.clip(shift - slope / bend, best - width, best + width))
    return float(np.mod(shift, 1.0))


def _coefficients(loop: Loop, numbers: np.ndarray) -> np.ndarray:
    """Fourier coefficients of the position (complex) over the fraction of arc length, exact for the polygon."""
    knots = np.append(loop.fraction, 1.0)
    steps = np.diff(knots)
    slopes = (loop.steps @ np.array([1, 1j])) / np.where(steps > 0, steps, 1.0)
    frequency = 2j * np.pi * numbers
    waves = np.exp(-np.outer(knots, frequency))
    return (slopes @ (waves[:-1] - waves[1:])) / frequency**2
