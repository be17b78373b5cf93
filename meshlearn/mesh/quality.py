"""Shape quality of cells, differentiable in the points: Jacobians, scaled Jacobian, aspect ratio, smallest angle.

Planar and solid cells have a sign: positive determinants for the orientation of the cell table, negative ones where a
cell is turned inside out. Surfaces in 3-D and curves have none of their own; their determinants are taken against
the cell's mean normal (or chord), so that they turn negative only where a cell folds over itself.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.mesh.cells import cell_dim, cell_type
from meshlearn.mesh.geometry import cell_points, check_space
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.reference import jacobian_measure, jacobians, lengths, reference_cell, unit

PerCell = dict[str, Float[Tensor, " _"]]

_IDEAL = {"triangle": 2 / math.sqrt(3), "tetra": math.sqrt(2), "pyramid": math.sqrt(2), "wedge": 2 / math.sqrt(3)}


def jacobian_determinants(mesh: Mesh, at: str = "nodes") -> dict[str, Float[Tensor, "_n _q"]]:
    """Determinants of the maps from the reference cells: {type: (n, q)} at q sample points, for the domain's cells.

    at   "nodes": the nodes of the cell (all of them on second-order types; the apex of a pyramid is left out, the
         map has no derivative there); "quadrature": points of a rule of degree 2, or 5 on second-order types
    Unit: (unit of the points) ** cell_dim. Raises ParameterError for other values of `at`, TopologyError for types
    without a reference cell.

    >>> ml.mesh.quality.jacobian_determinants(ml.shapes.rectangle(2.0, 1.0, n=1, cells="quad"))
    {'quad': tensor([[2., 2., 2., 2.]])}
    """
    if at not in ("nodes", "quadrature"):
        raise ParameterError(f"at={at!r}: expected 'nodes' or 'quadrature'.")
    check_space(mesh)
    result = {}
    for kind in mesh.domain_types:
        cell = reference_cell(kind)
        xi = _samples(kind) if at == "nodes" else cell.quadrature(2 if cell.order == 1 else 5)[0]
        x = cell_points(mesh, kind)
        result[kind] = _determinant(jacobians(cell, x, xi.to(x)), _direction(kind, x))
    return result


def scaled_jacobian(mesh: Mesh) -> PerCell:
    """{type: (n,)}: 1 for the ideal cell (equilateral, square, cube), 0 for a degenerate one, negative if inverted.

    At every corner, the determinant of the edges that meet there over the product of their lengths, scaled by its value
    on the ideal cell; the smallest over the corners (of second-order cells over all nodes, with the tangents of the
    curved edges). Inverted simplices may go below -1, by a corner that would be sharper than the ideal one. P. Knupp,
    "Achieving finite element mesh quality via optimization of the Jacobian matrix norm", IJNME 48 (2000).

    >>> scaled_jacobian(ml.shapes.square(n=1, cells="quad"))
    {'quad': tensor([1.])}
    """
    result = {}
    for kind in mesh.domain_types:
        cell, x = reference_cell(kind), _of_unit_size(mesh, kind)
        xi, frames = _frames(kind)
        tangents = jacobians(cell, x, xi.to(x)) @ frames.to(x)  # (n, q, dim, d)
        size = lengths(tangents, -2).prod(-1)
        value = _determinant(tangents, _direction(kind, x)) / torch.where(size > 0, size, 1.0)
        result[kind] = (_IDEAL.get(cell.domain, 1.0) * value).amin(1)
    return result


def aspect_ratio(mesh: Mesh) -> PerCell:
    """{type: (n,)}: largest over smallest stretch of the map from the ideal cell, at the centre of the cell; 1 or more.

    1 for equilateral simplices, squares and cubes, 2 for a rectangle of sides 2 and 1, infinite for a flat cell.

    >>> aspect_ratio(ml.shapes.rectangle(2.0, 1.0, n=1, cells="quad"))
    {'quad': tensor([2.])}
    """
    result = {}
    for kind in mesh.domain_types:
        cell, x = reference_cell(kind), _of_unit_size(mesh, kind)
        stretch = jacobians(cell, x, cell.centre[None].to(x))[:, 0] @ _from_ideal(cell.domain).to(x)
        if cell.dim == 1:
            result[kind] = x.new_ones(len(x))
        elif cell.dim == 2:
            gram = stretch.transpose(1, 2) @ stretch
            half, product = (gram[:, 0, 0] + gram[:, 1, 1]) / 2, gram[:, 0, 0] * gram[:, 1, 1] - gram[:, 0, 1] ** 2
            spread = (half.square() - product).clamp_min(0)
            root = torch.where(spread > 0, torch.where(spread > 0, spread, 1.0).sqrt(), 0.0)
            large = half + root
            small = product / torch.where(large > 0, large, 1.0)  # the smaller eigenvalue without cancellation
            flat = small <= torch.finfo(x.dtype).eps ** 2 * large
            result[kind] = torch.where(flat, torch.inf, (large / torch.where(flat, 1.0, small)).sqrt())
        else:
            values = torch.linalg.svdvals(stretch)
            flat = values[:, -1] <= torch.finfo(x.dtype).eps * values[:, 0]
            result[kind] = torch.where(flat, torch.inf, values[:, 0] / torch.where(flat, 1.0, values[:, -1]))
    return result


def min_angle(mesh: Mesh) -> PerCell:
    """{type: (n,)} in radians: smallest angle between the sides of planar cells and surfaces, smallest dihedral angle
    between the faces of solids. Between straight lines from corner to corner; lines have pi, degenerate corners 0.

    >>> (min_angle(ml.shapes.square(n=1))["triangle"] * 180 / torch.pi).round()
    tensor([45., 45.])
    """
    result = {}
    for kind in mesh.domain_types:
        cell, x = reference_cell(kind), _of_unit_size(mesh, kind)
        if cell.dim == 1:
            result[kind] = x.new_full((len(x),), torch.pi)
            continue
        corners = _corners(cell.domain)
        table = torch.tensor(corners, device=x.device)  # (corners, 1 + d)
        picked = x.index_select(1, table.reshape(-1)).reshape(len(x), *table.shape, mesh.dim)
        edges = [picked[:, :, i + 1] - picked[:, :, 0] for i in range(cell.dim)]
        if cell.dim == 2:
            angles = _angle(edges[0], edges[1])
        else:
            pairs = [(0, 1, 2), (1, 2, 0), (2, 0, 1)]
            angles = torch.cat(
                [_angle(_across(edges[b], edges[a]), _across(edges[c], edges[a])) for a, b, c in pairs], 1
            )
        result[kind] = angles.amin(1)
    return result


def cell_quality(mesh: Mesh, measure: str) -> PerCell:
    """{type: (n,)}: one of the measures above by its name; also `mesh.quality(measure)`."""
    functions = {"scaled_jacobian": scaled_jacobian, "aspect_ratio": aspect_ratio, "min_angle": min_angle}
    if measure not in functions:
        raise ParameterError(f"quality measure {measure!r}: expected one of {', '.join(map(repr, functions))}.")
    return functions[measure](mesh)


def inverted_cells(mesh: Mesh) -> dict[str, Bool[Tensor, " _"]]:
    """{type: (n,) bool}: cells turned inside out, or folded or concave at a sample point, up to rounding."""
    eps = _tolerance(mesh)
    return {kind: value < -eps for kind, value in scaled_jacobian(_detached(mesh)).items()}


def degenerate_cells(mesh: Mesh) -> dict[str, Bool[Tensor, " _"]]:
    """{type: (n,) bool}: cells with (to rounding) no length, area or volume: nothing can be computed on them."""
    eps, result = _tolerance(mesh), {}
    mesh = _detached(mesh).double()  # powers of small sizes would underflow
    for kind, values in jacobian_determinants(mesh).items():
        x, cell = cell_points(mesh, kind), reference_cell(kind)
        size = (x.amax(1) - x.amin(1)).norm(dim=1)
        result[kind] = values.abs().amax(1) <= eps * size**cell.dim
    return result


def n_inverted(mesh: Mesh) -> int:
    """Number of inverted cells (see `inverted_cells`) of the domain.

    >>> mesh = ml.Mesh([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], {"triangle": [[0, 2, 1]]})
    >>> n_inverted(mesh)
    1
    """
    return sum(int(mask.sum()) for mask in inverted_cells(mesh).values())


def quality_summary(mesh: Mesh) -> dict[str, Any]:
    """Numbers for a report, all types of the domain together.

    {"n_cells", "n_inverted", "n_degenerate"} as int, and {"min", "mean", "max"} as float for "scaled_jacobian",
    "aspect_ratio" and "min_angle" (in degrees here). A mesh without cells gives the three counts only.

    >>> quality_summary(ml.shapes.square(n=2, cells="quad"))["aspect_ratio"]
    {'min': 1.0, 'mean': 1.0, 'max': 1.0}
    """
    mesh = _detached(mesh)
    degenerate = sum(int(mask.sum()) for mask in degenerate_cells(mesh).values())
    summary: dict[str, Any] = {"n_cells": mesh.n_cells, "n_inverted": n_inverted(mesh), "n_degenerate": degenerate}
    if mesh.n_cells:
        for name, factor in (("scaled_jacobian", 1.0), ("aspect_ratio", 1.0), ("min_angle", 180 / math.pi)):
            values = factor * torch.cat(list(cell_quality(mesh, name).values())).double()
            summary[name] = {
                "min": round(values.min().item(), 6),
                "mean": round(values.mean().item(), 6),
                "max": round(values.max().item(), 6),
            }
    return summary


# -- parts ---------------------------------------------------------------------------------------------------------


def _of_unit_size(mesh: Mesh, kind: str) -> Tensor:
    """(n, k, dim): nodes relative to the first, scaled to unit extent, so that products of lengths do not underflow."""
    check_space(mesh)
    x = cell_points(mesh, kind)
    x = x - x[:, :1]
    extent = x.detach().abs().amax((1, 2), keepdim=True)
    return x / torch.where(extent > 0, extent, 1.0)


def _detached(mesh: Mesh) -> Mesh:
    return mesh.detach() if mesh.points.requires_grad else mesh


def _tolerance(mesh: Mesh) -> float:
    return 1e-10 if mesh.dtype == torch.float64 else 1e-6


@cache
def _corners(domain: str) -> list[tuple[int, ...]]:
    """(corner, neighbour along each edge …) for every corner with as many edges as dimensions, right-handed."""
    cell, edges = reference_cell(domain), cell_type(domain).edges
    result = []
    for corner in range(cell.n_vertices):
        around = [b if a == corner else a for a, b in edges if corner in (a, b)]
        if len(around) != cell.dim:
            continue  # the apex of a pyramid
        frame = cell.nodes[around] - cell.nodes[corner]
        if cell.dim > 1 and torch.linalg.det(frame) < 0:
            around[0], around[1] = around[1], around[0]
        result.append((corner, *around))
    return result


@cache
def _samples(kind: str) -> Tensor:
    """(q, d): the nodes, without the apex of a pyramid."""
    cell = reference_cell(kind)
    return cell.nodes[[i for i in range(cell.n_nodes) if not (cell.domain == "pyramid" and i == 4)]]


@cache
def _frames(kind: str) -> tuple[Tensor, Tensor]:
    """Sample points (q, d) and edge frames (q, d, d): a corner with its own edges, other nodes with every corner's."""
    cell = reference_cell(kind)
    own = {}
    for corner, *around in _corners(cell.domain):
        frame = (cell.nodes[around] - cell.nodes[corner]).T
        if cell.dim == 1:
            frame = frame.abs()
        own[corner] = frame
    points, frames = [], []
    for i, node in enumerate(cell.nodes):
        if cell.domain == "pyramid" and i == 4:
            continue
        for frame in [own[i]] if i in own else list(own.values()):
            points.append(node)
            frames.append(frame)
    return torch.stack(points), torch.stack(frames)


@cache
def _from_ideal(domain: str) -> Tensor:
    """(d, d): the linear map from the ideal cell of unit edges to the reference cell."""
    half, root = 0.5, math.sqrt(3) / 2
    ideal = {
        "line": [[1.0]],
        "triangle": [[1.0, half], [0.0, root]],
        "quad": [[1.0, 0.0], [0.0, 1.0]],
        "tetra": [[1.0, half, half], [0.0, root, root / 3], [0.0, 0.0, math.sqrt(2 / 3)]],
        "wedge": [[1.0, half, 0.0], [0.0, root, 0.0], [0.0, 0.0, 1.0]],
        "pyramid": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, math.sqrt(half)]],
        "hexahedron": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    }[domain]
    return torch.linalg.inv(torch.tensor(ideal, dtype=torch.float64))


def _direction(kind: str, x: Tensor) -> Tensor | None:
    """(n, 1, dim) unit mean normal of surface cells, unit chord of curves; None where determinants have a sign."""
    d, dim = cell_dim(kind), x.shape[2]
    if d == dim:
        return None
    if d == 1:
        vector = x[:, 1] - x[:, 0]
    elif reference_cell(kind).n_vertices == 3:
        vector = torch.linalg.cross(x[:, 1] - x[:, 0], x[:, 2] - x[:, 0])
    else:
        vector = torch.linalg.cross(x[:, 2] - x[:, 0], x[:, 3] - x[:, 1])
    return unit(vector)[:, None]


def _determinant(tangents: Tensor, direction: Tensor | None) -> Tensor:
    """(n, q) from tangents (n, q, dim, d); those of surfaces and curves against a direction (n, 1, dim)."""
    if direction is None:
        return jacobian_measure(tangents)
    normal = tangents[..., 0] if tangents.shape[-1] == 1 else torch.linalg.cross(*tangents.unbind(-1))
    return (normal * direction).sum(-1)


def _angle(a: Tensor, b: Tensor) -> Tensor:
    """Angle between vectors; 0 where one of them is 0."""
    cosine, sine = (a * b).sum(-1), jacobian_measure(torch.stack([a, b], -1)).abs()
    proper = (cosine != 0) | (sine > 0)
    return torch.where(proper, torch.atan2(sine, torch.where(proper, cosine, 1.0)), 0.0)


def _across(vector: Tensor, edge: Tensor) -> Tensor:
    """The part of a vector at right angles to an edge."""
    along = unit(edge)
    return vector - (vector * along).sum(-1, keepdim=True) * along
