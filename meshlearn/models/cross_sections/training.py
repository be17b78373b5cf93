"""Fitting the network: to the signs of the planes, from coarse to fine, and between them to what a distance does.

Base and network together shall have a gradient of length 1 near the surface wherever it is (Gropp et al., "Implicit
Geometric Regularization for Learning Shapes", ICML 2020), and the network alone shall bend little: second differences
along random directions are small. So it is held between the planes too, where no sample says what is inside.
"""

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
from meshlearn.models.cross_sections.resuming import Notes
from meshlearn.models.cross_sections.samples import along_contours, over_planes, values_at

RADII = (4, 5, 5, 6, 6, 7)
"""Samples beside contours are 0.5 ** these away, level after level."""
SHARES = (50, 50, 100, 100, 150, 200)
"""Shares of the steps that the levels have."""
ON_CONTOURS = 2000
BATCH = 3072
LEARNING_RATE = 1e-2
EIKONAL, BENDING = 2e-3, 2e-5
"""Weights of slopes other than 1, and of squared second differences."""
BETWEEN = 768
"""Points between the planes in every step."""
SPAN = 0.03

Report = Callable[[float, float], None]
KEEP_EVERY = 50


def fit_network(
    body: Body,
    prior: SplineGrid | None,
    network: ResidualNetwork,
    steps: int,
    deadline: float,
    seed: int,
    report: Report | None = None,
    notes: Notes | None = None,
) -> int:
    """Train so that prior + network has the sign of every plane; returns the number of steps done.

    deadline  of `time.perf_counter`, at which training ends wherever it is
    report    is called with the progress in [0, 1] and the loss, now and then
    notes     keep the state of training, and give back the one that was reached before
    """
    shuffle = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    ends = np.round(np.cumsum(SHARES) / sum(SHARES) * steps).astype(int)
    kept: list[tuple[Tensor, Tensor, Tensor]] = []
    done = _restore(notes, network, optimizer, shuffle)
    for level, end in enumerate(ends):
        # samples of a level depend on it and the seed alone, so that a fit that is continued has the same
        generator = np.random.default_rng([seed, level])
        kept = [*kept, _samples(body, prior, 0.5 ** RADII[level], generator)][-3:]
        if done >= end:
            continue
        points, base, targets = (torch.cat(parts) for parts in zip(*kept, strict=True))
        between, slopes = _between(body, prior, generator)
        softness = 0.5 * 0.5 ** RADII[level]
        while done < end:
            if time.perf_counter() > deadline:
                return done
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * 0.01 ** (done / steps)
            rows = torch.randint(len(points), (BATCH,), generator=shuffle)
            few = torch.randint(len(between), (BETWEEN,), generator=shuffle)
            turn = nn.functional.normalize(torch.randn(BETWEEN, 3, generator=shuffle), dim=1)
            channel = done % network.channels
            x, below, wanted = (part.index_select(0, rows) for part in (points, base, targets))
            loss = _loss(network, x, below, wanted, softness)
            slope = slopes[:, channel].index_select(0, few)
            loss = loss + _smoothness(network, between.index_select(0, few), slope, turn, channel)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            done += 1
            if report is not None and done % 20 == 0:
                report(done / steps, float(loss.detach()))
            if notes is not None and (done % KEEP_EVERY == 0 or done == steps):
                notes.keep("network", _captured(network, optimizer, shuffle), done)
    return done


def _captured(
    network: ResidualNetwork, optimizer: torch.optim.Optimizer, shuffle: torch.Generator
) -> dict[str, Tensor]:
    """Weights, moments of the optimiser and the state of the generator."""
    found = {f"weights.{name}": value.detach().clone() for name, value in network.named_parameters()}
    for index, moments in optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{index}.{name}": torch.as_tensor(value).clone() for name, value in moments.items()}
    return found | {"shuffle": shuffle.get_state()}


def _restore(
    notes: Notes | None, network: ResidualNetwork, optimizer: torch.optim.Optimizer, shuffle: torch.Generator
) -> int:
    """Put back what was captured, if anything was; returns the steps done."""
    kept = None if notes is None else notes.kept("network")
    if kept is None:
        return 0
    tensors, done = kept
    network.load_state_dict({k[len("weights.") :]: v for k, v in tensors.items() if k.startswith("weights.")})
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".")
            moments.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    shuffle.set_state(tensors["shuffle"])
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


def _between(body: Body, prior: SplineGrid | None, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """((n, 3) points within half a gap of contours, off their planes, (n, c, 3) slopes of the prior there)."""
    on = along_contours(body, 2 * ON_CONTOURS, generator)
    points = np.empty((len(on), 3))
    off = generator.uniform(-0.6, 0.6, size=(len(on), 1)) * body.gap
    for k in np.unique(on.plane):
        rows = on.plane == k
        section = body.sections.planes[k]
        points[rows] = section.lift(on.flat[rows]) + off[rows] * section.normal
    points += 0.2 * body.gap * generator.normal(size=points.shape)
    single = torch.from_numpy(points.astype(np.float32))
    slopes = torch.zeros(len(single), len(body.channels), 3)
    if prior is not None:
        step = 2 * REACH / (prior.values.shape[1] - 1)
        for k in range(3):
            shift = step * torch.eye(3)[k]
            slopes[:, :, k] = (prior(single + shift) - prior(single - shift)) / (2 * step)
    return single, slopes


def _loss(network: ResidualNetwork, points: Tensor, base: Tensor, targets: Tensor, softness: float) -> Tensor:
    """Cross-entropy of the signs after every iteration."""
    logits = (base + network(points)) / softness
    return nn.functional.binary_cross_entropy_with_logits(logits, targets.expand_as(logits))


def _smoothness(network: ResidualNetwork, points: Tensor, slopes: Tensor, turn: Tensor, channel: int) -> Tensor:
    """What slopes of base and network are off 1, and how the network bends along the directions `turn`."""
    points = points.clone().requires_grad_(True)
    here = network(points)[-1][:, channel]
    (slope,) = torch.autograd.grad(here.sum(), points, create_graph=True)
    eikonal = ((slope + slopes).norm(dim=1) - 1.0).square().mean()
    sides = network(torch.cat([points + SPAN * turn, points - SPAN * turn]))[-1][:, channel]
    bend = (sides[: len(here)] + sides[len(here) :] - 2 * here) / SPAN**2
    return EIKONAL * eikonal + BENDING * bend.square().mean()


@torch.no_grad()
def network_grid(network: ResidualNetwork, body: Body, n: int | None) -> Float32[Tensor, "c n n n"]:
    """The values of the last iteration on n nodes per side (default: once refined); 0 far from the body."""
    grid = sampled(lambda part: network(part)[-1], body, COARSE, 0.25)
    far = sampled(lambda part: part.new_zeros(len(part), network.channels), body, COARSE, 0.25)
    grid = grid - far
    while grid.shape[1] < (n or 2 * COARSE - 1):
        grid = doubled(grid)
    return grid
