"""Outlines of airfoils by formula: NACA's four-digit series, and maps of a circle by Karman and Trefftz."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np
from jaxtyping import Float

from meshlearn.errors import ParameterError

# Half thickness over 5 t: E. Jacobs, K. Ward, R. Pinkerton 1933, NACA report 460; the last coefficient closes the tail.
NACA = (0.2969, -0.1260, -0.3516, 0.2843, -0.1036)


DENSE = 4000
CLUSTER = 1.5  # corners lie at x = u^1.5, u even: close to each other at the leading edge alone


def naca(camber: float, position: float, thickness: float, n: int = 80) -> Float[np.ndarray, "n 2"]:
    """(n, 2) corners of a four-digit section of chord 1, counter-clockwise from the trailing edge (1, 0).

    camber     largest camber, a share of the chord, 0 to 0.12; it is at `position`, 0.1 to 0.9
    thickness  largest thickness, a share of the chord, 0.04 to 0.3
    n          an even number of corners, closer to each other at the leading edge

    >>> from meshlearn.sim.airfoil import naca
    >>> section = naca(0.0, 0.4, 0.12, n=200)  # NACA 0012
    >>> round(float(section[:, 1].max()), 3)
    0.06
    """
    _within("camber", camber, 0.0, 0.12)
    _within("position", position, 0.1, 0.9)
    _within("thickness", thickness, 0.04, 0.3)
    x = 0.5 * (1 + np.cos(np.linspace(0.0, math.pi, DENSE // 2 + 1)))  # from the trailing to the leading edge
    half = 5 * thickness * (NACA[0] * np.sqrt(x) + sum(a * x**k for k, a in enumerate(NACA[1:], start=1)))
    ahead = x < position
    line = np.where(
        ahead,
        camber / position**2 * (2 * position * x - x**2),
        camber / (1 - position) ** 2 * (1 - 2 * position + 2 * position * x - x**2),
    )
    slope = 2 * camber * (position - x) / np.where(ahead, position, 1 - position) ** 2
    normal = np.stack([-slope, np.ones_like(x)], 1) / np.hypot(1.0, slope)[:, None]
    middle, off = np.stack([x, line], 1), half[:, None] * normal
    return resampled(np.concatenate([middle + off, (middle - off)[-2::-1]]), n)


def karman_trefftz(thickness: float, camber: float, tail: float = 12.0, n: int = 80) -> Float[np.ndarray, "n 2"]:
    """(n, 2) corners of the image of a circle under the map of Karman and Trefftz, of chord 1, as those of `naca`.

    thickness, camber  shift of the circle's centre to the left and upwards: about 0.77 times the relative thickness (on
                       top of that of the tail), and twice the relative camber; 0.02 to 0.2, and 0 to 0.2
    tail               angle of the trailing edge in degrees, 5 to 30; it would be a cusp with 0, Joukowski's section
    """
    _within("thickness", thickness, 0.02, 0.2)
    _within("camber", camber, 0.0, 0.2)
    _within("tail", tail, 5.0, 30.0)
    center = complex(-thickness, camber)
    angle = np.angle(1 - center) + np.linspace(0.0, 2 * math.pi, DENSE + 1)
    z = mapped(center + abs(1 - center) * np.exp(1j * angle), tail)
    return resampled(np.stack([z.real, z.imag], 1), n)


def mapped(zeta: np.ndarray, tail: float) -> np.ndarray:
    """z(zeta) = k ((zeta + 1)^k + (zeta - 1)^k) / ((zeta + 1)^k - (zeta - 1)^k), k = 2 - tail / 180."""
    k = 2 - tail / 180
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = ((zeta - 1) / (zeta + 1)) ** k
    return k * (1 + ratio) / (1 - ratio)


def resampled(curve: np.ndarray, n: Any) -> np.ndarray:
    """n corners on a closed curve that begins and ends at the trailing edge, scaled to chord 1 with that at (1, 0)."""
    if not isinstance(n, Integral) or n < 16 or n % 2:
        raise ParameterError(f"n is the number of corners of a section, an even number of at least 16, not {n!r}.")
    x = curve[:, 0]
    front = int(x.argmin())
    curve = (curve - [x[front], curve[0, 1]]) / (x[0] - x[front])
    u = np.linspace(0.0, 1.0, int(n) // 2 + 1)
    sides = [curve[front::-1], curve[front:]]  # both from the leading to the trailing edge
    rows = [
        np.stack([np.interp(u**CLUSTER, np.maximum.accumulate(side[:, 0]), side[:, i]) for i in (0, 1)], 1)
        for side in sides
    ]
    return np.concatenate([rows[0][::-1], rows[1][1:-1]])


def placed(
    section: Float[np.ndarray, "n 2"], chord: float, angle: float, at: tuple[float, float]
) -> Float[np.ndarray, "n 2"]:
    """A section of another chord, its leading edge at `at`, turned nose-up by `angle` (radians) about it."""
    c, s = math.cos(angle), math.sin(angle)
    turn = np.array([[c, s], [-s, c]])  # clockwise: the tail goes down
    return chord * section @ turn.T + np.array(at)


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ParameterError(f"{name} of a section is between {low:g} and {high:g}, not {value!r}.")
