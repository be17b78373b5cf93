"""Where the points of a frame move to: a monitor from one of its fields, any mover, and warm starts along a series."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import FieldError, MeshError, ParameterError
from meshlearn.mesh.interpolation import interpolation_operator
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.movers.monitors import GradientMonitor, HessianMonitor, SquaredHessianMonitor
from meshlearn.models.movers.mover import METHODS, MongeAmpereMover
from meshlearn.models.movers.preparation import check_simplices
from meshlearn.models.movers.result import MoveResult
from meshlearn.models.movers.safeguard import measures

MONITORS: dict[str, Any] = {
    "hessian": HessianMonitor,
    "squared_hessian": SquaredHessianMonitor,
    "gradient": GradientMonitor,
}
STILL = "still"
TOLERANCE, ITERATIONS = 1e-2, 20  # of the movers made here: a mesh for a network need not be exact, but valid


class Motion:
    """Moves frames by `mover` to where `field` needs points.

    mover      "newton", "variational", "relaxation" (a `MongeAmpereMover` of that method that stops early), "still" (no
               point moves), or an object with `move(mesh, monitor)` that returns something with `.mesh`
    field      name of a point field; of several components their norm
    monitor    "hessian", "squared_hessian", "gradient", or None: the mover is asked without one
    amplitude, smoothing  of the monitor, the latter in units of the size of the mesh
    """

    def __init__(self, mover: Any, field: str, monitor: Any, amplitude: float, smoothing: float) -> None:
        if isinstance(mover, str) and mover not in (*METHODS, STILL):
            raise ParameterError(
                f"mover={mover!r}: expected one of {', '.join(map(repr, (*METHODS, STILL)))}, or an object with a "
                "method move(mesh, monitor), such as ml.MongeAmpereMover(...) or a fitted ml.DataFreeMeshMover."
            )
        if isinstance(mover, type):
            raise ParameterError(f"mover={mover.__name__} is a class: make an object of it, {mover.__name__}(...).")
        if not isinstance(mover, str) and not callable(getattr(mover, "move", None)):
            raise ParameterError(f"mover={mover!r:.80} has no method move(mesh, monitor).")
        if monitor is not None and monitor not in MONITORS:
            raise ParameterError(f"monitor={monitor!r}: expected one of {', '.join(map(repr, MONITORS))}, or None.")
        for name, value in (("amplitude", amplitude), ("smoothing", smoothing)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
                raise ParameterError(f"{name}={value!r} must be a number of at least 0.")
        self.mover = self._made(mover)
        self.field, self.monitor, self.amplitude, self.smoothing = field, monitor, amplitude, smoothing
        self.warm = False
        self._known: Mesh | None = None
        self._latest: tuple[Mesh, Any] | None = None

    @staticmethod
    def _made(mover: Any) -> Any:
        if not isinstance(mover, str):
            return mover
        if mover == STILL:
            return None
        return MongeAmpereMover(mover, rtol=TOLERANCE, max_iterations=ITERATIONS, strict=False)

    def begin(self, warm: bool) -> None:
        """Forget the frame before; with `warm` the frames that follow start from their predecessors."""
        self.warm, self._latest = warm, None

    def moved(self, mesh: Mesh, rest: Mesh | None = None) -> Mesh:
        """The mesh at its moved points, without data; the mesh itself where its field is linear or constant.

        rest  the mesh that the mover starts from, where the points of `mesh`, which has the same cells, have moved
        """
        base = self._base(mesh if rest is None else rest)
        if self.mover is None:
            return base
        values = self._values(mesh)
        place = base if rest is None else base.replace(points=mesh.points.to(base.points))
        if self.monitor is None:
            asked = base.with_point_data(**{self.field: values})
            if rest is not None:
                at_rest = interpolation_operator(place, base.points)[0] @ values.to(base.points)
                asked = base.with_point_data(**{self.field: at_rest})
            return self._checked(self.mover.move(asked), base)
        flat = float(values.max() - values.min()) <= 1e-6 * float(values.abs().max())
        if flat:
            return base
        size = {"smoothing": self.smoothing * float(base.measure()) ** (1 / base.dim)}
        try:
            monitor = MONITORS[self.monitor](place, values, amplitude=self.amplitude, **size)
        except FieldError:  # a field without curvature asks for no place more than for another
            return base
        return self._checked(self._move(base, monitor), base)

    def _move(self, base: Mesh, monitor: Any) -> Any:
        start = None
        if self.warm and isinstance(self.mover, MongeAmpereMover) and self._latest and self._latest[0] is base:
            start = self._latest[1]
        moved = self.mover.move(base, monitor) if start is None else self.mover.move(base, monitor, start=start)
        usable = isinstance(moved, MoveResult) and (moved.potential is not None or moved.method == "variational")
        self._latest = (base, moved) if usable else None
        return moved

    def _base(self, mesh: Mesh) -> Mesh:
        """The mesh without data: one for the frames that follow each other, so that a mover keeps its matrices."""
        known = self._known
        if known is None or known.points is not mesh.points or known.topology is not mesh.topology:
            if self.mover is not None:
                check_simplices(mesh)
            _ = mesh.topology  # made before the copy, so that both share it
            known = self._known = mesh.without_data()
        return known

    def _values(self, mesh: Mesh) -> Tensor:
        if self.field not in mesh.point_data:
            raise FieldError(
                f"field={self.field!r} moves the mesh, but there is no point field of that name; there are "
                f"{', '.join(map(repr, mesh.point_data)) or 'none'}."
            )
        values = mesh.point_data[self.field].detach()
        flat = values.reshape(len(values), -1)
        made = flat[:, 0] if flat.shape[1] == 1 else flat.norm(dim=1)
        bad = int((~torch.isfinite(made)).sum())
        if bad:
            raise FieldError(f"{bad} of {len(made)} values of {self.field!r} are not finite: the mesh cannot follow.")
        return made

    def _checked(self, result: Any, base: Mesh) -> Mesh:
        mesh = getattr(result, "mesh", None)
        if not isinstance(mesh, Mesh) or mesh.points.shape != base.points.shape:
            raise ParameterError(
                f"{type(self.mover).__name__}.move returned {type(result).__name__}; expected a result whose `.mesh` "
                f"has the {base.n_points} points of the mesh, moved."
            )
        (kind,) = base.domain_types
        signed = torch.stack([measures(m.points.detach().double(), base.cells[kind]) for m in (base, mesh)])
        bad = int((~(signed.prod(0) > 0)).sum())
        if bad:
            raise MeshError(
                f"{type(self.mover).__name__}.move returned a mesh with {bad} of {signed.shape[1]} cells inverted or "
                "flat.\n  ml.models.movers.safeguarded(mesh, points) goes as far as all cells stay valid."
            )
        return mesh
