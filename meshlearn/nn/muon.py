"""Muon: momentum whose matrices are made orthogonal before every step.

It often needs fewer steps than Adam for networks made of matrices, at a small cost per step. K. Jordan et al. 2024,
"Muon: an optimizer for hidden layers in neural networks" (algorithm 2: Nesterov momentum, five Newton-Schulz
iterations with coefficients 3.4445, -4.7750, 2.0315); the factor 0.2 sqrt(larger side), which gives updates the size of
Adam's, and decoupled weight decay are from J. Liu et al. 2025, "Muon is scalable for LLM training", arXiv:2502.16982,
eq. 4. Departures: matrices of one shape are treated as one batch, since graph networks have hundreds of small ones;
vectors, and what the caller leaves out, are updated by AdamW in the same object, so that it is one optimiser to save.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """Muon for the matrices of groups with `"muon": True`, AdamW for all other parameters.

    lr, weight_decay   of both
    momentum           of Muon
    betas, eps         of AdamW
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": betas, "eps": eps}
        super().__init__(params, {**defaults, "muon": False})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:  # type: ignore[override]
        """One update of all parameters that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            used = [p for p in group["params"] if p.grad is not None]
            by_shape: dict[Any, list[Tensor]] = defaultdict(list)
            for p in used:
                by_shape[tuple(p.shape) if group["muon"] else p.dtype].append(p)
            for parameters in by_shape.values():
                (self._muon if group["muon"] else self._adamw)(parameters, group)
        return loss

    def _muon(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        gradients = torch.stack([p.grad for p in parameters])  # type: ignore[misc]
        old = [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in parameters]
        momenta = torch.stack(old).lerp_(gradients, 1 - group["momentum"])
        update = orthogonal(gradients.lerp_(momenta, group["momentum"]))
        size = 0.2 * max(update.shape[1:]) ** 0.5
        for p, buffer, momentum, direction in zip(parameters, old, momenta, update, strict=True):
            buffer.copy_(momentum)
            p.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-group["lr"] * size)

    def _adamw(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        states = [self.state[p] for p in parameters]
        for p, state in zip(parameters, states, strict=True):
            if not state:
                state.update(step=torch.tensor(0.0), exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
        torch._fused_adamw_(
            parameters,
            [p.grad for p in parameters],  # type: ignore[misc]
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            self._counted(states, parameters[0].device),
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )

    @staticmethod
    def _counted(states: list[dict[str, Any]], device: torch.device) -> list[Tensor]:
        for state in states:
            state["step"] = state["step"].to(device)
            state["step"] += 1
        return [state["step"] for state in states]


def orthogonal(matrices: Tensor, iterations: int = 5) -> Tensor:
    """(k, m, n): about U V^T of each matrix U S V^T (singular values near 1), by Newton-Schulz iterations."""
    a, b, c = COEFFICIENTS
    x = matrices / (matrices.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    for _ in range(iterations):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x
