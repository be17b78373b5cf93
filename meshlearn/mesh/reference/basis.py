"""Function spaces of the reference cells as tables of exponents, and the coefficients of their nodal bases.

A term is a product  t_1^a t_2^b t_3^c w^-d  of the centred coordinates t = scale * x + shift. Only pyramids use the
last factor, w = 1 - z, in their rational spaces: first order {1, x, y, z, xy/w}; second order P2 plus xy/w times
{1, x, y} (13 nodes), and (xy/w)^2 besides (14 nodes): Bergot, Cohen, Durufle, "Higher-order finite elements for hybrid
meshes using new nodal pyramidal elements", J. Sci. Comput. 42 (2010), equation (8). The nodal basis is the inverse of
the terms' values at the nodes, solved in float64 and snapped to the dyadic rationals that it consists of.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np

from meshlearn.mesh.reference.domain import domain_of, node_coordinates


class Basis(NamedTuple):
    """Nodal basis of one cell type."""

    exponents: np.ndarray  # (n_terms, dim + 1) int: powers of t_1 .. t_dim, and of 1 / w
    coefficients: np.ndarray  # (n_terms, n_nodes) float64
    scale: np.ndarray  # (dim,)
    shift: np.ndarray  # (dim,)


Powers = list[tuple[int, ...]]


def _simplex(dim: int, order: int) -> Powers:
    return [power for power in product(range(order + 1), repeat=dim) if sum(power) <= order]


def _tensor(dim: int, order: int) -> Powers:
    return list(product(range(order + 1), repeat=dim))


def _serendipity(dim: int) -> Powers:
    """Quadratic serendipity: at most one coordinate squared, and no more than order 2 in superlinear degree."""
    return [power for power in _tensor(dim, 2) if sum(p for p in power if p > 1) <= 2]


def _wedge(order: int, full: bool = True) -> Powers:
    powers = [(*xy, z) for xy in _simplex(2, order) for z in range(order + 1)]
    # 15 nodes: the squares of both factors never meet
    return powers if full else [p for p in powers if not (p[2] == 2 and sum(p[:2]) == 2)]


def _rational(polynomials: Powers, rational: Powers) -> Powers:
    return [(*power, 0) for power in polynomials] + rational


def _exponents(kind: str) -> Powers:
    simple: dict[str, Powers] = {
        "vertex": [()],
        "line": _simplex(1, 1),
        "line3": _simplex(1, 2),
        "triangle": _simplex(2, 1),
        "triangle6": _simplex(2, 2),
        "triangle7": [*_simplex(2, 2), (1, 1), (2, 1), (1, 2)],
        "quad": _tensor(2, 1),
        "quad8": _serendipity(2),
        "quad9": _tensor(2, 2),
        "tetra": _simplex(3, 1),
        "tetra10": _simplex(3, 2),
        "wedge": _wedge(1),
        "wedge15": _wedge(2, full=False),
        "wedge18": _wedge(2),
        "hexahedron": _tensor(3, 1),
        "hexahedron20": _serendipity(3),
        "hexahedron27": _tensor(3, 2),
    }
    if kind in simple:
        return _rational(simple[kind], [])
    quadratic: Powers = [(1, 1, 0, 1), (2, 1, 0, 1), (1, 2, 0, 1)]
    return {
        "pyramid": _rational(_simplex(3, 1), quadratic[:1]),
        "pyramid13": _rational(_simplex(3, 2), quadratic),
        "pyramid14": _rational(_simplex(3, 2), [*quadratic, (2, 2, 0, 2)]),
    }[kind]


def _terms(powers: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Values of the terms (q, n_terms) at centred coordinates t (q, dim); rational terms are 0 at a pyramid's apex."""
    polynomial = np.prod(t[:, None, :] ** powers[None, :, :-1], axis=2)
    weight = 1.0 - t[:, -1:] if t.shape[1] == 3 else np.ones((len(t), 1))
    weight = np.where(weight == 0, 1.0, weight) ** powers[None, :, -1]
    return polynomial / weight


@cache
def basis_of(kind: str) -> Basis:
    """The nodal basis of a cell type; `TopologyError` for a type without a reference cell."""
    domain = domain_of(kind)
    nodes = node_coordinates(kind)
    dim = nodes.shape[1]
    scale, shift = np.ones(dim), np.zeros(dim)
    # products of intervals are centred on 0: smaller coefficients, so less cancellation in float32
    centred = {"quad": (0, 1), "hexahedron": (0, 1, 2), "wedge": (2,), "pyramid": (0, 1), "line": (0,)}
    for axis in centred.get(domain, ()):
        scale[axis], shift[axis] = 2.0, -1.0
    powers = np.array(_exponents(kind), dtype=np.int64)
    if kind == "triangle7":  # P2 plus the cubic bubble x y (1 - x - y), whose terms come as one column
        terms = _terms(powers, nodes * scale + shift)
        combine = np.zeros((len(powers), 7))
        combine[:6, :6] = np.eye(6)
        combine[6:, 6] = (1.0, -1.0, -1.0)
        coefficients = combine @ np.linalg.inv(terms @ combine)
    else:
        coefficients = np.linalg.inv(_terms(powers, nodes * scale + shift))
    return Basis(powers, np.round(coefficients * 64) / 64, scale, shift)
