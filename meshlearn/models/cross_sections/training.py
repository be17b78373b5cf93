"""Fitting the network to the planes: samples from coarse to fine, and no slope steeper than that of a distance."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from meshlearn.models.cross_sections.body import REACH, Body
from meshlearn.models.cross_sections.grid_field import COARSE, SplineGrid, doubled, sampled
from meshlearn.models.cross_sections.network import ResidualNetwork
from meshlearn.models.cross_sections.samples import along_contours, over_planes, values_at

RADII = (4, 5, 5, 6, 6, 7)
"""Samples beside contours are 0.5 ** these away, level after level."""
SHARES = (50, 50, 100, 100, 150, 200)
"""Shares of the steps that the levels have."""
ON_CONTOURS = 2000
BATCH = 3072
LEARNING_RATE = 1e-2
STEEP = 1e-1
"""Weight of slopes beyond 1."""

Report = Callable[[float, float], None]


def fit_network(
    body: Body,
    prior: SplineGrid | None,
    network: ResidualNetwork,
    steps: int,
    deadline: float,
    seed: int,
    report: Report | None = None,
) -> int:
    """Train so that prior + network has the sign of every plane; returns the number of steps done.

    deadline  of `time.perf_counter`, at which training ends wherever it is
    report    is called with the progress in [0, 1] and the loss, now and then
    """
    generator = np.random.default_rng(seed)
    shuffle = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    ends = np.round(np.cumsum(SHARES) / sum(SHARES) * steps).astype(int)
    kept: list[tuple[Tensor, Tensor, Tensor]] = []
    done = 0
    for level, end in enumerate(ends):
        kept = [*kept, _samples(body, prior, 0.5 ** RADII[level], generator)][-3:]
        points, base, targets = (torch.cat(parts) for parts in zip(*kept, strict=True))
        softness = 0.5 * 0.5 ** RADII[level]
        while done < end:
            if time.perf_counter() > deadline:
                return done
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * 0.01 ** (done / steps)
            rows = torch.randint(len(points), (BATCH,), generator=shuffle)
            loss = _loss(network, points[rows], base[rows], targets[rows], softness)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            done += 1
            if report is not None and done % 20 == 0:
                report(done / steps, float(loss.detach()))
    return done


def _samples(
    body: Body, prior: SplineGrid | None, radius: float, generator: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """(points, prior values, targets) of one level: 0 outside, 1 inside, 0.5 on contours; one column per channel."""
    on = along_contours(body, ON_CONTOURS, generator)
    angle = generator.uniform(0, 2 * np.pi, size=(len(on), 1))
    round_ = on.flat + radius * np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    far_plane, far = over_planes(body, max(2048 // len(body.sections), 64), generator)
    plane = np.concatenate([on.plane] * 4 + [far_plane])
    flat = np.concatenate([on.flat, on.flat + radius * on.across, on.flat - radius * on.across, round_, far])
    points, values = values_at(body, plane, flat, 1.0)
    # a contour of one label lies inside another one, or outside: only its own channels are undecided there
    targets = np.where(np.abs(values) < 1e-3 * radius, 0.5, values > 0)
    shell = generator.normal(size=(1024, 3))
    shell *= generator.uniform(1.2, REACH, size=(1024, 1)) / np.linalg.norm(shell, axis=1, keepdims=True)
    outside = np.array([[float(label == 0) for label in body.channels]]).repeat(1024, axis=0)
    every = torch.from_numpy(np.concatenate([points, shell]).astype(np.float32))
    base = torch.zeros(len(every), len(body.channels)) if prior is None else prior(every)
    return every, base, torch.from_numpy(np.concatenate([targets, outside]).astype(np.float32))


def _loss(network: ResidualNetwork, points: Tensor, base: Tensor, targets: Tensor, softness: float) -> Tensor:
    """Cross-entropy of every iteration, and the excess over 1 of the slope of the last."""
    points = points.clone().requires_grad_(True)
    values = network(points)
    logits = (base + values) / softness
    fit = nn.functional.binary_cross_entropy_with_logits(logits, targets.expand_as(logits))
    few = values[-1][: len(points) // 4].sum()
    (slope,) = torch.autograd.grad(few, points, create_graph=True)
    return fit + STEEP * (slope[: len(points) // 4].norm(dim=1) - 1.0).clamp(min=0).square().mean()


@torch.no_grad()
def network_grid(network: ResidualNetwork, body: Body, n: int | None) -> Float32[Tensor, "c n n n"]:
    """The values of the last iteration on n nodes per side (default: once refined); 0 far from the body."""
    grid = sampled(lambda part: network(part)[-1], body, COARSE, 0.25)
    far = sampled(lambda part: part.new_zeros(len(part), network.channels), body, COARSE, 0.25)
    grid = grid - far
    while grid.shape[1] < (n or 2 * COARSE - 1):
        grid = doubled(grid)
    return grid
