"""What a `ConstitutiveNet` learns, as modules, and the materials made of them."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meshlearn.errors import ParameterError
from meshlearn.hints import did_you_mean
from meshlearn.models.constitutive.elasticity import IsotropicEnergy, StrainEnergy, StrainStress
from meshlearn.models.constitutive.flow import Flow
from meshlearn.models.constitutive.materials import LearnedElastic, LearnedPlastic
from meshlearn.sim.mpm.elastic import Corotated, NeoHookean
from meshlearn.sim.mpm.material import Material
from meshlearn.train.option_checks import flag, number, whole

TWO_CONSTANTS = {"neo-hookean": NeoHookean, "corotated": Corotated}
NETWORKS = ("isotropic", "energy", "stress")
LARGEST_POISSON = 0.49
LARGEST_RANK = 0.98  # of strains, by their size


class TwoConstants(nn.Module):
    """A built-in law whose constants are learned: Young's modulus, positive, and Poisson's ratio between 0 and 0.49."""

    def __init__(self, kind: str, young: float, poisson: float) -> None:
        super().__init__()
        self.kind = kind
        share = poisson / LARGEST_POISSON
        self.log_young = nn.Parameter(torch.tensor(math.log(young), dtype=torch.float64))
        self.logit = nn.Parameter(torch.tensor(math.log(share / (1 - share)), dtype=torch.float64))

    def material(self, device: Any) -> Material:
        """The law with its constants as they stand."""
        young, poisson = self.log_young.exp(), LARGEST_POISSON * torch.sigmoid(self.logit)
        return TWO_CONSTANTS[self.kind](young.to(device), poisson.to(device))


class Parts(nn.Module):
    """The elastic part of a law and, if it flows, the plastic one; `seen` (dim, dim, k): deformations of training."""

    seen: Tensor

    def __init__(self, model: Any, dim: int, seen: int = 1) -> None:
        super().__init__()
        check(model)
        random = torch.Generator().manual_seed(int(model.seed))
        young, poisson, kind = float(model.young), float(model.poisson), model.elasticity
        size = (int(model.hidden), int(model.layers))
        self.elastic: Any
        if kind in TWO_CONSTANTS:
            self.elastic = TwoConstants(kind, young, poisson)
        elif kind == "isotropic":
            self.elastic = IsotropicEnergy(young, poisson, *size, model.convex, random)
        elif kind == "energy":
            self.elastic = StrainEnergy(young, poisson, dim, *size, model.convex, random)
        else:
            self.elastic = StrainStress(young, poisson, dim, *size, random)
        self.flow = Flow(float(model.yield_strain), *size, random) if model.plasticity else None
        self.register_buffer("seen", torch.eye(dim, dtype=torch.float64)[:, :, None].repeat(1, 1, seen))

    def material(self, device: Any = "cpu") -> Material:
        """The law with its weights as they stand; gradients flow to them."""
        if isinstance(self.elastic, TwoConstants):
            return self.elastic.material(device)
        if self.flow is None:
            return LearnedElastic(self.elastic, self.seen, device)
        return LearnedPlastic(self.elastic, self.flow, self.seen, device)

    def see(self, deformation: Float[Tensor, "dim dim n"], most: int = 64) -> None:
        """Take deformations to heart: all of them scale the networks, some (all but the very largest strains, which are
        rarely seen well) bound moduli."""
        deformation = deformation.detach().double().cpu()
        if isinstance(self.elastic, TwoConstants):
            return
        self.elastic.see(deformation)
        if self.flow is None:
            c = (deformation[:, :, None] * deformation[:, None]).sum(0)
            size = (c - torch.eye(len(c), dtype=c.dtype)[:, :, None]).square().sum((0, 1))
            ranks = torch.linspace(0, LARGEST_RANK * (len(size) - 1), min(most, len(size))).long()
            chosen = size.argsort().index_select(0, ranks)
            rest = torch.eye(len(c), dtype=c.dtype)[:, :, None]
            self.seen = torch.cat([rest, deformation.index_select(2, chosen)], 2)


def check(model: Any) -> None:
    """Raise ParameterError for arguments of a `ConstitutiveNet` that do not fit."""
    kinds = [*NETWORKS, *TWO_CONSTANTS]
    if model.elasticity not in kinds:
        raise ParameterError(
            f"there is no elasticity {model.elasticity!r}{did_you_mean(str(model.elasticity), kinds)} There are "
            f"{', '.join(kinds)}."
        )
    for name in ("plasticity", "convex"):
        flag(name, getattr(model, name))
    if model.plasticity and model.elasticity != "isotropic":
        raise ParameterError(
            f"plasticity=True goes with elasticity='isotropic', not {model.elasticity!r}: what flows forgets the axes "
            "it had at rest."
        )
    number("a positive number", lambda value: value > 0)("young", model.young)
    number("a number above 0 and below 0.49", lambda value: 0 < value < LARGEST_POISSON)("poisson", model.poisson)
    number("a number above 0 and below 1", lambda value: 0 < value < 1)("yield_strain", model.yield_strain)
    whole(1)("hidden", model.hidden)
    whole(1)("layers", model.layers)
    whole(0)("seed", model.seed)
