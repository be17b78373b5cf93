"""Which field to use: planes are left out in turn, and what is predicted there is compared with what they show."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor

from meshlearn.models.cross_sections.body import REACH, Body
from meshlearn.models.cross_sections.field import Field, labels_of
from meshlearn.models.cross_sections.priors import SMOOTH, blend_of

FOLDS = 6
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the network that are tried."""
MARGIN = 0.002
"""By how much a richer field must be better on planes that were left out."""


def left_out(body: Body, folds: int = FOLDS) -> list[int]:
    """Planes with contours, evenly spread, that have neighbours on both sides; none where fewer than three have any."""
    inner = [k for k, plane in enumerate(body.sections) if plane.rings]
    if len(inner) < 3:
        return []
    if body.parallel:
        inner = [k for k in inner if 0 < k < len(body.sections) - 1]
    count = min(folds, len(inner))
    return (
        [inner[i] for i in np.unique(np.linspace(0, len(inner) - 1, count + 2)[1:-1].round().astype(int))]
        if count
        else []
    )


def plane_points(body: Body, plane: int, every: int = 3) -> Tensor:
    """(n, 3) float32 points of a plane's grid."""
    axis = np.linspace(-REACH, REACH, body.grid)[::every]
    flat = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    points = body.offsets[plane] * body.normals[plane] + flat @ body.axes[plane]
    return torch.from_numpy(points.astype(np.float32))


def shown(body: Body, plane: int, every: int = 3) -> Tensor:
    """(n,) labels that the plane shows at `plane_points`."""
    values = body.data[plane][:, ::every, ::every]
    return labels_of(values.reshape(len(body.channels), -1).T.contiguous(), body.channels)


def overlap(pairs: list[tuple[Tensor, Tensor]]) -> float:
    """Points that have the same label (not 0) in both, among those that have one in either."""
    return share_right([counts(a, b) for a, b in pairs])


def counts(found: Tensor, shown: Tensor) -> list[int]:
    """[points that have the same label (not 0) in both, points that have one in either]."""
    return [int(((found == shown) & (found > 0)).sum()), int(((found > 0) | (shown > 0)).sum())]


def share_right(rows: list[list[int]]) -> float:
    """The overlap of several planes together."""
    either = sum(row[1] for row in rows)
    return sum(row[0] for row in rows) / either if either else 1.0


def score_plane(
    body: Body, plane: int, names: list[str], centres: int, seed: int, clock: dict[str, tuple[float, float]]
) -> dict[str, list[int]]:
    """{base: `counts` on a plane that was left out}.

    clock  is told {base: (seconds to make it, seconds per point)} of those in `SMOOTH` that are made
    """
    part = body.only([k for k in range(len(body.sections)) if k != plane])
    points, truth = plane_points(body, plane), shown(body, plane)
    values: dict[str, Tensor] = {}
    for name in names:
        if name == "mean" and {"rbf", "hermite"} <= set(values):
            values[name] = 0.5 * (values["rbf"] + values["hermite"])
        elif name in SMOOTH:
            start = time.perf_counter()
            smooth = SMOOTH[name](part, centres, seed=seed)
            made = time.perf_counter()
            found = smooth(points)
            clock[name] = made - start, (time.perf_counter() - made) / len(points)
            values[name] = Field(part, blend_of(body)).closed(points, found)
        else:
            values[name] = Field(part, name)(points)
    return {name: counts(labels_of(found, body.channels), truth) for name, found in values.items()}


def share_of_network(field: Field, with_network: Tensor, body: Body, planes: list[int]) -> dict[float, float]:
    """{share of the network: overlap on planes that neither the field nor the network has seen}.

    field         of the other planes, without the network
    with_network  values of the network on a grid
    """
    scores = {}
    for share in WEIGHTS:
        blended = mixed(field, with_network, share)
        # every point of the grids: shares differ by less than a few points of a coarser one
        pairs = [
            (labels_of(blended(plane_points(body, plane, every=1)), body.channels), shown(body, plane, every=1))
            for plane in planes
        ]
        scores[share] = overlap(pairs)
    return scores


def mixed(field: Field, network: Tensor, share: float) -> Field:
    """The field with a share of the network in its prior; the field itself for 0."""
    if share == 0.0:
        return field
    prior = share * network if field.prior is None else field.prior + share * network
    return Field(field.body, field.blend_name, prior, field.local)


def best_share(scores: dict[float, float]) -> float:
    """The share with the best score; 0 unless it is better by the margin."""
    best = max(scores, key=lambda share: scores[share])
    return best if scores[best] > scores[0.0] + MARGIN else 0.0
