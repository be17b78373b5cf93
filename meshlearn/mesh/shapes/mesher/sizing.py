"""How long edges should be: the given size, smaller at small features and in narrow gaps, growing away from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from meshlearn.errors import ParameterError
from meshlearn.mesh.shapes.mesher.curves import Curve

GROWTH = 0.35  # edge length gained per unit of distance from a small feature
SEGMENTS = 16  # at least so many segments on a closed smooth curve
NARROWEST = 1 / 50  # gaps below this fraction of the size are refused


class SizeField:
    """size(x) = min(largest, min over sources of (size of the source + GROWTH * distance))."""

    def __init__(self, largest: float, sources: np.ndarray, sizes: np.ndarray) -> None:
        self.largest = largest
        self.smallest = float(min(largest, sizes.min(initial=largest)))
        small = sizes < 0.95 * largest
        sources, sizes = sources[small], sizes[small]
        # sources of about the same size share a search tree
        band = np.round(np.log(sizes / largest) / np.log(1.15)).astype(np.int64)
        self.trees = [(float(sizes[band == b].min()), cKDTree(sources[band == b])) for b in np.unique(band)]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Edge length (n,) wanted at points (n, 2)."""
        size = np.full(len(points), self.largest)
        for own, tree in self.trees:
            reach = (self.largest - own) / GROWTH
            distance, _ = tree.query(points, distance_upper_bound=reach)
            np.minimum(size, own + GROWTH * distance, out=size)
        return size


def size_field(curves: Sequence[Curve], size: float, names: Sequence[str]) -> SizeField:
    """The size field of a region. Raises ParameterError where curves come closer than `NARROWEST` * size."""
    wanted = [_curve_sizes(curve, size) for curve in curves]
    points, own, piece, curve_of = [], [], [], []
    first = 0
    for number, (curve, sizes) in enumerate(zip(curves, wanted, strict=True)):
        ends = np.append(curve.breaks, curve.breaks[0] + 1.0)
        lengths = curve.piece_lengths()
        for k in range(curve.pieces):
            m = int(np.clip(np.ceil(3 * lengths[k] / sizes[k]), 3, 100_000))
            t = np.linspace(ends[k], ends[k + 1], m, endpoint=False)
            points.append(curve.at(t))
            own.append(np.full(m, sizes[k]))
            piece.append(np.full(m, first + k))
            curve_of.append(np.full(m, number))
        first += curve.pieces
    x, h, part, owner = (np.concatenate(parts) for parts in (points, own, piece, curve_of))
    gap, other = _gaps(x, part, owner, curves)
    narrow = gap < NARROWEST * size
    if narrow.any():
        worst = int(gap.argmin())
        a, b = names[owner[worst]], names[owner[other[worst]]]
        raise ParameterError(
            f"{a} and {b} come within {gap[worst]:.3g} of each other near ({x[worst, 0]:.4g}, {x[worst, 1]:.4g}); "
            f"with size={size:g} they must stay {NARROWEST * size:.3g} apart.\n  move them apart, or reduce the size."
        )
    return SizeField(size, x, np.minimum(h, gap))


def _curve_sizes(curve: Curve, size: float) -> np.ndarray:
    """Size along each piece: a smooth curve has at least SEGMENTS segments, a side at least one."""
    lengths = curve.piece_lengths()
    return np.minimum(size, lengths / SEGMENTS if curve.smooth else lengths)


def _gaps(x: np.ndarray, part: np.ndarray, owner: np.ndarray, curves: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """Distance from each sample to the nearest sample of a piece that is not its neighbour, among its 24 nearest."""
    sides = np.array([curve.pieces for curve in curves])
    distance, index = cKDTree(x).query(x, k=min(24, len(x)))
    same = owner[index] == owner[:, None]
    step = np.abs(part[index] - part[:, None])
    around = np.minimum(step, sides[owner][:, None] - step)
    foreign = ~(same & (around <= 1))
    distance = np.where(foreign, distance, np.inf)
    nearest = distance.argmin(1)
    rows = np.arange(len(x))
    return distance[rows, nearest], index[rows, nearest]


def discretise(curve: Curve, field: SizeField) -> tuple[np.ndarray, np.ndarray]:
    """Parameters (n,) of the nodes of a curve, increasing from its first break, and the piece (n,) after each node."""
    ends = np.append(curve.breaks, curve.breaks[0] + 1.0)
    lengths = curve.piece_lengths()
    parameters, pieces = [], []
    for k in range(curve.pieces):
        m = int(np.clip(np.ceil(6 * lengths[k] / field.smallest), 48, 200_000))
        t = np.linspace(ends[k], ends[k + 1], m + 1)
        x = curve.at(t)
        step = np.linalg.norm(np.diff(x, axis=0), axis=1)
        density = 1 / field(x)
        cumulative = np.append(0, np.cumsum(step * 0.5 * (density[:-1] + density[1:])))
        n = max(int(np.ceil(cumulative[-1] - 0.25)), SEGMENTS if curve.smooth else 1)
        parameters.append(np.interp(np.arange(n) * cumulative[-1] / n, cumulative, t))
        pieces.append(np.full(n, k))
    return np.concatenate(parameters), np.concatenate(pieces)
