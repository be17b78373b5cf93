"""How evenly a moved mesh shares the monitor: the measures that Monge-Ampère movers are judged by."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.mesh.mesh import Mesh


@dataclass(frozen=True)
class Equidistribution:
    """Spread of v_K = (integral of m over the moved cell K) / (measure of K before): 0 and 1 where it is even.

    cv     standard deviation of v over its mean
    ratio  largest v over smallest
    """

    cv: float
    ratio: float


def equidistribution(before: Mesh, after: Mesh, monitor: Float[Tensor, " n"]) -> Equidistribution:
    """Of a moved mesh with monitor values at its points; both meshes have the same cells."""
    shares = cell_shares(before, after, monitor)
    smallest = float(shares.min())
    ratio = float(shares.max()) / smallest if smallest > 0 else float("inf")
    return Equidistribution(float(shares.std(correction=0) / shares.mean()), ratio)


def cell_shares(before: Mesh, after: Mesh, monitor: Float[Tensor, " n"]) -> Float[Tensor, " n_cells"]:
    """(n_cells,): v_K of every cell, negative where it is inverted; differentiable in the points of `after`."""
    (kind,) = before.domain_types
    nodes = before.cells[kind]
    old, new = (_determinants(mesh.points, nodes) for mesh in (before, after))
    return new / old * monitor[nodes].mean(1)


def _determinants(points: Tensor, nodes: Tensor) -> Tensor:
    x = points.double()[nodes]
    return torch.linalg.det(x[:, 1:] - x[:, :1])
