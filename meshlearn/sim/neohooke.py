"""The compressible neo-Hookean law at a place of a weak form.

W = mu/2 (tr C - 3 - 2 ln J) + lambda/2 (ln J)^2 with F = I + grad u, C = F^T F, J = det F (Bonet and Wood, Nonlinear
Continuum Mechanics for Finite Element Analysis, 2nd ed. 2008, section 6.4.3). For small strains this is Hooke's law
with the Lamé constants mu and lambda. In 2-D the strain is plane: F_zz = 1.

All is written in the displacement gradient H = F - I: F - F^-T = H + F^-T H^T, and J - 1 in the invariants of H. What
is small for small strains is then never the difference of two numbers near 1.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from meshlearn.fem.operators import det, dot, grad, identity, inner, inverse, trace, transpose
from meshlearn.sim.values import positive


def lame(young: Any, ratio: Tensor) -> tuple[Tensor, Tensor]:
    """(mu, lambda) from Young's modulus, which is checked to be positive, and Poisson's ratio."""
    modulus = positive("Young's modulus", young)
    return modulus / (2 * (1 + ratio)), modulus * ratio / ((1 + ratio) * (1 - 2 * ratio))


def dilation(slope: Tensor) -> Tensor:
    """J - 1 = det(I + slope) - 1, without the 1: as precise as the displacement gradient, however small."""
    return trace(slope) + _minors(slope)


def first_piola(u: Any, young: Any, ratio: Tensor) -> Tensor:
    """Force per undeformed area, P = mu (F - F^-T) + lambda ln J F^-T; NaN where an element is turned inside out."""
    mu, bulk = lame(young, ratio)
    slope = grad(u)
    back = transpose(inverse(slope + identity(slope)))
    return mu * (slope + dot(back, transpose(slope))) + bulk * dilation(slope).log1p() * back


def energy_density(u: Any, young: Any, ratio: Tensor) -> Tensor:
    """W, per undeformed volume."""
    mu, bulk = lame(young, ratio)
    slope = grad(u)
    change = dilation(slope)
    log = change.log1p()
    return mu * (inner(slope, slope) / 2 - _minors(slope) + (change - log)) + bulk / 2 * log.square()


def cauchy(u: Any, young: Any, ratio: Tensor) -> list[Tensor]:
    """True stress (mu (F F^T - I) + lambda ln J I) / J: xx, yy, zz, xy in 2-D, xx, yy, zz, xy, yz, xz in 3-D."""
    mu, bulk = lame(young, ratio)
    slope = grad(u)
    change = dilation(slope)
    volume = 1 + change
    mean = bulk * change.log1p()
    strain = slope + transpose(slope) + dot(slope, transpose(slope))
    stress = (mu * strain + mean * identity(slope)) / volume
    if len(slope) == 2:
        return [stress[0, 0], stress[1, 1], mean / volume, stress[0, 1]]
    return [stress[i, j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2))]


def _minors(slope: Tensor) -> Tensor:
    """The terms of det(I + slope) of second and third order."""
    if len(slope) == 2:
        return det(slope)
    pairs = ((0, 1), (1, 2), (2, 0))
    return sum(slope[i, i] * slope[j, j] - slope[i, j] * slope[j, i] for i, j in pairs) + det(slope)
