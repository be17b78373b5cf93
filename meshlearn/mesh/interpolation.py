"""Fields from one mesh to the points of another, as one sparse matrix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from meshlearn.errors import FieldError, MeshError, ParameterError
from meshlearn.mesh.checks import of_mesh
from meshlearn.mesh.location import CLOUD, INSIDE, OUTSIDE, Location, PointLocator
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.reference import reference_cell
from meshlearn.ops import SparseOperator, knn

OUTSIDE_RULES = ("clamp", "nearest", "nan", "error")


def interpolation_operator(
    source: Mesh | PointLocator,
    points: Float[Tensor, "n dim"],
    outside: str = "clamp",
    neighbors: int = 8,
) -> tuple[SparseOperator, Int8[Tensor, " n"]]:
    """The matrix A (n, n_points of the source) with field_at_points = A @ field, and a status for every point.

    source     a mesh, or a `PointLocator` of one to use it again
    points     (n, dim) where values are wanted
    outside    points outside the mesh get the value at the closest point of the mesh ("clamp"), the value of the
               closest node ("nearest"), NaN ("nan": rows of A whose entries are NaN), or raise MeshError ("error")
    neighbors  for a source without cells (a point cloud): the number of nearest points, weighted by the inverse square
               of their distances (D. Shepard, "A two-dimensional interpolation function for irregularly-spaced data",
               1968); exact at the points, constant fields are reproduced, linear ones are not. 1 is the nearest point.

    Inside, rows are the shape functions of the cell: exact for linear fields, and on second-order cells for their
    whole space. Values of A have the dtype of the source's points. The status (n,) int8 is 0 inside, 1 outside, 2 for a
    point cloud, where inside means nothing. Surfaces: 0 for points on it, 1 for points off it; "clamp" projects.

    Raises ParameterError for unknown rules, MeshError for points that are not finite.

    >>> mesh = ml.shapes.square(n=4)
    >>> A, status = ml.interpolation_operator(mesh, torch.tensor([[0.3, 0.6], [1.2, 0.5]]))
    >>> A @ (mesh.points[:, 0] + 2 * mesh.points[:, 1]), status
    (tensor([1.5000, 2.0000]), tensor([0, 1], dtype=torch.int8))
    """
    matrix, status, _ = _operator(source, points, outside, neighbors)
    return matrix, status


def _operator(
    source: Mesh | PointLocator, points: Tensor, outside: str, neighbors: int
) -> tuple[SparseOperator, Tensor, Tensor | None]:
    """`interpolation_operator`, and the distances of the points from a source with cells."""
    if outside not in OUTSIDE_RULES:
        raise ParameterError(f"outside={outside!r}: expected one of {', '.join(map(repr, OUTSIDE_RULES))}.")
    mesh = source.mesh if isinstance(source, PointLocator) else source
    if not mesh.n_points:
        raise MeshError("the source mesh has no points, so there is nothing to interpolate.")
    if not mesh.domain_types:
        return *_cloud_operator(mesh, points, neighbors), None
    locator = source if isinstance(source, PointLocator) else PointLocator(source)
    where = locator.locate(points)
    out = where.status != INSIDE
    if outside == "error" and bool(out.any()):
        row = int(out.nonzero()[0])
        raise MeshError(
            f"{int(out.sum())} of {len(points)} points lie outside the source mesh, the first is number {row} at "
            f"{points[row].tolist()}, {float(where.distance[row]):.3g} away.\n"
            "  choose outside='clamp', 'nearest' or 'nan'."
        )
    ptr, index, values = _shape_rows(mesh, where)
    if outside == "nan":
        values = torch.where(out.repeat_interleave(ptr.diff()), torch.nan, values)
    elif outside == "nearest" and bool(out.any()):
        ptr, index, values = _nearest_rows(mesh, points, out, ptr, index, values)
    return SparseOperator(ptr, index, values, mesh.n_points), where.status, where.distance


def interpolate(
    source: Mesh | PointLocator,
    target: Mesh,
    names: str | Sequence[str] | None = None,
    outside: str = "clamp",
    neighbors: int = 8,
    status: str | None = None,
) -> Mesh:
    """`target` with the fields of `source`: point data at its points, cell data at the centres of its cells.

    names      fields to carry over; all point and cell data if None. A name that exists as both carries both. Global
               data describe a whole mesh: they are copied if they are named here, and else listed in `report`
    outside    as in `interpolation_operator`; "nan" cannot hold in integer and boolean fields, and raises FieldError.
               How many points lie outside, and how far, is said in `report`
    neighbors  as there, for sources that are point clouds
    status     name of a point field (n,) int8 to store the status under; not stored if None

    Floating-point and complex point data are interpolated by the cells' shape functions (and are differentiable in the
    source's values); integer and boolean ones take the value of the closest source point. Cell data take the value of
    the cell that contains the centre. A cell field that cannot be carried (a type without values, a source or target
    without cells of its own, such as a point cloud) is left out and named in `report`; asked for by name, it is an
    error.
    Fields of the target with the same names are replaced, others stay. Dtypes of the source are kept.

    Raises FieldError for names that the source does not have, or that cannot be carried, and for source values that
    are not finite, MeshError for a target that is no mesh.

    >>> fine, coarse = ml.shapes.square(n=8), ml.shapes.square(n=3, cells="quad")
    >>> fine = fine.with_point_data(height=fine.points.sum(1))
    >>> carried = ml.interpolate(fine, coarse, outside="error")
    >>> torch.allclose(carried.point_data["height"], coarse.points.sum(1))
    True
    """
    mesh = source.mesh if isinstance(source, PointLocator) else source
    if not isinstance(target, Mesh):
        raise MeshError(
            f"the target must be a Mesh, got {type(target).__name__}.\n"
            "  for points alone: ml.interpolation_operator(source, points), or the target ml.Mesh(points)."
        )
    chosen = _names(mesh, [names] if isinstance(names, str) else names)
    for name in chosen:
        _check_finite(mesh, name)
    if mesh.domain_types and not isinstance(source, PointLocator):
        source = PointLocator(mesh)
    point_names = [name for name in chosen if name in mesh.point_data]
    matrix, state, distance = _operator(source, target.points, outside, neighbors)
    fields: dict[str, Tensor] = {}
    nearest: Tensor | None = None
    for name in point_names:
        values = mesh.point_data[name]
        if values.is_floating_point():
            fields[name] = matrix.to(values.dtype) @ values
            continue
        if values.is_complex():
            parts = torch.view_as_real(values)
            fields[name] = torch.view_as_complex((matrix.to(parts.dtype) @ parts).contiguous())
            continue
        if outside == "nan" and bool((state == 1).any()):
            raise FieldError(
                f"point_data[{name!r}] is {values.dtype}, which has no NaN for points outside: use another rule."
            )
        if nearest is None:
            nearest = knn(mesh.points.detach().double(), target.points.detach().double(), 1)[1][:, 0]
        fields[name] = values.index_select(0, nearest)
    if status is not None:
        fields[status] = state
    result = target.with_point_data(**fields)
    if kept := {name: mesh.global_data[name] for name in chosen if name in mesh.global_data and names is not None}:
        result = result.with_global_data(**kept)
    cell_names, report = [], [*target.report, *_outside_said(state, distance, outside)]
    if names is None and mesh.global_data:
        report.append(f"global data of the source were not carried over: {', '.join(mesh.global_data)}")
    for name in chosen:
        obstacle = _obstacle(mesh, target, name) if name in mesh.cell_data else None
        if name in mesh.cell_data and obstacle is None:
            cell_names.append(name)
        elif obstacle is not None:
            if names is not None and name not in mesh.point_data and name not in mesh.global_data:
                raise FieldError(f"cell_data[{name!r}] cannot be interpolated: {obstacle}.")
            report.append(f"cell_data[{name!r}] was not interpolated: {obstacle}")
    if isinstance(source, PointLocator) and cell_names:
        result = _with_cell_fields(source, result, cell_names, outside)
    return result.replace(report=report)


def _names(mesh: Mesh, names: Sequence[str] | None) -> list[str]:
    available = list(dict.fromkeys([*mesh.point_data, *mesh.cell_data]))
    if names is None:
        return available
    missing = [name for name in names if name not in available and name not in mesh.global_data]
    if missing:
        raise FieldError(
            f"the source{of_mesh(mesh.source)} has no field {missing[0]!r} to interpolate.\n"
            f"  point data: {list(mesh.point_data)}; cell data: {list(mesh.cell_data)}; global data: "
            f"{list(mesh.global_data)}."
        )
    return list(names)


_TAKEN = {
    "clamp": "they have the values of the closest points of the source",
    "nearest": "they have the values of the closest nodes of the source",
    "nan": "they have NaN",
}


def _outside_said(state: Tensor, distance: Tensor | None, outside: str) -> list[str]:
    """How many target points have no value of their own, for the report."""
    out = state == OUTSIDE
    if distance is None or not bool(out.any()):
        return []
    count, farthest = int(out.sum()), float(distance[out].max())
    return [
        f"{count} of {len(state)} target points lie outside the source, up to {farthest:.3g} away: {_TAKEN[outside]}"
    ]


def _check_finite(mesh: Mesh, name: str) -> None:
    parts = [mesh.point_data[name]] if name in mesh.point_data else []
    parts += list(mesh.cell_data.get(name, {}).values())
    for values in parts:
        if values.is_floating_point() and not bool(torch.isfinite(values).all()):
            count = int((~torch.isfinite(values)).sum())
            raise FieldError(
                f"field {name!r} of the source{of_mesh(mesh.source)} has {count} values that are not finite; they "
                "would spread to the target.\n  repair them, or leave the field out with names=[...]."
            )


def _shape_rows(mesh: Mesh, where: Location) -> tuple[Tensor, Tensor, Tensor]:
    """Compressed rows of shape functions."""
    n, device = len(where.cell), mesh.device
    kinds = mesh.domain_types
    cells = [reference_cell(kind) for kind in kinds]
    bounds = torch.tensor([0, *(len(mesh.cells[kind]) for kind in kinds)], device=device).cumsum(0)
    if len(kinds) == 1:
        index = mesh.cells[kinds[0]].index_select(0, where.cell).reshape(-1)
        values = cells[0].shape(where.local).reshape(-1)
        return torch.arange(n + 1, device=device) * cells[0].n_nodes, index, values
    kind_of = torch.searchsorted(bounds[1:], where.cell, right=True)
    sizes = torch.tensor([cell.n_nodes for cell in cells], device=device).index_select(0, kind_of)
    ptr = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
    index = torch.empty(int(ptr[-1]), dtype=torch.int64, device=device)
    values = torch.empty(int(ptr[-1]), dtype=mesh.dtype, device=device)
    for number, (kind, cell) in enumerate(zip(kinds, cells, strict=True)):
        mine = (kind_of == number).nonzero().squeeze(1)
        slots = ptr.index_select(0, mine)[:, None] + torch.arange(cell.n_nodes, device=device)
        index[slots] = mesh.cells[kind].index_select(0, where.cell.index_select(0, mine) - bounds[number])
        values[slots] = cell.shape(where.local.index_select(0, mine))
    return ptr, index, values


def _nearest_rows(
    mesh: Mesh, points: Tensor, out: Tensor, ptr: Tensor, index: Tensor, values: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of the points outside replaced by one entry each, the closest node of the domain."""
    used = torch.unique(torch.cat([mesh.cells[kind].reshape(-1) for kind in mesh.domain_types]))
    rows = out.nonzero().squeeze(1)
    outer = points.detach().to(mesh.device).index_select(0, rows).double()
    closest = used.index_select(0, knn(mesh.points.detach().index_select(0, used).double(), outer, 1)[1][:, 0])
    keep = ~out.repeat_interleave(ptr.diff())
    sizes = torch.where(out, 1, ptr.diff())
    new_ptr = torch.cat([ptr.new_zeros(1), sizes.cumsum(0)])
    new_index = index.new_empty(int(new_ptr[-1]))
    new_values = values.new_ones(int(new_ptr[-1]))
    single = torch.zeros(len(new_index), dtype=torch.bool, device=index.device)
    single[new_ptr.index_select(0, rows)] = True
    new_index[~single], new_values[~single] = index[keep], values[keep]
    new_index[single] = closest
    return new_ptr, new_index, new_values


def _cloud_operator(mesh: Mesh, points: Tensor, neighbors: int) -> tuple[SparseOperator, Tensor]:
    if neighbors < 1:
        raise ParameterError(f"neighbors={neighbors}: expected 1 or more.")
    if not bool(torch.isfinite(points).all()):
        raise MeshError("some target points are not finite.")
    k = min(neighbors, mesh.n_points)
    targets = points.detach().to(mesh.device).double()
    distance, index = knn(mesh.points.detach().double(), targets, k)
    # relative to the nearest one, so that a point at no distance takes all the weight and nothing overflows
    scale = distance[:, :1]
    weight = torch.where(scale > 0, (scale / distance.clamp_min(1e-300)).square(), (distance == 0).double())
    weight = weight / weight.sum(1, keepdim=True)
    ptr = torch.arange(len(points) + 1, device=mesh.device) * k
    values = weight.reshape(-1).to(mesh.dtype)
    status = torch.full((len(points),), CLOUD, dtype=torch.int8, device=mesh.device)
    return SparseOperator(ptr, index.reshape(-1), values, mesh.n_points), status


def _obstacle(mesh: Mesh, target: Mesh, name: str) -> str | None:
    """Why a cell field of the source cannot be carried to the target, or None."""
    if not mesh.domain_types:
        return f"the source has no cells that contain points (cells {mesh.cell_counts})"
    if not target.domain_types:
        return f"the target has no cells of its own (cells {target.cell_counts})"
    missing = [kind for kind in mesh.domain_types if kind not in mesh.cell_data[name]]
    return f"it has no values on the {', '.join(missing)} cells of the source" if missing else None


def _with_cell_fields(source: PointLocator, target: Mesh, names: list[str], outside: str) -> Mesh:
    mesh, where = source.mesh, source.locate(target.join_cells(target.cell_centroids()))
    out = where.status != INSIDE
    if outside == "error" and bool(out.any()):
        raise MeshError(
            f"the centres of {int(out.sum())} of {target.n_cells} target cells lie outside the source mesh."
        )
    fields = {}
    for name in names:
        values = mesh.join_cells(mesh.cell_data[name]).index_select(0, where.cell)
        if outside == "nan" and bool(out.any()):
            if not values.is_floating_point():
                raise FieldError(f"cell_data[{name!r}] is {values.dtype}, which has no NaN for cells outside.")
            values = torch.where(out.reshape(-1, *[1] * (values.dim() - 1)), torch.nan, values)
        fields[name] = values
    return target.with_cell_data(**fields)


__all__: list[str] = ["interpolate", "interpolation_operator"]
