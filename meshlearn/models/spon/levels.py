"""Coarser levels of the dofs of a mesh: nested meshes where the mesh is a uniform refinement, else aggregates.

Coarse levels are counted from the coarsest: it has at most `coarse_dofs` dofs whatever the mesh, and the transfers
between the finest level and the next are multiplied together. A mesh refined once more then has the same coarse levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from meshlearn.fem.mesh_prolongation import find_refinement, refinement_prolongation
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.meshgraphnet.coarsening import coarsen, independent_roots, priorities
from meshlearn.models.spon.discretisation import Discretisation
from meshlearn.models.spon.graph import DofGraph, dof_graph
from meshlearn.models.spon.transfer import corner_dofs
from meshlearn.ops import Adjacency, SparseOperator

METHODS = ("auto", "nested", "aggregation")
_CORNERS = {  # (child, its node) of every corner of a refined cell
    "line": ((0, 0), (1, 1)),
    "triangle": ((0, 0), (1, 1), (2, 2)),
    "quad": ((0, 0), (1, 1), (2, 2), (3, 3)),
    "tetra": ((0, 0), (1, 1), (2, 2), (3, 3)),
    "hexahedron": ((0, 0), (1, 1), (3, 2), (2, 3), (4, 4), (5, 5), (7, 6), (6, 7)),
}
_CHILDREN = {"line": 2, "triangle": 4, "quad": 4, "tetra": 8, "hexahedron": 8}


@dataclass(frozen=True)
class Level:
    """One coarser level: transfers to and from the next finer one, its graph, and which finest dofs it kept.

    prolongation, restriction  rows add up to 1; the second takes weighted means
    picked                     (n,) the finest dof that stands for each dof
    """

    prolongation: SparseOperator
    restriction: SparseOperator
    graph: DofGraph
    picked: Tensor


class _Step(NamedTuple):
    """Prolongation (scipy), and the finer dof that stands for each coarse one."""

    P: Any
    picked: np.ndarray


class _State(NamedTuple):
    """Mass and stiffness (scipy) and positions of a level."""

    M: Any
    K: Any
    points: np.ndarray

    def coarser(self, step: _Step) -> _State:
        """Galerkin products, and the positions of what was picked."""
        P = step.P
        return _State((P.T @ self.M @ P).tocsr(), (P.T @ self.K @ P).tocsr(), self.points[step.picked])


def coarse_levels(disc: Discretisation, levels: int, coarse_dofs: int, method: str) -> list[Level]:
    """levels - 1 coarser levels, from fine to coarse.

    coarse_dofs  coarsening stops at so many dofs
    method       "nested", "aggregation", or "auto": the first as far as the cells show uniform refinements and the
                 element is P1, then the second
    A mesh with too few dofs for all levels repeats its coarsest.
    """
    mass, stiffness = (A.to_scipy().tocsr() for A in (disc.mass, disc.stiffness))
    finest = _State(mass, stiffness, disc.points.cpu().numpy())
    steps = _nested(disc, coarse_dofs) if method != "aggregation" and disc.element == "P1" else []
    state = finest
    for step in steps:
        state = state.coarser(step)
    if method != "nested":
        steps = steps + _aggregated(state, coarse_dofs)
    made, state, picked = [], finest, np.arange(disc.n)
    for step in _as_many(steps, levels - 1, disc.n):
        weights = sp.diags(np.abs(state.M.diagonal()))
        R = _rows_to_one(abs(step.P).T @ weights)
        state, picked = state.coarser(step), picked[step.picked]
        mass, stiffness = (SparseOperator.from_scipy(A, torch.float64) for A in (state.M, state.K))
        graph = dof_graph(torch.from_numpy(state.points), mass, stiffness)
        P, R = (SparseOperator.from_scipy(A.tocsr(), torch.float64) for A in (step.P, R))
        for operator in (P, R):
            operator.adjacency.transpose()  # built once here, and kept by every batch made of this sample
        made.append(Level(P, R, graph, torch.from_numpy(picked)))
    return made


def coarse_mesh(mesh: Mesh) -> tuple[Mesh, Any] | None:
    """(coarser mesh, its refinement) when the mesh is what `ml.refine` makes of a coarser one; else None.

    Read off the cells alone: the children of a cell stand together, and old points come first. Moved points do not
    matter.
    """
    kind = mesh.domain_types[0]
    if len(mesh.domain_types) != 1 or kind not in _CORNERS or len(mesh.cells[kind]) % _CHILDREN[kind]:
        return None
    families = mesh.cells[kind].reshape(-1, _CHILDREN[kind], mesh.cells[kind].shape[1])
    cells = torch.stack([families[:, child, node] for child, node in _CORNERS[kind]], dim=1)
    used = torch.unique(cells)
    if not len(used) or int(used[-1]) != len(used) - 1 or len(used) >= mesh.n_points:
        return None
    coarse = Mesh(mesh.points[: len(used)].detach(), {kind: cells})
    refined = find_refinement(coarse, Mesh(mesh.points.detach(), {kind: mesh.cells[kind]}))
    return None if refined is None else (coarse, refined)


def _nested(disc: Discretisation, coarse_dofs: int) -> list[_Step]:
    steps: list[_Step] = []
    mesh = disc.mesh
    number = corner_dofs(disc.space)[0].cpu().numpy()  # dof of every point
    while mesh.n_points > coarse_dofs and (found := coarse_mesh(mesh)) is not None:
        mesh, refined = found
        P = refinement_prolongation(mesh, refined, dtype=torch.float64).to_scipy().tocsr()
        if not steps:  # rows are points; the finest level counts dofs
            order = np.empty_like(number)
            order[number] = np.arange(len(number))
            P = P[order]
        steps.append(_Step(P, number[: mesh.n_points] if not steps else np.arange(mesh.n_points)))
    return steps


def _aggregated(state: _State, coarse_dofs: int) -> list[_Step]:
    """Smoothed aggregation (Vanek, Mandel, Brezina 1996) on aggregates that do not depend on the numbering."""
    steps: list[_Step] = []
    while len(state.points) > coarse_dofs:
        pattern = SparseOperator.from_scipy((abs(state.M) + abs(state.K)).tocsr(), torch.float64).adjacency
        off = pattern.receivers != pattern.index
        n = len(state.points)
        graph = Adjacency.from_edges(pattern.index[off], pattern.receivers[off], n, n)
        points = torch.from_numpy(state.points)
        aggregate = coarsen(points, graph).aggregate.numpy()
        picked = torch.nonzero(independent_roots(graph, priorities(points)))[:, 0].numpy()
        if len(picked) >= n:
            break
        tentative = sp.csr_matrix((np.ones(n), (np.arange(n), aggregate)), (n, len(picked)))
        diagonal = np.maximum(state.K.diagonal(), 1e-300)
        scaled = sp.diags(1.0 / diagonal) @ state.K
        bound = max(float(np.ravel(abs(scaled).sum(1)).max()), 1e-300)
        P = _rows_to_one(tentative - (4.0 / 3.0 / bound) * scaled @ tentative)
        steps.append(_Step(P, picked))
        state = state.coarser(steps[-1])
    return steps


def _as_many(steps: list[_Step], count: int, n: int) -> list[_Step]:
    """The last `count` steps, the first of them standing for all before it; identities where there are too few."""
    first = steps[: max(len(steps) - count + 1, 0)]
    if len(first) > 1:
        P, picked = first[0]
        for step in first[1:]:
            P, picked = P @ step.P, picked[step.picked]
        steps = [_Step(P.tocsr(), picked), *steps[len(first) :]]
    size = steps[-1].P.shape[1] if steps else n
    identity = _Step(sp.identity(size, format="csr"), np.arange(size))
    return steps + [identity] * (count - len(steps))


def _rows_to_one(A: Any) -> Any:
    sums = np.ravel(A.sum(1))
    return (sp.diags(1.0 / np.where(np.abs(sums) > 1e-300, sums, 1.0)) @ A).tocsr()
