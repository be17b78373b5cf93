"""Dense where a field bends: two forms that the literature uses under one name."""

from __future__ import annotations

from typing import Any

from meshlearn.mesh.mesh import Mesh
from meshlearn.models.movers.monitors.carried import CarriedField
from meshlearn.models.movers.monitors.field import point_field, reference, rounding
from meshlearn.models.movers.monitors.limits import limited
from meshlearn.models.movers.monitors.recovery import recovered_hessian
from meshlearn.train.option_checks import number


class HessianMonitor(CarriedField):
    """1 + amplitude |H| / max|H| of a point field, |H| = sqrt(H : H) of the recovered Hessian.

    field  name of a point field (n,), or its values
    smoothing, floor, cap  as in `limited`

    The field stays in space while the mesh moves through it. Raises FieldError for a field without curvature.
    """

    _power = 1

    def __init__(
        self,
        mesh: Mesh,
        field: Any,
        amplitude: Any = 5.0,
        smoothing: Any = 0.0,
        floor: Any = None,
        cap: Any = None,
    ) -> None:
        number("a number of 0 or more", lambda x: x >= 0)("amplitude", amplitude)
        exact, values = point_field(mesh, field)
        size = recovered_hessian(exact, values).flatten(1).norm(dim=1)
        made = 1 + amplitude * (size / reference(size, "max", "Hessian", rounding(mesh, field, 2))) ** self._power
        super().__init__(exact, limited(exact, made, smoothing, floor, cap))


class SquaredHessianMonitor(HessianMonitor):
    """1 + amplitude (H : H) / max(H : H): the square of the norm, sharper than `HessianMonitor`."""

    _power = 2
