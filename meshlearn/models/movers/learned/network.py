"""From a density to a potential: rounds of a network that works point by point, each followed by a Poisson solve."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from meshlearn.models.movers.learned.elliptic import Solves
from meshlearn.models.movers.learned.equation import Density, beside, determinant, rough_map
from meshlearn.models.movers.learned.sample import MoverSample
from meshlearn.nn.mlp import MLP

_MOVES = 10.0  # displacements are some tenths of a mesh of measure 1


class MoverNetwork(nn.Module):
    """MoverSample -> (n,) potentials of mean zero on the scaled meshes.

    A round looks at the map so far (at every point: the density there and where the point is moved, the determinant,
    what is missing from equal shares, shear, displacement, surroundings); an MLP makes of it what to add to the
    Laplacian of phi, and G, the inverse of the stiffness matrix, gives
        phi <- phi - size * G(lumped * s),    size = root mean square of log(density).
    The first round starts from Laplace(phi) = - rate * log(density), what a small contrast needs. G carries what
    happens in one place to all others, on any domain and any mesh, so that the MLP can be small and local and the
    number of points is free; potentials are smooth; and a constant density, size = 0, moves nothing.
    """

    def __init__(self, surroundings: int, dim: int, rounds: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.dim = dim
        width = surroundings + 5 + (dim > 1) + dim
        self.rounds = nn.ModuleList(MLP(width, 1, width=hidden, layers=layers, norm=False) for _ in range(rounds))
        for network in self.rounds:  # a new network gives what the first round starts from
            nn.init.zeros_(network.linears[-1].weight)  # type: ignore[union-attr, index]
            nn.init.zeros_(network.linears[-1].bias)  # type: ignore[union-attr, index]
        self.rate = nn.Parameter(torch.tensor(0.5))

    def forward(self, batch: MoverSample) -> Tensor:
        """Potentials (n,)."""
        operators = batch.operators
        contrast = batch.density.log()
        size = batch.spread(batch.sums(contrast.square() * operators.lumped).sqrt())
        density = Density(operators, batch.density)
        phi = self.rate * _potential(batch, -contrast)
        for network in self.rounds:
            features = self._features(batch, phi, contrast, size, density)
            phi = phi + _potential(batch, size * network(features)[:, 0])
        return phi

    def _features(self, batch: MoverSample, phi: Tensor, contrast: Tensor, size: Tensor, density: Density) -> Tensor:
        operators = batch.operators
        moved, H = rough_map(batch, phi)
        identity = torch.eye(self.dim, dtype=H.dtype, device=H.device)
        m, det = density(operators.points + moved), determinant(identity + H)
        share = m * det
        missing = share / batch.spread(batch.sums(share * operators.lumped)) - 1
        columns = [contrast, m.log(), _tamed(det), _tamed(missing), size]
        if self.dim > 1:
            h = H.flatten(1).unbind(1)
            trace: Tensor = sum(h[:: self.dim + 1], torch.zeros_like(m))
            total = sum((entry.square() for entry in h), -trace.square() / self.dim)
            columns.append((total.clamp(min=0) + 1e-12).sqrt())
        return beside([batch.surroundings, *columns, _MOVES * moved])


def _potential(batch: MoverSample, laplacian: Tensor) -> Tensor:
    """phi of mean zero with the given Laplacian, but for its mean."""
    load = (batch.operators.lumped * laplacian)[:, None]
    return -Solves.apply(load, tuple(solvers.green for solvers in batch.all_solvers))[:, 0]


def _tamed(x: Tensor) -> Tensor:
    return x.sign() * torch.log1p(x.abs())
