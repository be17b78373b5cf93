"""Consistent orientation: finding cells that disagree with their neighbours, and turning them round."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Int64
from torch import Tensor

from meshlearn.errors import TopologyError
from meshlearn.mesh.cells import CELL_TYPES, cell_type
from meshlearn.mesh.checks import of_mesh
from meshlearn.mesh.components import connected_components
from meshlearn.mesh.facets import FacetBlock
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.topology import Topology


def facet_agreement(
    topology: Topology,
) -> Iterator[tuple[Int64[Tensor, " _m"], Int64[Tensor, " _m"], Int64[Tensor, " _m"]]]:
    """For each facet type: (first cell, second cell, agreement) of the facets between exactly two cells.

    agreement is +1 where the cells list the facet in opposite directions, as consistently oriented cells do, else -1.
    """
    for facet, block in topology.facets.items():
        rows = (block.count == 2).nonzero().squeeze(1)
        first, second = block.cells.index_select(0, rows).unbind(1)
        if facet == "vertex":
            here, there = block.local.index_select(0, rows).unbind(1)
            agree = here != there  # a line ends where the next one begins
        else:
            here = _direction(block.nodes.index_select(0, rows)[:, : CELL_TYPES[facet].corners])
            there = _direction(_second_view(topology, facet, block, rows))
            agree = here != there
        yield first, second, torch.where(agree, 1, -1)


def _direction(corners: Tensor) -> Tensor:
    """True where the loop runs on from its smallest corner to the smaller of that corner's two neighbours."""
    n = corners.shape[1]
    if n == 2:
        return corners[:, 0] < corners[:, 1]
    start = corners.argmin(1, keepdim=True)
    return corners.gather(1, (start + 1) % n).lt(corners.gather(1, (start - 1) % n)).squeeze(1)


def _second_view(topology: Topology, facet: str, block: FacetBlock, rows: Tensor) -> Tensor:
    """(len(rows), corners): the facets' corners as their second cell lists them."""
    n_corners = CELL_TYPES[facet].corners
    view = torch.zeros(len(rows), n_corners, dtype=torch.int64, device=rows.device)
    cell, local = block.cells.index_select(0, rows)[:, 1], block.local.index_select(0, rows)[:, 1]
    offset = 0
    for kind in topology.kinds:
        nodes = topology.cells[kind]
        here = (cell >= offset) & (cell < offset + len(nodes))
        for number, (name, members) in enumerate(cell_type(kind).facets):
            if name != facet:
                continue
            chosen = (here & (local == number)).nonzero().squeeze(1)
            own = nodes.index_select(0, cell.index_select(0, chosen) - offset)
            view[chosen] = own[:, list(members[:n_corners])]
        offset += len(nodes)
    return view


def oriented(mesh: Mesh) -> Mesh:
    """A copy whose cells are consistently oriented.

    Solids in 3-D, planar meshes in 2-D and lines in 1-D: cells of negative measure are mirrored. Surfaces and curves
    in a higher-dimensional space: neighbours are made to agree, turning as few cells as possible, and closed surfaces
    are turned outward (positive enclosed volume). Cells of zero measure stay as they are; row numbers do not change.

    Raises TopologyError for a surface that cannot be oriented (a Möbius strip).

    >>> clockwise = ml.Mesh([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], {"triangle": [[0, 2, 1]]})
    >>> clockwise.oriented().cells["triangle"]
    tensor([[0, 1, 2]])
    """
    turn = _negative_cells(mesh) if mesh.cell_dim == mesh.dim else _disagreeing_cells(mesh)
    if not bool(turn.any()):
        return mesh
    cells, flags = dict(mesh.cells), mesh.split_cells(turn)
    for kind, flag in flags.items():
        nodes = cells[kind]
        cells[kind] = torch.where(flag[:, None], nodes[:, list(cell_type(kind).flip)], nodes)
    return mesh._replaced(cells=cells)


def _negative_cells(mesh: Mesh) -> Tensor:
    from meshlearn.mesh.geometry import signed_cell_measures

    return mesh.join_cells(signed_cell_measures(mesh.detach())) < 0


def _disagreeing_cells(mesh: Mesh) -> Tensor:
    """(n_cells,) bool: cells to turn round so that all neighbours agree.

    Every cell has two states, as it is and turned; facets join states that agree. The components of this double
    cover give the consistent choices: a cell found in both states of one component cannot be oriented.
    """
    topology, n = mesh.topology, mesh.n_cells
    left, right = [], []
    for first, second, agree in facet_agreement(topology):
        crossed = (agree < 0).to(torch.int64)
        left += [first, first + n]
        right += [second + crossed * n, second + (1 - crossed) * n]
    empty = torch.zeros(0, dtype=torch.int64, device=mesh.device)
    _, label = connected_components(torch.cat([empty, *left]), torch.cat([empty, *right]), 2 * n)
    kept, turned = label[:n], label[n:]
    if bool((kept == turned).any()):
        raise TopologyError(
            "the surface cannot be oriented: it is one-sided like a Möbius strip, e.g. at cell "
            f"{int((kept == turned).nonzero()[0])}{of_mesh(mesh.source)}.\n"
            "  cut it along a line, or use it without normals."
        )
    sheet = torch.minimum(kept, turned)  # one number per connected sheet
    turn = kept > turned
    weight = torch.zeros(2 * n, dtype=torch.int64, device=mesh.device)
    weight.index_add_(0, sheet, torch.where(turn, 1, -1))
    turn = turn ^ (weight.index_select(0, sheet) > 0)  # the choice that turns fewer cells
    return turn ^ _inward(mesh, sheet, turn) if mesh.dim == 3 and mesh.cell_dim == 2 else turn


def _inward(mesh: Mesh, sheet: Tensor, turn: Tensor) -> Tensor:
    """(n_cells,) bool: cells of closed sheets that enclose a negative volume."""
    from meshlearn.mesh.geometry import cone_volumes

    n = len(sheet)
    closed = torch.ones(2 * n, dtype=torch.bool, device=mesh.device)
    for block in mesh.topology.facets.values():
        open_cells = block.cells[block.count != 2].reshape(-1)
        closed[sheet.index_select(0, open_cells[open_cells >= 0])] = False
    volume = mesh.join_cells(cone_volumes(mesh.detach())).double() * torch.where(turn, -1.0, 1.0)
    enclosed = torch.zeros(2 * n, dtype=torch.float64, device=mesh.device).index_add_(0, sheet, volume)
    return (closed & (enclosed < 0)).index_select(0, sheet)
