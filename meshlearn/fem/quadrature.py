"""Quadrature rules on reference cells, of any order."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from math import factorial
from numbers import Integral
from typing import Any

import numpy as np
from scipy.special import roots_jacobi
from skfem.quadrature import get_quadrature
from skfem.refdom import RefLine, RefTet, RefTri, RefWedge

from meshlearn.errors import ParameterError

HIGHEST = 60  # orders beyond this are a mistake


@lru_cache(maxsize=256, typed=True)
def quadrature(refdom: Any, order: int) -> tuple[np.ndarray, np.ndarray]:
    """(places (dim, n_places), weights (n_places,)), exact for polynomials of the order on the reference cell.

    scikit-fem's rules where they are exact: in scikit-fem 12 those for tetrahedra miss their order by one from 5 on, so
    the next one is taken. Beyond (order 19 on triangles, 8 on tetrahedra) Gauss-Jacobi rules on the collapsed square or
    cube (Stroud, Approximate Calculation of Multiple Integrals, 1971, section 2.4). On wedges triangle times line:
    scikit-fem 12's own rule leaves the cell and has half of its volume.

    Raises ParameterError for an order that is no integer between 0 and 60.
    """
    if not isinstance(order, Integral) or isinstance(order, bool) or not 0 <= order <= HIGHEST:
        raise ParameterError(f"order={order!r}: the order of a quadrature rule is an integer between 0 and {HIGHEST}.")
    if refdom is RefWedge:
        (flat, areas), (height, lengths) = quadrature(RefTri, order), quadrature(RefLine, order)
        n, m = len(areas), len(lengths)
        return np.concatenate([np.repeat(flat, m, axis=1), np.tile(height, n)]), np.outer(areas, lengths).reshape(-1)
    for asked in (max(order, 1), order + 1):
        try:
            places, weights = (np.asarray(a, np.float64) for a in get_quadrature(refdom, asked))
        except NotImplementedError:
            break
        if refdom not in (RefTri, RefTet) or _is_exact(places, weights, int(order)):
            return places, weights
    return _collapsed(len(refdom.p), int(order))


def _is_exact(places: np.ndarray, weights: np.ndarray, order: int) -> bool:
    """On the simplex: whether powers of its coordinates of the given order are integrated, k! l! / (k + l + dim)!."""
    dim = len(places)
    for k in range(order + 1):
        wanted = factorial(k) * factorial(order - k) / factorial(order + dim)
        for i, j in combinations(range(dim), 2):
            if abs(weights @ (places[i] ** k * places[j] ** (order - k)) / wanted - 1) > 1e-9:
                return False
    return True


def _collapsed(dim: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """On the simplex: coordinate k is (1 - x_0) … (1 - x_{k-1}) x_k with x in the cube."""
    n = order // 2 + 1
    axes = []
    for k in range(dim):
        nodes, weights = roots_jacobi(n, dim - 1 - k, 0)
        axes.append((0.5 * (nodes + 1), weights / 2 ** (dim - k)))
    cube = np.meshgrid(*[x for x, _ in axes], indexing="ij")
    weights = np.prod(np.meshgrid(*[w for _, w in axes], indexing="ij"), axis=0).reshape(-1)
    left, places = np.ones_like(cube[0]), []
    for x in cube:
        places.append((left * x).reshape(-1))
        left = left * (1 - x)
    return np.stack(places), weights
