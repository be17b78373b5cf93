"""Quadrature on the reference domains, exact for polynomials of any degree asked for.

Low degrees on triangles and tetrahedra use the symmetric rules with positive weights that have closed forms
(A. H. Stroud, "Approximate Calculation of Multiple Integrals", 1971: T2 1-1, T2 2-1, T2 5-1, T3 1-1, T3 2-1); other
degrees, pyramids and wedges use Gauss-Jacobi rules on the collapsed cube (conical products), also positive.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np

from meshlearn.errors import ParameterError

Rule = tuple[np.ndarray, np.ndarray]


def _gauss(degree: int, power: int = 0) -> Rule:
    """Gauss-Jacobi on [0, 1] with the weight (1 - x)^power."""
    from scipy.special import roots_jacobi

    nodes, weights = roots_jacobi(degree // 2 + 1, power, 0)
    return (nodes + 1) / 2, weights / 2 ** (power + 1)


def _product(*rules: Rule) -> Rule:
    points = np.array(list(product(*(rule[0] for rule in rules))))
    weights = np.array([np.prod(w) for w in product(*(rule[1] for rule in rules))])
    return points, weights


def _triangle(degree: int) -> Rule:
    if degree <= 1:
        return np.full((1, 2), 1 / 3), np.array([1 / 2])
    if degree == 2:
        return np.array([[1, 1], [4, 1], [1, 4]]) / 6, np.full(3, 1 / 6)
    if degree in (4, 5):
        root = np.sqrt(15)
        a, b = (6 - root) / 21, (6 + root) / 21
        points = [(1 / 3, 1 / 3), (a, a), (1 - 2 * a, a), (a, 1 - 2 * a), (b, b), (1 - 2 * b, b), (b, 1 - 2 * b)]
        low, high = (155 - root) / 2400, (155 + root) / 2400
        return np.array(points), np.array([9 / 80, low, low, low, high, high, high])
    collapsed, weights = _product(_gauss(degree, 1), _gauss(degree))
    x = collapsed[:, 0]
    return np.stack([x, collapsed[:, 1] * (1 - x)], axis=1), weights


def _tetra(degree: int) -> Rule:
    if degree <= 1:
        return np.full((1, 3), 1 / 4), np.array([1 / 6])
    if degree == 2:
        a, b = (5 - np.sqrt(5)) / 20, (5 + 3 * np.sqrt(5)) / 20
        return np.array([[a, a, a], [b, a, a], [a, b, a], [a, a, b]]), np.full(4, 1 / 24)
    collapsed, weights = _product(_gauss(degree, 2), _gauss(degree, 1), _gauss(degree))
    x, y = collapsed[:, 0], collapsed[:, 1] * (1 - collapsed[:, 0])
    return np.stack([x, y, collapsed[:, 2] * (1 - x - y)], axis=1), weights


def _pyramid(degree: int) -> Rule:
    collapsed, weights = _product(_gauss(degree, 2), _gauss(degree), _gauss(degree))
    z, u, v = collapsed.T
    return np.stack([u * (1 - z) + z / 2, v * (1 - z) + z / 2, z], axis=1), weights


def _wedge(degree: int) -> Rule:
    (base, base_weights), (height, height_weights) = _triangle(degree), _gauss(degree)
    points = np.hstack([np.repeat(base, len(height), axis=0), np.tile(height, len(base))[:, None]])
    return points, np.outer(base_weights, height_weights).reshape(-1)


@cache
def quadrature_rule(domain: str, degree: int) -> Rule:
    """Points (q, dim) and weights (q,) in float64, exact for polynomials up to total degree `degree` on `domain`."""
    if degree < 0:
        raise ParameterError(f"quadrature degree {degree}: expected 0 or more.")
    if domain == "vertex":
        return np.zeros((1, 0)), np.ones(1)
    if domain in ("line", "quad", "hexahedron"):
        return _product(*[_gauss(degree)] * {"line": 1, "quad": 2, "hexahedron": 3}[domain])
    return {"triangle": _triangle, "tetra": _tetra, "pyramid": _pyramid, "wedge": _wedge}[domain](degree)
