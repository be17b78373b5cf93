"""The functional of Huang and Kamenski on simplices, in the computational coordinates.

With the physical cells K fixed, J = d xi / d x constant on each, and the isotropic metric m^(2/d) I,
    I(xi) = sum_K |K| m^(1-p) (theta |J|^(dp) + (1 - 2 theta) d^(dp/2) det(J)^p)
(W. Huang, "Variational mesh adaptation: isotropy and equidistribution", 2001; W. Huang and L. Kamenski, "A geometric
discretization and a simple implementation for variational mesh generation and adaptation", 2015). The first term keeps
cells alike (isotropy), the second equidistributes m |K|. In these coordinates the monitor is a fixed number per cell,
and the functional is convex but for the curvature of the determinant.
"""

from __future__ import annotations

import numpy as np

from meshlearn.models.movers.potential import cofactor


class Functional:
    """Force and stiffness at xi = the computational points, for moved points x.

    cells  (m, dim + 1); xi (n, dim); theta in (0, 1/2], weight of isotropy; power p > 1
    """

    def __init__(self, xi: np.ndarray, cells: np.ndarray, theta: float, power: float) -> None:
        self.cells, self.corners, self.theta, self.power = cells, xi[cells], theta, power
        self.n, self.dim = xi.shape
        self.dofs = (cells[:, :, None] * self.dim + np.arange(self.dim)).reshape(len(cells), -1)

    def parts(self, x: np.ndarray, m: np.ndarray) -> Parts:
        """Everything at points x (n, dim) with monitor values m (n,)."""
        return Parts(self, x, m)


class Parts:
    """Values for one set of moved points: `value`, `force` (n * dim,), `scale` (n * dim,), `jacobian` of each cell."""

    def __init__(self, functional: Functional, x: np.ndarray, m: np.ndarray) -> None:
        self.functional = f = functional
        corners = x[f.cells]
        edges = corners[:, 1:] - corners[:, :1]
        inner = np.linalg.inv(edges).transpose(0, 2, 1)
        self.gradients = np.concatenate([-inner.sum(1, keepdims=True), inner], 1)
        self.volume = np.abs(np.linalg.det(edges)) / float(np.prod(np.arange(1, f.dim + 1)))
        density = m[f.cells].mean(1)
        density = density / ((self.volume @ density) / self.volume.sum())
        self.jacobian = np.einsum("cai,caj->cij", f.corners, self.gradients)
        self.cofactor = cofactor(self.jacobian)
        self.det = np.einsum("ci,ci->c", self.jacobian[:, 0], self.cofactor[:, 0])
        p, self.q = f.power, f.dim * f.power / 2
        self.norm = np.einsum("cij,cij->c", self.jacobian, self.jacobian)
        weight = self.volume * density ** (1 - p)
        self.shape, self.size = f.theta * weight, (1 - 2 * f.theta) * f.dim**self.q * weight
        self.value = float((self.shape * self.norm**self.q + self.size * self.det**p).sum())
        stress = (2 * self.shape * self.q * self.norm ** (self.q - 1))[:, None, None] * self.jacobian
        stress = stress + (self.size * p * self.det ** (p - 1))[:, None, None] * self.cofactor
        self.local = np.einsum("cij,caj->cai", stress, self.gradients)
        self.force = self._scatter(self.local)
        self.scale = self._scatter(np.abs(self.local))

    def _scatter(self, local: np.ndarray) -> np.ndarray:
        f = self.functional
        return np.bincount(f.dofs.reshape(-1), local.reshape(-1), minlength=f.n * f.dim)

    def stiffness(self) -> np.ndarray:
        """(cells, k, k): second derivatives without the curvature of the determinant: symmetric, not negative."""
        f, p = self.functional, self.functional.power
        along = np.einsum("cij,caj->cai", self.jacobian, self.gradients).reshape(len(f.cells), -1)
        wide = np.einsum("cij,caj->cai", self.cofactor, self.gradients).reshape(len(f.cells), -1)
        a = 4 * self.shape * self.q * (self.q - 1) * self.norm ** (self.q - 2)
        b = self.size * p * (p - 1) * self.det ** (p - 2)
        made = np.einsum("c,cr,cs->crs", a, along, along) + np.einsum("c,cr,cs->crs", b, wide, wide)
        plain = np.einsum(
            "c,cai,cbi->cab", 2 * self.shape * self.q * self.norm ** (self.q - 1), self.gradients, self.gradients
        )
        blocks = made.reshape(len(f.cells), f.dim + 1, f.dim, f.dim + 1, f.dim)
        for axis in range(f.dim):
            blocks[:, :, axis, :, axis] += plain
        return made
