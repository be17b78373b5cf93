"""Everything about a mesh that depends on its cells only: edges, facets, boundary, adjacency, components."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from meshlearn.errors import TopologyError
from meshlearn.mesh.cells import CELL_TYPES, cell_dim, cell_type
from meshlearn.mesh.checks import of_mesh
from meshlearn.mesh.components import connected_components
from meshlearn.mesh.facets import FacetBlock, unique_facets
from meshlearn.mesh.lone import lone_facets
from meshlearn.mesh.unique import sorted_unique
from meshlearn.ops import Adjacency


class Topology:
    """Connectivity of the domain (the cells of the highest dimension), computed on demand and kept.

    Point numbers are the mesh's; cell numbers are global: type after type in the order of the dictionary. All
    results live on the mesh's device. Operations raise TopologyError for cells without a row in the cell table.

    >>> ml.shapes.square(n=1).topology.edges.tolist()
    [[0, 1], [0, 2], [0, 3], [1, 3], [2, 3]]
    """

    def __init__(
        self,
        cells: Mapping[str, Int64[Tensor, "_n _k"]],
        n_points: int,
        device: torch.device,
        source: str | None = None,
    ) -> None:
        self.cells, self.n_points, self.device, self.source = cells, n_points, device, source
        self.dim = max([0, *(cell_dim(kind) for kind, nodes in cells.items() if len(nodes))])
        self.kinds = [k for k, nodes in cells.items() if self.dim and len(nodes) and cell_dim(k) == self.dim]

    # -- cells and edges -----------------------------------------------------------------------------------------

    @cached_property
    def n_cells(self) -> int:
        """Number of cells of the domain."""
        return sum(len(self.cells[kind]) for kind in self.kinds)

    @cached_property
    def edges(self) -> Int64[Tensor, "n_edges 2"]:
        """(n_edges, 2) int64: each edge of the domain's cells once, as ascending corner numbers, in ascending order.

        A collapsed cell that names a point twice has no edge there.
        """
        pairs = []
        for kind in self.kinds:
            columns = self.cells[kind].unbind(1)
            pairs += [(columns[a], columns[b]) for a, b in cell_type(kind).edges]
        return self._unique_pairs(pairs)

    def _unique_pairs(self, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
        if not pairs:
            return torch.zeros(0, 2, dtype=torch.int64, device=self.device)
        keys = torch.cat([torch.minimum(a, b) * self.n_points + torch.maximum(a, b) for a, b in pairs])
        keys = sorted_unique(keys)
        low = keys // self.n_points
        high = keys - low * self.n_points
        proper = (low != high).nonzero().squeeze(1)  # a collapsed cell may join a point to itself
        if len(proper) < len(keys):
            low, high = low.index_select(0, proper), high.index_select(0, proper)
        return torch.stack([low, high], 1)

    @property
    def _connecting_kinds(self) -> list[str]:
        """Cells that join points: the domain, and lower-dimensional ones as far as the cell table has them."""
        return [k for k in self.cells if k in self.kinds or (k in CELL_TYPES and cell_dim(k))]

    @cached_property
    def point_adjacency(self) -> Adjacency:
        """The symmetric message-passing graph: points joined by an edge of any cell, through mid-side nodes.

        Lower-dimensional cells (trusses, shells on a solid) count too, as far as the cell table has them. Rows
        ascend, no self-loops.
        Raises TopologyError for a point cloud, which has no edges of its own.
        """
        pairs = []
        for kind in self._connecting_kinds:
            if len(self.cells[kind]):
                columns = self.cells[kind].unbind(1)
                pairs += [(columns[a], columns[b]) for a, b in cell_type(kind).links]
        if not pairs:
            raise TopologyError(
                f"a point cloud ({self.n_points} points, no cells) has no edges{of_mesh(self.source)}.\n"
                "  build a graph from distances: ml.ops.knn(...) or ml.ops.radius_neighbors(...)."
            )
        a, b = self._unique_pairs(pairs).unbind(1)
        return Adjacency.from_edges(torch.cat([a, b]), torch.cat([b, a]), self.n_points)

    @cached_property
    def point_cells(self) -> Adjacency:
        """Cells around each point: rows are points, entries global cell numbers, ascending."""
        points, cells, offset = [], [], 0
        for kind in self.kinds:
            cell_type(kind)
            nodes = self.cells[kind]
            number = torch.arange(offset, offset + len(nodes), device=self.device)
            points.append(nodes.reshape(-1))
            cells.append(number.repeat_interleave(nodes.shape[1]))
            offset += len(nodes)
        empty = torch.zeros(0, dtype=torch.int64, device=self.device)
        return Adjacency.from_edges(torch.cat([empty, *cells]), torch.cat([empty, *points]), self.n_points, offset)

    # -- facets and the boundary ---------------------------------------------------------------------------------

    @cached_property
    def facets(self) -> dict[str, FacetBlock]:
        """{facet type: FacetBlock}: every facet once (points of lines, sides of faces, faces of solids)."""
        return unique_facets(self.cells, self.kinds, self.n_points)

    @cached_property
    def boundary_facets(self) -> dict[str, Int64[Tensor, "_n _k"]]:
        """{facet type: (n, k) int64}: facets of one cell only, outward where that cell is positively oriented."""
        if "facets" in self.__dict__ or self.device.type != "cpu":
            blocks = {facet: block.nodes.index_select(0, block.boundary) for facet, block in self.facets.items()}
        else:
            blocks = lone_facets(self.cells, self.kinds, self.n_points)
        return {facet: nodes for facet, nodes in blocks.items() if len(nodes)}

    @cached_property
    def is_boundary(self) -> Bool[Tensor, " {self.n_points}"]:
        """(n_points,) bool: points on a boundary facet. Nowhere true on a closed surface or a point cloud."""
        mask = torch.zeros(self.n_points, dtype=torch.bool, device=self.device)
        for nodes in self.boundary_facets.values():
            mask[nodes.reshape(-1)] = True
        return mask

    @cached_property
    def boundary_points(self) -> Int64[Tensor, " k"]:
        """(k,) int64, ascending: points on a boundary facet."""
        return self.is_boundary.nonzero().squeeze(1)

    @cached_property
    def boundary_loops(self) -> list[Int64[Tensor, " _"]]:
        """Closed loops of the boundary of a planar mesh or surface; see `meshlearn.mesh.boundary.boundary_loops`."""
        from meshlearn.mesh.boundary import boundary_loops

        return boundary_loops(self)

    @cached_property
    def cell_adjacency(self) -> Adjacency:
        """Cells that share a facet: symmetric, rows and entries are global cell numbers."""
        pairs = [block.cells[block.count == 2] for block in self.facets.values()]
        both = torch.cat(pairs) if pairs else torch.zeros(0, 2, dtype=torch.int64, device=self.device)
        a, b = both.unbind(1)
        return Adjacency.from_edges(torch.cat([a, b]), torch.cat([b, a]), self.n_cells)

    # -- components and invariants -------------------------------------------------------------------------------

    @cached_property
    def components(self) -> Int64[Tensor, " {self.n_points}"]:
        """(n_points,) int64: number of the connected component of each point, by lowest point number.

        Points without a cell are components of their own. Computed on the CPU by scipy.
        """
        if self.dim == 0:
            return torch.arange(self.n_points, device=self.device)
        graph = self.point_adjacency
        return connected_components(graph.receivers, graph.index, self.n_points)[1]

    @cached_property
    def n_components(self) -> int:
        """Number of connected components among the points that belong to a cell."""
        used = self.is_used
        return int(torch.unique(self.components[used]).numel())

    @cached_property
    def is_used(self) -> Bool[Tensor, " {self.n_points}"]:
        """(n_points,) bool: points that belong to a cell of dimension 1 or more."""
        mask = torch.zeros(self.n_points, dtype=torch.bool, device=self.device)
        for kind in self._connecting_kinds:
            cell_type(kind)
            mask[self.cells[kind].reshape(-1)] = True
        return mask

    @cached_property
    def euler_characteristic(self) -> int:
        """Points - edges + faces - cells of the domain, corners only: 2 for a sphere, 1 for a disc or a ball."""
        corner = torch.zeros(self.n_points, dtype=torch.bool, device=self.device)
        for kind in self.kinds:
            corner[self.cells[kind][:, : cell_type(kind).corners].reshape(-1)] = True
        total = int(corner.sum()) - len(self.edges)
        if self.dim == 2:
            total += self.n_cells
        elif self.dim == 3:
            total += sum(len(block) for block in self.facets.values()) - self.n_cells
        elif self.dim == 1:
            total = int(corner.sum()) - self.n_cells
        return total

    @cached_property
    def is_manifold(self) -> bool:
        """True if no facet belongs to more than two cells and the cells around each point form one fan.

        The second condition is tested for planar meshes and surfaces, where two sheets may touch in a point.
        """
        if any(bool((block.count > 2).any()) for block in self.facets.values()):
            return False
        return self.dim != 2 or self._fans_are_single()

    def _fans_are_single(self) -> bool:
        """Cells around a point: (cells - interior edges) is 0 for a closed fan, 1 for an open one, more for several."""
        corners = [self.cells[kind][:, : cell_type(kind).corners].reshape(-1) for kind in self.kinds]
        around = torch.bincount(torch.cat(corners), minlength=self.n_points)
        inside = [block.nodes[block.count == 2][:, :2].reshape(-1) for block in self.facets.values()]
        joined = torch.bincount(torch.cat(inside), minlength=self.n_points)
        rim = self.is_boundary
        # Several closed fans at one point also give 0: they are told apart by counting components of the link.
        if not bool(((around - joined)[around > 0] == rim[around > 0].to(torch.int64)).all()):
            return False
        return self._closed_fans_are_single(around)

    def _closed_fans_are_single(self, around: Tensor) -> bool:
        """Join (cell, corner) pairs across interior edges; a manifold has one component per point."""
        corner_of, cell_of, offset = [], [], 0
        for kind in self.kinds:
            nodes = self.cells[kind][:, : cell_type(kind).corners]
            corner_of.append(nodes.reshape(-1))
            number = torch.arange(offset, offset + len(nodes), device=self.device)
            cell_of.append(number.repeat_interleave(nodes.shape[1]))
            offset += len(nodes)
        keys = torch.cat(cell_of) * self.n_points + torch.cat(corner_of)
        keys = keys.sort().values
        left, right = [], []
        for block in self.facets.values():
            pair = block.count == 2
            for end in (0, 1):
                node = block.nodes[pair][:, end]
                left.append(torch.searchsorted(keys, block.cells[pair][:, 0] * self.n_points + node))
                right.append(torch.searchsorted(keys, block.cells[pair][:, 1] * self.n_points + node))
        count, _ = connected_components(torch.cat(left), torch.cat(right), len(keys))
        return count == int((around > 0).sum())

    @cached_property
    def is_closed(self) -> bool:
        """True if the domain has facets and each belongs to exactly two cells."""
        return bool(self.facets) and all(bool((block.count == 2).all()) for block in self.facets.values())

    @cached_property
    def is_oriented(self) -> bool:
        """True if neighbouring cells list their common facet in opposite directions.

        For solids and planar meshes this is consistency, not sign: see `meshlearn.mesh.quality` for inverted cells.
        """
        from meshlearn.mesh.orientation import facet_agreement

        return all(bool((agree > 0).all()) for _, _, agree in facet_agreement(self))
