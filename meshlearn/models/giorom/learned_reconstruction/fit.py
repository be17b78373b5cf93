"""Learning how points follow nodes, from true nodes and true points: the kernel first, then the correction."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from meshlearn.models.giorom.learned_reconstruction.examples import FRAMES as N_FRAMES
from meshlearn.models.giorom.learned_reconstruction.examples import Examples, examples_of
from meshlearn.models.giorom.learned_reconstruction.kernel import LearnedKernel
from meshlearn.models.giorom.learned_reconstruction.learned import LearnedReconstruction
from meshlearn.models.giorom.learned_reconstruction.residual import LearnedResidual, Surroundings
from meshlearn.models.giorom.least_squares import local_fit, weights_of
from meshlearn.models.giorom.windows import Windows
from meshlearn.train.batching import mix
from meshlearn.train.schedule import learning_rate_factor

STEPS = 300  # of each of the two
BATCH, FRAMES = 256, 4  # queries, and frames of each, in a step
RATE = 1e-2


def learn_reconstruction(
    windows: Windows, films: Sequence[int], seed: int, seconds: float | None, progress: bool
) -> LearnedReconstruction:
    """Train on these trajectories; what does not lower the error of the motions held out is not used.

    seconds   at most so many are spent, half on each; None: `STEPS` steps each, which end earlier in any case
    progress  a bar on a terminal, and a line at the end
    """
    begun = time.perf_counter()
    torch.default_generator.manual_seed(mix(seed, 5))  # the caller forks it
    found = LearnedReconstruction()
    parts = examples_of(windows, films, seed)
    if parts is None:
        return found
    learned, held_out = parts
    steps = _Steps(mix(seed, 6), len(learned), progress)

    def kernel_loss(rows: Tensor, frames: Tensor) -> Tensor:
        batch = learned[rows]
        return batch.errors(by_fit(batch, found.kernel)[:, frames], frames).square().sum(2).mean()

    steps.descend(found.kernel, kernel_loss, None if seconds is None else begun + seconds / 2)
    with torch.no_grad():
        found.scores = {"least_squares": error_of(held_out), "kernel": error_of(held_out, found.kernel)}
        found.kernel_share = float(found.scores["kernel"] < found.scores["least_squares"])
        kernel = found.kernel_in_use
        fitted = learned.errors(by_fit(learned, kernel))
        around = Surroundings.of(learned.near, kernel)

    def residual_loss(rows: Tensor, frames: Tensor) -> Tensor:
        moved = learned.moved[rows][:, frames]
        correction = corrections(found.residual, moved, around[rows]) / learned.size[rows, None, None]
        return (fitted[rows][:, frames] + correction).square().sum(2).mean()

    steps.descend(found.residual, residual_loss, None if seconds is None else begun + seconds)
    with torch.no_grad():
        found.scores["residual"] = error_of(held_out, kernel, found.residual)
    found.residual_share = float(found.scores["residual"] < min(found.scores["kernel"], found.scores["least_squares"]))
    if progress:
        steps.console().print(f"reconstruction  {found!r}", highlight=False, soft_wrap=True)
    return found


def by_fit(examples: Examples, kernel: LearnedKernel | None) -> Tensor:
    """(m, frames, dim) displacements by moving least squares."""
    weights = weights_of(examples.near, local_fit(examples.near, kernel))
    return (weights[:, None, :, None] * examples.moved).sum(2)


def corrections(residual: LearnedResidual, moved: Tensor, around: Surroundings) -> Tensor:
    """(m, frames, dim) of the network, from (m, frames, count, dim)."""
    m, frames = moved.shape[:2]
    rows = torch.arange(m).repeat_interleave(frames)
    return residual(moved.flatten(0, 1), around[rows]).reshape(m, frames, -1)


def error_of(examples: Examples, kernel: LearnedKernel | None = None, residual: LearnedResidual | None = None) -> float:
    """Root mean square error over the largest displacement."""
    motion = by_fit(examples, kernel)
    if residual is not None:
        motion = motion + corrections(residual, examples.moved, Surroundings.of(examples.near, kernel))
    return float(examples.errors(motion).square().sum(2).mean().sqrt())


class _Steps:
    """Batches of queries and frames, and the descent on them."""

    def __init__(self, seed: int, count: int, progress: bool) -> None:
        self.draw = torch.Generator().manual_seed(seed)
        self.count, self.progress = count, progress

    def descend(self, module: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], until: float | None) -> None:
        """Adam, with a rate that falls with the steps, or with the clock where it ends before them."""
        optimizer = torch.optim.Adam(module.parameters(), lr=RATE)
        begun = time.perf_counter()
        for step in self._tracked(range(STEPS)):
            now, done = time.perf_counter(), step / STEPS
            if until is not None:
                if now >= until:
                    return
                done = max(done, (now - begun) / (until - begun))
            optimizer.param_groups[0]["lr"] = RATE * learning_rate_factor("cosine", 0.0, done)
            rows = torch.randint(self.count, (min(BATCH, self.count),), generator=self.draw)
            frames = torch.randint(N_FRAMES, (FRAMES,), generator=self.draw)
            optimizer.zero_grad()
            with torch.enable_grad():
                loss(rows, frames).backward()
            optimizer.step()

    def _tracked(self, steps: range) -> Iterator[int]:
        if not self.progress:
            return iter(steps)
        from rich.progress import track

        console = self.console()
        shown = track(steps, "reconstruction", console=console, disable=not console.is_terminal, transient=True)
        return iter(shown)

    @staticmethod
    def console():
        """Where progress is shown."""
        from rich.console import Console

        return Console(stderr=True)
