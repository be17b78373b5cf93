"""Learned laws with weights far from their start, and deformations to try them on."""

import torch

import meshlearn as ml
from meshlearn.models.constitutive.parts import Parts
from meshlearn.sim.mpm.tensors import determinant

KINDS = ("isotropic", "energy", "stress")


def parts(kind="isotropic", dim=2, young=10.0, spread=0.5, **options):
    """Parts whose weights were shaken, so that networks matter as much as the core."""
    made = Parts(ml.ConstitutiveNet(kind, young=young, hidden=8, **options), dim)
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += spread * torch.randn(parameter.shape, generator=random, dtype=torch.float64)
    return made


def deformations(dim, n=20, size=0.3):
    found = torch.eye(dim, dtype=torch.float64)[:, :, None] + size * torch.randn(dim, dim, 4 * n, dtype=torch.float64)
    return found[:, :, determinant(found) > 0.3][:, :, :n]


def rotations(dim, n):
    turns = torch.linalg.qr(torch.randn(n, dim, dim, dtype=torch.float64))[0]
    turns[:, 0] *= torch.linalg.det(turns)[:, None]
    return turns.permute(1, 2, 0)


def stress_of(law, deformation):
    return law.stress(deformation.flatten(0, 1), torch.zeros_like(deformation))
