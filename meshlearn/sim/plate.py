"""One plate: an outline, holes, a mesh size and loads, drawn at random but reproducibly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from meshlearn.errors import ParameterError

Circle = tuple[float, float, float]
Corner = tuple[float, float]

Range = float | int | Sequence[float | int]
"""A number, or (smallest, largest)."""

LOWEST = (-math.inf, -math.inf, 1e-9, -0.99)

OUTLINES = ("rectangle", "tapered", "chamfered")


@dataclass(frozen=True)
class Plate:
    """Geometry, material and load of a plate; lengths in mm, stresses in MPa.

    corners  the outline, counter-clockwise from the origin: bottom, right, (chamfer), top, left side
    sides    name of the side that starts at each corner
    holes    circles (x, y, radius)
    size     target edge length of the mesh
    load     tension on the right side and on the top side; negative values push
    young    Young's modulus
    poisson  Poisson's ratio
    stretch  prescribed elongation of the plate, relative to its length; 0 for one that is loaded
    """

    corners: tuple[Corner, ...]
    sides: tuple[str, ...]
    holes: tuple[Circle, ...]
    size: float
    load: tuple[float, float]
    young: float
    poisson: float
    stretch: float = 0.0


def draw_plate(
    rng: np.random.Generator,
    holes: int | Sequence[int] = (1, 3),
    size: Range = (3.5, 5.0),
    outlines: Sequence[str] = OUTLINES,
    pull: Range = (50.0, 150.0),
    side: Range = (-50.0, 50.0),
    young: Range = (70e3, 210e3),
    poisson: Range = (0.2, 0.4),
    stretch: Range | None = None,
) -> Plate:
    """Draw one plate, 80 to 130 mm long and 50 to 80 mm high.

    holes     number of holes, or its smallest and largest value; radii are 6 to 12 mm, gaps at least 6 mm
    size      edge length of the mesh in mm, or a range to draw it from
    outlines  kinds to choose from: "rectangle", "tapered" (the top slopes down), "chamfered" (a corner cut off)

    pull      tension on the right side in MPa; `side`: on the top side
    young, poisson
              Young's modulus in MPa and Poisson's ratio
    stretch   elongation relative to the length, above -1; 0 if not given

    All of these are a number, or a range to draw from.
    Raises ParameterError for bounds that are no bounds, unknown outlines, and more holes than fit.
    """
    fewest, most = _range("holes", holes, 0)
    smallest, largest = _range("size", size, 0.2)
    unknown = [outlines] if isinstance(outlines, str) else sorted(set(outlines) - set(OUTLINES))
    if unknown or not outlines:
        raise ParameterError(f"outlines are a list of names among {OUTLINES}, not {unknown or 'none at all'}.")
    given = {"pull": pull, "side": side, "young": young, "poisson": poisson}
    ranges = {name: _range(name, value, lowest) for (name, value), lowest in zip(given.items(), LOWEST, strict=True)}
    longer = (0.0, 0.0) if stretch is None else _range("stretch", stretch, -0.99)
    corners, sides = _outline(rng, str(rng.choice(list(outlines))))
    count = int(rng.integers(int(fewest), int(most) + 1))
    drawn = {name: float(rng.uniform(*pair)) for name, pair in ranges.items()}
    return Plate(
        corners=corners,
        sides=sides,
        holes=_place_holes(rng, corners, count),
        size=float(rng.uniform(smallest, largest)),
        stretch=float(rng.uniform(*longer)) if stretch is not None else 0.0,
        load=(drawn["pull"], drawn["side"]),
        young=drawn["young"],
        poisson=drawn["poisson"],
    )


def _outline(rng: np.random.Generator, kind: str) -> tuple[tuple[Corner, ...], tuple[str, ...]]:
    length, height = rng.uniform(80.0, 130.0), rng.uniform(50.0, 80.0)
    right = height * rng.uniform(0.65, 0.9) if kind == "tapered" else height
    corners = [(0.0, 0.0), (length, 0.0), (length, right), (0.0, height)]
    sides = ["bottom", "right", "top", "left"]
    if kind == "chamfered":
        cut = height * rng.uniform(0.2, 0.4)
        corners[2:3] = [(length, height - cut), (length - cut, height)]
        sides.insert(2, "chamfer")
    return tuple((float(x), float(y)) for x, y in corners), tuple(sides)


def _place_holes(
    rng: np.random.Generator, corners: Sequence[Corner], count: int, gap: float = 6.0
) -> tuple[Circle, ...]:
    """Throw circles until `count` of them keep their distance; radii shrink towards 6 mm when it gets crowded."""
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    for attempt in range(50):
        placed: list[Circle] = []
        for _ in range(60):
            if len(placed) == count:
                return tuple(placed)
            radius = 6.0 + 6.0 * rng.uniform() * 0.95**attempt
            x, y = rng.uniform(low, high)
            apart = all(math.hypot(x - a, y - b) >= radius + r + gap for a, b, r in placed)
            if apart and _depth(x, y, corners) >= radius + gap:
                placed.append((float(x), float(y), float(radius)))
        if len(placed) == count:
            return tuple(placed)
    raise ParameterError(f"{count} holes do not fit on a plate of {high[0]:.0f} x {high[1]:.0f} mm; ask for fewer.")


def _depth(x: float, y: float, corners: Sequence[Corner]) -> float:
    """Distance from a point to the sides of a convex outline; negative outside."""
    depth = math.inf
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        depth = min(depth, ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / math.hypot(bx - ax, by - ay))
    return depth


def _range(name: str, value: Range, lowest: float | int) -> tuple[float, float]:
    pair = [value, value] if isinstance(value, (int, float)) else list(value)
    low, high = pair if len(pair) == 2 else (1, 0)
    if not lowest <= low <= high < math.inf:
        raise ParameterError(f"{name} is a number or a pair (smallest, largest), at least {lowest:g}, not {value}.")
    return float(low), float(high)
