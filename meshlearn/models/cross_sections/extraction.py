"""From a field to a closed surface: values on a coarse grid, all nodes near the surface, marching cubes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from meshlearn.models.cross_sections.grid import STRIDE, Grid
from meshlearn.models.cross_sections.marching import marching_cubes

CHUNK = 200_000


def surface(values_at: Callable[[Tensor], Tensor], grid: Grid, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """((n, 3) points in unit frame, (m, 3) triangles facing outward) of the level zero.

    values_at  values (n,) at points (n, 3), about distances, positive inside
    seeds      (n, 3) places that are looked at whatever the coarse grid says: the contours
    """
    shape, voxel = np.array(grid.shape), grid.voxel

    def evaluate(flat: np.ndarray) -> np.ndarray:
        parts = [values_at(grid.nodes(flat[i : i + CHUNK])).numpy() for i in range(0, len(flat), CHUNK)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    blocks = (shape - 1) // STRIDE
    axes = [STRIDE * np.arange(b + 1) for b in blocks]
    coarse_nodes = np.ravel_multi_index(np.meshgrid(*axes, indexing="ij"), grid.shape).reshape(-1)
    coarse = evaluate(coarse_nodes).reshape(blocks + 1)
    values = coarse
    for axis in range(3):  # nodes that are not looked at have the value of a corner of their block
        values = np.repeat(values, STRIDE, axis=axis)
        values = np.take(values, np.arange(shape[axis]), axis=axis)
    values = np.ascontiguousarray(values)
    known = np.zeros(grid.shape, dtype=bool)
    known.reshape(-1)[coarse_nodes] = True
    values.reshape(-1)[coarse_nodes] = coarse.reshape(-1)

    active = _near(coarse, 0.6 * np.sqrt(3) * STRIDE * voxel)
    at = np.clip((grid.numbers(seeds) / STRIDE).astype(int), 0, blocks - 1)
    active[tuple(at.T)] = True
    fresh = active
    while fresh.any():
        nodes = _nodes_of(fresh, grid.shape, known)
        values.reshape(-1)[nodes] = evaluate(nodes)
        known.reshape(-1)[nodes] = True
        fresh = _open_blocks(values, known, blocks) & ~active
        active = active | fresh
    for axis in range(3):  # whatever the field, the surface is closed
        for end in (0, -1):
            border = values.swapaxes(0, axis)[end]
            np.minimum(border, -voxel, out=border)

    def between(numbers: np.ndarray) -> np.ndarray:
        single = torch.from_numpy(grid.places(numbers).astype(np.float32))
        return np.concatenate([values_at(part).numpy() for part in single.split(CHUNK)])

    points, triangles = marching_cubes(values, between)
    return grid.places(points), triangles


def _near(coarse: np.ndarray, reach: float) -> np.ndarray:
    """Blocks with corners on both sides, or within reach of the surface."""
    corners = [
        coarse[x : coarse.shape[0] - 1 + x, y : coarse.shape[1] - 1 + y, z : coarse.shape[2] - 1 + z]
        for x in (0, 1)
        for y in (0, 1)
        for z in (0, 1)
    ]
    low, high = np.minimum.reduce(corners), np.maximum.reduce(corners)
    return ((low <= 0) & (high > 0)) | (np.minimum(np.abs(low), np.abs(high)) < reach)


def _nodes_of(blocks: np.ndarray, shape: tuple[int, int, int], known: np.ndarray) -> np.ndarray:
    """Numbers of the nodes of blocks that are not known yet."""
    mask = np.zeros(shape, dtype=bool)
    fine = blocks
    for axis in range(3):
        fine = np.repeat(fine, STRIDE, axis=axis)
    for x in (0, 1):
        for y in (0, 1):
            for z in (0, 1):
                mask[x : shape[0] - 1 + x, y : shape[1] - 1 + y, z : shape[2] - 1 + z] |= fine
    return np.flatnonzero(mask & ~known)


def _open_blocks(values: np.ndarray, known: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Blocks with a grid edge across which the sign changes and of which an end is not known."""
    inside = values > 0
    found = np.zeros(blocks, dtype=bool)
    for axis in range(3):
        a = [slice(None)] * 3
        b = [slice(None)] * 3
        a[axis], b[axis] = slice(None, -1), slice(1, None)
        changes = (inside[tuple(a)] != inside[tuple(b)]) & ~(known[tuple(a)] & known[tuple(b)])
        at = np.stack(np.nonzero(changes), axis=1)
        for shift in range(4):  # the four blocks around the edge
            others = [k for k in range(3) if k != axis]
            place = at.copy()
            place[:, others[0]] -= shift & 1
            place[:, others[1]] -= shift >> 1
            found[tuple(np.clip(place // STRIDE, 0, blocks - 1).T)] = True
    return found
