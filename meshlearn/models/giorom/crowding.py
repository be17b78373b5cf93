"""Graphs that are dense because the radius has to join pieces that are far apart."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from meshlearn.mesh.components import connected_components
from meshlearn.ops import Adjacency, radius_neighbors

CROWDED = 3.0  # times the usual number of neighbours


class CrowdedGraphWarning(UserWarning):
    """A graph of nodes with far more neighbours than are usual, which makes every step as much slower."""


def crowding(
    points: Float[Tensor, "n dim"], graph: Adjacency, radius: float, usual_radius: float, usual_degree: float
) -> str:
    """What is wrong with a graph whose radius is larger than usual to make it one piece; empty if little is."""
    degree = graph.n_edges / len(points)
    if not degree > CROWDED * usual_degree:
        return ""
    usual = radius_neighbors(points, points, usual_radius, exclude_self=True)
    pieces = connected_components(usual.receivers, usual.index, len(points))[0]
    return (
        f"each of {len(points)} nodes has {degree:.0f} neighbors on average, {usual_degree:.0f} are usual: at the "
        f"usual radius of {usual_radius:.3g} they are in {pieces} pieces, which only {radius:.3g} joins.\n"
        f"  A step has {degree / usual_degree:.0f} times as many edges. Take a trajectory for each piece unless they "
        "meet, and nodes that are evenly spread (sampling 'farthest')."
    )
