"""A mesh without the points that no cell uses."""

from __future__ import annotations

import torch

from meshlearn import ops
from meshlearn.errors import TopologyError
from meshlearn.mesh.mesh import Mesh


def without_unused_points(mesh: Mesh) -> Mesh:
    """The same cells, fields and sets without points that belong to no cell of the highest dimension; cells of lower
    dimension that need such a point go too, with their data and their places in sets.

    Raises TopologyError for polyhedra, and for a mesh without cells.

    >>> mesh = ml.Mesh(torch.tensor([[9.0, 9.0], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), {"triangle": [[1, 2, 3]]})
    >>> without_unused_points(mesh).cells["triangle"]
    tensor([[0, 1, 2]])
    """
    if not mesh.cells or mesh.n_cells == 0 or "polyhedron" in mesh.cells:
        raise TopologyError(f"unused points are told by the cells' tables, this mesh has {mesh.cell_counts}.")
    used = torch.zeros(mesh.n_points, dtype=torch.bool, device=mesh.device)
    for kind in mesh.domain_types:
        nodes = mesh.cells[kind]
        used[nodes[nodes >= 0]] = True
    if bool(used.all()):
        return mesh
    numbers = torch.cumsum(used.long(), 0) - 1
    old = torch.nonzero(used)[:, 0]
    cells, kept = {}, {}
    for kind, nodes in mesh.cells.items():
        inside = (used[nodes.clamp(min=0)] | (nodes < 0)).all(1)
        kept[kind] = torch.nonzero(inside)[:, 0]
        cells[kind] = torch.where(nodes < 0, nodes, numbers[nodes.clamp(min=0)])[inside]
    cells = {kind: nodes for kind, nodes in cells.items() if len(nodes)}
    cell_sets = {}
    for name, by_kind in mesh.cell_sets.items():
        cell_sets[name] = {
            kind: torch.searchsorted(kept[kind], rows[torch.isin(rows, kept[kind])])
            for kind, rows in by_kind.items()
            if kind in cells
        }
    return mesh.replace(
        points=ops.gather(mesh.points, old),
        cells=cells,
        point_data={name: ops.gather(values, old) for name, values in mesh.point_data.items()},
        cell_data={
            name: {kind: ops.gather(values, kept[kind]) for kind, values in by_kind.items() if kind in cells}
            for name, by_kind in mesh.cell_data.items()
        },
        point_sets={name: numbers[ids[used[ids]]] for name, ids in mesh.point_sets.items()},
        cell_sets=cell_sets,
    )
