"""Walks through a mesh: from a first guess across the facet that separates the cell from the point."""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Int64
from torch import Tensor

from meshlearn.mesh.cells import cell_type
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.reference import reference_cell
from meshlearn.mesh.reference.domain import FACES


@cache
def facet_of_face(kind: str) -> tuple[int, ...]:
    """For each inequality of the reference domain, the row of the cell table's facet on which it is an equality."""
    cell, table = reference_cell(kind), cell_type(kind)
    found = []
    for *normal, bound in FACES[cell.domain]:
        value = cell.nodes @ torch.tensor(normal, dtype=torch.float64) - bound
        on = set((value.abs() < 1e-12).nonzero().squeeze(1).tolist())
        found += [i for i, (_, nodes) in enumerate(table.facets) if set(nodes) <= on]
    return tuple(found)


def neighbours(mesh: Mesh) -> dict[str, Int64[Tensor, "_c _faces"]]:
    """{type: (n, faces)}: global number of the cell behind each face of the reference domain, -1 at the boundary."""
    kinds = mesh.domain_types
    width = max(len(cell_type(kind).facets) for kind in kinds)
    table = torch.full((mesh.n_cells * width,), -1, dtype=torch.int64)
    for block in mesh.topology.facets.values():
        inside = block.count > 1
        cells, local = block.cells[inside].cpu(), block.local[inside].cpu()
        for a, b in ((0, 1), (1, 0)):
            table[cells[:, a] * width + local[:, a]] = cells[:, b]
    by_cell = table.reshape(mesh.n_cells, width)
    result, first = {}, 0
    for kind in kinds:
        count = len(mesh.cells[kind])
        result[kind] = by_cell[first : first + count][:, list(facet_of_face(kind))].contiguous()
        first += count
    return result
