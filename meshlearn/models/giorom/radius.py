"""The smallest radius at which a graph of points is one piece."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import MeshError
from meshlearn.mesh.components import connected_components
from meshlearn.ops import knn, radius_neighbors

PRECISION = 1e-6  # relative
FEW = 8


def connecting_radius(points: Float[Tensor, "n dim"]) -> float:
    """The smallest radius whose graph (all pairs within it) has one component, to 1e-6 relative, from above.

    It is the longest edge of the minimum spanning tree of the points; found by bisection between the distances of
    neighbours, so that the cost is that of a few dozen neighbour searches. Raises MeshError for fewer than two points.

    >>> from meshlearn.models.giorom import connecting_radius
    >>> round(connecting_radius(torch.tensor([[0.0], [1.0], [4.0]])), 4)
    3.0
    """
    if len(points) < 2:
        raise MeshError(f"a graph needs at least two points, there are {len(points)}.")
    points = points.detach().double()
    distances, index = knn(points, points, min(FEW, len(points)))
    low = float(distances[:, 1].max())  # nobody is alone
    if low > 0 and _pieces(points, low * (1 + PRECISION)) == 1:
        return low * (1 + PRECISION)
    from_point = torch.arange(len(points), device=points.device).repeat_interleave(index.shape[1])
    if connected_components(from_point, index.reshape(-1), len(points))[0] == 1:
        high = float(distances.max())
    else:
        high = float((points.amax(0) - points.amin(0)).norm())
    if high == 0:
        raise MeshError(f"all {len(points)} points are at one place.")
    high *= 1 + PRECISION
    while high - low > PRECISION * high:
        middle = (low + high) / 2
        low, high = (low, middle) if _pieces(points, middle) == 1 else (middle, high)
    return high


def _pieces(points: Tensor, radius: float) -> int:
    adjacency = radius_neighbors(points, points, radius, exclude_self=True)
    return connected_components(adjacency.receivers, adjacency.index, len(points))[0]
