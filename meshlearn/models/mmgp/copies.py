"""Samples that are the same: copies, which count once; and samples with the same inputs, left out together."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from meshlearn.train.survey import FitWarning

SAME = 1e-6  # of the largest deviation from the first row: rows that differ less are the same
EXTENT, ROUNDING = 1e-9, 1e-14  # the same of the extent, and of the largest value


def same_rows(tables: Sequence[Float64[Tensor, "n _"]]) -> Int64[Tensor, " n"]:
    """A number per row, the same for rows that are equal in all tables up to rounding.

    Rows are sorted by a random projection, in which equal ones are neighbours; only neighbours are compared.
    """
    n = len(tables[0])
    generator = torch.Generator().manual_seed(0)
    scaled = []
    projection = torch.zeros(n, dtype=torch.float64)
    for table in tables:
        if not table.shape[1]:
            continue
        away = table - table[0]
        least, most = float(table.amin()), float(table.amax())
        allowed = max(SAME * float(away.abs().amax()), EXTENT * (most - least), ROUNDING * max(abs(least), abs(most)))
        if allowed == 0.0:
            continue
        scaled.append((table, allowed))
        direction = torch.randn(table.shape[1], generator=generator, dtype=torch.float64)
        projection += away @ direction / (allowed * table.shape[1] ** 0.5)
    order = projection.argsort()
    near = (projection[order].diff() < 10.0 * len(tables)).nonzero().squeeze(1)  # ten standard deviations
    one, other = order[near], order[near + 1]
    equal = torch.ones(len(near), dtype=torch.bool)
    for table, allowed in scaled:
        left = equal.nonzero().squeeze(1)
        gap = (table.index_select(0, one[left]) - table.index_select(0, other[left])).abs().amax(1)
        equal[left] = gap <= allowed
    starts = torch.ones(n, dtype=torch.bool)
    starts[near[equal] + 1] = False
    labels = torch.empty(n, dtype=torch.int64)
    labels[order] = starts.cumsum(0) - 1
    return labels


def same_items(labels: Int64[Tensor, " n"], items: Int64[Tensor, " n"]) -> Int64[Tensor, " items"]:
    """For every item, the number of the first one whose rows have the same labels, in the same order."""
    first: dict[tuple[int, ...], int] = {}
    counts = torch.bincount(items).tolist()
    return torch.tensor(
        [first.setdefault(tuple(part.tolist()), k) for k, part in enumerate(labels.split(counts))], dtype=torch.int64
    )


def warn_of_copies(copies: int, items: int) -> None:
    """A FitWarning about meshes or trajectories that repeat others."""
    warnings.warn(
        f"{copies} of {items} training meshes or trajectories repeat others: the same shape, inputs and outputs.\n"
        "  They are counted once. Remove them, or add what tells them apart to the inputs.",
        FitWarning,
        stacklevel=5,
    )
