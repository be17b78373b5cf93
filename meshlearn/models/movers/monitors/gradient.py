"""Dense where a field is steep."""

from __future__ import annotations

from typing import Any

from meshlearn.mesh.mesh import Mesh
from meshlearn.models.movers.monitors.carried import CarriedField
from meshlearn.models.movers.monitors.field import point_field, reference, rounding
from meshlearn.models.movers.monitors.limits import limited
from meshlearn.models.movers.monitors.recovery import recovered_gradient
from meshlearn.train.option_checks import number


class GradientMonitor(CarriedField):
    """1 + amplitude (|grad u| / ref)^power of a point field u, with the recovered physical gradient.

    field        name of a point field (n,), or its values
    relative_to  ref: "max" or "mean" of |grad u| over the points. amplitude=100, power=1, "mean" is the monitor of
                 data-free mesh movers (Hu, Wang and Ma 2024)
    smoothing, floor, cap  as in `limited`

    The field stays in space while the mesh moves through it. Raises FieldError for a field that is constant or absent.
    """

    def __init__(
        self,
        mesh: Mesh,
        field: Any,
        amplitude: Any = 10.0,
        power: Any = 2.0,
        relative_to: Any = "max",
        smoothing: Any = 0.0,
        floor: Any = None,
        cap: Any = None,
    ) -> None:
        number("a number of 0 or more", lambda x: x >= 0)("amplitude", amplitude)
        number("a positive number", lambda x: x > 0)("power", power)
        exact, values = point_field(mesh, field)
        size = recovered_gradient(exact, values).norm(dim=1)
        made = 1 + amplitude * (size / reference(size, relative_to, "gradient", rounding(mesh, field, 1))) ** power
        super().__init__(exact, limited(exact, made, smoothing, floor, cap))
