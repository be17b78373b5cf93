"""Learned laws as materials of `sim.mpm` and `sim.dynamics`."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.models.constitutive import moduli
from meshlearn.models.constitutive.elasticity import Core, IsotropicEnergy
from meshlearn.models.constitutive.flow import Flow, ReadyFlow
from meshlearn.sim.mpm.elastic import Elastic, matrices
from meshlearn.sim.mpm.material import Material, Matrices, Memory
from meshlearn.sim.mpm.tensors import determinant, product


class LearnedElastic(Elastic):
    """A learned elastic law; remembers F. Made by `ConstitutiveNet.law`, with the weights as they are then.

    part  the elastic part; `seen` (dim, dim, k) are deformations at which moduli are looked at, rest among them
    """

    def __init__(self, part: Core, seen: Float[Tensor, "dim dim k"], device: str | torch.device = "cpu") -> None:
        self._elastic = _ready(part, device)
        self._seen = seen.to(device)
        self._every_dim = isinstance(part, IsotropicEnergy)
        self._stiffness: float | None = None

    def rest(self, dim: int, like: Float[Tensor, " n"]) -> Memory:
        """Undeformed. Raises ParameterError for a law with axes in a body of another dimension."""
        self._check(dim)
        return super().rest(dim, like)

    def stress(self, memory: Memory, slope: Matrices) -> Matrices:
        """(dim, dim, n)."""
        return _of_dtype(self._elastic, memory).stress(matrices(memory))

    def energy(self, memory: Memory) -> Float[Tensor, " n"]:
        """Of a law without energy: the work on the straight path of strains from rest."""
        return _of_dtype(self._elastic, memory).energy(matrices(memory))

    def stiffness(self) -> float:
        """The largest over the deformations of the training."""
        if self._stiffness is None:
            self._stiffness = moduli.wave_modulus(_of_dtype(self._elastic, self._seen).stress, self._seen)
        return self._stiffness

    def modulus_bound(self, dim: int) -> float:
        """The largest over the deformations of the training. Raises ParameterError as `rest`."""
        self._check(dim)
        seen = self._seen if dim == len(self._seen) else torch.eye(dim).to(self._seen)[:, :, None]
        return moduli.largest_modulus(_of_dtype(self._elastic, seen).stress, seen)

    def _check(self, dim: int) -> None:
        if dim != len(self._seen) and not self._every_dim:
            raise ParameterError(
                f"this law was learned in {len(self._seen)}-D from strains with axes; the body is in {dim}-D. Only "
                'laws with elasticity="isotropic" serve both.'
            )

    def __repr__(self) -> str:
        return "LearnedElastic()"


class LearnedPlastic(Material):
    """A learned law that flows. Memory rows: the elastic part of F row by row, in 2-D its stretch out of the plane, and
    the flow so far. Made by `ConstitutiveNet.law`."""

    def __init__(
        self, part: Core, flow: Flow, seen: Float[Tensor, "dim dim k"], device: str | torch.device = "cpu"
    ) -> None:
        self._elastic, self._flow = _ready(part, device), _ready(flow, device)
        self._at_rest = torch.eye(len(seen)).to(seen).to(device)[:, :, None]
        self._stiffness: float | None = None

    def rest(self, dim: int, like: Float[Tensor, " n"]) -> Memory:
        """Undeformed."""
        rows = [*torch.eye(dim).reshape(-1).tolist(), *([1.0] if dim == 2 else []), 0.0]
        return torch.tensor(rows, dtype=like.dtype, device=like.device)[:, None].repeat(1, len(like))

    def stress(self, memory: Memory, slope: Matrices) -> Matrices:
        """(dim, dim, n)."""
        return _of_dtype(self._elastic, memory).stress(*_unpacked(memory)[:2])

    def moved(self, memory: Memory, growth: Matrices) -> Memory:
        """The trial deformation, and what is left of it after the flow."""
        deformation, across, flowed = _unpacked(memory)
        trial = deformation + product(growth, deformation)
        flow: ReadyFlow = _of_dtype(self._flow, memory)
        deformation, across, flowed = flow(trial, across, flowed)
        parts = [deformation.flatten(0, 1), *([] if across is None else [across[None]]), flowed[None]]
        return torch.cat(parts)

    def energy(self, memory: Memory) -> Float[Tensor, " n"]:
        """That of the elastic part."""
        return _of_dtype(self._elastic, memory).energy(*_unpacked(memory)[:2])

    def volume_ratio(self, memory: Memory) -> Float[Tensor, " n"]:
        """J: the flow keeps the volume."""
        deformation, across, _ = _unpacked(memory)
        return determinant(deformation) if across is None else determinant(deformation) * across

    def stiffness(self) -> float:
        """That of the elastic part at rest."""
        if self._stiffness is None:
            self._stiffness = moduli.wave_modulus(_of_dtype(self._elastic, self._at_rest).stress, self._at_rest)
        return self._stiffness

    def __repr__(self) -> str:
        return "LearnedPlastic()"


def _ready(part: Any, device: str | torch.device) -> dict[torch.dtype, Any]:
    """In both dtypes, made here: weights that were made at the first use would miss their gradients where that use
    has none."""
    place = torch.device(device)
    return {dtype: part.ready(dtype, place) for dtype in (torch.float32, torch.float64)}


def _of_dtype(ready: dict[torch.dtype, Any], memory: Tensor) -> Any:
    try:
        return ready[memory.dtype]
    except KeyError:
        raise ParameterError(f"learned laws compute in float32 or float64, not in {memory.dtype}.") from None


def _unpacked(memory: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
    """(F, stretch out of the plane or None, flow so far)."""
    if memory.shape[0] == 6:
        return memory[:4].view(2, 2, -1), memory[4], memory[5]
    return memory[:9].view(3, 3, -1), None, memory[9]
