"""Values and slopes of a monitor at points, checked: whatever is not a density is refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import FieldError
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.movers.monitors.carried import CarriedField

_DIFFERENCE = 1e-6  # of the extent of the points: step of central differences


def as_monitor(mesh: Mesh, monitor: Any) -> Callable[[Tensor], Any]:
    """A function of points from what users give: a callable, the name of a point field, or values (n_points,)."""
    if callable(monitor):
        return monitor
    if isinstance(monitor, str):
        if monitor not in mesh.point_data:
            names = ", ".join(map(repr, mesh.point_data)) or "none"
            raise FieldError(
                f"the mesh has no point field {monitor!r} to be the monitor.\n  point fields: {names}\n"
                "  A monitor is a positive point field, values (n_points,), or a function of points (n, dim)."
            )
        return CarriedField(mesh, mesh.point_data[monitor], f"the point field {monitor!r}")
    if isinstance(monitor, (Tensor, np.ndarray, list, tuple)):
        return CarriedField(mesh, monitor)
    raise FieldError(
        f"the monitor is a {type(monitor).__name__}; expected a function of points (n, dim), values (n_points,), the "
        "name of a point field, or one of ml.models.movers.monitors."
    )


def values(monitor: Callable[[Tensor], Any], points: Tensor) -> Tensor:
    """(n,) float64 values at points (n, dim), with their graph. Raises FieldError unless positive and finite."""
    found = monitor(points)
    if not isinstance(found, (Tensor, np.ndarray)):
        raise FieldError(
            f"the monitor returned a {type(found).__name__} for points {tuple(points.shape)}; expected a tensor "
            f"({len(points)},) of wanted densities."
        )
    made = torch.as_tensor(found)
    if made.is_complex():
        raise FieldError("the monitor is complex; expected real, positive densities, such as its absolute value.")
    made = made.to(device=points.device, dtype=torch.float64)
    if made.dim() == 2 and made.shape[1] == 1:
        made = made[:, 0]
    if made.shape != (len(points),):
        raise FieldError(
            f"the monitor has shape {tuple(made.shape)} for {len(points)} points; expected ({len(points)},): one "
            "wanted density per point."
        )
    check_positive(made, "the monitor", points)
    return made


def check_positive(made: Tensor, what: str, points: Tensor | None = None) -> None:
    """Raises FieldError for values that are not finite or not positive; it says how many and where the first is."""
    flat = made.detach()
    for bad, fault, advice in (
        (~torch.isfinite(flat), "not finite (nan or inf)", "Repair or fill the field first."),
        (flat <= 0, "not positive", "A monitor is a density: add a constant, as in 1 + 5 * m, or use a floor."),
    ):
        rows = bad.nonzero().squeeze(1)
        if len(rows):
            first = int(rows[0])
            at = "" if points is None else f" at {[round(c, 6) for c in points[first].tolist()]}"
            raise FieldError(
                f"{len(rows)} of {len(flat)} values of {what} are {fault}; the first is number {first}{at}: "
                f"{float(flat[first]):.6g}.\n  {advice}"
            )


def slopes(monitor: Callable[[Tensor], Any], points: Tensor) -> Tensor:
    """(n, dim) derivatives of the monitor in the points: its own `gradient`, by autograd, or by central differences."""
    own = getattr(monitor, "gradient", None)
    if own is not None:
        return torch.as_tensor(own(points)).detach().double()
    with torch.enable_grad():
        leaf = points.detach().clone().requires_grad_()
        try:
            found = monitor(leaf)
        except (RuntimeError, TypeError):  # numpy inside the function: it cannot take tensors that need a gradient
            found = None
        if isinstance(found, Tensor) and found.requires_grad:
            (made,) = torch.autograd.grad(found.sum(), leaf, allow_unused=True)
            if made is not None and bool(torch.isfinite(made).all()):
                return made.double()
    step = _DIFFERENCE * float((points.amax(0) - points.amin(0)).max())
    columns = []
    for axis in torch.eye(points.shape[1], dtype=points.dtype):
        up, down = (values(monitor, points + sign * step * axis).detach() for sign in (1, -1))
        columns.append((up - down) / (2 * step))
    return torch.stack(columns, 1)
