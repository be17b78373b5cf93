"""`MongeAmpereMover`: points move, cells stay, and every cell gets its share of a monitor.

Papers: A. T. T. McRae, C. J. Cotter and C. J. Budd, "Optimal-transport-based mesh adaptivity on the plane and sphere
using finite elements" (2018), for the potential; W. Huang and L. Kamenski (2015) for the variational method.
Departures: Newton's method here is one scalar system per iteration, with cofactors far from the solution and the
discrete linearisation near it, instead of a mixed system in potential and Hessian; every step keeps each cell above a
fraction of its own measure; curved boundaries slide; the variational method solves for balance at the moved points with
a convex stiffness in the computational coordinates, instead of a gradient flow.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import MeshError, ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.quality import scaled_jacobian
from meshlearn.models.movers.adjoint import MovedPoints, potential_adjoint
from meshlearn.models.movers.balance import Balance
from meshlearn.models.movers.balance_adjoint import balance_adjoint
from meshlearn.models.movers.convexity import is_convex
from meshlearn.models.movers.equidistribution import equidistribution
from meshlearn.models.movers.functional import Functional
from meshlearn.models.movers.monitors.values import as_monitor, slopes, values
from meshlearn.models.movers.newton import Linearised, solve_newton
from meshlearn.models.movers.potential import Potential
from meshlearn.models.movers.preparation import check_movable, pinned_mask
from meshlearn.models.movers.progress import Progress
from meshlearn.models.movers.relaxation import solve_relaxation
from meshlearn.models.movers.result import MoveError, MoveResult
from meshlearn.models.movers.search import Validity
from meshlearn.models.movers.variational import solve_variational
from meshlearn.models.movers.walls import Walls
from meshlearn.train.params import HasParams

LIMITS = {"newton": 100, "relaxation": 2000, "variational": 300}
METHODS = ("auto", *LIMITS)
V = TypeVar("V", bound="MongeAmpereMover")


class MongeAmpereMover(HasParams):
    """Moves the points of a mesh so that a monitor m > 0, the wanted density of cells, is shared evenly.

    method          "newton" or "relaxation": x = xi + grad(phi), m(x) det(I + H(phi)) constant, for convex domains;
                    "variational": Huang and Kamenski's functional, for any domain, with holes, re-entrant corners and
                    pinned points inside; "auto": "newton" on convex domains without points pinned inside, and
                    "variational" elsewhere and where "newton" gets stuck (the result's `method` says which)
    boundary        "slide": points of the boundary slide along its walls, straight, oblique or curved; "fixed"; or a
                    function (k, dim) -> (k, dim) that puts sliding points on the true boundary (a CAD model)
    pinned          points that stay, besides corners: names of point or cell sets, a mask, or point numbers
    corner          angle in degrees above which facets are different walls, and points between them corners
    rtol            relative residual to reach. "newton", "relaxation": Euclidean norm of the assembled residual over
                    that of its constant; "variational": unbalanced over absolute forces
    dtol            diverged if the residual exceeds this times the first
    max_iterations  100, 2000 or 300 by default, for "newton", "relaxation" and "variational"
    min_area_fraction  every cell stays above this fraction of its own measure at the start
    time_step       of "relaxation"
    isotropy        of "variational", in (0, 0.5]: weight of cell shapes against equal shares
    strict          raise MoveError (a ConvergenceError, with `.result`) if not converged; False returns the result,
                    which is a valid mesh that says so

    >>> mesh = ml.shapes.square(n=8)
    >>> moved = ml.MongeAmpereMover().move(mesh, lambda x: 1 + 5 * torch.exp(-50 * (x - 0.5).square().sum(1)))
    >>> moved.converged, moved.n_inverted, moved.equidistribution.cv < 0.2 * moved.before.cv
    (True, 0, True)
    """

    def __init__(
        self,
        method: Any = "auto",
        boundary: Any = "slide",
        pinned: Any = None,
        corner: Any = 45.0,
        rtol: Any = 1e-6,
        dtol: Any = 2.0,
        max_iterations: Any = None,
        min_area_fraction: Any = 1e-3,
        time_step: Any = 0.1,
        isotropy: Any = 0.1,
        strict: Any = True,
    ) -> None:
        _check(method, boundary, corner, rtol, dtol, max_iterations, min_area_fraction, time_step, isotropy, strict)
        self.method, self.boundary, self.pinned, self.corner = method, boundary, pinned, corner
        self.rtol, self.dtol, self.min_area_fraction = rtol, dtol, min_area_fraction
        self.max_iterations = max_iterations
        self.time_step, self.isotropy, self.strict = time_step, isotropy, strict
        self._kept: tuple[Any, Any] = (None, None)

    def set_params(self: V, **params: Any) -> V:
        """Change constructor arguments; returns self. Raises ParameterError as the constructor does, and for names."""
        if not set(params) - set(self.get_params()):
            type(self)(**{**self.get_params(), **params})  # raises before anything is changed
        return super().set_params(**params)

    def move(self, mesh: Any, monitor: Any, start: Any = None) -> MoveResult:
        """Move `mesh`, which is also the computational mesh.

        monitor  function of points (n, dim) -> (n,), such as a `Ring`; values (n_points,) or the name of a point field,
                 which stay in space while the mesh moves through them. If its values require a gradient, so do the
                 moved points
        start    `MoveResult` of an earlier monitor on the same mesh, or a potential (n_points,), to start from

        Data and sets stay with their points and cells; carry fields over with `transfer`.

        Raises MoveError if not converged (with `strict`), FieldError for monitors that are not positive or of another
        length, MeshError and TopologyError for meshes that are tangled, not connected, or not of simplices.
        """
        checked = check_movable(mesh)
        pins = pinned_mask(checked, self.pinned)
        method, start = self._chosen(checked, pins, start)
        prepared = self._prepare(checked, mesh, pins, method)
        made = as_monitor(prepared.mesh, monitor)
        progress = self._iterate(prepared, _Values(made), start)
        if self.method == "auto" and method == "newton" and progress.is_stuck:
            prepared = self._prepare(checked, mesh, pins, "variational")
            progress = self._iterate(prepared, _Values(made), None)
        result = self._result(mesh, prepared, made, progress)
        if self.strict and not result.converged:
            raise MoveError(
                f"the mover did not converge: {result.reason}.\n  method={prepared.method!r}, {result.iterations} "
                f"iterations, residual {result.residual_history[0]:.2e} -> {result.residual_history[-1]:.2e}, "
                f"rtol={self.rtol:g}.\n"
                "  Smooth or cap the monitor, loosen rtol, or try another method ('variational' on domains that are "
                "not convex, and with points pinned inside).\n"
                "  The best valid mesh is in the error's `.result`; strict=False returns it.",
                result,
            )
        return result

    # -- the parts -----------------------------------------------------------------------------------------------

    def _chosen(self, mesh: Mesh, pins: np.ndarray, start: Any) -> tuple[str, Any]:
        """(method, start) for a mesh: "auto" goes by the domain, and starts afresh where a start is of another kind."""
        if self.method != "auto":
            return self.method, start
        inside = ~mesh.topology.is_boundary.numpy()
        if (pins & inside).any() or not is_convex(mesh):
            return "variational", start if isinstance(start, MoveResult) else None
        return "newton", None if isinstance(start, MoveResult) and start.potential is None else start

    def _prepare(self, checked: Mesh, mesh: Mesh, pins: np.ndarray, method: str) -> _Prepared:
        """Matrices and factors of a mesh, kept for the next monitor on it."""
        settings = (method, self.boundary, self.corner, self.min_area_fraction, self.isotropy)
        key, kept = self._kept
        if key is not None and key[0] is mesh and key[1] == settings and np.array_equal(key[2], pins):
            return kept
        walls = Walls(checked, self.boundary, pins, self.corner)
        (kind,) = checked.domain_types
        cells = checked.cells[kind].numpy()
        validity = Validity(walls.points, cells, self.min_area_fraction)
        walls.check_start(validity.ratios)
        if method == "variational":
            solver: Any = Balance(Functional(walls.points, cells, self.isotropy, 1.5), walls)
        else:
            solver = Potential(checked, walls.basis)
        made = _Prepared(checked, walls, validity, solver, method)
        self._kept = ((mesh, settings, pins), made)
        return made

    def _iterate(self, prepared: _Prepared, monitor: _Values, start: Any) -> Progress:
        limit = LIMITS[prepared.method] if self.max_iterations is None else self.max_iterations
        rules = (self.rtol, self.dtol, limit)
        walls, validity = prepared.walls, prepared.validity
        if prepared.method == "variational":
            points = _start_points(start, prepared, monitor)
            return solve_variational(prepared.solver, walls, validity, monitor, points, *rules)
        phi = _start_potential(start, prepared)
        if prepared.method == "newton":
            return solve_newton(prepared.solver, walls, validity, monitor, phi, *rules)
        return solve_relaxation(prepared.solver, walls, validity, monitor, phi, *rules, self.time_step)

    def _result(self, mesh: Mesh, prepared: _Prepared, monitor: Any, progress: Progress) -> MoveResult:
        points = torch.from_numpy(progress.points)
        density = values(monitor, points)
        if density.requires_grad:
            points = self._differentiable(prepared, monitor, progress, points, density)
        moved = mesh.replace(points=points.to(device=mesh.device, dtype=mesh.dtype))
        rounded = moved.points.detach().cpu().double().numpy()
        inverted = int((prepared.validity.ratios(rounded) <= 0).sum())
        if inverted:
            raise MeshError(
                f"{inverted} cells are inverted by rounding the moved points to {mesh.dtype}: they are small beside "
                "the coordinates.\n  move mesh.double()."
            )
        exact = prepared.mesh.replace(points=points.detach())
        before = values(monitor, prepared.mesh.points).detach()
        phi = progress.potential
        return MoveResult(
            mesh=moved,
            start=mesh,
            monitor=density.detach(),
            monitor_before=before,
            potential=None if phi is None else torch.from_numpy(phi),
            iterations=progress.iterations,
            converged=progress.converged,
            reason=progress.reason,
            residual_history=tuple(progress.residuals),
            scale_history=tuple(progress.steps),
            equidistribution=equidistribution(prepared.mesh, exact, density.detach()),
            before=equidistribution(prepared.mesh, prepared.mesh, before),
            quality=cell_quality(exact),
            quality_before=cell_quality(prepared.mesh),
            n_inverted=inverted,
            method=prepared.method,
        )

    def _differentiable(
        self, prepared: _Prepared, monitor: Any, progress: Progress, points: Tensor, density: Tensor
    ) -> Tensor:
        if prepared.walls.curved:
            raise ParameterError(
                "the monitor requires a gradient, which does not pass points that slide on curved walls.\n"
                "  use boundary='fixed', pin the curved parts (pinned=...), or detach the monitor's values."
            )
        m, slope = density.detach().numpy(), slopes(monitor, points).numpy()
        if prepared.method == "variational":
            functional = prepared.solver.functional
            adjoint = balance_adjoint(functional, prepared.walls, progress.points, m, slope)
        else:
            state = prepared.solver.at(m, prepared.solver.hessian(progress.potential))
            adjoint = potential_adjoint(Linearised(prepared.solver, state, slope))
        failure = "" if progress.converged else progress.reason
        return MovedPoints.apply(density, points, adjoint, failure)  # type: ignore[return-value]


class _Prepared:
    def __init__(self, mesh: Mesh, walls: Walls, validity: Validity, solver: Any, method: str) -> None:
        self.mesh, self.walls, self.validity, self.solver, self.method = mesh, walls, validity, solver, method


class _Values:
    """A monitor in numpy."""

    def __init__(self, monitor: Any) -> None:
        self.monitor = monitor

    def values(self, points: np.ndarray) -> np.ndarray:
        return values(self.monitor, torch.from_numpy(points)).detach().numpy()

    def slopes(self, points: np.ndarray) -> np.ndarray:
        return slopes(self.monitor, torch.from_numpy(points)).numpy()


def _start_potential(start: Any, prepared: _Prepared) -> np.ndarray:
    n = prepared.mesh.n_points
    if start is None:
        return np.zeros(n)
    phi = start.potential if isinstance(start, MoveResult) else start
    if phi is None:
        raise ParameterError(
            "start is a result without a potential (method='variational'): start from a potential, or without one."
        )
    if not isinstance(phi, (Tensor, np.ndarray, list, tuple)):
        raise ParameterError(
            f"start is a {type(start).__name__}; expected a MoveResult of an earlier monitor, or a potential ({n},)."
        )
    phi = torch.as_tensor(phi).detach().cpu().double().numpy()
    if phi.shape != (n,) or not np.isfinite(phi).all():
        raise ParameterError(
            f"start has a potential of shape {phi.shape}; expected finite values ({n},), one per point."
        )
    points = prepared.solver.moved(prepared.walls, phi)
    if not prepared.validity.holds(points):
        raise ParameterError(
            "start is a potential whose map makes cells too small or inverted on this mesh.\n"
            "  start from the result of the same mesh, or without one."
        )
    return phi


def _start_points(start: Any, prepared: _Prepared, monitor: _Values) -> np.ndarray:
    if start is None:
        return prepared.walls.points
    if not isinstance(start, MoveResult) or start.mesh.points.shape != prepared.mesh.points.shape:
        raise ParameterError("method='variational' starts from a MoveResult of the same mesh, or from nothing.")
    points = start.mesh.points.detach().cpu().double().numpy()
    if not prepared.validity.holds(points):
        raise ParameterError("start is a result whose points make cells of this mesh too small or inverted.")
    return points


def cell_quality(mesh: Mesh) -> dict[str, float]:
    """{"smallest", "mean"} scaled Jacobian of the cells; 1 for intervals."""
    if mesh.dim == 1:
        return {"smallest": 1.0, "mean": 1.0}
    joined = mesh.join_cells(scaled_jacobian(mesh.oriented())).detach()
    return {"smallest": float(joined.min()), "mean": float(joined.mean())}


def _check(
    method: Any,
    boundary: Any,
    corner: Any,
    rtol: Any,
    dtol: Any,
    max_iterations: Any,
    fraction: Any,
    time_step: Any,
    isotropy: Any,
    strict: Any,
) -> None:
    if not isinstance(method, str) or method not in METHODS:
        raise ParameterError(f"method={method!r}: expected one of {', '.join(map(repr, METHODS))}.")
    if not callable(boundary) and not (isinstance(boundary, str) and boundary in ("slide", "fixed")):
        raise ParameterError(
            f"boundary={boundary!r}: expected 'slide', 'fixed', or a function (k, dim) -> (k, dim) that puts points on "
            "the boundary."
        )
    if max_iterations is not None and not (isinstance(max_iterations, int) and max_iterations >= 0):
        raise ParameterError(f"max_iterations={max_iterations!r}: expected a whole number of 0 or more.")
    if not isinstance(strict, (bool, np.bool_)):
        raise ParameterError(f"strict={strict!r}: expected True or False.")
    for name, value, low, high in (
        ("corner", corner, 0, 180),
        ("rtol", rtol, 0, float("inf")),
        ("dtol", dtol, 0, float("inf")),
        ("time_step", time_step, 0, float("inf")),
        ("isotropy", isotropy, 0, 0.5 + 1e-12),
    ):
        if not (isinstance(value, (int, float)) and low < value < high):
            limit = "at most 0.5" if name == "isotropy" else f"below {high:g}"
            raise ParameterError(f"{name}={value!r}: expected a number above {low} and {limit}.")
    if not (isinstance(fraction, (int, float)) and 0 < fraction < 1):
        raise ParameterError(f"min_area_fraction={fraction!r}: expected a fraction above 0 and below 1.")
