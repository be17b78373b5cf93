"""The coarsest grid that carries a field well enough, found by trying."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from torch import Tensor

from meshlearn.mesh.mesh import Mesh

_FIRST = 8
_STEP = 1.4  # from one number of nodes along the longest side to the next
_NO_BETTER, _LOOKED_BACK = 0.95, 3  # floors of so many grids that differ by less are a floor that stays
_FINE = 4  # nodes per value from which on a grid is finer than the mesh


class Search(NamedTuple):
    """What was found.

    points  nodes along the longest side of the grid with the smallest floor of those tried
    floor   its floor
    stays   finer grids were no better, though they were finer than the mesh
    """

    points: int
    floor: float
    stays: bool = False


def search(adapter: Any, mesh: Mesh, location: str, values: Tensor, error: float, most_nodes: int) -> Search:
    """Ever finer grids of an adapter until the floor of these values is at most `error`, or `most_nodes` are passed.

    Ends early where the floor stays: that of "conservative" and "kernel" does, once the grid is finer than the mesh.
    """
    points, best, floors = _FIRST, Search(0, math.inf), []
    while adapter.with_shape(points).grid(mesh).n_nodes <= most_nodes:
        pair = adapter.with_shape(points).transfer(mesh, location)
        floors.append(pair.floor(values))
        if floors[-1] < best.floor:
            best = Search(points, floors[-1])
        if floors[-1] <= error:
            break
        last = floors[-_LOOKED_BACK:]
        same = len(last) == _LOOKED_BACK and min(last) > _NO_BETTER * max(last)
        if same and pair.grid.n_nodes > _FINE * len(values):
            return best._replace(stays=True)
        points = math.ceil(points * _STEP)
    return best
