"""Dofs as functionals on the reference cell: what a function's dofs are, computed from its values.

    h1     values at the nodes (with the inverse of the matrix phi_j(x_i), for elements with bubbles)
    hdiv   on every facet the L2 projection of the normal component on those of the facet's functions, then the L2
           projection of the rest on the interior functions; the lowest order gives fluxes through the facets (twice
           the fluxes on tetrahedra, as scikit-fem scales its functions)
    hcurl  the same with tangential components on edges

Functions are pulled back as the family is carried (`meshlearn.fem.reference`), which keeps fluxes and circulations.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.linalg import LinAlgError

from meshlearn.fem.facets import facet_rules
from meshlearn.fem.quadrature import quadrature
from meshlearn.fem.reference import Block


class Dual(NamedTuple):
    """dof_i(f) = sum_{p, a} weights[i, p, a] f_a(places[:, p]) on the reference cell."""

    places: np.ndarray
    weights: np.ndarray


def dual(block: Block) -> Dual | None:
    """The functionals of a block, or None where they are not known (then project)."""
    if block.family == "h1":
        return _nodal(block)
    if block.family == "table":
        return None
    return _moments(block)


def _values(block: Block, places: np.ndarray) -> np.ndarray:
    """(n_functions, n_places, width)."""
    import torch

    return block.tables(places, torch.float64)["value"].numpy()


def _nodal(block: Block) -> Dual | None:
    places = np.array(getattr(block.element, "doflocs", np.full((1, 1), np.nan)), np.float64).T
    nowhere = np.asarray(np.isnan(places).any(axis=0))
    if nowhere.sum() == 1 and not nowhere[:-1].any():  # a bubble: what the others leave in the middle of the cell
        places[:, -1] = np.asarray(block.element.refdom.p, np.float64).mean(1)
    if not np.isfinite(places).all() or places.shape[1] != block.n_functions:
        return None
    matrix = _values(block, places)[..., 0].T
    try:
        inverse = np.linalg.inv(matrix)
    except LinAlgError:
        return None
    if not np.isfinite(inverse).all() or np.abs(inverse).max() > 1e6:
        return None
    inverse[np.abs(inverse - np.eye(len(inverse))) < 1e-14] = 0.0
    return Dual(places, (inverse + _kept(inverse))[..., None])


def _kept(inverse: np.ndarray) -> np.ndarray:
    """The identity where the line above wiped it out: exact ones, so that nodal values are kept to the last bit."""
    return np.where((inverse == 0.0) & np.eye(len(inverse), dtype=bool), 1.0, 0.0)


def _moments(block: Block) -> Dual | None:
    element, refdom = block.element, block.element.refdom
    degree = 2 * int(element.maxdeg) + 2
    dim = refdom.dim()
    on_edges = block.family == "hcurl" and dim == 3
    per_entity = int(element.edge_dofs if on_edges else element.facet_dofs)
    if per_entity == 0 or int(element.nodal_dofs):
        return None
    entities = tangents(refdom, degree) if on_edges else normals(block.family, refdom, degree)
    n = block.n_functions
    places, rows = [], []
    for k, (where, weights, direction) in enumerate(entities):
        mine = slice(k * per_entity, (k + 1) * per_entity)
        traces = _values(block, where)[mine] @ direction  # (per_entity, n_places)
        gram = (traces * weights) @ traces.T
        made = np.zeros((n, where.shape[1], dim))
        made[mine] = (np.linalg.solve(gram, traces * weights))[..., None] * direction
        places.append(where)
        rows.append(made)
    outer = len(entities) * per_entity
    if outer < n:
        where, weights = quadrature(refdom, degree)
        values = _values(block, where)
        inner = values[outer:]
        gram = np.einsum("iqa,jqa,q->ij", inner, inner, weights)
        project = np.linalg.solve(gram, np.einsum("iqa,q->iqa", inner, weights).reshape(n - outer, -1))
        coupling = project @ values[:outer].reshape(outer, -1).T  # of the facets' functions
        for made in rows:
            made[outer:] = -np.einsum("ij,jpa->ipa", coupling, made[:outer])
        last = np.zeros((n, where.shape[1], dim))
        last[outer:] = project.reshape(n - outer, where.shape[1], dim)
        places.append(where)
        rows.append(last)
    return Dual(np.concatenate(places, axis=1), np.concatenate(rows, axis=1))


def normals(family: str, refdom: type, degree: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(places, weights, normal, or for "hcurl" tangent in the plane) of every facet of a reference cell."""
    turned = family == "hcurl"
    return [
        (rule.places, rule.weights, np.array([-rule.normal[1], rule.normal[0]]) if turned else rule.normal)
        for rule in facet_rules(refdom, degree)
    ]


def tangents(refdom: type, degree: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(places, weights, tangent) of every edge of a reference cell in space."""
    from skfem.refdom import RefLine

    where, weights = quadrature(RefLine, degree)
    made = []
    for a, b in refdom.edges:  # type: ignore[attr-defined]
        start, edge = refdom.p[:, a], refdom.p[:, b] - refdom.p[:, a]  # type: ignore[attr-defined]
        length = np.linalg.norm(edge)
        made.append((start[:, None] + edge[:, None] * where, weights * length, edge / length))
    return made
