"""The six (in 2-D four) sides of a box as walls: what a body may do where it touches them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshlearn.errors import ParameterError
from meshlearn.hints import did_you_mean

SIDES = {
    2: (("left", "right"), ("bottom", "top")),
    3: (("left", "right"), ("front", "back"), ("bottom", "top")),
}
"""Names of the lower and upper side of every axis, those of `ml.shapes`; gravity usually points to "bottom"."""

KINDS = ("slip", "sticky", "separate", "open")


@dataclass(frozen=True)
class Wall:
    """What happens on one side.

    kind      "separate": nothing passes, what touches may leave again; "slip": nothing passes and nothing leaves;
              "sticky": what touches stays where it is; "open": no wall
    friction  Coulomb's coefficient between 0 and 10, for "separate"
    """

    kind: str = "separate"
    friction: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            guess = did_you_mean(str(self.kind), KINDS)
            raise ParameterError(f"there is no wall {self.kind!r}{guess} Walls are {', '.join(KINDS)}.")
        if isinstance(self.friction, bool) or not 0 <= float(self.friction) <= 10:
            raise ParameterError(f"friction is a coefficient from 0 to 10, not {self.friction}.")
        if self.friction and self.kind != "separate":
            raise ParameterError(f'friction acts on "separate" walls; this one is {self.kind!r}.')


def side_walls(walls: Any, dim: int) -> tuple[tuple[Wall, Wall], ...]:
    """(lower wall, upper wall) of every axis, from one kind for all of them or {side: kind}; a kind is a `Wall` or its
    name. Sides that are not named are "separate". Raises ParameterError for other kinds and sides.

    >>> from meshlearn.sim.motion.walls import side_walls
    >>> side_walls({"left": "open"}, 2)[0]
    (Wall(kind='open', friction=0.0), Wall(kind='separate', friction=0.0))
    """
    names = [name for pair in SIDES[dim] for name in pair]
    given = dict(walls) if isinstance(walls, Mapping) else dict.fromkeys(names, walls)
    for name, wall in given.items():
        if name not in names:
            raise ParameterError(f"there is no side {name!r}{did_you_mean(str(name), names)} Sides are {names}.")
        if not isinstance(wall, (str, Wall)):
            raise ParameterError(
                f'a wall is a Wall or one of {KINDS}, or {{side: wall}}; for "{name}" got {wall!r:.60}.'
            )
    made = {name: wall if isinstance(wall, Wall) else Wall(wall) for name, wall in given.items()}
    return tuple((made.get(low, Wall()), made.get(high, Wall())) for low, high in SIDES[dim])


def box(lower: Any, upper: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The corners of a box in 2-D or 3-D, as floats. Raises ParameterError for anything else."""
    corners = []
    for name, corner in (("lower", lower), ("upper", upper)):
        try:
            corners.append(tuple(float(value) for value in corner))
        except (TypeError, ValueError):
            raise ParameterError(f"{name} is a corner of the box, (x, y) or (x, y, z), not {corner!r:.60}.") from None
    low, high = corners
    if len(low) != len(high) or len(low) not in (2, 3):
        raise ParameterError(f"lower and upper are two corners in 2-D or 3-D, not {low} and {high}.")
    if not all(a < b and math.isfinite(a) and math.isfinite(b) for a, b in zip(low, high, strict=True)):
        raise ParameterError(f"lower must be below upper along every axis, not {low} and {high}.")
    return low, high
