"""Training inside a simulator: segments of a film are simulated with the law as it is, and compared place by place."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from meshlearn.errors import ParameterError, SimulationError
from meshlearn.models.constitutive.observed import Observed
from meshlearn.models.constitutive.steps import frames_between, warn_of_many_steps
from meshlearn.sim.motion.system import Motion
from meshlearn.train.survey import FitWarning

LAST_RATE = 0.02  # of the learning rate, at the end
WHOLE = 3  # the last third of the updates takes the whole film
WARM = 4  # the first quarter of the updates is for constants only
CONSTANTS = 3.0  # how much faster constants are learned than weights of networks
MOST_FAILURES = 5  # in a row


@dataclass(frozen=True)
class Options:
    """How to train: see `ConstitutiveNet.fit`."""

    updates: int
    segment: int | None
    learning_rate: float
    time_step: float | None
    recompute: bool
    progress: bool
    seed: int


class Optimizer:
    """Adam, its rate falling along a cosine; constants of a law (all but weights of networks) have a higher one, and a
    start of their own."""

    def __init__(self, modules: nn.Module, rate: float, updates: int) -> None:
        named = list(modules.named_parameters())
        groups = [
            {"params": [p for name, p in named if ".net." in name], "lr": rate},
            {"params": [p for name, p in named if ".net." not in name], "lr": CONSTANTS * rate},
        ]
        self.mixed = all(group["params"] for group in groups)
        self.adam = torch.optim.Adam([group for group in groups if group["params"]], lr=rate)
        self.rates = [group["lr"] for group in self.adam.param_groups]
        self.updates = updates

    def begin(self, update: int) -> None:
        """Set the rates of an update and forget the gradients of the last."""
        share = update / max(self.updates - 1, 1)
        fall = LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * share))
        waits = self.mixed and update < self.updates // WARM
        for number, (group, rate) in enumerate(zip(self.adam.param_groups, self.rates, strict=True)):
            group["lr"] = 0.0 if waits and number == 0 else fall * rate
        self.adam.zero_grad()


def segments(n_frames: int, length: int | None) -> list[tuple[int, int]]:
    """(first, last) frames of segments that overlap by half; the whole film for None.

    >>> from meshlearn.models.constitutive.training import segments
    >>> segments(9, 4)
    [(0, 4), (2, 6), (4, 8)]
    """
    last = n_frames - 1
    if length is None or length >= last:
        return [(0, last)]
    firsts = list(range(0, last - length + 1, max(length // 2, 1)))
    if firsts[-1] + length < last:
        firsts.append(last - length)
    return [(first, first + length) for first in firsts]


def train(
    modules: nn.Module,
    make_law: Callable[[], Any],
    scene: Callable[[Any], Motion],
    observed: Observed,
    options: Options,
) -> list[dict[str, Any]]:
    """Adam on one segment after the other, in random order, then on the whole film; returns a record of every update.

    The loss of a segment is the mean squared distance from the film, over its frames after the first, in units of the
    squared displacement of the whole film. An update whose simulation fails (a law on its way may be too soft) is left
    out, and told at the end; several in a row end the training with the error of the last.
    """
    from rich.console import Console
    from rich.progress import track

    optimizer, parameters = Optimizer(modules, options.learning_rate, options.updates), list(modules.parameters())
    parts, entire = segments(observed.n_frames, options.segment), (0, observed.n_frames - 1)
    random = torch.Generator().manual_seed(options.seed)
    history: list[dict[str, Any]] = []
    order: list[int] = []
    failures, in_a_row = 0, 0
    console = Console(stderr=True)
    numbers = track(
        range(options.updates),
        "fitting",
        console=console,
        disable=not (options.progress and console.is_terminal),
        transient=True,
    )
    for update in numbers:
        order = order or torch.randperm(len(parts), generator=random).tolist()
        first, last = parts[order.pop()] if update < options.updates - options.updates // WHOLE else entire
        optimizer.begin(update)
        try:
            world = scene(make_law())
            if update == 0:
                length = sum(last - first for first, last in parts) / len(parts)
                later = options.updates // WHOLE
                frames = (options.updates - later) * length + later * entire[1]
                warn_of_many_steps(world, observed, options.updates, frames, options.time_step)
            loss = segment_loss(world, observed, first, last, options)
        except SimulationError as error:
            failures, in_a_row = failures + 1, in_a_row + 1
            if in_a_row >= min(MOST_FAILURES, options.updates):
                raise SimulationError(
                    f"{in_a_row} updates in a row ended with an error of the simulation; the last, in the segment of "
                    f"frames {first} to {last}: {error}\n  Take a smaller learning_rate, shorter segments, or young= "
                    "and poisson= nearer to the body."
                ) from error
            continue
        if not loss.requires_grad:
            raise ParameterError(
                "the motion of the scene does not depend on the law it is given: scene(law) must make its body with "
                "that law, anew at every call."
            )
        loss.backward()
        if not all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in parameters):
            raise SimulationError(
                f"the gradient of update {update} (frames {first} to {last}) is not finite: take shorter segments or a "
                "smaller time_step."
            )
        in_a_row = 0
        optimizer.adam.step()
        history.append({"update": update, "frame": first, "loss": float(loss.detach())})
    if failures:
        warnings.warn(
            f"{failures} of {options.updates} updates were left out: their simulations failed with the law as it was "
            "then.",
            FitWarning,
            stacklevel=4,
        )
    return history


def segment_loss(world: Motion, observed: Observed, first: int, last: int, options: Options) -> Tensor:
    """Mean squared distance of the places from the film, in its unit."""
    state = observed.state(first, world)
    times = observed.times[first : last + 1]
    total = torch.zeros((), dtype=observed.places.dtype, device=observed.places.device)
    following = frames_between(world, state, times, options.time_step, options.recompute)
    for frame, reached in enumerate(following, first + 1):
        total = total + (reached.points - observed.places[frame]).square().sum(1).mean()
    return total / (last - first) / observed.scale**2
