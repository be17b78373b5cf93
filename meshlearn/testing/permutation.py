"""The same mesh with its points and cells in another order."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from meshlearn.mesh.mesh import Mesh


class Permuted(NamedTuple):
    """`points[i]` and `cells[type][i]` are the old numbers of the new point and cell i of `mesh`."""

    mesh: Mesh
    points: Tensor
    cells: dict[str, Tensor]


def permute_mesh(mesh: Mesh, seed: int = 0) -> Permuted:
    """Renumber the points and shuffle the cells of every type; fields and sets move with them.

    Cells keep the order of their own nodes. Padding (-1) of ragged kinds stays.

    >>> mesh = ml.shapes.square(n=2)
    >>> new, points, cells = permute_mesh(mesh)
    >>> torch.equal(new.points, mesh.points[points])
    True
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(mesh.n_points, generator=generator).to(mesh.device)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    cell_order = {kind: torch.randperm(len(c), generator=generator).to(mesh.device) for kind, c in mesh.cells.items()}
    cell_rank = {kind: torch.argsort(o) for kind, o in cell_order.items()}
    new = Mesh(
        mesh.points[order],
        {kind: torch.where(c < 0, c, rank[c.clamp(min=0)])[cell_order[kind]] for kind, c in mesh.cells.items()},
        point_data={name: values[order] for name, values in mesh.point_data.items()},
        cell_data={
            name: {kind: values[cell_order[kind]] for kind, values in by_type.items()}
            for name, by_type in mesh.cell_data.items()
        },
        global_data=mesh.global_data,
        point_sets={name: rank[nodes] for name, nodes in mesh.point_sets.items()},
        cell_sets={
            name: {kind: cell_rank[kind][rows] for kind, rows in by_type.items()}
            for name, by_type in mesh.cell_sets.items()
        },
        source=mesh.source,
    )
    return Permuted(new, order, cell_order)
