"""Facets of the reference cell: places, weights and normals on each of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from skfem.refdom import RefQuad, RefTri

from meshlearn.fem.quadrature import quadrature


class FacetRule(NamedTuple):
    """places (dim, n_places) on the reference cell, weights (n_places,), outward normal (dim,) of the facet there."""

    places: np.ndarray
    weights: np.ndarray
    normal: np.ndarray


def facet_rules(refdom: Any, order: int) -> list[FacetRule]:
    """A rule for each facet of a reference cell, exact for polynomials of the order."""
    corners = np.asarray(refdom.p, np.float64)
    dim = len(corners)
    if dim == 1:
        return [FacetRule(corners[:, [k]], np.ones(1), np.array([2.0 * k - 1.0])) for k in (0, 1)]
    if refdom.brefdom is not None:
        rule = quadrature(refdom.brefdom, order)
        return [_rule(corners, ends, *rule) for ends in facet_ends(refdom)]
    shapes = {3: RefTri, 4: RefQuad}  # wedges have both
    return [_rule(corners, ends, *quadrature(shapes[len(ends)], order)) for ends in facet_ends(refdom)]


def facet_ends(refdom: Any) -> list[np.ndarray]:
    """Corners of each facet of a reference cell, where scikit-fem fills up those of triangles among squares."""
    return [np.array(list(dict.fromkeys(facet))) for facet in refdom.facets]


def _rule(corners: np.ndarray, facet: np.ndarray, places: np.ndarray, weights: np.ndarray) -> FacetRule:
    start = corners[:, facet[0]]
    edges = corners[:, facet[1:]] - start[:, None]
    if len(facet) == 4:  # a square: the two edges at its first corner
        edges = edges[:, np.argsort(np.linalg.norm(edges, axis=0), kind="stable")[:2]]
    on_cell = start[:, None] + edges @ places
    if len(corners) == 2:
        normal = np.array([edges[1, 0], -edges[0, 0]])
    else:
        normal = np.cross(edges[:, 0], edges[:, 1])
    area = float(np.linalg.norm(normal))
    normal = normal / area
    if normal @ (start - corners.mean(1)) < 0:
        normal = -normal
    return FacetRule(on_cell, weights * area, normal)
