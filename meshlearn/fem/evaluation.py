"""Values of finite-element functions at any points of the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import skfem
import torch
from torch import Tensor

from meshlearn.errors import ConvergenceError, FieldError, ParameterError
from meshlearn.fem.arrays import as_tensor
from meshlearn.fem.geometry import Maps, carry
from meshlearn.fem.polynomials import Polynomials

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace

CHUNK = 1 << 17  # points evaluated at a time
OUTSIDE = ("error", "nearest", "nan")


def evaluate(
    space: FESpace,
    dofs: Tensor | np.ndarray,
    points: Tensor | np.ndarray,
    part: str = "value",
    outside: str = "error",
) -> Tensor:
    """Values of a function at points: (n,) or (n, *components), with the batch axis of the dofs in front.

    dofs     (n_dofs,) or (n_batch, n_dofs)
    points   (n, dim)
    part     "value", "grad", "div" or "curl" ("hess" of Argyris, Morley, Hermite and BFS functions)
    outside  what to do with points outside the mesh: "error", "nearest" (the closest point of the mesh), "nan"

    Points are located once (`PointLocator`) and evaluated in chunks, so that memory stays bounded. On a facet, where
    discontinuous functions have two values, either cell may answer. Differentiable in the dofs to any order, in the
    points and the points of the mesh (which move the functions past a fixed place) to any order on affine cells, to the
    third on others; points outside have no gradient in their place. Raises FieldError for points outside.
    """
    if outside not in OUTSIDE:
        raise ParameterError(f"outside={outside!r} is not known; choose one of {list(OUTSIDE)}.")
    if len(space.blocks) > 1:
        raise ParameterError("a composite function is evaluated part by part: make a space of each.")
    dofs = as_tensor("dofs", dofs, space.device)
    if dofs.shape[-1:] != (space.n_dofs,) or dofs.dim() > 2:
        raise FieldError(
            f"dofs have shape {tuple(dofs.shape)}, expected ({space.n_dofs},) or (n_batch, {space.n_dofs})."
        )
    points = torch.as_tensor(points) if isinstance(points, (list, tuple)) else as_tensor("points", points, space.device)
    if points.dim() != 2 or points.shape[1] != space.dim:
        raise FieldError(f"points have shape {tuple(points.shape)}, expected (n, {space.dim}).")
    if part in ("div", "curl") and part not in space.blocks[0].shapes(space.dim):
        return _from_gradient(space, dofs, points, part, outside)
    if part not in space.blocks[0].shapes(space.dim):
        raise ParameterError(
            f"{space} has no {part}: its functions have {', '.join(space.blocks[0].shapes(space.dim))}."
        )
    points = points.to(space.like)
    where = space.locator.locate(points.detach())
    away = where.status == 1
    if outside == "error" and bool(away.any()):
        k = int(torch.nonzero(away)[0])
        raise FieldError(
            f"{int(away.sum())} of {len(points)} points lie outside the mesh, the first, point {k}, by "
            f"{float(where.distance[k]):.3g} at ({', '.join(f'{v:.6g}' for v in points[k].tolist())}).\n"
            "  evaluate(..., outside='nearest') takes the closest point of the mesh, 'nan' gives NaN there."
        )
    nearest = points if not bool(away.any()) else _closest(space, where, points, away)
    batch = dofs.reshape(-1, space.n_dofs).to(space.dtype)
    made = [
        _at(space, batch, where.cell[s : s + CHUNK], nearest[s : s + CHUNK], part) for s in range(0, len(points), CHUNK)
    ]
    shape = space.blocks[0].shapes(space.dim)[part]
    values = torch.cat([batch.new_zeros(len(batch), 0, *shape), *made], dim=1)
    if outside == "nan":
        values = torch.where(away.reshape(1, -1, *[1] * (values.dim() - 2)), torch.nan, values)
    return values[0] if dofs.dim() == 1 else values


def _from_gradient(space: FESpace, dofs: Tensor, points: Tensor, part: str, outside: str) -> Tensor:
    """Divergence and curl of functions whose gradients are known, as the operators of forms have them."""
    shapes = space.blocks[0].shapes(space.dim)
    slope = shapes.get("grad", ())
    square = len(slope) == 2 and slope[0] == slope[1] == space.dim
    if not (square or (part == "curl" and slope == (2,))) or (part == "curl" and space.dim == 1):
        raise ParameterError(f"{space} has no {part}: its functions have {', '.join(shapes)}, of components {slope}.")
    g = evaluate(space, dofs, points, "grad", outside)
    if part == "div":
        return g.diagonal(dim1=-2, dim2=-1).sum(-1)
    if slope == (2,):
        return torch.stack([g[..., 1], -g[..., 0]], -1)
    if space.dim == 2:
        return g[..., 1, 0] - g[..., 0, 1]
    pairs = ((2, 1), (0, 2), (1, 0))
    return torch.stack([g[..., i, j] - g[..., j, i] for i, j in pairs], -1)


def _closest(space: FESpace, where, points: Tensor, away: Tensor) -> Tensor:
    """Points, those outside moved to the closest point of the mesh."""
    from meshlearn.mesh.reference import reference_cell

    cell = reference_cell(space.kind)
    shapes = cell.shape(where.local[away].to(space.dtype))
    corners = space.geometry.points.detach()[space.mesh.cells[space.kind][where.cell[away]]]
    closest = points.detach().clone()
    closest[away] = torch.einsum("na,nad->nd", shapes, corners)
    return torch.where(away[:, None], closest, points)


def reference_coordinates(space: FESpace, cells: Tensor, points: Tensor) -> Tensor:
    """(n, dim) coordinates of points in scikit-fem's reference cells: exact for affine maps, else Newton's method."""
    corners = space.geometry.corners.detach().index_select(2, cells).permute(2, 1, 0)  # (n, nodes, dim)
    shape = space.geometry.shape
    start = np.asarray(space.element.refdom.p, np.float64).mean(1)
    local = torch.from_numpy(start).to(points).expand(len(points), -1).clone()
    size = (corners.amax(1) - corners.amin(1)).norm(dim=1)
    for _ in range(30):
        tables = shape.tables(local.t().cpu().numpy(), points.dtype)
        value, slope = tables["value"][..., 0].to(points.device), tables["grad"].to(points.device)
        miss = points - torch.einsum("an,nad->nd", value, corners)
        if bool((miss.norm(dim=1) <= 1e-13 * size + 1e-300).all()):
            return local
        jacobian = torch.einsum("ank,nad->ndk", slope, corners)
        local = local + torch.linalg.solve(jacobian, miss)
        if space.geometry.affine:
            return local
    if bool((miss.norm(dim=1) <= 1e-8 * size).all()):
        return local
    raise ConvergenceError(
        f"{int((miss.norm(dim=1) > 1e-8 * size).sum())} of {len(points)} points could not be placed in their cells."
    )


def _at(space: FESpace, dofs: Tensor, cells: Tensor, points: Tensor, part: str) -> Tensor:
    """(n_batch, n, *components) in known cells."""
    block = space.blocks[0]
    local = reference_coordinates(space, cells, points.detach())
    moving = torch.is_grad_enabled() and (points.requires_grad or space.geometry.points.requires_grad)
    if moving and block.family == "table":
        raise ParameterError(f"{space} has no gradients in the points: pass points.detach().")
    if moving:
        local = _differentiable(space, cells, points, local)
        return _combined(space, dofs, cells, local, Polynomials(block).at(local, part), part)
    if block.family == "table":
        return _tabulated(space, dofs, cells, local, part)
    table = block.tables(local.t().cpu().numpy(), space.dtype)[part].to(points.device)  # (functions, n, width)
    return _combined(space, dofs, cells, local, table, part)


def _differentiable(space: FESpace, cells: Tensor, points: Tensor, local: Tensor) -> Tensor:
    """The same local coordinates, after Newton steps that know where they come from: each doubles the order up to which
    derivatives are right, and on affine cells one is exact."""
    corners = space.geometry.corners.index_select(2, cells)  # (dim, nodes, n)
    shape = Polynomials(space.geometry.shape)
    for _ in range(1 if space.geometry.affine else 2):
        miss = points - torch.einsum("an,dan->nd", shape.at(local, "value")[..., 0], corners)
        jacobian = torch.einsum("ank,dan->ndk", shape.at(local, "grad"), corners)
        local = local + torch.linalg.solve(jacobian, miss)
    return local


def _combined(space: FESpace, dofs: Tensor, cells: Tensor, local: Tensor, table: Tensor, part: str) -> Tensor:
    block, n = space.blocks[0], len(cells)
    values = space.local_values(dofs, 0, cells)  # (functions, n_components, n, n_batch)
    made = torch.einsum("inw,icnz->zncw", table, values)
    maps = _maps(space, cells, local)
    matrix = carry(block, part, maps)
    if matrix is not None:
        made = torch.einsum("dkn,znck->zncd", matrix[..., 0].expand(*matrix.shape[:2], n), made)
    return made.reshape(len(dofs), n, *block.shapes(space.dim)[part])


def _tabulated(space: FESpace, dofs: Tensor, cells: Tensor, local: Tensor, part: str) -> Tensor:
    """Of elements whose functions scikit-fem knows on the cells."""
    block, mapping = space.blocks[0], space.skmesh.mapping()
    if not isinstance(block.element, skfem.ElementGlobal):
        raise ParameterError(
            f"scikit-fem evaluates {type(block.element).__name__} at quadrature points only; project on a 'P4^d' space "
            "first."
        )
    places = local.t().cpu().numpy()[:, :, None]
    columns = []
    for i in range(block.n_functions):
        field = block.element.gbasis(mapping, places, i, tind=cells.cpu().numpy())[0]
        values = np.asarray(field if part == "value" else getattr(field, part), np.float64)
        columns.append(torch.from_numpy(values[..., 0].reshape(-1, len(cells)).copy()))
    table = torch.stack(columns).to(dofs)  # (functions, width, n)
    made = torch.einsum("iwn,inz->znw", table, space.local_values(dofs, 0, cells)[:, 0])
    return made.reshape(len(dofs), len(cells), *block.shapes(space.dim)[part])


def _maps(space: FESpace, cells: Tensor, local: Tensor) -> Maps:
    """The cells' maps, each at one place of its own."""
    corners = space.geometry.corners.index_select(2, cells)
    if local.requires_grad:
        slope = Polynomials(space.geometry.shape).at(local, "grad")
    else:
        slope = space.geometry.shape.tables(local.t().cpu().numpy(), space.dtype)["grad"].to(corners)
    return Maps(torch.einsum("ank,dan->dkn", slope, corners)[..., None], lambda: corners.mean(1)[..., None])
