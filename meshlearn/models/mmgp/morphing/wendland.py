"""Scattered vectors interpolated by compactly supported radial functions, plus an affine map."""

from __future__ import annotations

import numpy as np

_DENSE = 1500
_COARSE = 1000
_NEIGHBOURS = 60
_CHUNK = 2_000_000


def wendland(ratio: np.ndarray) -> np.ndarray:
    """(1 - r)^4 (4 r + 1) below 1, else 0: twice differentiable, positive definite in up to three dimensions.

    H. Wendland, "Piecewise polynomial, positive definite and compactly supported radial functions of minimal degree",
    Advances in Computational Mathematics 4 (1995).
    """
    rest = np.maximum(1.0 - ratio, 0.0) ** 2
    return rest * rest * (4.0 * ratio + 1.0)


class VectorInterpolant:
    """The affine map that fits best, plus radial functions for what it leaves: exact at the centres.

    centres  (n, d) distinct points
    values   (n, k); affine values are reproduced everywhere
    radius   of the radial functions; large ones are smoother

    Up to 1500 centres: one dense system. More: the 1000 that cover the rest best with the given radius, then what is
    left at all centres with a radius of about 60 neighbours and a sparse system (M. Floater, A. Iske, "Multistep
    scattered data interpolation using compactly supported radial basis functions", J. Comput. Appl. Math. 73, 1996).
    """

    def __init__(self, centres: np.ndarray, values: np.ndarray, radius: float) -> None:
        self.origin = centres.mean(0)
        self.affine = np.linalg.lstsq(self._terms(centres), values, rcond=1e-10)[0]
        self.levels: list[tuple[np.ndarray, np.ndarray, float, bool]] = []
        rest = values - self._terms(centres) @ self.affine
        if not np.abs(rest).max(initial=0.0) > 1e-14 * np.abs(values).max(initial=0.0):
            return
        if len(centres) <= _DENSE:
            self._add_dense(centres, rest, radius)
            return
        chosen = _covering(centres, _COARSE)
        self._add_dense(centres[chosen], rest[chosen], radius)
        self._add_sparse(centres, rest - self._radial(centres))

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(m, k) values at points (m, d)."""
        return self._terms(points) @ self.affine + self._radial(points)

    def _terms(self, points: np.ndarray) -> np.ndarray:
        return np.concatenate([np.ones((len(points), 1)), points - self.origin], axis=1)

    def _radial(self, points: np.ndarray) -> np.ndarray:
        total = np.zeros((len(points), self.affine.shape[1]))
        for centres, weights, radius, sparse in self.levels:
            if sparse:
                total += _sparse_kernel(points, centres, radius) @ weights
                continue
            step = max(_CHUNK // len(centres), 1)
            for first in range(0, len(points), step):
                rows = slice(first, first + step)
                total[rows] += _dense_kernel(points[rows], centres, radius) @ weights
        return total

    def _add_dense(self, centres: np.ndarray, values: np.ndarray, radius: float) -> None:
        from scipy.linalg import cho_factor, cho_solve

        matrix = _dense_kernel(centres, centres, radius)
        matrix[np.diag_indices_from(matrix)] += 1e-13
        self.levels.append((centres, cho_solve(cho_factor(matrix, overwrite_a=True), values), radius, False))

    def _add_sparse(self, centres: np.ndarray, values: np.ndarray) -> None:
        from scipy.sparse.linalg import splu
        from scipy.spatial import cKDTree

        k = min(_NEIGHBOURS, len(centres))
        radius = float(np.median(cKDTree(centres).query(centres, k)[0][:, -1]))
        matrix = _sparse_kernel(centres, centres, radius).tocsc()
        solver = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        self.levels.append((centres, solver.solve(np.ascontiguousarray(values)), radius, True))


def follow(points: np.ndarray, nodes: np.ndarray, targets: np.ndarray, radius: float, steps: int) -> np.ndarray:
    """(n, d) points moved along with some of them, which go straight to their targets, in equal steps.

    radius  of the radial functions, relative to the diagonal of the bounding box
    """
    if len(nodes) == len(points):
        steps = 1
    way = (targets - points[nodes]) / steps
    for _ in range(steps):
        reach = radius * float(np.linalg.norm(np.ptp(points, axis=0)))
        change = VectorInterpolant(points[nodes], way, reach)(points)
        change[nodes] = way
        points = points + change
    points[nodes] = targets
    return points


def _dense_kernel(points: np.ndarray, centres: np.ndarray, radius: float) -> np.ndarray:
    from scipy.spatial.distance import cdist

    return wendland(cdist(points, centres) / radius)


def _sparse_kernel(points: np.ndarray, centres: np.ndarray, radius: float):
    from scipy.sparse import coo_matrix
    from scipy.spatial import cKDTree

    pairs = cKDTree(points).sparse_distance_matrix(cKDTree(centres), radius, output_type="ndarray")
    values = wendland(pairs["v"] / radius)
    return coo_matrix((values, (pairs["i"], pairs["j"])), shape=(len(points), len(centres))).tocsr()


def _covering(points: np.ndarray, number: int) -> np.ndarray:
    """Points far from each other: the farthest from those chosen, one after the other."""
    import torch

    from meshlearn.ops import farthest_point_sampling

    start = int(np.argmax(points @ np.linspace(1.0, 2.0, points.shape[1])))
    return farthest_point_sampling(torch.from_numpy(points), number, start=start).numpy()
