"""skfem.Mesh <-> Mesh. Boundaries become cell sets of facets, subdomains cell sets of cells."""

from __future__ import annotations

from typing import Any

import numpy as np

from meshlearn.errors import MeshError
from meshlearn.io.bridges.lost import warn_of
from meshlearn.io.tensors import to_numpy, to_tensor
from meshlearn.mesh.cells import cell_dim
from meshlearn.mesh.mesh import Mesh

# skfem's class name -> (kind, kind of its facets)
_KINDS = {
    "MeshLine1": ("line", "vertex"), "MeshTri1": ("triangle", "line"), "MeshTri1DG": ("triangle", "line"),
    "MeshTri2": ("triangle6", "line3"), "MeshQuad1": ("quad", "line"), "MeshQuad2": ("quad9", "line3"),
    "MeshTet1": ("tetra", "triangle"), "MeshTet2": ("tetra10", "triangle6"), "MeshHex1": ("hexahedron", "quad"),
    "MeshHex2": ("hexahedron27", "quad9"), "MeshWedge1": ("wedge", "triangle"),
}  # fmt: skip
# ours[:, k] = theirs[:, order[k]]
_FROM_SKFEM = {"hexahedron": [0, 3, 6, 2, 1, 5, 7, 4]}
SECOND = ("triangle6", "quad9", "tetra10", "hexahedron27")


def from_skfem(mesh: Any, source: str | None = None) -> Mesh:
    """From a `skfem.Mesh`; second-order meshes come without their boundaries and subdomains."""
    name = next((cls.__name__ for cls in type(mesh).__mro__ if cls.__name__ in _KINDS), None)
    if name is None:
        raise MeshError(f"skfem's {type(mesh).__name__} is not supported; supported are {', '.join(_KINDS)}")
    kind, facet_kind = _KINDS[name]
    if kind in SECOND:
        return _from_second_order(mesh, kind, source)
    table = _ours(kind, mesh.t.T)
    cells = {kind: to_tensor(np.ascontiguousarray(table, np.int64))}
    cell_sets = {
        str(label): {kind: to_tensor(np.array(rows, np.int64))} for label, rows in (mesh.subdomains or {}).items()
    }
    tagged = [np.asarray(rows, np.int64) for rows in (mesh.boundaries or {}).values()]
    facets = np.unique(np.concatenate([np.zeros(0, np.int64), *tagged]))
    if len(facets):
        nodes = mesh.facets[:, facets].T
        cells[facet_kind] = to_tensor(np.ascontiguousarray(nodes, np.int64))
        for label, rows in mesh.boundaries.items():
            own = np.searchsorted(facets, np.asarray(rows, np.int64))
            cell_sets.setdefault(str(label), {})[facet_kind] = to_tensor(own)
    points = np.ascontiguousarray(mesh.p.T, np.float64)
    return Mesh(to_tensor(points), cells, cell_sets=cell_sets, source=source)


def _ours(kind: str, table: np.ndarray) -> np.ndarray:
    return table[:, _FROM_SKFEM[kind]] if kind in _FROM_SKFEM else table


def _from_second_order(mesh: Any, kind: str, source: str | None) -> Mesh:
    """Curved cells: skfem writes them in meshio's order itself."""
    from skfem.io.meshio import to_meshio

    from meshlearn.io.bridges.meshio import from_meshio

    ours = from_meshio(to_meshio(mesh), source)
    named = [("boundary", name) for name in mesh.boundaries or {}]
    named += [("subdomain", name) for name in mesh.subdomains or {}]
    lost = [
        f"{what} {name!r} of a second-order mesh was left out" for what, name in named if name not in ours.cell_sets
    ]
    return ours.replace(report=(*ours.report, *lost))


def to_skfem(mesh: Mesh) -> Any:
    """To a `skfem.Mesh`: one kind of cell of the highest dimension; cell sets become boundaries and subdomains.

    Raises MeshError for mixed meshes (skfem has one kind per mesh), surfaces in space, and kinds that skfem does not
    have.
    """
    import skfem

    kinds = mesh.domain_types
    names = {kind: name for name, (kind, _) in _KINDS.items() if name != "MeshTri1DG"}
    if len(kinds) != 1 or kinds[0] not in names:
        raise MeshError(
            f"skfem holds one kind of cell per mesh out of {', '.join(names)}; this mesh has {mesh.cell_counts}."
        )
    kind = kinds[0]
    if mesh.dim != mesh.cell_dim:
        raise MeshError(
            f"skfem's {names[kind]} needs points with {mesh.cell_dim} coordinates, this mesh has {mesh.dim}."
        )
    points, table = to_numpy(mesh.points).astype(np.float64), to_numpy(mesh.cells[kind])
    if kind in SECOND:
        from skfem.io.meshio import from_meshio

        from meshlearn.io.bridges.meshio import to_meshio

        warn_of("skfem (for second-order meshes)", [f"cell set {name!r}" for name in mesh.cell_sets] + _fields(mesh))
        plain = Mesh(mesh.points, {kind: mesh.cells[kind]})
        return from_meshio(to_meshio(plain))
    order = np.argsort(_FROM_SKFEM[kind]) if kind in _FROM_SKFEM else slice(None)
    result = getattr(skfem, names[kind])(points.T.copy(), table[:, order].T.copy())
    subdomains = {n: to_numpy(by[kind]) for n, by in mesh.cell_sets.items() if kind in by}
    boundaries = {}
    for name, by_kind in mesh.cell_sets.items():
        rows = [
            facet_numbers(result, to_numpy(mesh.cells[k])[to_numpy(v)])
            for k, v in by_kind.items()
            if cell_dim(k) == mesh.cell_dim - 1
        ]
        if rows:
            boundaries[name] = np.unique(np.concatenate(rows))
    other = [f"cell set {name!r}" for name in mesh.cell_sets if name not in subdomains and name not in boundaries]
    warn_of("skfem's mesh", other + _fields(mesh))
    if subdomains:
        result = result.with_subdomains(subdomains)
    return result.with_boundaries(boundaries) if boundaries else result


def _fields(mesh: Mesh) -> list[str]:
    parts = ("point_data", "cell_data", "global_data", "point_sets")
    return [f"{part.replace('_', ' ')} {', '.join(map(repr, held))}" for part in parts if (held := getattr(mesh, part))]


def _without_repeats(rows: np.ndarray) -> np.ndarray:
    """Sorted rows of four with -1 in place of a node that repeats or is not there."""
    rows = np.pad(rows, ((0, 0), (4 - rows.shape[1], 0)), constant_values=-1)
    rows[:, 1:][rows[:, 1:] == rows[:, :-1]] = -1
    return np.sort(rows, axis=1)


def facet_numbers(mesh: Any, nodes: np.ndarray) -> np.ndarray:
    """Numbers of the facets of a skfem mesh with these rows of corner nodes (its numbering)."""
    known = np.sort(mesh.facets.T, axis=1).astype(np.int64)
    wanted = np.sort(nodes[:, : known.shape[1]], axis=1).astype(np.int64)
    if not len(wanted):
        return np.zeros(0, np.int64)
    if type(mesh).__name__.startswith("MeshWedge"):  # triangles stand there with one node twice
        known, wanted = _without_repeats(known), _without_repeats(wanted)
    row = np.dtype((np.void, known.dtype.itemsize * known.shape[1]))
    keys, sought = (np.ascontiguousarray(a).view(row)[:, 0] for a in (known, wanted))
    candidates = np.flatnonzero(np.isin(known[:, 0], wanted[:, 0]))
    order = candidates[np.argsort(keys[candidates], kind="stable")]
    place = np.minimum(np.searchsorted(keys[order], sought), max(len(order) - 1, 0))
    missing = np.ones(len(sought), bool) if not len(order) else keys[order[place]] != sought
    if missing.any():
        corners = nodes[int(np.argmax(missing)), : known.shape[1]]
        raise MeshError(f"the cell {corners.tolist()} of a boundary set is no facet of the mesh")
    return order[place].astype(np.int64)
