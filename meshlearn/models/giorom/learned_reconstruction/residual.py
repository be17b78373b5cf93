"""A learned correction of motions that moving least squares carries: nothing where the motion is affine."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meshlearn.models.giorom.learned_reconstruction.kernel import N_INVARIANTS, WIDTH, fading, invariants, last_zero
from meshlearn.models.giorom.least_squares import Kernel, Nearby, local_fit
from meshlearn.nn import MLP


@dataclass(frozen=True)
class Surroundings:
    """What the correction knows of queries in the body at rest; all of one dtype.

    apart       (m, count, dim) from the query to its neighbours, over R
    constants   (m, count, n_invariants + 1) what does not change in time: `invariants`, and how corrections fade
    projection  (m, 1 + dim, count): values of the neighbours -> value and slopes (per R) of their affine fit
    radius      (m, 1) R
    """

    apart: Float[Tensor, "m count dim"]
    constants: Float[Tensor, "m count n_constants"]
    projection: Float[Tensor, "m fit count"]
    radius: Float[Tensor, "m 1"]

    @staticmethod
    def of(near: Nearby, kernel: Kernel | None) -> Surroundings:
        """Those of a fit with these weights."""
        constants = torch.cat([invariants(near.apart, near.share), fading(near.share)[:, :, None]], 2)
        return Surroundings(near.apart, constants, local_fit(near, kernel).projection, near.radius)

    def __getitem__(self, rows: Tensor | slice) -> Surroundings:
        """Those of some queries."""
        return Surroundings(self.apart[rows], self.constants[rows], self.projection[rows], self.radius[rows])

    def to(self, dtype: torch.dtype) -> Surroundings:
        """The same in another dtype."""
        radius = self.radius.to(dtype).clamp(min=torch.finfo(dtype).tiny)  # it is divided by
        return Surroundings(self.apart.to(dtype), self.constants.to(dtype), self.projection.to(dtype), radius)


class LearnedResidual(nn.Module):
    """Correction (m, dim) of the displacements of queries, from those of their neighbours (m, count, dim).

    r_i is what the affine fit leaves of the displacement of neighbour i, b_i where the fit leads its offset. The result
    is the sum of a_i r_i + c_i (r_i . b_i) b_i, with numbers |a_i|, |c_i| < 1 that a network has from lengths and
    products of these vectors: it vanishes for affine motions, since r does; and it turns with the scene, at present
    and at rest, since r and b do and the numbers stay. It is continuous in the place of the query, also where its
    neighbours change. Zero before training.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network = last_zero(MLP(N_INVARIANTS + 5, 2, WIDTH, layers=1, norm=False, fused=False)).double()

    def forward(self, moved: Float[Tensor, "m count dim"], around: Surroundings) -> Float[Tensor, "m dim"]:
        """The correction; displacements may be relative to any motion that is the same for all neighbours."""
        fit = around.projection @ moved
        turned = around.apart @ fit[:, 1:]
        left = moved - fit[:, :1] - turned
        offset = around.apart + turned / around.radius[:, :, None]
        # The farthest count for nothing, so that the correction does not jump where neighbours change.
        share = around.constants[:, :, 1]
        counts = (1 - share).clamp(min=1e-6).square()
        size = ((counts * left.square().sum(2)).sum(1) / counts.sum(1)).sqrt()[:, None]
        along = (left * offset).sum(2)
        least = torch.finfo(moved.dtype).tiny
        length = offset.norm(dim=2)
        seen = [
            left.norm(dim=2) / (size + least),
            along / (size + least),
            length,
            length - around.constants[:, :, 0],
            (size / around.radius).expand_as(length),
        ]
        table = torch.cat([around.constants[:, :, :-1], torch.stack(seen, 2)], 2)
        numbers = torch.tanh(self.network(table.flatten(0, 1))).reshape(*length.shape, 2)
        numbers = numbers * around.constants[:, :, -1:]
        return (numbers[:, :, :1] * left + (numbers[:, :, 1] * along)[:, :, None] * offset).sum(1)
