"""L-BFGS for many small independent problems side by side, between bounds."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

Function = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
MEMORY, ARMIJO, HALVINGS = 10, 1e-4, 12


def minimise(
    function: Function,
    start: Float64[Tensor, "batch p"],
    low: Float64[Tensor, " p"],
    high: Float64[Tensor, " p"],
    iterations: int = 100,
    gradient_tolerance: float = 1e-5,
    tolerance: float = 1e-9,
) -> tuple[Float64[Tensor, "batch p"], Float64[Tensor, " batch"], Int64[Tensor, " batch"]]:
    """(minimisers, values, iterations) of independent functions; each stops by itself.

    function  (theta (k, p), which (k,)) -> (values (k,), gradients (k, p)) of the problems numbered `which`
    low, high bounds; a parameter at its bound stays there as long as the gradient holds it (projected gradients)

    A problem ends when the largest entry of its projected gradient is below `gradient_tolerance`, when a step gains
    less than `tolerance` relative to 1 + |value|, or when no step of the line search gains at all. Two-loop recursion
    and Armijo backtracking as in Nocedal and Wright, Numerical Optimization, 2006, algorithms 7.4 and 3.1.
    """
    theta = torch.minimum(torch.maximum(start, low), high)
    value, gradient = function(theta, torch.arange(len(theta)))
    best, count = value.clone(), torch.zeros(len(theta), dtype=torch.int64)
    result = theta.clone()
    active = torch.isfinite(value).nonzero().squeeze(1)
    theta, value, gradient = (t.index_select(0, active) for t in (theta, value, gradient))
    history = _History(len(active), theta.shape[1])
    for _ in range(iterations):
        free = ~(((theta <= low) & (gradient > 0)) | ((theta >= high) & (gradient < 0)))
        steep = (gradient * free).abs().amax(1) if theta.numel() else value
        going = steep > gradient_tolerance
        active, theta, value, gradient, free = (t[going] for t in (active, theta, value, gradient, free))
        history.keep(going)
        if not len(active):
            break
        count[active] += 1
        direction = history.direction(gradient * free) * free
        descent = (direction * gradient).sum(1)
        lost = descent >= 0
        direction = torch.where(lost[:, None], -gradient * free, direction)
        descent = (direction * gradient).sum(1)
        new, new_value, new_gradient, moved = _search(
            function, active, theta, value, gradient, direction, descent, low, high, history.first
        )
        history.add(new - theta, (new_gradient - gradient), moved)
        gain = value - new_value
        theta, value, gradient = new, new_value, new_gradient
        result[active], best[active] = theta, value
        going = moved & (gain > tolerance * (1 + value.abs()))
        active, theta, value, gradient = (t[going] for t in (active, theta, value, gradient))
        history.keep(going)
        if not len(active):
            break
    return result, best, count


def _search(
    function: Function,
    which: Tensor,
    theta: Tensor,
    value: Tensor,
    gradient: Tensor,
    direction: Tensor,
    descent: Tensor,
    low: Tensor,
    high: Tensor,
    first: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Steps along the directions, halved (by quadratic interpolation) until they gain enough: (theta, f, g, moved)."""
    step = torch.ones_like(value)
    if first:
        step = (1.0 / direction.norm(dim=1)).clamp(max=1.0)
    step = torch.minimum(step, 4.0 / direction.abs().amax(1))  # logarithms: no parameter changes by more than e^4
    new, new_value, new_gradient = theta.clone(), value.clone(), gradient.clone()
    moved = torch.zeros_like(value, dtype=torch.bool)
    pending = torch.arange(len(value))
    for _ in range(HALVINGS):
        t = step[pending]
        trial = torch.minimum(torch.maximum(theta[pending] + t[:, None] * direction[pending], low), high)
        f, g = function(trial, which[pending])
        slope = (gradient[pending] * (trial - theta[pending])).sum(1)
        good = f <= value[pending] + ARMIJO * slope
        done = pending[good]
        new[done], new_value[done], new_gradient[done], moved[done] = trial[good], f[good], g[good], True
        rest = ~good
        pending, f, t = pending[rest], f[rest], t[rest]
        if not len(pending):
            break
        curve = f - value[pending] - t * descent[pending]
        fitted = -descent[pending] * t.square() / (2 * curve)
        fitted = torch.where(torch.isfinite(fitted), fitted, 0.1 * t)
        step[pending] = torch.minimum(torch.maximum(fitted, 0.1 * t), 0.5 * t)
    return new, new_value, new_gradient, moved


class _History:
    """The last steps and changes of gradients of every problem."""

    def __init__(self, batch: int, p: int) -> None:
        self.steps = torch.zeros(0, batch, p, dtype=torch.float64)
        self.changes = torch.zeros(0, batch, p, dtype=torch.float64)
        self.inverse = torch.zeros(0, batch, dtype=torch.float64)  # 1 / s^T y, 0 where a pair is not used

    @property
    def first(self) -> bool:
        return not len(self.steps)

    def keep(self, mask: Tensor) -> None:
        if not bool(mask.all()):
            self.steps, self.changes, self.inverse = self.steps[:, mask], self.changes[:, mask], self.inverse[:, mask]

    def add(self, step: Tensor, change: Tensor, moved: Tensor) -> None:
        product = (step * change).sum(1)
        use = moved & (product > 1e-12 * step.norm(dim=1) * change.norm(dim=1)) & (product > 0)
        inverse = torch.where(use, 1 / product, 0.0)
        self.steps = torch.cat([self.steps, step[None]])[-MEMORY:]
        self.changes = torch.cat([self.changes, change[None]])[-MEMORY:]
        self.inverse = torch.cat([self.inverse, inverse[None]])[-MEMORY:]

    def direction(self, gradient: Tensor) -> Tensor:
        q = gradient.clone()
        factors = []
        for s, y, rho in zip(self.steps.flip(0), self.changes.flip(0), self.inverse.flip(0), strict=True):
            factor = rho * (s * q).sum(1)
            factors.append(factor)
            q = q - factor[:, None] * y
        scale = torch.ones_like(q[:, 0])
        for s, y, rho in zip(self.steps, self.changes, self.inverse, strict=True):  # the latest pair that is used wins
            scale = torch.where(rho > 0, (s * y).sum(1) / y.square().sum(1).clamp(min=1e-300), scale)
        q = scale[:, None] * q
        for s, y, rho, factor in zip(self.steps, self.changes, self.inverse, reversed(factors), strict=True):
            q = q + s * (factor - rho * (y * q).sum(1))[:, None]
        return -q
