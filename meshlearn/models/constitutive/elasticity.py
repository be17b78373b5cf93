"""Elastic parts of a law: a neo-Hookean core of two constants, and networks on top of it.

The core is W_0 = mu / 2 (tr C - d - 2 ln J) + lambda / 4 (J^2 - 1 - 2 ln J), with C = F^T F: it becomes infinite where
a body is flattened. Everything is written in C (or F F^T) and J: rotations enter nowhere and stresses are symmetric,
so laws are frame-indifferent and conserve angular momentum exactly. No eigenvalues or singular vectors are formed:
gradients are finite at equal stretches.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meshlearn.models.constitutive.smooth_net import ReadyNet, SmoothNet
from meshlearn.sim.mpm.material import lame
from meshlearn.sim.mpm.tensors import determinant, identity, product, product_transposed, trace

Matrices = Float[Tensor, "dim dim n"]
Across = Any  # stretch out of the plane in 2-D, (n,) or None for 1
GAUSS = ((0.0694318442, 0.1739274226), (0.3300094782, 0.3260725774))  # nodes and weights on (0, 1), with mirror images


class Core(nn.Module):
    """The two constants of the core, kept positive, and the unit in which networks give stresses."""

    unit: Tensor
    scale: Tensor

    def __init__(self, young: float, poisson: float, features: int) -> None:
        super().__init__()
        mu, bulk = lame(young, poisson)
        self.log_mu = nn.Parameter(torch.tensor(math.log(mu), dtype=torch.float64))
        self.log_bulk = nn.Parameter(torch.tensor(math.log(bulk), dtype=torch.float64))
        self.register_buffer("unit", torch.tensor(mu, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(features, dtype=torch.float64))

    def see(self, deformation: Matrices) -> None:
        """Set the scale of the features from deformations that the law will meet in training."""
        found = self.features(deformation.double(), None).square().mean(1).sqrt()
        self.scale.copy_(found.clamp(min=1e-2).to(self.scale))

    def features(self, deformation: Matrices, across: Across) -> Float[Tensor, "features n"]:
        """What the network reads, zero at rest."""
        raise NotImplementedError


class IsotropicEnergy(Core):
    """W = W_0 + unit [N(x) - N(0) - n (J - 1)], x = (I_1 - 3, I_2 - 3, J - 1); n makes rest free of stress.

    Each of x is taken in units of its size in training, and so are, below, the components of the strain.
    I_1 = tr C and I_2 = tr cof C in space (in 2-D the third stretch is 1, or that of a plastic law). With `convex`
    W is convex in all three and rises with the first two: it is polyconvex, waves have real speeds everywhere (Linden
    et al., Neural networks meet hyperelasticity, JMPS 179, 2023). The same law serves 2-D and 3-D.
    """

    def __init__(
        self, young: float, poisson: float, hidden: int, layers: int, convex: bool, random: torch.Generator
    ) -> None:
        super().__init__(young, poisson, 3)
        self.net = SmoothNet(3, 1, hidden, layers, convex, 2, random)

    def features(self, deformation: Matrices, across: Across) -> Float[Tensor, "3 n"]:
        """I_1 - 3, I_2 - 3, J - 1."""
        return _invariants(product_transposed(deformation, deformation), deformation, across)[0]

    def ready(self, dtype: torch.dtype, device: torch.device) -> ReadyIsotropic:
        """In a dtype, on a device."""
        return ReadyIsotropic(self, self.net.ready(dtype, device), dtype, device)


class Ready:
    """An elastic part with its weights as they stand: Kirchhoff stresses and energies per undeformed volume."""

    def __init__(self, part: Core, net: ReadyNet, dtype: torch.dtype, device: torch.device) -> None:
        self.mu, self.bulk = part.log_mu.exp().to(device, dtype), part.log_bulk.exp().to(device, dtype)
        self.scale = part.scale.to(device, dtype)[:, None]
        # of energies at strains of the scale; with it networks add about as much to moduli whatever the strains are
        self.unit = part.unit.to(device, dtype) * self.scale.square().mean()
        self.net = net
        self.origin = torch.zeros_like(self.scale)

    def stress(self, deformation: Matrices, across: Across = None) -> Matrices:
        """(dim, dim, n)."""
        raise NotImplementedError

    def energy(self, deformation: Matrices, across: Across = None) -> Float[Tensor, " n"]:
        """(n,)."""
        raise NotImplementedError

    def _core_stress(self, b: Matrices, volume: Tensor) -> Matrices:
        return self.mu * b + (0.5 * self.bulk * (volume * volume - 1) - self.mu) * identity(b)

    def _core_energy(self, first: Tensor, volume: Tensor) -> Tensor:
        """`first` is tr C less its value at rest."""
        log = volume.log()
        return 0.5 * self.mu * (first - 2 * log) + 0.25 * self.bulk * (volume * volume - 1 - 2 * log)


class ReadyIsotropic(Ready):
    """`IsotropicEnergy`, ready."""

    def __init__(self, part: Core, net: ReadyNet, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__(part, net, dtype, device)
        at_rest = self._slope(self.origin)
        self.rest = 2 * at_rest[0] + 4 * at_rest[1] + at_rest[2]

    def _slope(self, x: Tensor) -> Tensor:
        return self.unit * self.net.slope(x / self.scale) / self.scale

    def stress(self, deformation: Matrices, across: Across = None) -> Matrices:
        """2 (W_1 + I_1 W_2) b - 2 W_2 b^2 + J W_J 1 with b = F F^T."""
        b = product_transposed(deformation, deformation)
        x, volume = _invariants(b, deformation, across)
        first, second, third = self._slope(x).unbind(0)
        net = 2 * (first + (x[0] + 3) * second) * b - 2 * second * product(b, b)
        return self._core_stress(b, volume) + net + (third - self.rest) * volume * identity(b)

    def energy(self, deformation: Matrices, across: Across = None) -> Float[Tensor, " n"]:
        """W."""
        x, volume = _invariants(product_transposed(deformation, deformation), deformation, across)
        net = self.net.values(x / self.scale)[0] - self.net.values(self.origin)[0]
        return self._core_energy(x[0], volume) + self.unit * net - self.rest * (volume - 1)


class StrainEnergy(Core):
    """W = W_0 + unit [N(x) - N(0) - N'(0) x], x the components of the Green strain E = (C - 1) / 2, of any symmetry.

    With `convex` W - W_0 is convex in E. The axes of the material are those of the body at rest.
    """

    def __init__(
        self, young: float, poisson: float, dim: int, hidden: int, layers: int, convex: bool, random: torch.Generator
    ) -> None:
        size = dim * (dim + 1) // 2
        super().__init__(young, poisson, size)
        self.net = SmoothNet(size, 1, hidden, layers, convex, 0, random)

    def features(self, deformation: Matrices, across: Across) -> Float[Tensor, "features n"]:
        """Components of E, those off the diagonal times the root of 2."""
        return _components(_strain(deformation))

    def ready(self, dtype: torch.dtype, device: torch.device) -> ReadyStrain:
        """In a dtype, on a device."""
        return ReadyStrain(self, self.net.ready(dtype, device), dtype, device)


class StrainStress(StrainEnergy):
    """F^-1 tau F^-T = that of W_0 + unit [N(x) - N(0)] as the components of a symmetric matrix: no energy is assumed,
    so that what work a cycle of deformation does is free."""

    def __init__(self, young: float, poisson: float, dim: int, hidden: int, layers: int, random: torch.Generator):
        size = dim * (dim + 1) // 2
        Core.__init__(self, young, poisson, size)
        self.net = SmoothNet(size, size, hidden, layers, False, 0, random)

    def ready(self, dtype: torch.dtype, device: torch.device) -> ReadyStrain:
        """In a dtype, on a device."""
        return ReadyStrainStress(self, self.net.ready(dtype, device), dtype, device)


class ReadyStrain(Ready):
    """`StrainEnergy`, ready."""

    def __init__(self, part: Core, net: ReadyNet, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__(part, net, dtype, device)
        self.rest = self._raw(self.origin)

    def _raw(self, x: Tensor) -> Tensor:
        """Components of the network's stress, less a constant."""
        return self.unit * self.net.slope(x / self.scale) / self.scale

    def stress(self, deformation: Matrices, across: Across = None) -> Matrices:
        """F S F^T."""
        second = _matrix(self._raw(_components(_strain(deformation))) - self.rest, len(deformation))
        b = product_transposed(deformation, deformation)
        pushed = product_transposed(product(deformation, second), deformation)
        # symmetric to the last bit: rounding of the triple product is no torque
        return self._core_stress(b, determinant(deformation)) + 0.5 * (pushed + pushed.transpose(0, 1))

    def energy(self, deformation: Matrices, across: Across = None) -> Float[Tensor, " n"]:
        """W."""
        x = _components(_strain(deformation))
        net = self.unit * (self.net.values(x / self.scale)[0] - self.net.values(self.origin)[0])
        return self._core(deformation) + net - (self.rest * x).sum(0)

    def _core(self, deformation: Tensor) -> Tensor:
        return self._core_energy(deformation.square().sum((0, 1)) - len(deformation), determinant(deformation))


class ReadyStrainStress(ReadyStrain):
    """`StrainStress`, ready."""

    def _raw(self, x: Tensor) -> Tensor:
        return self.unit / self.scale.mean() * self.net.values(x / self.scale)

    def energy(self, deformation: Matrices, across: Across = None) -> Float[Tensor, " n"]:
        """The work on the straight path of strains from rest, by Gauss' rule; other paths may cost another one."""
        x = _components(_strain(deformation))
        work = torch.zeros_like(x[0])
        for node, weight in GAUSS:
            for place in (node, 1 - node):
                work = work + weight * ((self._raw(place * x) - self.rest) * x).sum(0)
        return self._core(deformation) + work


def _invariants(b: Tensor, deformation: Tensor, across: Across) -> tuple[Tensor, Tensor]:
    """((I_1 - 3, I_2 - 3, J - 1), J) in space."""
    first, square, volume = trace(b), b.square().sum((0, 1)), determinant(deformation)
    if len(b) == 2:
        out = torch.ones_like(first) if across is None else across * across
        first, square = first + out, square + out * out
        volume = volume if across is None else volume * across
    return torch.stack([first - 3, 0.5 * (first * first - square) - 3, volume - 1]), volume


def _strain(deformation: Tensor) -> Tensor:
    c = (deformation[:, :, None] * deformation[:, None]).sum(0)
    return 0.5 * (c - identity(c))


def _components(strain: Tensor) -> Tensor:
    dim = len(strain)
    off = [math.sqrt(2) * strain[i, j] for i in range(dim) for j in range(i + 1, dim)]
    return torch.stack([*(strain[i, i] for i in range(dim)), *off])


def _matrix(components: Tensor, dim: int) -> Tensor:
    rows = list(components.unbind(0))
    off = iter(rows[dim:])
    upper = {(i, j): next(off) / math.sqrt(2) for i in range(dim) for j in range(i + 1, dim)}
    return torch.stack(
        [torch.stack([rows[i] if i == j else upper[min(i, j), max(i, j)] for j in range(dim)]) for i in range(dim)]
    )
