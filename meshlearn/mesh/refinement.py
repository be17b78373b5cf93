"""Uniform refinement of first-order meshes, mixed ones included: every edge is halved.

line 2, triangle 4, quad 4, tetra 8, hexahedron 8, wedge 8 children; a pyramid becomes 6 pyramids and 4 tetrahedra.
The octahedron inside a tetrahedron is cut along its shortest diagonal, which keeps the quality from falling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.mesh.elevation import FULL, Projections, project_points, second_order
from meshlearn.mesh.mesh import Mesh

# Children as nodes of the full second-order cell; each has the orientation of its parent.
_TRIANGLE: list[tuple[int, ...]] = [(0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5)]
_TETRA_CORNERS = [(0, 4, 6, 7), (4, 1, 5, 8), (6, 5, 2, 9), (7, 8, 9, 3)]
_TETRA_INNER = {  # by the diagonal of the octahedron
    (4, 9): [(4, 5, 6, 9), (4, 8, 5, 9), (4, 7, 8, 9), (4, 6, 7, 9)],
    (5, 7): [(5, 6, 4, 7), (5, 9, 6, 7), (5, 8, 9, 7), (5, 4, 8, 7)],
    (6, 8): [(6, 4, 5, 8), (6, 5, 9, 8), (6, 9, 7, 8), (6, 7, 4, 8)],
}
_WEDGE_LEVELS = ((0, 1, 2, 6, 7, 8), (12, 13, 14, 15, 16, 17), (3, 4, 5, 9, 10, 11))
_GRID = {  # (x, y, z) in half steps -> node of hexahedron27
    (0, 0, 0): 0, (2, 0, 0): 1, (2, 2, 0): 2, (0, 2, 0): 3, (0, 0, 2): 4, (2, 0, 2): 5, (2, 2, 2): 6, (0, 2, 2): 7,
    (1, 0, 0): 8, (2, 1, 0): 9, (1, 2, 0): 10, (0, 1, 0): 11,
    (1, 0, 2): 12, (2, 1, 2): 13, (1, 2, 2): 14, (0, 1, 2): 15,
    (0, 0, 1): 16, (2, 0, 1): 17, (2, 2, 1): 18, (0, 2, 1): 19,
    (0, 1, 1): 20, (2, 1, 1): 21, (1, 0, 1): 22, (1, 2, 1): 23, (1, 1, 0): 24, (1, 1, 2): 25, (1, 1, 1): 26,
}  # fmt: skip
_CUBE = ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))

CHILDREN: dict[str, list[tuple[str, list[tuple[int, ...]]]]] = {
    "vertex": [("vertex", [(0,)])],
    "line": [("line", [(0, 2), (2, 1)])],
    "triangle": [("triangle", _TRIANGLE)],
    "quad": [("quad", [(0, 4, 8, 7), (4, 1, 5, 8), (8, 5, 2, 6), (7, 8, 6, 3)])],
    "hexahedron": [
        (
            "hexahedron",
            [tuple(_GRID[(x + a, y + b, z + c)] for a, b, c in _CUBE) for z in (0, 1) for y in (0, 1) for x in (0, 1)],
        )
    ],
    "wedge": [
        (
            "wedge",
            [
                (*(low[i] for i in child), *(high[i] for i in child))
                for low, high in (_WEDGE_LEVELS[:2], _WEDGE_LEVELS[1:])
                for child in _TRIANGLE
            ],
        )
    ],
    "pyramid": [
        (
            "pyramid",
            [
                (0, 5, 13, 8, 9),
                (5, 1, 6, 13, 10),
                (13, 6, 2, 7, 11),
                (8, 13, 7, 3, 12),
                (9, 10, 11, 12, 4),
                (9, 12, 11, 10, 13),
            ],
        ),
        ("tetra", [(5, 9, 10, 13), (6, 10, 11, 13), (7, 11, 12, 13), (8, 12, 9, 13)]),
    ],
}


@dataclass(frozen=True)
class Refinement:
    """A mesh refined once: `mesh`, and for each of its cell types the parent's global number (domain cells only)."""

    mesh: Mesh
    parents: dict[str, Int[Tensor, " _"]]


def refine(mesh: Mesh, times: int = 1, project: Projections | None = None) -> Mesh:
    """Halve every edge `times` times; boundary cells, data, sets and tags follow.

    project  as in `meshlearn.mesh.elevation.second_order`: puts new points on curved geometry
    Points keep their numbers, and point sets their points (new points belong to none). Point data are interpolated
    linearly, cell data copied to the children; what cannot be carried over is named in `report`.
    Raises TopologyError for cells that are not of first order, ParameterError for a negative number of times.

    >>> from meshlearn.mesh.refinement import refine
    >>> refine(ml.shapes.square(n=1), times=2).cell_counts
    {'triangle': 32, 'line': 16}
    """
    if times < 0:
        raise ParameterError(f"refine: times is {times}, expected 0 or more.")
    for _ in range(times):
        mesh = refine_once(mesh, project).mesh
    return mesh


def refine_once(mesh: Mesh, project: Projections | None = None) -> Refinement:
    """Halve every edge, and remember each child's parent; see `refine`."""
    middle = second_order(mesh)
    cells: dict[str, list[Tensor]] = {}
    rows: dict[str, list[tuple[str, Tensor]]] = {}  # child type -> [(parent type, row of the parent)]
    for kind in mesh.cells:
        nodes = middle.cells[FULL[kind]]
        for child, table in _children(kind, nodes, middle.points):
            cells.setdefault(child, []).append(table.reshape(-1, table.shape[-1]))
            row = torch.arange(len(nodes), device=mesh.device).repeat_interleave(table.shape[1])
            rows.setdefault(child, []).append((kind, row))
    used = {child: torch.cat(tables) for child, tables in cells.items()}
    cell_data = {name: _child_values(field, rows) for name, field in mesh.cell_data.items()}
    finer = Mesh(
        points=middle.points,
        cells=used,
        point_data=middle.point_data,
        cell_data={name: values for name, values in cell_data.items() if values},
        global_data=mesh.global_data,
        point_sets=mesh.point_sets,
        cell_sets={name: _child_rows(mesh, sets, rows) for name, sets in mesh.cell_sets.items()},
        source=mesh.source,
        report=(*middle.report, *_left_out(mesh, cell_data, rows)),
    )
    if project is not None:
        finer = finer.replace(points=project_points(finer, project, mesh.n_points))
    offset, first = 0, {}
    for kind in mesh.domain_types:
        first[kind], offset = offset, offset + len(mesh.cells[kind])
    parents = {
        child: torch.cat([row + first[kind] for kind, row in parts])
        for child, parts in rows.items()
        if all(kind in first for kind, _ in parts)
    }
    return Refinement(finer, parents)


def _children(kind: str, nodes: Tensor, points: Tensor) -> list[tuple[str, Tensor]]:
    """[(child type, (n, children per cell, nodes per child))]"""
    if kind != "tetra":
        return [(child, nodes[:, torch.tensor(table, device=nodes.device)]) for child, table in CHILDREN[kind]]
    x = points.detach().index_select(0, nodes[:, 4:].reshape(-1)).reshape(len(nodes), 6, -1)
    lengths = torch.stack([(x[:, a - 4] - x[:, b - 4]).square().sum(-1) for a, b in _TETRA_INNER], 1)
    options = torch.tensor(list(_TETRA_INNER.values()), device=nodes.device)  # (3, 4, 4)
    inner = options.index_select(0, lengths.argmin(1)).reshape(len(nodes), -1)
    corners = torch.tensor(_TETRA_CORNERS, device=nodes.device).reshape(1, -1).expand(len(nodes), -1)
    return [("tetra", nodes.gather(1, torch.cat([corners, inner], 1)).reshape(len(nodes), 8, 4))]


def _child_values(field: Mapping[str, Tensor], rows: Mapping[str, list[tuple[str, Tensor]]]) -> dict[str, Tensor]:
    values = {}
    for child, parts in rows.items():
        if all(kind in field for kind, _ in parts):
            values[child] = torch.cat([field[kind].index_select(0, row) for kind, row in parts])
    return values


def _left_out(
    mesh: Mesh, cell_data: Mapping[str, Mapping[str, Tensor]], rows: Mapping[str, list[tuple[str, Tensor]]]
) -> list[str]:
    """What `_child_values` could not carry over: a child type some of whose parents have no value."""
    return [
        f"cell_data[{name!r}] on {child} is left out: its parents of type {kind} have no values"
        for name, values in cell_data.items()
        for child, parts in rows.items()
        if child not in values and any(kind in mesh.cell_data[name] for kind, _ in parts)
        for kind in dict.fromkeys(kind for kind, _ in parts if kind not in mesh.cell_data[name])
    ]


def _child_rows(
    mesh: Mesh, sets: Mapping[str, Tensor], rows: Mapping[str, list[tuple[str, Tensor]]]
) -> dict[str, Tensor]:
    chosen = {}
    for child, parts in rows.items():
        masks = []
        for kind, row in parts:
            mask = torch.zeros(len(mesh.cells[kind]), dtype=torch.bool, device=mesh.device)
            if kind in sets:
                mask[sets[kind]] = True
            masks.append(mask.index_select(0, row))
        if any(kind in sets for kind, _ in parts):
            chosen[child] = torch.cat(masks).nonzero().squeeze(1)
    return chosen
