"""Maps in which every inner point is the weighted mean of its neighbours, with the boundary given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meshlearn.mesh.cells import cell_type
from meshlearn.mesh.mesh import Mesh

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


class MeanMap:
    """Solves sum_j w_ij (u_j - u_i) = r_i at the inner points, for given values at fixed points; factorised once.

    weights  (n, n) CSR, positive on the edges (`neighbour_weights`)
    fixed    (n,) bool: points with given values; points without neighbours are left out
    """

    def __init__(self, weights: csr_matrix, fixed: np.ndarray) -> None:
        from scipy.sparse import diags
        from scipy.sparse.linalg import splu

        total = np.asarray(weights.sum(1)).reshape(-1)
        self.inner = np.flatnonzero(~fixed & (total > 0))
        self.fixed = np.flatnonzero(fixed)
        self.scale = 1.0 / total[self.inner]
        rows = diags(self.scale) @ weights[self.inner]
        self.to_fixed = rows[:, self.fixed]
        self.solver = None
        if len(self.inner):
            matrix = (diags(np.ones(len(self.inner))) - rows[:, self.inner]).tocsc()
            # rows are diagonally dominant: no pivoting, and the order of a symmetric pattern
            options = {"SymmetricMode": True}
            self.solver = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)

    def solve(self, values: np.ndarray, right: np.ndarray | None = None) -> np.ndarray:
        """(n, ...) values with those at the inner points replaced; `right` is r (n, ...), zero if None."""
        result = np.array(values, dtype=np.float64)
        if self.solver is None:
            return result
        source = self.to_fixed @ result[self.fixed]
        if right is not None:
            source = source - (self.scale * right[self.inner].T).T
        result[self.inner] = self.solver.solve(np.ascontiguousarray(source))
        return result


def fill_middles(mesh: Mesh, points: np.ndarray) -> np.ndarray:
    """Positions with second-order nodes in the middle of their corners, so that morphed cells have straight sides.

    Points that belong to no cell of the domain go where their nearest neighbour that does goes.
    """
    points = points.copy()
    used = np.zeros(mesh.n_points, dtype=bool)
    for kind in mesh.domain_types:
        nodes, cell = mesh.cells[kind].numpy(), cell_type(kind)
        used[nodes.reshape(-1)] = True
        for column, corners in enumerate(cell.middles, start=cell.corners):
            points[nodes[:, column]] = points[nodes[:, list(corners)]].mean(1)
    if not used.all():
        from scipy.spatial import cKDTree

        inside = np.flatnonzero(used)
        original = mesh.points.numpy()
        points[~used] = points[inside[cKDTree(original[inside]).query(original[~used])[1]]]
    return points
