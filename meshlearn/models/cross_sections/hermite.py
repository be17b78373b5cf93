"""The body of least bending whose surface is tilted against the planes as it likes: radial functions with gradients.

On a contour the field is zero, and its gradient is a unit normal of the surface. The plane shows the direction of that
normal within the plane; how far it leans out of the plane is not shown, and blends take it to be zero. Here the leaning
angles of all points are found together: those for which the interpolant bends least. Thin tubes that cross the planes
obliquely come out connected, since each contour is continued along its tube.

Huang, Carr and Ju, "Variational Implicit Point Set Surfaces" (SIGGRAPH 2019) find whole normals in this way; the kernel
is theirs, phi(r) = r^3 with a linear part. Departures: one unknown angle per point, a prior for it, noise per point.

With H the bending energy as a quadratic form of the data s (values and gradients), the angles a minimise

    3 n / 2 log(s(a)' H s(a)) - 2 LEAN sum log cos a,

the posterior of a Gaussian process of unknown scale. The prior is that of a surface met by planes of random direction:
contours run mostly where the surface is steep against the plane. Without it, everything would lie down in the planes.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from meshlearn.models.cross_sections.body import Body
from meshlearn.models.cross_sections.samples import (
    ChannelContours,
    along_contours,
    contours_of_channel,
    over_planes,
    trusted,
    values_at,
)

LEAN = 1.5
"""Weight of the prior of the angles; 1 for planes that meet the surface at random."""
STEEPEST = 1.5
NOISE_VALUE, NOISE_GRADIENT = 1e-7, 1e-2
"""Diagonals added to the kernel for values and gradients: room for contours that do not quite fit each other."""
SHRINK, LOOSE = 0.85, 0.8
"""Away from contours the distance within a plane is a hint only: it is times SHRINK the mean, and times its square
LOOSE the noise, of what the field is."""
STRAY = 120
"""Points of planes, at most, that are added where the field has the wrong sign."""
CHUNK = 256
"""Points at a time: their distances to all centres stay in the cache."""


class HermiteField:
    """Interpolation of all channels of a body by values and gradients on contours.

    centres  number of unknowns, about: half of the contour points have a gradient, half a value only
    """

    def __init__(self, body: Body, centres: int = 3000, seed: int = 0):
        self.parts = [_Channel(body, c, max(centres, 200), seed) for c in range(len(body.channels))]

    def __call__(self, points: Float32[Tensor, "n 3"]) -> Float32[Tensor, "n c"]:
        """Values at points of the unit frame."""
        return torch.stack([part(points) for part in self.parts], dim=1)


class _Channel:
    """One channel: `values` (m, 3) and `gradients` (n, 3) places, and the weights of their kernels."""

    def __init__(self, body: Body, channel: int, centres: int, seed: int):
        on = contours_of_channel(body, channel, int(centres / 2.8), seed)
        lean = np.arange(len(on)) % 2 == 0
        hints, distances = _hints(body, channel, centres // 5, seed)
        zero, noise = np.concatenate([on.points, hints]), LOOSE * np.concatenate([on.noise, distances]) ** 2
        values = np.concatenate([np.zeros(len(on)), SHRINK * distances])
        watch, shown = _watched(body, channel, seed)
        for attempt in range(3):
            self.values, self.gradients = torch.from_numpy(zero), torch.from_numpy(on.points[lean])
            inverse = torch.linalg.inv(_system(self.values, self.gradients, torch.from_numpy(noise)))
            self.angles = _angles(inverse, values, on, lean)
            self.weights = inverse @ torch.from_numpy(_data(values, _normals(on, lean, self.angles)))
            wrong = np.flatnonzero((self(watch).double().numpy() > 0) != (shown > 0))
            if not len(wrong) or attempt == 2:
                break
            wrong = wrong[np.argsort(-np.abs(shown[wrong]), kind="stable")[:STRAY]]
            zero = np.concatenate([zero, watch[wrong].double().numpy()])
            values = np.concatenate([values, np.clip(0.6 * shown[wrong], -0.06, 0.06)])
            noise = np.concatenate([noise, np.zeros(len(wrong))])

    def __call__(self, points: Float32[Tensor, "n 3"]) -> Float32[Tensor, " n"]:
        m, n = len(self.values), len(self.gradients)
        value, slope = self.weights[:m], self.weights[m : m + 3 * n].reshape(3, n).T.contiguous()
        constant, linear = self.weights[-4], self.weights[-3:]
        shift = (self.gradients * slope).sum(1)
        found = []
        for part in points.double().split(CHUNK):
            r = torch.cdist(part, self.values, compute_mode="use_mm_for_euclid_dist")
            at = (r.square().mul_(r)) @ value + constant + part @ linear
            r = torch.cdist(part, self.gradients, compute_mode="use_mm_for_euclid_dist")
            found.append((at - 3 * (r.mul_(part @ slope.T - shift)).sum(1)).float())
        return torch.cat(found) if found else points.new_zeros(0)


def _hints(body: Body, channel: int, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """n points of planes, about, and the signed distances within the planes: some all over, some along contours."""
    generator = np.random.default_rng(seed + 2)
    plane, flat = over_planes(body, max(2 * n // (3 * len(body.sections)), 6), generator)
    on = along_contours(body, n // 3, generator, thin=0.5, least=6)
    side = np.where(np.arange(len(on)) % 2, 1.0, -1.0)
    plane = np.concatenate([plane, on.plane])
    flat = np.concatenate([flat, on.flat + (side * on.width)[:, None] * on.across])
    points, values = values_at(body, plane, flat, 0.5)
    clear = (np.abs(values[:, channel]) > 0.004) & trusted(body, plane, points)
    return points[clear], values[clear, channel]


def _watched(body: Body, channel: int, seed: int) -> tuple[Tensor, np.ndarray]:
    """Points of the planes that are surely inside or outside, and the signed distances there."""
    generator = np.random.default_rng(seed + 1)
    plane, flat = over_planes(body, max(3000 // len(body.sections), 20), generator)
    points, values = values_at(body, plane, flat, 0.5)
    sure = (np.abs(values[:, channel]) > 2 * body.step) & trusted(body, plane, points)
    return torch.from_numpy(points[sure].astype(np.float32)), values[sure, channel]


def _system(x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
    """Kernel between values at x (m, 3) and gradients at y (n, 3), bordered by the linear functions."""
    m, n = len(x), len(y)
    end = m + 3 * n
    matrix = torch.zeros(end + 4, end + 4, dtype=torch.float64)
    matrix[:m, :m] = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").pow_(3)
    r = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    within = torch.cdist(y, y, compute_mode="donot_use_mm_for_euclid_dist")
    apart = [y[:, k, None] - y[None, :, k] for k in range(3)]
    for k in range(3):
        rows = slice(m + k * n, m + (k + 1) * n)
        matrix[:m, rows] = -3 * r * (x[:, k, None] - y[None, :, k])
        matrix[rows, :m] = matrix[:m, rows].T
        for j in range(k, 3):
            columns = slice(m + j * n, m + (j + 1) * n)
            block = -3 * apart[k] * apart[j] / within.clamp(min=1e-12)
            matrix[rows, columns] = block - 3 * within if j == k else block
            matrix[columns, rows] = matrix[rows, columns].T
        matrix[rows, end + 1 + k] = matrix[end + 1 + k, rows] = 1.0
    matrix[:m, end] = matrix[end, :m] = 1.0
    matrix[:m, end + 1 :] = x
    matrix[end + 1 :, :m] = x.T
    matrix.diagonal()[:m] += NOISE_VALUE + noise
    matrix.diagonal()[m:end] += NOISE_GRADIENT
    return matrix


def _normals(on: ChannelContours, lean: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """(n, 3) unit normals that point inside, leaning out of their planes by `angles`."""
    return np.cos(angles)[:, None] * on.inward[lean] + np.sin(angles)[:, None] * on.across[lean]


def _data(values: np.ndarray, normals: np.ndarray) -> np.ndarray:
    return np.concatenate([values, normals.T.reshape(-1), np.zeros(4)])


def _angles(inverse: Tensor, values: np.ndarray, on: ChannelContours, lean: np.ndarray) -> np.ndarray:
    """(n,) angles by which normals lean out of the planes: the most probable ones (see the module)."""
    from scipy.optimize import minimize

    m, n = len(values), int(lean.sum())
    energy = inverse[m : m + 3 * n, m : m + 3 * n].numpy()
    pull = inverse[m : m + 3 * n, :m].numpy() @ values
    constant = float(values @ (inverse[:m, :m].numpy() @ values))

    def objective(angles: np.ndarray) -> tuple[float, np.ndarray]:
        slope = _normals(on, lean, angles).T.reshape(-1)
        product = energy @ slope
        total = max(float(slope @ product + 2 * pull @ slope) + constant, 1e-12)
        turned = (np.cos(angles)[:, None] * on.across[lean] - np.sin(angles)[:, None] * on.inward[lean]).T.reshape(-1)
        change = 2 * ((product + pull) * turned).reshape(3, n).sum(0)
        prior = -2 * LEAN * np.log(np.cos(angles)).sum()
        return 1.5 * n * np.log(total) + prior, 1.5 * n * change / total + 2 * LEAN * np.tan(angles)

    bounds = [(-STEEPEST, STEEPEST)] * n
    return minimize(objective, np.zeros(n), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 120}).x
