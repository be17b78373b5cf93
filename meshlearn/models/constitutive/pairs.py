"""Training on stresses: pairs of deformation gradients and first Piola-Kirchhoff stresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from meshlearn.errors import FieldError
from meshlearn.mesh import checks
from meshlearn.models.constitutive.moduli import first_piola
from meshlearn.models.constitutive.training import Optimizer
from meshlearn.sim.mpm.tensors import determinant


def as_matrices(name: str, value: Any) -> Tensor:
    """(n, dim, dim) floats as (dim, dim, n) in their dtype. Raises FieldError for anything else."""
    found = checks.tensor(value, name)
    shape = tuple(found.shape)
    if found.dim() != 3 or shape[1] != shape[2] or shape[1] not in (2, 3) or not found.is_floating_point():
        raise FieldError(f"{name} is floating-point (n, 2, 2) or (n, 3, 3), not {found.dtype} {shape}.")
    if not bool(torch.isfinite(found).all()):
        raise FieldError(f"{name} has values that are not finite.")
    return found.permute(1, 2, 0)


def as_deformation(value: Any) -> Tensor:
    """Deformation gradients (n, dim, dim) as (dim, dim, n). Raises FieldError also where a volume is not positive."""
    found = as_matrices("deformation_gradient", value)
    ratio = determinant(found)
    if not bool((ratio > 0).all()):
        row = int((~(ratio > 0)).nonzero()[0])
        raise FieldError(
            f"deformation_gradient has {int((~(ratio > 0)).sum())} rows that are turned inside out or flat; the first "
            f"is row {row} with determinant {float(ratio[row]):.3g}."
        )
    return found


def as_pairs(deformation: Any, stress: Any) -> tuple[Tensor, Tensor]:
    """Both as (dim, dim, n) float64. Raises FieldError unless they fit each other."""
    found, target = as_deformation(deformation), as_matrices("stress", stress)
    if found.shape != target.shape:
        raise FieldError(
            f"there are {found.shape[2]} deformation gradients in {len(found)}-D and {target.shape[2]} stresses in "
            f"{len(target)}-D: one stress for each is needed."
        )
    if not bool(target.any()):
        raise FieldError("all stresses are zero: there is nothing to learn from them.")
    return found.double(), target.double()


def train_on_pairs(
    modules: nn.Module,
    make_law: Callable[[], Any],
    deformation: Tensor,
    stress: Tensor,
    updates: int,
    learning_rate: float,
) -> list[dict[str, Any]]:
    """Adam on all pairs at once; the loss is the squared error of P over the mean square of the truth."""
    optimizer = Optimizer(modules, learning_rate, updates)
    size, memory = stress.square().mean(), deformation.flatten(0, 1)
    history = []
    for update in range(updates):
        optimizer.begin(update)
        found = first_piola(make_law().stress(memory, torch.zeros_like(deformation)), deformation)
        loss = (found - stress).square().mean() / size
        loss.backward()
        optimizer.adam.step()
        history.append({"update": update, "loss": float(loss.detach())})
    return history
