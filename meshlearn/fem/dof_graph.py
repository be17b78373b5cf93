"""The graph of a space's dofs for message passing: who shares a cell with whom, where dofs sit, how they are directed.

A dof of an edge or facet counts along a tangent or normal, whose direction is a convention of the numbering. Networks
read value times direction and return the component along it: flipping the convention then flips values in and out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn import ops
from meshlearn.fem.dual import normals, tangents
from meshlearn.fem.interpolation import owners

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace

ENTITIES = ("point", "edge", "facet", "cell")


def dof_adjacency(space: FESpace) -> ops.Adjacency:
    """Pairs of different dofs that share a cell: the pattern of the mass matrix without its diagonal."""
    pattern = space.pattern().adjacency
    rows, columns = pattern.receivers, pattern.index
    keep = rows != columns
    return ops.Adjacency.from_edges(columns[keep], rows[keep], space.n_dofs, space.n_dofs)


def dof_entities(space: FESpace) -> Int64[Tensor, " n_dofs"]:
    """What each dof belongs to: 0 point, 1 edge (in space), 2 facet, 3 cell."""
    made = torch.full((space.n_dofs,), 3, dtype=torch.int64)
    numbering = space.numbering
    for code, held in enumerate((numbering.nodal_dofs, numbering.edge_dofs, numbering.facet_dofs)):
        made[torch.from_numpy(np.asarray(held, np.int64).reshape(-1))] = code
    return made.to(space.device)


def dof_directions(space: FESpace) -> Float[Tensor, "n_dofs dim"] | None:
    """Unit vector along which each dof counts: normals of facets for RT and BDM spaces, tangents of edges for Nédélec
    spaces, 0 for dofs of cells; None for spaces whose dofs have no direction."""
    made = torch.zeros(space.n_dofs, space.dim, dtype=space.dtype, device=space.device)
    directed = False
    n_cells = len(space.element_dofs)
    for k in range(len(space.blocks)):
        signs = space.local_signs(k)
        if signs is None:
            continue
        directed = True
        vectors = _local(space, k)  # (functions, cells, dim)
        dofs, first = owners(space, k)
        i, cell = torch.div(first, n_cells, rounding_mode="floor"), first % n_cells
        made = made.index_copy(0, dofs, vectors[i, cell] * signs[i, cell][:, None])
    return made if directed else None


def _local(space: FESpace, k: int) -> Tensor:
    """(n_functions, n_cells, dim) unit vectors along which the functions count on the cells, without signs."""
    block, refdom = space.blocks[k], space.element.refdom
    element = block.element
    entities = tangents(refdom, 2) if block.family == "hcurl" and space.dim == 3 else normals(block.family, refdom, 2)
    count = int(element.edge_dofs if block.family == "hcurl" and space.dim == 3 else element.facet_dofs)
    wanted, middles = [], []
    for j, (places, weights, direction) in enumerate(entities):
        traces = block.tables(places, torch.float64)["value"].numpy()[j * count : (j + 1) * count] @ direction
        turn = np.where(traces @ weights < -1e-12, -1.0, 1.0)  # scikit-fem's functions do not all point outwards
        wanted.append(turn[:, None] * direction)
        middles += [(places @ weights) / weights.sum()] * count
    maps = space.geometry.at(np.stack(middles, axis=1))
    matrix = maps.jacobian if block.family == "hcurl" else maps.inverse.transpose(0, 1)
    matrix = matrix.expand(*matrix.shape[:3], len(middles))
    vectors = torch.einsum("dkci,ik->icd", matrix, torch.from_numpy(np.concatenate(wanted)).to(matrix))
    vectors = (vectors / vectors.norm(dim=-1, keepdim=True)).repeat_interleave(block.components or 1, dim=0)
    rest = block.n_functions * (block.components or 1) - len(vectors)
    return torch.cat([vectors, vectors.new_zeros(rest, *vectors.shape[1:])])
