"""A mesh as finite elements need it: one kind of cell, scikit-fem's numbering beside ours, differentiable geometry."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import MeshError, TopologyError
from meshlearn.fem.elements import ELEMENTS
from meshlearn.fem.geometry import Geometry
from meshlearn.fem.reference import blocks
from meshlearn.io.bridges.skfem import SECOND, facet_numbers, to_skfem
from meshlearn.mesh.cells import cell_dim
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.owned import version

_AFFINE = ("line", "triangle", "tetra")
_CORNERS = {"line3": 2, "triangle6": 3, "quad8": 4, "quad9": 4}  # of facets of second-order cells
_CLOSE = 1e-12  # of the size of the mesh: corners of a copied cell
_MADE: WeakKeyDictionary[Mesh, tuple[int | None, Any]] = WeakKeyDictionary()


def skfem_mesh(mesh: Mesh) -> Any:
    """The scikit-fem mesh of a mesh, made once: same point and cell numbers on first-order meshes, boundaries by name.

    Raises TopologyError for several kinds of cells, kinds without elements, and surfaces in space; MeshError for
    cells that are turned inside out, have no measure or overlap, points that are not finite or belong to no cell.
    """
    state = version(mesh.points)
    if mesh not in _MADE or _MADE[mesh][0] != state:
        made = _made(mesh)
        _check_overlap(made, mesh.domain_types[0], mesh.source or "made in memory")
        _MADE[mesh] = state, made
    return _MADE[mesh][1]


def _made(mesh: Mesh) -> Any:
    _check(mesh)
    if mesh.domain_types[0] in SECOND:
        return _second_order(mesh)
    sets = {
        name: held
        for name, by in mesh.cell_sets.items()
        if (held := {k: rows for k, rows in by.items() if cell_dim(k) >= mesh.cell_dim - 1})
    }
    cells = {k: table for k, table in mesh.cells.items() if cell_dim(k) >= mesh.cell_dim - 1}
    if not sets:
        cells = {k: cells[k] for k in mesh.domain_types}
    plain = Mesh(mesh.points.detach().double(), cells, cell_sets=sets)
    return to_skfem(plain.to("cpu"))


def _second_order(mesh: Mesh) -> Any:
    """Curved cells, which lose their boundaries on the way; these are found again by the corners of their facets."""
    kind = mesh.domain_types[0]
    made = to_skfem(Mesh(mesh.points.detach().double().cpu(), {kind: mesh.cells[kind].cpu()}))
    vertex = vertices(mesh, made)
    boundaries = {}
    for name, by_kind in mesh.cell_sets.items():
        rows = [
            facet_numbers(made, vertex[mesh.cells[k][rows][:, : _CORNERS[k]].cpu().numpy()])
            for k, rows in by_kind.items()
            if k in _CORNERS and cell_dim(k) == mesh.cell_dim - 1
        ]
        if rows:
            boundaries[name] = np.unique(np.concatenate(rows))
    return made.with_boundaries(boundaries) if boundaries else made


def vertices(mesh: Mesh, skmesh: Any) -> np.ndarray:
    """(n_points,) number of each point among scikit-fem's vertices, -1 for nodes on edges, facets and in cells."""
    if mesh.domain_types[0] not in SECOND:
        return np.arange(mesh.n_points)
    numbers = np.full(mesh.n_points, -1)
    numbers[_numbers(skmesh.p[:, : skmesh.nvertices].T, mesh.points)] = np.arange(skmesh.nvertices)
    return numbers


def _check(mesh: Mesh) -> None:
    name = mesh.source or "made in memory"
    kinds = mesh.domain_types
    if len(kinds) != 1 or kinds[0] not in (*ELEMENTS["P1"], *SECOND):
        raise TopologyError(
            f"finite-element spaces live on meshes of one kind of cell ({', '.join(ELEMENTS['P1'])}, or "
            f"{', '.join(SECOND)}), this one has {mesh.cell_counts}.\n  mesh: {name}\n"
            "  Split the other cells, or take a part: mesh.cells holds the tables by kind."
        )
    if mesh.cell_dim != mesh.dim:
        raise TopologyError(
            f"finite-element spaces need as many coordinates as the cells have dimensions; these are {kinds[0]} cells "
            f"in {mesh.dim}-D.\n  mesh: {name}\n  Drop a constant coordinate: mesh.replace(points=mesh.points[:, :2])."
        )
    _check_points(mesh, name)
    measures = mesh.cell_measures()[kinds[0]].detach()
    flat = int((measures.abs() <= 1e-14 * measures.abs().max()).sum()) if len(measures) else 0
    inverted = mesh.n_inverted()
    if flat or inverted not in (0, mesh.n_cells):  # all clockwise is a way of numbering, no fault
        what = f"{flat} cells without measure" if flat else f"{inverted} cells that are turned inside out or folded"
        raise MeshError(
            f"the mesh has {what}, on which no integral makes sense.\n  mesh: {name}\n"
            "  `ml.check_mesh(mesh)` lists them; wrongly numbered cells are turned by `mesh.oriented()`."
        )


def _check_overlap(skmesh: Any, kind: str, name: str) -> None:
    """Raises MeshError for cells that are there twice, and for facets of more than two cells: both are integrated over
    more than once."""
    cells = np.sort(skmesh.t, axis=0)
    cells = cells[:, np.lexsort(cells)]
    twice = int((cells[:, 1:] == cells[:, :-1]).all(0).sum())
    crowded = int((np.bincount(skmesh.t2f[skmesh.t2f >= 0].reshape(-1)) > 2).sum())
    copied = 0 if twice or crowded else _copied(skmesh.p, skmesh.t)
    if twice or crowded or copied:
        what = f"{twice} {kind} cells that are there twice" if twice else f"{crowded} facets of more than two cells"
        what = f"{copied} {kind} cells in the place of others, with points of their own" if copied else what
        raise MeshError(
            f"the mesh has {what}: its cells overlap, and integrals would count them more than once.\n  mesh: {name}\n"
            "  `ml.check_mesh(mesh)` lists them; the rows of the others are kept by mesh.replace(cells={kind: table})."
        )


def _copied(points: np.ndarray, cells: np.ndarray) -> int:
    """How many cells have all corners where another one has its own. Points alone may coincide: along a crack."""
    place = np.rint((points - points.min(1, keepdims=True)) / (_CLOSE * (np.ptp(points) or 1.0))).astype(np.int64)
    with np.errstate(over="ignore"):
        key = np.sort((place * np.array([[1], [0x9E3779B97F4A7C1], [0x1B873593CC9E2D51]])[: len(place)]).sum(0))
    if not (key[1:] == key[:-1]).any():
        return 0
    order = np.lexsort(place)
    new = (np.diff(place[:, order], axis=1) != 0).any(0)
    number = np.empty(len(order), np.int64)
    number[order] = np.concatenate([[0], np.cumsum(new)])
    there = np.sort(number[cells], axis=0)
    there = there[:, np.lexsort(there)]
    return int((there[:, 1:] == there[:, :-1]).all(0).sum())


def _check_points(mesh: Mesh, name: str) -> None:
    finite = torch.isfinite(mesh.points.detach()).all(1)
    if not bool(finite.all()):
        raise MeshError(
            f"{int((~finite).sum())} points of the mesh are not finite, the first is number "
            f"{int(torch.nonzero(~finite)[0])}.\n  mesh: {name}"
        )
    used = torch.zeros(mesh.n_points, dtype=torch.bool, device=mesh.device)
    used[mesh.cells[mesh.domain_types[0]].reshape(-1)] = True
    if not bool(used.all()):
        first = torch.nonzero(~used)[:5, 0].tolist()
        raise MeshError(
            f"{int((~used).sum())} points belong to no cell ({', '.join(map(str, first))}{', …' * (len(first) == 5)}): "
            f"unknowns there would have no equation.\n  mesh: {name}\n  Leave them out: mesh.without_unused_points()."
        )


def geometry(mesh: Mesh, skmesh: Any, dtype: torch.dtype) -> Geometry:
    """The cells' maps, with nodes in scikit-fem's local order and the numbering of `mesh`."""
    shape = blocks(skmesh.elem())[0]
    table = skmesh.dofs.element_dofs if type(skmesh).__name__.endswith("2") else skmesh.t
    nodes = np.asarray(table.T, np.int64)
    if type(skmesh).__name__.endswith("2"):
        nodes = _numbers(skmesh.doflocs.T, mesh.points)[nodes]
    affine = mesh.domain_types[0] in _AFFINE
    return Geometry(mesh.points, torch.from_numpy(np.ascontiguousarray(nodes)).to(mesh.device), shape, affine, dtype)


def _numbers(places: np.ndarray, points: Tensor) -> np.ndarray:
    """Number of the point at each place."""
    from scipy.spatial import KDTree

    distance, found = KDTree(points.detach().cpu().double().numpy()).query(places)
    scale = float(np.ptp(places, axis=0).max()) or 1.0
    if distance.max() > 1e-6 * scale:
        raise MeshError("the nodes of the second-order mesh could not be matched with those of scikit-fem.")
    return np.asarray(found, np.int64)
