"""Exponential time stepping of fourth order, for equations that are stiff in their linear part only."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Complex, Shaped
from torch import Tensor

CIRCLE = 64  # points of the contour integrals


class ExponentialStepper:
    """v_t = L v + N(v) with a diagonal L, usually in Fourier space: the exact flow of L, Runge-Kutta for N.

    linear     L, of the shape of v or one that broadcasts to it; real, or complex
    nonlinear  N, a function of v
    step       h, the length of a step

    S. Cox, P. Matthews 2002, "Exponential time differencing for stiff systems", J. Comput. Phys. 176, eq. 26-29; the
    coefficients are means over a circle around h L, since their formulas cancel where h L is small: A.-K. Kassam,
    L. Trefethen 2005, "Fourth-order time-stepping for stiff PDEs", SIAM J. Sci. Comput. 26, section 3.

    >>> from meshlearn.sim.exponential import ExponentialStepper
    >>> decay = ExponentialStepper(torch.tensor([-1000.0], dtype=torch.float64), lambda v: 1000.0 + 0.0 * v, 0.1)
    >>> decay(torch.tensor([3.0], dtype=torch.float64)).round(decimals=6)
    tensor([1.], dtype=torch.float64)
    """

    def __init__(self, linear: Shaped[Tensor, "..."], nonlinear: Callable[[Tensor], Tensor], step: float) -> None:
        self.nonlinear = nonlinear
        turn = torch.exp(2j * math.pi * (torch.arange(CIRCLE, dtype=torch.float64) + 0.5) / CIRCLE)
        z: Complex[Tensor, "... circle"] = step * linear.to(torch.complex128)[..., None] + turn
        grown = torch.exp(z)

        def mean(values: Tensor) -> Tensor:
            made = step * values.mean(-1)
            return made if linear.is_complex() else made.real

        self.whole, self.half = torch.exp(step * linear), torch.exp(step * linear / 2)
        self.middle = mean((torch.exp(z / 2) - 1) / z)
        self.first = mean((-4 - z + grown * (4 - 3 * z + z**2)) / z**3)
        self.second = mean((2 + z + grown * (z - 2)) / z**3)
        self.last = mean((-4 - 3 * z - z**2 + grown * (4 - z)) / z**3)

    def __call__(self, v: Tensor) -> Tensor:
        """v one step later."""
        start = self.nonlinear(v)
        a = self.half * v + self.middle * start
        at_a = self.nonlinear(a)
        at_b = self.nonlinear(self.half * v + self.middle * at_a)
        at_c = self.nonlinear(self.half * a + self.middle * (2 * at_b - start))
        return self.whole * v + self.first * start + 2 * self.second * (at_a + at_b) + self.last * at_c
