"""The boundary of a mesh: as a mesh of its own, as closed loops, and as facets matched with tags."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from meshlearn.errors import FieldError, TopologyError
from meshlearn.mesh.checks import of_mesh
from meshlearn.mesh.facets import facet_keys
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.topology import Topology


def boundary_mesh(mesh: Mesh) -> Mesh:
    """The boundary facets as a mesh: outward oriented, with the point fields of the parent.

    Only points on the boundary are kept; `point_data["parent_point"]` (int64) and `cell_data["parent_cell"]` (int64,
    global cell numbers) say where they came from. Boundary tags (sets of lower-dimensional cells) are carried over.

    >>> ml.shapes.square(n=2).boundary_mesh().cell_counts
    {'line': 8}
    """
    topology = mesh.oriented().topology if mesh.dim == mesh.cell_dim else mesh.topology
    kept = topology.boundary_points
    number = torch.full((mesh.n_points,), -1, dtype=torch.int64, device=mesh.device)
    number[kept] = torch.arange(len(kept), device=mesh.device)
    cells, parents, sets = {}, {}, {}
    for facet, nodes in topology.boundary_facets.items():
        block = topology.facets[facet]
        cells[facet] = number.index_select(0, nodes.reshape(-1)).reshape(nodes.shape)
        parents[facet] = block.cells.index_select(0, block.boundary)[:, 0]
    for name, per_type in mesh.cell_sets.items():
        rows = {facet: _matching(topology, facet, mesh, per_type) for facet in cells if facet in per_type}
        if any(len(r) for r in rows.values()):
            sets[name] = rows
    point_data = {name: values.index_select(0, kept) for name, values in mesh.point_data.items()}
    return Mesh(
        mesh.points.index_select(0, kept),
        cells,
        point_data={**point_data, "parent_point": kept},
        cell_data={"parent_cell": parents} if parents else {},
        global_data=mesh.global_data,
        cell_sets=sets,
        source=mesh.source,
    )


def _matching(topology: Topology, facet: str, mesh: Mesh, per_type) -> Tensor:
    tagged = mesh.cells[facet].index_select(0, per_type[facet])
    keys, wanted = facet_keys(facet, [topology.boundary_facets[facet], tagged], topology.n_points)
    return torch.isin(keys, wanted).nonzero().squeeze(1)


def tagged_points(mesh: Mesh, name: str) -> Int64[Tensor, " k"]:
    """(k,) int64, ascending: points of the point set or of the cells in the cell set `name`.

    Raises FieldError if there is no such set; the message lists those there are.

    >>> from meshlearn.mesh.boundary import tagged_points
    >>> len(tagged_points(ml.shapes.square(n=4), "left"))
    5
    """
    found = [mesh.point_sets[name]] if name in mesh.point_sets else []
    found += [mesh.cells[kind].index_select(0, rows).reshape(-1) for kind, rows in mesh.cell_sets.get(name, {}).items()]
    if not found:
        names = sorted({*mesh.point_sets, *mesh.cell_sets})
        raise FieldError(
            f"the mesh has no point or cell set named {name!r}{of_mesh(mesh.source)}.\n"
            f"  sets: {', '.join(names) if names else 'none'}"
        )
    points = torch.unique(torch.cat(found))
    return points[points >= 0]


def boundary_loops(topology: Topology) -> list[Int64[Tensor, " _"]]:
    """Boundary of a planar mesh or surface as closed loops of points, the longest (most points) first.

    Each loop is (k,) int64 in the direction of its cells (domain on the left of a positively oriented planar mesh),
    starting at its lowest point, first point not repeated; mid-side nodes are in between. A closed surface has none.

    Raises TopologyError for a mesh that is not two-dimensional, or whose boundary branches at a point.
    """
    if topology.dim != 2:
        raise TopologyError(
            f"boundary loops belong to meshes of two-dimensional cells; the cells here have dimension {topology.dim}."
        )
    starts, stops = [], []
    for nodes in topology.boundary_facets.values():
        path = [nodes[:, 0], nodes[:, 1]] if nodes.shape[1] == 2 else [nodes[:, 0], nodes[:, 2], nodes[:, 1]]
        starts += path[:-1]
        stops += path[1:]
    if not starts:
        return []
    start, stop = torch.cat(starts).cpu().numpy(), torch.cat(stops).cpu().numpy()
    follow = np.full(topology.n_points, -1, dtype=np.int64)
    follow[start] = stop
    if len(np.unique(start)) != len(start) or len(np.unique(stop)) != len(stop):
        raise TopologyError(
            "the boundary branches at a point, or neighbouring cells run in opposite directions"
            f"{of_mesh(topology.source)}.\n  try mesh.oriented() first; `is_manifold` tells whether two sheets touch."
        )
    loops, seen = [], np.zeros(topology.n_points, dtype=bool)
    for first in np.sort(start):
        if seen[first]:
            continue
        loop, point = [], first
        while not seen[point]:
            seen[point] = True
            loop.append(point)
            point = follow[point]
        loops.append(torch.tensor(np.array(loop), dtype=torch.int64, device=topology.device))
    return sorted(loops, key=len, reverse=True)
