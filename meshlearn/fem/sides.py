"""Integrals over facets between two cells: from which of the two they are seen, and whether it matters.

The normal, gradients, coefficients per cell and discontinuous functions have two values there, continuous functions
and fields of points have one. A form may take one side without saying which only where both give the same: it is tried
from both, at the same places of every facet, with a random weight at each place so that nothing cancels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.facets import facet_ends, facet_rules
from meshlearn.fem.one_side import OneSide
from meshlearn.fem.places import Region, Rule, region

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace


def check_sides(space: FESpace, on: Any, integral: Callable[[Region], Tensor]) -> None:
    """Raises ParameterError if an integral over facets between two cells depends on the side that is taken."""
    if isinstance(on, OneSide):
        return
    facets = space.facets(on)
    facets = facets[space.skmesh.f2t[1, facets] >= 0]
    if not len(facets):
        return
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        reference: Tensor | None = None
        weights = torch.empty(0)
        totals = []
        for cells in space.skmesh.f2t[:, facets]:
            groups = _groups(space, facets, cells)
            points = space.like.new_empty(len(facets), groups[0][1].maps.points.shape[2], space.dim)
            for mine, where in groups:
                points[mine] = where.maps.points.permute(1, 2, 0)
            if reference is None:
                reference = points
                weights = 0.5 + torch.rand(points.shape[:2], generator=generator, dtype=torch.float64).to(points)
            else:  # the same places, in the order of this side
                nearest = torch.cdist(points, reference).argmin(2)
                weights = weights.gather(1, nearest)
            parts = [integral(where._replace(measure=where.measure * weights[mine])) for mine, where in groups]
            totals.append(torch.stack(torch.broadcast_tensors(*parts)).sum(0))
        one, two = totals
        scale = torch.maximum(one.abs(), two.abs()).nan_to_num(0.0, 0.0, 0.0).amax()
        tolerance = (1e-4 if one.dtype == torch.float32 else 1e-7) * scale
        different = (one - two).abs() > tolerance
    if bool(different.any()):
        raise ParameterError(
            f"{len(facets)} of the facets of {on!r} lie between two cells, and the form has different values on their "
            "two sides: x.normal, x.size, gradients, coefficients per cell and discontinuous functions have.\n"
            "  Say from which side they are seen, by a subdomain or a mask of cells: on=ml.fem.OneSide("
            f"{on!r}, cells), or leave such terms out."
        )


def _groups(space: FESpace, facets: np.ndarray, cells: np.ndarray) -> list[tuple[Tensor, Region]]:
    """(numbers of facets, their region) for each local number, at places that do not depend on how a facet is turned:
    its centre, and one towards each of its corners."""
    refdom, cells = space.skmesh.refdom, cells.astype(np.int64)
    corners, local = np.asarray(refdom.p, np.float64), (space.skmesh.t2f[:, cells] == facets).argmax(0)
    made = []
    for k, rule in enumerate(facet_rules(refdom, 1)):
        mine = np.flatnonzero(local == k)
        if not len(mine):
            continue
        if len(corners) == 1:
            places = corners[:, [k]]
        else:
            ends = corners[:, facet_ends(refdom)[k]]
            centre = ends.mean(1, keepdims=True)
            places = np.concatenate([centre, 0.6 * centre + 0.4 * ends], 1)
        weights = np.full(places.shape[1], rule.weights.sum() / places.shape[1])
        there = Rule(places, weights, ("sides", k), rule.normal)
        where = region(space, torch.from_numpy(cells[mine]).to(space.device), there)
        made.append((torch.from_numpy(mine).to(space.device), where))
    return made
