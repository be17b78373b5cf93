"""Weights of the neighbours of each point, for maps in which every inner point is a mean of its neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meshlearn.errors import ParameterError
from meshlearn.mesh.cells import cell_type
from meshlearn.mesh.mesh import Mesh

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

WEIGHTS = ("mean_value", "uniform", "cotangent")
_SMALLEST_COTANGENT = 1e-3


def neighbour_weights(mesh: Mesh, weights: str = "mean_value") -> csr_matrix:
    """(n_points, n_points) scipy CSR of positive weights; rows do not add up to 1, mid-side nodes have none.

    mesh     planar, float64, on the CPU; only the corners of its cells count, quads are taken as they are (their sides
             are neighbours, their diagonals are not)
    weights  "mean_value": (tan(a/2) + tan(b/2)) / length of the edge, a and b the angles on its two sides. Linear
             functions have the mean value property with them; they change smoothly with the points and are positive
             (M. Floater, "Mean value coordinates", Computer Aided Geometric Design 20, 2003)
             "uniform": 1 (W. Tutte, "How to draw a graph", 1963); depends on the connectivity only
             "cotangent": of the angles opposite to the edge, those of linear finite elements, at least 1e-3
             (U. Pinkall, K. Polthier, "Computing discrete minimal surfaces and their conjugates", 1993); triangles only

    Raises ParameterError for other names, and for cotangents of quads.
    """
    from scipy.sparse import coo_matrix

    if weights not in WEIGHTS:
        raise ParameterError(f"weights={weights!r}: expected one of {', '.join(map(repr, WEIGHTS))}.")
    points = mesh.points.numpy()
    rows, columns, values = [], [], []
    for kind in mesh.domain_types:
        n = cell_type(kind).corners
        nodes = mesh.cells[kind][:, :n].numpy()
        if weights == "cotangent":
            if n != 3:
                raise ParameterError(f'weights="cotangent" knows triangles, not {kind}: use "mean_value".')
            i, j, value = _cotangents(points, nodes)
        elif weights == "uniform":
            i, j = nodes.T.reshape(-1), np.roll(nodes, -1, axis=1).T.reshape(-1)
            i, j, value = np.concatenate([i, j]), np.concatenate([j, i]), np.ones(2 * len(i))
        else:
            i, j, value = half_tangents(points, nodes)
        rows.append(i)
        columns.append(j)
        values.append(value)
    shape = (mesh.n_points, mesh.n_points)
    matrix = coo_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape).tocsr()
    if weights == "uniform":
        matrix.data[:] = 1.0
    elif weights == "cotangent":
        matrix.data = np.maximum(matrix.data, _SMALLEST_COTANGENT)
    return matrix


def half_tangents(points: np.ndarray, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(i, j, value): each cell's share in the mean value weights, at every corner one for each of its two sides.

    points (n_points, 2), nodes (n_cells, k) corners around each cell.
    """
    x = points[nodes]
    ahead = np.roll(x, -1, axis=1) - x
    length = np.maximum(np.linalg.norm(ahead, axis=2), 1e-12 * np.ptp(points, axis=0).max())
    back, back_length = -np.roll(ahead, 1, axis=1), np.roll(length, 1, axis=1)
    sine = np.abs(ahead[..., 0] * back[..., 1] - ahead[..., 1] * back[..., 0])
    product = length * back_length
    tangent = sine / np.maximum(product + (ahead * back).sum(2), 1e-12 * product)
    tangent = np.maximum(tangent, 1e-12)
    following, previous = np.roll(nodes, -1, axis=1), np.roll(nodes, 1, axis=1)
    i = np.concatenate([nodes.reshape(-1), nodes.reshape(-1)])
    j = np.concatenate([following.reshape(-1), previous.reshape(-1)])
    return i, j, np.concatenate([(tangent / length).reshape(-1), (tangent / back_length).reshape(-1)])


def _cotangents(points: np.ndarray, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = points[nodes]
    ahead, back = np.roll(x, -1, axis=1) - x, np.roll(x, 1, axis=1) - x
    sine = np.abs(ahead[..., 0] * back[..., 1] - ahead[..., 1] * back[..., 0])
    value = 0.5 * (ahead * back).sum(2) / np.maximum(sine, 1e-300)
    i, j = np.roll(nodes, -1, axis=1).reshape(-1), np.roll(nodes, 1, axis=1).reshape(-1)
    value = value.reshape(-1)
    return np.concatenate([i, j]), np.concatenate([j, i]), np.concatenate([value, value])
