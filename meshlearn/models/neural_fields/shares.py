"""What every point of a mesh stands for: its share of the length, area or volume; on clouds, by its neighbours."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from meshlearn import ops
from meshlearn.mesh.mesh import Mesh
from meshlearn.train.graph import measure_weights

_KNOWN = WeakTensorKeyDictionary()  # of clouds, by their points
ASKED = 2048  # points that the dimension of a cloud is found from
FEW, MORE = 4, 16  # neighbours whose distances are compared
ASIDE = 0.8  # on graded triangles and grids the closest to the lumped measures of their meshes, of 0, 0.5, 0.8 and 1


def point_shares(mesh: Mesh) -> Float[Tensor, " n_points"]:
    """(n_points,) weights that add up to 1: the share of the measure of a mesh that each of its points stands for.

    A point of a cloud stands for r^d (1 - 0.8 a / r), with the root mean square r of the distances to its 2 dim nearest
    neighbours, the dimension d of the cloud (2 for points of a surface in space), and the distance a to the middle of
    these neighbours, which at an edge lie all on one side. Where it is twice as dense, points count half as much: a
    cloud says nearly the same as a mesh of the same places. All count alike in clouds of a few points.
    """
    if mesh.domain_types:
        return measure_weights(mesh, "point")
    if mesh.points not in _KNOWN:
        _KNOWN[mesh.points] = _cloud_shares(mesh.points.detach().double()).to(mesh.points)
    shares: Tensor = _KNOWN[mesh.points]
    return shares


def _cloud_shares(x: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
    n, k = x.shape[0], 2 * x.shape[1]
    alike = x.new_full((n,), 1.0 / max(n, 1))
    if n <= MORE:
        return alike
    distance, index = ops.knn(x, x, k + 1)
    radius = distance[:, 1:].square().mean(1).sqrt()
    aside = (ops.gather(x, index[:, 1:]).mean(1) - x).norm(dim=1) / radius.clamp(min=1e-300)
    size = (1 - ASIDE * aside) * (radius / radius.max().clamp(min=1e-300)) ** cloud_dimension(x)
    total = size.sum()
    return size / total if bool(total > 0) else alike


def cloud_dimension(x: Float[Tensor, "n dim"]) -> int:
    """The dimension of what more than 16 points lie on, at most that of their space: the number of neighbours grows
    with this power of the distance (in the median over the points)."""
    near = ops.knn(x, x[:: -(-len(x) // ASKED)], MORE + 1)[0][:, [FEW, MORE]].clamp(min=1e-300)
    growth = (near[:, 1] / near[:, 0]).median()
    power = math.log(MORE / FEW) / max(math.log(float(growth)), 1e-3)
    return min(max(round(power), 1), x.shape[1])
