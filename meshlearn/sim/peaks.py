"""Data sets of elliptic problems with sharp peaks on the unit square, whose truth is known on any mesh.

"helmholtz": -Laplace u + u = f with u = sum_k a_k exp(-|x - c_k|^2 / w_k^2), f and the boundary values to match.
"poisson":   -Laplace u = f, u = 0 on the boundary, with f = sum_k a_k / w_k^2 exp(-|x - c_k|^2 / w_k^2).
Errors against the truth, before and after a mesh has moved, measure what a mesh mover is worth.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.fem.operators import dot, grad
from meshlearn.fem.sampling import to_mesh
from meshlearn.fem.solve import solve
from meshlearn.fem.space import FESpace
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.shapes import square
from meshlearn.sim.collection import bounds, collect, design
from meshlearn.sim.domain import lagrange
from meshlearn.sim.plate import Range

PHYSICS = ("helmholtz", "poisson")
LOAD_ORDER = 6  # of the quadrature of peaked sources
REFERENCE = 64  # cells along a side of the mesh that "poisson" has its truth on, with elements of order 2
KEPT = 64  # references


def make_peaks(
    n: int,
    folder: str | Path | None = None,
    seed: int = 0,
    physics: str = "helmholtz",
    resolution: Any = 20,
    peaks: int | tuple[int, int] = (1, 6),
    width: Range = (0.05, 0.2),
    height: Range = (0.5, 1.5),
    progress: bool = False,
) -> list[Mesh]:
    """Draw and solve `n` problems with peaks; write them as `peaks_0000.vtu` … when a folder is given.

    n, seed     problem i depends on the seed and on i only (and on the largest number of peaks)
    physics     "helmholtz" or "poisson"
    resolution  cells along a side
    peaks       their number, or (smallest, largest)
    width       w of the peaks: the smallest are as wide as a cell of the default mesh
    height      a
    progress    show a progress bar (on a terminal)

    Every mesh is planar, float32, of triangles, with the boundaries "left", "right", "bottom" and "top", and has
      point_data   u (): the solution with elements of first order on this mesh
      global_data  peaks (largest number, 4): rows x, y, w, a, the rest 0; error (): relative error of u in L2
    On a moved mesh the problem is solved by `solve_peaks`. Raises ParameterError for impossible requests, and for a
    folder that holds other problems.

    >>> mesh, = ml.sim.make_peaks(1, resolution=8)
    >>> list(mesh.point_data), mesh.global_data["peaks"].shape
    (['u'], torch.Size([6, 4]))
    """
    _check(physics)
    if isinstance(resolution, bool) or not isinstance(resolution, int) or resolution < 2:
        raise ParameterError(f"resolution is a whole number of at least 2, not {resolution!r}.")
    fewest, most = (int(value) for value in bounds("peaks", peaks, 1.0, 64.0))
    ranges = {"count": (float(fewest), most + 1 - 1e-9)}
    for k in range(most):
        ranges |= {f"x{k}": (0.15, 0.85), f"y{k}": (0.15, 0.85)}
        ranges |= {f"width{k}": bounds("width", width, 1e-3), f"height{k}": bounds("height", height)}
    drawn = design(n, seed, ranges)
    base = square(n=resolution, dtype=torch.float64)

    def make(i: int) -> Mesh:
        values, table = drawn[i], torch.zeros(most, 4, dtype=torch.float64)
        for k in range(math.floor(values["count"])):
            table[k] = torch.tensor([values[f"{name}{k}"] for name in ("x", "y", "width", "height")])
        return solve_peaks(base.with_global_data(peaks=table), physics)

    return collect(make, n, folder, "peaks", progress)


def solve_peaks(mesh: Mesh, physics: str = "helmholtz") -> Mesh:
    """The mesh, of the unit square, with the solution u and its error for the peaks in its global data.

    mesh  triangles or quads, moved or not; `peaks` (k, 4): rows x, y, w, a as `make_peaks` leaves them

    The computation is in float64. Raises FieldError without peaks, ParameterError for another physics.
    """
    _check(physics)
    table = _table(mesh)
    exact = mesh.replace(points=mesh.points.detach().double())
    space = lagrange(exact, 1)
    with torch.no_grad():
        dofs = _solved(space, table, physics)
        error = _error(space, dofs, table, physics)
        u = to_mesh(space, u=dofs).point_data["u"].to(mesh.points)
    return mesh.with_point_data(u=u).with_global_data(error=mesh.points.new_tensor(error))


def peaks_error(mesh: Mesh, physics: str = "helmholtz", field: str = "u") -> float:
    """|u - truth| / |truth| in L2, of any point field of first order on a mesh with `peaks` in its global data."""
    _check(physics)
    if field not in mesh.point_data:
        raise FieldError(f"the mesh has no point field {field!r}; it has {', '.join(mesh.point_data) or 'none'}.")
    space = lagrange(mesh.replace(points=mesh.points.detach().double()), 1)
    with torch.no_grad():
        return _error(space, space.interpolate(mesh.point_data[field].detach().double()), _table(mesh), physics)


def peaks_at(table: Float[Tensor, "k 4"], x: Any, laplacian: bool = False) -> Tensor:
    """sum_k a exp(-r^2 / w^2) at places x (2, …), or its Laplacian."""
    total = torch.zeros_like(x[0])
    for across, up, width, height in table.tolist():
        if height == 0.0 or width == 0.0:
            continue
        share = ((x[0] - across) ** 2 + (x[1] - up) ** 2) / width**2
        peak = height * torch.exp(-share)
        total = total + (4 * (share - 1) / width**2 * peak if laplacian else peak)
    return total


def _source(table: Tensor, physics: str) -> Any:
    if physics == "helmholtz":
        return lambda x: peaks_at(table, x) - peaks_at(table, x, laplacian=True)
    scaled = table.clone()
    scaled[:, 3] = torch.where(table[:, 2] > 0, table[:, 3] / table[:, 2].square().clamp_min(1e-300), 0.0)
    return lambda x: peaks_at(scaled, x)


def _solved(space: FESpace, table: Tensor, physics: str) -> Tensor:
    reaction = 1.0 if physics == "helmholtz" else 0.0
    matrix: Any = space.assemble(lambda u, v, x: dot(grad(u), grad(v)) + reaction * u * v)
    source = _source(table, physics)
    right: Any = space.assemble(lambda v, x: source(x) * v, order=LOAD_ORDER)
    values: Any = (lambda x: peaks_at(table, x)) if physics == "helmholtz" else 0.0
    return solve(matrix, right, space.dirichlet("boundary", values))


def _error(space: FESpace, dofs: Tensor, table: Tensor, physics: str) -> float:
    if physics == "helmholtz":
        truth: Any = lambda x: peaks_at(table, x)  # noqa: E731
    else:
        fine, known = _reference(tuple(table.reshape(-1).tolist()))

        def truth(x: Any) -> Tensor:
            places = torch.stack([x[0], x[1]])
            return fine.evaluate(known, places.reshape(2, -1).t(), outside="nearest").reshape(places.shape[1:])

    size = space.norm(torch.zeros_like(dofs), minus=truth)
    return float(space.norm(dofs, minus=truth) / size)


@lru_cache(maxsize=KEPT)
def _reference(numbers: tuple[float, ...]) -> tuple[FESpace, Tensor]:
    """The solution of "poisson" on a finer mesh."""
    space = _reference_space()
    return space, _solved(space, torch.tensor(numbers, dtype=torch.float64).reshape(-1, 4), "poisson")


@lru_cache(maxsize=1)
def _reference_space() -> FESpace:
    return lagrange(square(n=REFERENCE, dtype=torch.float64), 2)


def _table(mesh: Mesh) -> Tensor:
    table = mesh.global_data.get("peaks")
    if table is None or table.dim() != 2 or table.shape[1] != 4:
        shape = "missing" if table is None else f"of shape {tuple(table.shape)}"
        raise FieldError(f"global_data['peaks'] is {shape}: rows x, y, width, height are needed, as of make_peaks.")
    return table.detach().cpu().double()


def _check(physics: Any) -> None:
    if physics not in PHYSICS:
        raise ParameterError(f"physics={physics!r}: expected one of {', '.join(map(repr, PHYSICS))}.")
