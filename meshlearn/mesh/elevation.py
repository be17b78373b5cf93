"""First-order cells to second order: mid-side nodes and centres, shared between neighbours, placed on curved walls."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from meshlearn.errors import TopologyError
from meshlearn.mesh.cells import cell_type
from meshlearn.mesh.checks import of_mesh
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.reference import reference_cell
from meshlearn.mesh.unique import group, row_keys, sort_columns
from meshlearn.ops import gather

Projection = Callable[[Tensor], Tensor]
Projections = Projection | Mapping[str, Projection]

FULL = {
    "vertex": "vertex",
    "line": "line3",
    "triangle": "triangle6",
    "quad": "quad9",
    "tetra": "tetra10",
    "pyramid": "pyramid14",
    "wedge": "wedge18",
    "hexahedron": "hexahedron27",
}
SERENDIPITY = {**FULL, "quad": "quad8", "pyramid": "pyramid13", "wedge": "wedge15", "hexahedron": "hexahedron20"}


def second_order(mesh: Mesh, project: Projections | None = None, full: bool = True) -> Mesh:
    """The same mesh with second-order cells; old points keep their numbers, new ones follow.

    project  where new nodes belong on curved geometry: a function (n, dim) -> (n, dim) for every new node (a surface
             such as a sphere), or {cell set: function} for the nodes of these sets (curved parts of a boundary)
    full     True: nodes at the centres of quad faces and hexahedra too (quad9, pyramid14, wedge18, hexahedron27);
             False: the serendipity types (quad8, pyramid13, wedge15, hexahedron20)

    Floating-point point data are interpolated linearly; integer and boolean point data cannot be and are named in
    `report`. Cell data, sets and tags stay. Differentiable in the points.
    Raises TopologyError for cells that are not of first order.

    >>> second_order(ml.shapes.square(n=1, boundary=False)).cell_counts
    {'triangle6': 2}
    """
    types = FULL if full else SERENDIPITY
    for kind, nodes in mesh.cells.items():
        if kind not in types:
            raise TopologyError(
                f"second_order needs first-order cells, this mesh has {len(nodes)} of type {kind!r} "
                f"(cells {mesh.cell_counts}){of_mesh(mesh.source)}."
            )
    cells, parents = _number_new_nodes(mesh, types)
    points = torch.cat([mesh.points, *(_mean(mesh.points, rows) for rows in parents)])
    rename = {kind: types[kind] for kind in mesh.cells}
    point_data, report = _interpolated(mesh, parents)
    finer = Mesh(
        points=points,
        cells=cells,
        point_data=point_data,
        cell_data={name: {rename[k]: v for k, v in field.items()} for name, field in mesh.cell_data.items()},
        global_data=mesh.global_data,
        point_sets=mesh.point_sets,
        cell_sets={name: {rename[k]: v for k, v in sets.items()} for name, sets in mesh.cell_sets.items()},
        source=mesh.source,
        report=(*mesh.report, *report),
    )
    if project is None:
        return finer
    n_edge_nodes = len(parents[0]) if parents and parents[0].shape[1] == 2 else 0
    points = project_points(finer, project, mesh.n_points)
    points = _place_centres(points, cells, mesh.n_points + n_edge_nodes)
    return finer.replace(points=project_points(finer.replace(points=points), project, mesh.n_points))


def project_points(mesh: Mesh, project: Projections, first_new: int = 0) -> Float[Tensor, "n dim"]:
    """Points of the mesh with those numbered `first_new` or more put on the geometry given by `project`."""
    new = torch.arange(first_new, mesh.n_points, device=mesh.device)
    if not isinstance(project, Mapping):
        return torch.cat([mesh.points[:first_new], project(mesh.points[first_new:])]) if len(new) else mesh.points
    points = mesh.points
    for name, function in project.items():
        sets = mesh.cell_sets.get(name, {})
        nodes = [mesh.cells[kind].index_select(0, rows).reshape(-1) for kind, rows in sets.items()]
        if nodes:
            chosen = torch.unique(torch.cat(nodes))
            chosen = chosen[chosen >= first_new]
            if len(chosen):
                points = points.index_copy(0, chosen, function(points.index_select(0, chosen)))
    return points


def _number_new_nodes(mesh: Mesh, types: Mapping[str, str]) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Tables of the elevated cells, and the corner numbers that each new point middles: [(n, 2), (m, 4), (h, 8)]."""
    wanted: dict[int, list[tuple[str, int, Tensor]]] = {}
    for kind, nodes in mesh.cells.items():
        for column, corners in enumerate(cell_type(types[kind]).middles):
            rows = torch.stack([nodes[:, c] for c in corners], 1)
            wanted.setdefault(len(corners), []).append((kind, column, rows))
    columns: dict[str, dict[int, Tensor]] = {kind: {} for kind in mesh.cells}
    parents: list[Tensor] = []
    first = mesh.n_points
    for size in sorted(wanted):
        rows = torch.cat([entry[2] for entry in wanted[size]])
        distinct, number = _unique_rows(rows, mesh.n_points)
        for (kind, column, part), numbers in zip(
            wanted[size], number.split([len(entry[2]) for entry in wanted[size]]), strict=True
        ):
            columns[kind][column] = first + numbers
            assert len(part) == len(numbers)
        parents.append(distinct)
        first += len(distinct)
    cells = {
        types[kind]: torch.cat([nodes, *(columns[kind][i][:, None] for i in range(len(columns[kind])))], 1)
        for kind, nodes in mesh.cells.items()
    }
    return cells, parents


def _unique_rows(rows: Int[Tensor, "n k"], bound: int) -> tuple[Int[Tensor, "m k"], Int[Tensor, " n"]]:
    """Distinct rows (as sets of numbers), and the number of each row's set."""
    if not len(rows):
        return rows, rows.new_zeros(0)
    order, ptr = group(row_keys(sort_columns(rows), max(bound, 1)))
    number = torch.empty(len(rows), dtype=torch.int64, device=rows.device)
    number[order] = torch.repeat_interleave(ptr.diff(), output_size=len(rows))
    return rows.index_select(0, order.index_select(0, ptr[:-1])), number


def _mean(values: Tensor, rows: Tensor) -> Tensor:
    return gather(values, rows).mean(1)


def _interpolated(mesh: Mesh, parents: list[Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    kept, report = {}, []
    for name, values in mesh.point_data.items():
        if values.is_floating_point() or values.is_complex():
            kept[name] = torch.cat([values, *(_mean(values, rows) for rows in parents)])
        else:
            report.append(f"point_data[{name!r}] ({values.dtype}) has no values at new points and was left out")
    return kept, report


def _place_centres(points: Tensor, cells: Mapping[str, Tensor], first: int) -> Tensor:
    """Move centres (nodes `first` and later) to where the serendipity map of the projected outline puts them."""
    for low, high in (
        ("quad8", "quad9"),
        ("pyramid13", "pyramid14"),
        ("wedge15", "wedge18"),
        ("hexahedron20", "hexahedron27"),
    ):
        nodes = cells.get(high)
        if nodes is None or not len(nodes):
            continue
        outline, full = reference_cell(low), reference_cell(high)
        weights = outline.shape(full.nodes[outline.n_nodes :]).to(points)
        outer, centres = nodes[:, : outline.n_nodes], nodes[:, outline.n_nodes :]
        moved = weights @ gather(points, outer)
        points = points.index_copy(0, centres.reshape(-1), moved.reshape(-1, points.shape[1]))
    return points
