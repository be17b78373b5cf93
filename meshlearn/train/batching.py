"""Batches by a budget of points and edges, in an order that depends on nothing but the seed and the epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

Cost = tuple[int, int]

LARGEST_BATCH = {"cpu": 65_536, "cuda": 262_144}
EDGES_PER_POINT = 16
STEPS_PER_EPOCH = 16
MESHES_PER_BATCH = 32


@dataclass(frozen=True)
class Budget:
    """A batch holds at most this many points and this many edges; a mesh above it is a batch of its own."""

    points: int
    edges: int

    def fits(self, cost: Cost) -> bool:
        """True if a batch of this cost is within the budget."""
        return cost[0] <= self.points and cost[1] <= self.edges


def default_budget(costs: Sequence[Cost], points: int | None, edges: int | None, device: str) -> Budget:
    """The budget of a batch, from the sizes of the training meshes, where the user gave none.

    Points: as many as an average group of n_meshes / 16 meshes has (at least 1, at most 32 meshes), so that an epoch
    has about 16 steps or more, but never more than 65,536 on the CPU or 262,144 on a GPU. Edges: the same group's
    edges, with a quarter to spare, so that edges bind only where a mesh is much denser than the others.
    """
    group = min(max(len(costs) // STEPS_PER_EPOCH, 1), MESHES_PER_BATCH)
    mean_points = sum(cost[0] for cost in costs) / len(costs)
    mean_edges = sum(cost[1] for cost in costs) / len(costs)
    if points is None:
        points = min(math.ceil(group * mean_points), LARGEST_BATCH.get(device, LARGEST_BATCH["cuda"]))
    if edges is None:
        edges = math.ceil(1.25 * points * max(mean_edges / max(mean_points, 1.0), 1.0))
    return Budget(points, edges)


def prediction_budget(device: str) -> Budget:
    """The budget of a batch when predicting: the largest default batch of the device."""
    points = LARGEST_BATCH.get(device, LARGEST_BATCH["cuda"])
    return Budget(points, EDGES_PER_POINT * points)


def pack(order: Iterable[int], costs: Sequence[Cost], budget: Budget) -> list[list[int]]:
    """Cut an order of samples into batches, each as long as the budget allows.

    >>> pack([0, 1, 2, 3], [(5, 0), (5, 0), (20, 0), (1, 0)], Budget(points=10, edges=10))
    [[0, 1], [2], [3]]
    """
    batches: list[list[int]] = []
    used = (0, 0)
    for index in order:
        cost = (used[0] + costs[index][0], used[1] + costs[index][1])
        if batches and budget.fits(cost):
            batches[-1].append(index)
            used = cost
        else:
            batches.append([index])
            used = costs[index]
    return batches


@dataclass(frozen=True)
class Step:
    """One optimiser step: batches for every process (`batches[rank]`), and the meshes in all of them together.

    All processes have the same number of batches; where there are not enough, a batch is None (a pass of weight zero).
    """

    batches: list[list[list[int] | None]]
    n_meshes: int


def epoch_steps(
    costs: Sequence[Cost], budget: Budget, accumulate: int, n_processes: int, seed: int, epoch: int
) -> list[Step]:
    """The steps of one epoch: shuffle, pack, and deal `accumulate * n_processes` batches to every step.

    The batches depend on the seed and the epoch only, not on the number of processes: two processes see in one step
    what one process with accumulate=2 sees.
    """
    generator = torch.Generator().manual_seed(mix(seed, epoch))
    batches = pack(torch.randperm(len(costs), generator=generator).tolist(), costs, budget)
    steps = []
    for start in range(0, len(batches), accumulate * n_processes):
        group = batches[start : start + accumulate * n_processes]
        rounds = math.ceil(len(group) / n_processes)
        padded: list[list[int] | None] = [*group, *[None] * (rounds * n_processes - len(group))]
        dealt = [padded[rank::n_processes] for rank in range(n_processes)]
        steps.append(Step(dealt, sum(map(len, group))))
    return steps


def mix(*numbers: int) -> int:
    """One well-spread 63-bit seed from several small numbers (splitmix64 finaliser over a running sum).

    >>> mix(0, 1) != mix(1, 0)
    True
    """
    state = 0
    for number in numbers:
        state = (state + number + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state & 0x7FFFFFFFFFFFFFFF
