"""What every shape goes through: boundary tags, uniform refinement, second order, and the choice of dtype."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from meshlearn.errors import ParameterError
from meshlearn.mesh.elevation import Projection, Projections, project_points, second_order
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.refinement import refine as refine_mesh

Predicate = Callable[[np.ndarray], np.ndarray]


def finish(
    points: np.ndarray,
    cells: Mapping[str, np.ndarray],
    sides: Mapping[str, Predicate] | None = None,
    project: Projections | None = None,
    refine: int = 0,
    order: int = 1,
    boundary: bool = True,
    dtype: torch.dtype | None = None,
    serendipity: bool = False,
) -> Mesh:
    """A Mesh from float64 points and first-order cells.

    sides    {name: test}: a boundary facet belongs to the set `name` if the test (points (n, dim) -> (n,) bool) holds
             at all its nodes; the facets become cells of their own
    project  where new nodes belong: a function for all, or {set name: function}
    """
    check_common(refine, order)
    mesh = Mesh(
        torch.from_numpy(points), {kind: torch.from_numpy(nodes) for kind, nodes in cells.items() if len(nodes)}
    )
    if sides:
        mesh = tag_boundary(mesh, sides)
    return complete(mesh, project, refine, order, boundary, dtype, serendipity)


def complete(
    mesh: Mesh,
    project: Projections | None,
    refine: int,
    order: int,
    boundary: bool,
    dtype: torch.dtype | None,
    serendipity: bool = False,
) -> Mesh:
    """Refinement, order, removal of the boundary cells if they are not wanted, dtype (torch's default if None)."""
    mesh = refine_mesh(mesh, refine, project)
    if order == 2:
        mesh = second_order(mesh, project, full=not serendipity)
    if not boundary:
        domain = mesh.domain_types
        sets = {name: {k: v for k, v in kinds.items() if k in domain} for name, kinds in mesh.cell_sets.items()}
        mesh = mesh.replace(
            cells={kind: mesh.cells[kind] for kind in domain},
            cell_sets={name: kinds for name, kinds in sets.items() if kinds},
        )
    return mesh.to(dtype or torch.get_default_dtype())


def tag_boundary(mesh: Mesh, sides: Mapping[str, Predicate]) -> Mesh:
    """Add the boundary facets as cells, and a cell set for every side."""
    facets = mesh.topology.boundary_facets
    cells = dict(mesh.cells) | facets
    points = mesh.points.numpy()
    sets: dict[str, dict[str, torch.Tensor]] = {}
    for name, test in sides.items():
        on_side = torch.from_numpy(np.ascontiguousarray(test(points)))
        chosen = {kind: on_side[nodes].all(1).nonzero().squeeze(1) for kind, nodes in facets.items()}
        sets[name] = {kind: rows for kind, rows in chosen.items() if len(rows)}
    return mesh._replaced(cells=cells, cell_sets=sets)


def check_common(refine: int, order: int) -> None:
    """Arguments that all shapes share."""
    if order not in (1, 2):
        raise ParameterError(f"order={order!r}: cells are of order 1 or 2.")
    if not 0 <= refine <= 12:
        raise ParameterError(
            f"refine={refine!r}: expected 0 to 12 (each step multiplies the number of cells by 2^dim)."
        )


def counts(n: int | tuple[int, ...] | None, dim: int, refine: int, default: int = 8) -> tuple[int, ...]:
    """Numbers of cells along each direction: the default is `default`, or 1 if the shape is refined."""
    if n is None:
        n = default if refine == 0 else 1
    values = np.atleast_1d(n).tolist() * (dim if np.ndim(n) == 0 else 1)
    if len(values) != dim or any(int(value) != value or value < 1 for value in values):
        raise ParameterError(f"n={n!r}: expected a positive integer or {dim} of them, cells along each direction.")
    return tuple(int(value) for value in values)


def positive(**lengths: float) -> None:
    """Raise ParameterError unless all lengths are finite and positive."""
    for name, value in lengths.items():
        if not (np.isfinite(value) and value > 0):
            raise ParameterError(f"{name}={value!r}: expected a positive length.")


def choice(name: str, value: str, options: tuple[str, ...]) -> None:
    """Raise ParameterError unless the value is one of the options."""
    if value not in options:
        raise ParameterError(f"{name}={value!r}: expected one of {', '.join(map(repr, options))}.")


def near(axis: int, value: float, scale: float) -> Predicate:
    """Test for points whose coordinate equals `value`, up to rounding."""
    return lambda points: np.abs(points[:, axis] - value) <= 1e-9 * scale


def on_sphere(radius: float, axes: int, centre: tuple[float, ...] = (0.0, 0.0, 0.0)) -> Predicate:
    """Test for points at a distance from the centre in the first `axes` coordinates (circle, cylinder, sphere)."""
    origin = np.array(centre[:axes])
    return lambda points: np.abs(np.linalg.norm(points[:, :axes] - origin, axis=1) - radius) <= 1e-9 * radius


def to_sphere(radius: float, axes: int, centre: tuple[float, ...] = (0.0, 0.0, 0.0)) -> Projection:
    """Radial projection onto a circle, cylinder or sphere: the first `axes` coordinates change."""

    def project(points: torch.Tensor) -> torch.Tensor:
        origin = torch.tensor(centre[:axes], dtype=points.dtype, device=points.device)
        offset = points[:, :axes] - origin
        moved = origin + radius * offset / offset.norm(dim=1, keepdim=True)
        return torch.cat([moved, points[:, axes:]], 1)

    return project


__all__ = ["check_common", "choice", "complete", "counts", "finish", "near", "on_sphere", "positive", "project_points"]
