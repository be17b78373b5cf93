"""Slip walls: vector fields whose component along the outward normal is zero at every node of a boundary.

On a wall that is not parallel to an axis this is a relation between the components of a node, n . u = 0. Where facets
meet smoothly (a curved wall in straight pieces) a node has one normal, the mean of those of its facets weighted by
their measure; where they meet in a corner it has that of every wall, and what is left is free: nothing at the corner of
a square, the direction of the edge between two walls of a box.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from meshlearn.errors import ParameterError
from meshlearn.fem.arrays import shown
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.facets import facet_rules
from meshlearn.fem.interpolation import reference_places
from meshlearn.fem.one_side import facet_cells
from meshlearn.fem.places import Rule, region
from meshlearn.ops import SparseOperator

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace


def slip(space: FESpace, where: Any, component: int | None = None, corner: float = 45.0) -> AffineConstraint:
    """n . u = 0 on a boundary; see `FESpace.slip`."""
    k = _vector_part(space, component)
    dofs, normals, measures = _incidences(space, where, k)
    nodes, node = np.unique(dofs[:, 0], return_inverse=True)
    first = np.zeros(len(nodes), np.int64)
    first[node] = np.arange(len(node))
    owner, rows = wall_normals(node, normals, measures, math.radians(corner), len(nodes))
    rows[np.abs(rows) < math.sqrt(torch.finfo(space.mesh.dtype).eps)] = 0
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    if bool(((rows != 0).sum(1) > 1).any()) and space.geometry.points.requires_grad:
        raise ParameterError(
            "oblique slip walls do not follow gradients in the points: their normals are fixed numbers. If these walls "
            "stay where they are, make the constraint on a fixed mesh, with equal numbering:\n"
            "  FESpace(mesh.replace(points=mesh.points.detach()), element).slip(...)"
        )
    row, axis = np.nonzero(rows)
    columns = torch.from_numpy(dofs[first[owner[row]], axis]).to(space.device)
    if len(row) == len(rows):  # parallel to the axes: prescribed components, no relations
        return AffineConstraint.dirichlet(space.n_dofs, columns)
    entries = torch.from_numpy(rows[row, axis]).to(space.device)
    relations = SparseOperator.from_coo(
        torch.from_numpy(row).to(space.device), columns, entries, (len(rows), space.n_dofs)
    )
    return AffineConstraint.linear(relations)


def _vector_part(space: FESpace, component: int | None) -> int:
    """The field whose values are vectors at nodes. Raises ParameterError where there is none, or a choice."""
    vectors = [k for k, block in enumerate(space.blocks) if block.family == "h1" and block.components == space.dim]
    if component is not None:
        vectors = [k for k in vectors if k == component]
    if len(vectors) != 1:
        raise ParameterError(
            f"a slip wall needs one field with {space.dim} components, as in FESpace(mesh, 'P2^d'); {space} has "
            f"{len(vectors)} of them{'' if component is None else f' at component={component}'}.\n"
            "  Name the part of a composite space: component=0. RT and BDM spaces: dirichlet(where, 0.0) is the same."
        )
    return vectors[0]


def _incidences(space: FESpace, where: Any, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every node of every facet: its dofs (n, dim), the facet's outward normal there (n, dim), its measure (n,)."""
    skmesh, places = space.skmesh, reference_places(space, k)
    facets = space.facets(where)
    if len(facets) == 0 or bool((skmesh.f2t[1, facets] >= 0).any()):
        raise ParameterError(
            f"slip({shown(where)}): expected facets of the boundary, got none, or some between two cells."
        )
    cells, local = facet_cells(space, where)
    found = []
    for j, rule in enumerate(facet_rules(skmesh.refdom, 1)):
        mine = torch.from_numpy(cells[local == j]).to(space.device)
        on = np.flatnonzero(np.abs((places - rule.places[:, 0]) @ rule.normal) < 1e-9)
        _check_nodal(space, k, places[on], on)
        if not len(mine):
            continue
        there = region(space, mine, Rule(places[on].T, np.ones(len(on)), ("slip", k, j), rule.normal))
        assert there.normal is not None
        normal = there.normal.detach().expand(-1, -1, len(on)).permute(2, 1, 0)  # (nodes, cells, dim)
        measure = there.measure.detach().expand(-1, len(on)).t()
        table = space.block_dofs(k, mine).reshape(len(places), space.dim, -1).transpose(1, 2)[torch.from_numpy(on)]
        found.append([t.reshape(-1, *t.shape[2:]).cpu().numpy() for t in (table, normal.double(), measure.double())])
    dofs, normals, measures = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return dofs, normals, measures


def _check_nodal(space: FESpace, k: int, places: np.ndarray, on: np.ndarray) -> None:
    values = space.blocks[k].tables(places.T, torch.float64)["value"][..., 0]
    wanted = torch.eye(len(values), dtype=values.dtype)[:, torch.from_numpy(on)]
    if not torch.allclose(values, wanted, atol=1e-9):
        raise ParameterError(
            f"the dofs of {space} on facets are no values at nodes: use Lagrange elements (P1, P2, …)."
        )


def wall_normals(
    node: np.ndarray, normals: np.ndarray, measures: np.ndarray, corner: float, n_nodes: int
) -> tuple[np.ndarray, np.ndarray]:
    """(node of each row, rows (m, dim)): one unit normal for nodes in smooth walls, several in corners.

    node      (m,) number below n_nodes of the node of each incidence of a facet and a node
    normals   (m, dim) the facet's outward unit normal there
    measures  (m,) the facet's measure
    corner    angle in radians: facets whose normals differ by more are different walls
    """
    mean = np.zeros((n_nodes, normals.shape[1]))
    np.add.at(mean, node, normals * measures[:, None])
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    mean /= np.where(length == 0, 1, length)
    lowest = np.ones(n_nodes)
    np.minimum.at(lowest, node, (normals * mean[node]).sum(1))
    sharp = lowest < math.cos(corner / 2)
    owners, rows = [np.flatnonzero(~sharp)], [mean[~sharp]]
    order = np.argsort(node, kind="stable")
    start = np.searchsorted(node[order], np.arange(n_nodes + 1))
    for number in np.flatnonzero(sharp):
        mine = order[start[number] : start[number + 1]]
        made = _directions(normals[mine], measures[mine], math.cos(corner))
        owners.append(np.full(len(made), number))
        rows.append(made)
    return np.concatenate(owners), np.concatenate(rows)


def _directions(normals: np.ndarray, measures: np.ndarray, closest: float) -> np.ndarray:
    """Orthonormal rows that span the normals of the walls that meet in a corner."""
    walls = []
    while len(normals):
        alike = normals @ normals[0] >= closest
        wall = (normals[alike] * measures[alike, None]).sum(0)
        walls.append(wall / np.linalg.norm(wall))
        normals, measures = normals[~alike], measures[~alike]
    _, size, rows = np.linalg.svd(np.stack(walls))
    rank = int((size > 1e-3 * size[0]).sum())
    return np.eye(len(rows)) if rank == len(rows) else rows[:rank]
