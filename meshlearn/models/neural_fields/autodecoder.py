"""Codes by gradient descent from a learned start with learned step sizes (meta-learning).

Z. Li, F. Zhou, F. Chen, H. Li 2017, "Meta-SGD", arXiv:1707.09835 (eq. 1: a step size for every parameter, learned with
it), as ENF uses it: a few steps on the latents of one signal, then a step on all weights through these (second order),
or past them (first order).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meshlearn.models.neural_fields.latents import Latents

RATES = {"context": 4.0, "position": 0.01, "turn": 0.1, "window": 0.1}
"""Step sizes in the beginning: codes, lengths (in units of the network), angles, logarithms of windows."""


class Autodecoder(nn.Module):
    """A field network with the start of the latents, and the step sizes of their fit.

    field     network with `awaken`, `prepare` and `evaluate`, see `AttentionField`
    moving    which parts of the poses are fitted beside the codes: among "position", "turn", "window"
    width     logarithm of the latents' windows in the beginning
    second    whether the fit of the weights goes through the fit of the latents
    """

    def __init__(
        self, field: nn.Module, latent_dim: int, moving: tuple[str, ...], width: float, steps: int, second: bool
    ) -> None:
        super().__init__()
        field.awaken()  # type: ignore[operator]
        self.field, self.moving, self.steps, self.second = field, moving, steps, second
        self.context = nn.Parameter(torch.ones(latent_dim))
        self.width = nn.Parameter(torch.tensor(width))
        self.rates = nn.ParameterDict(
            {name: nn.Parameter(torch.tensor(math.log(RATES[name]))) for name in moving}
            | {"context": nn.Parameter(torch.full((latent_dim,), math.log(RATES["context"])))}
        )

    def start(self, position: Float[Tensor, "b m dim"], frame: Tensor | None) -> Latents:
        """Latents with the learned code and window at these poses."""
        b, m, _ = position.shape
        return Latents(position, self.context.expand(b, m, -1), self.width.expand(b, m), frame)

    def fit(
        self,
        points: Float[Tensor, "b n dim"],
        targets: Float[Tensor, "b n c"],
        weights: Float[Tensor, "b n"],
        latents: Latents,
        steps: int,
        differentiable: bool = False,
        chunk: int | None = None,
    ) -> Latents:
        """Latents after gradient steps on sum_n w_n |f(x_n; z) - y_n|^2 / c, summed over the meshes, which thus do not
        see each other.

        differentiable  keep the graph of the steps, for gradients through them
        chunk           points at a time, None: all at once; the sum is the same
        """
        size = points.shape[1] if chunk is None else chunk
        parts = [slice(i, i + size) for i in range(0, points.shape[1], size)]
        data = [(points[:, part], targets[:, part], weights[:, part]) for part in parts]
        kept: Any = None
        latents = latents if differentiable else latents.detach()
        with torch.enable_grad():
            if len(data) == 1 and not self.moving:
                kept = self.field.prepare(data[0][0], None, latents)  # type: ignore[operator]
            for _ in range(steps):
                latents = self._step(data, latents, kept, differentiable)
                latents = latents if differentiable else latents.detach()
        return latents

    def _step(self, data: list[Any], latents: Latents, kept: Any, differentiable: bool) -> Latents:
        through = differentiable and self.second
        code = latents.context if through and latents.context.requires_grad else latents.context.detach()
        variables = {"context": code if code.requires_grad else code.requires_grad_()}
        base = latents if through else latents.detach()
        sizes = {
            "position": base.position.shape,
            "window": base.window.shape,
            "turn": (*base.shape, self._n_turns(base)),
        }
        for name in self.moving:
            variables[name] = code.new_zeros(sizes[name]).requires_grad_()
        seen = base.replace(context=variables["context"]).moved(
            *(variables.get(k) for k in ("position", "turn", "window"))
        )
        gradients: list[Tensor] | None = None
        for points, targets, weights in data:
            prepared = self.field.prepare(points, None, seen) if kept is None else kept  # type: ignore[operator]
            error = (self.field.evaluate(prepared, seen) - targets).square().mean(-1)  # type: ignore[operator]
            found = torch.autograd.grad(
                (weights * error).sum(),
                list(variables.values()),
                create_graph=through,
                retain_graph=through or kept is not None,
            )
            gradients = list(found) if gradients is None else [a + b for a, b in zip(gradients, found, strict=True)]
        assert gradients is not None
        step = {name: -self.rates[name].exp() * g for name, g in zip(variables, gradients, strict=True)}
        if "position" in step:  # no further than a window in one step
            reach = step["position"].square().sum(-1, keepdim=True) * (-2 * latents.window).exp()[..., None]
            step["position"] = step["position"] / (1 + reach).sqrt()
        latents = latents.replace(context=latents.context + step["context"])
        return latents.moved(*(step.get(name) for name in ("position", "turn", "window")))

    @staticmethod
    def _n_turns(latents: Latents) -> int:
        return 0 if latents.frame is None else (1 if latents.frame.shape[-1] == 2 else 3)

    def forward(
        self,
        points: Float[Tensor, "b n dim"],
        targets: Float[Tensor, "b n c"],
        weights: Float[Tensor, "b n"],
        position: Float[Tensor, "b m dim"],
        frame: Tensor | None,
    ) -> Float[Tensor, "b n c"]:
        """The field of the fitted latents at the points they were fitted to."""
        graph = torch.is_grad_enabled()
        latents = self.fit(points, targets, weights, self.start(position, frame), self.steps, differentiable=graph)
        return self.field(points, None, latents)
