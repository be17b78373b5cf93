"""Directions and curvature of boundary sides at their corners, where pieces of a curved wall count as one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace


class Walls(NamedTuple):
    """A row for every corner of the sides and direction there: corner (m,), tangent and outward normal (m, 2).

    curvature  (m, 2) second derivative of the wall's position by its length, 0 where sides do not count as one wall;
               on the boundary of a convex domain minus the curvature times the outward normal

    The normals of sides between two cells are 0.
    """

    corner: np.ndarray
    tangent: np.ndarray
    normal: np.ndarray
    curvature: np.ndarray


def walls(space: FESpace, facets: np.ndarray, bend: float) -> Walls:
    """Of facets in the plane. Where two meet that differ by at most `bend` degrees, tangent and curvature are those of
    the parabola through their three ends (so that both are right on circles, however uneven their lengths)."""
    skmesh = space.skmesh
    ends, outward = skmesh.facets[:, facets], outward_normals(space, facets)
    along = (skmesh.p[:, ends[1]] - skmesh.p[:, ends[0]]).T
    size = np.tile(np.linalg.norm(along, axis=1), 2)
    where, away = ends.reshape(-1), np.concatenate([along, -along])  # every side at both ends, pointing away
    normal = np.tile(outward, (2, 1)) * size[:, None]
    order = np.argsort(where, kind="stable")
    where, away, normal, size = where[order], away[order], normal[order], size[order]
    pairs = np.flatnonzero((np.bincount(where)[where] == 2) & (np.diff(where, append=-1) == 0))
    turn = (away[pairs] * away[pairs + 1]).sum(1) / (size[pairs] * size[pairs + 1])
    smooth = pairs[turn <= -math.cos(math.radians(bend)) + 1e-9]
    one, two, size = away[smooth], away[smooth + 1], size[:, None]
    before, after = size[smooth], size[smooth + 1]
    curvature = np.zeros_like(away)
    curvature[smooth] = 2 * (one / before + two / after) / (before + after)
    away[smooth] = one * after / before - two * before / after
    normal[smooth] += normal[smooth + 1]
    kept = np.ones(len(where), bool)
    kept[smooth + 1] = False
    rounding = math.sqrt(torch.finfo(space.mesh.dtype).eps)
    tangent = _unit(away[kept])
    tangent[np.abs(tangent) < rounding] = 0.0
    tangent = _unit(tangent)
    curvature, size = curvature[kept], size[kept]
    curvature[np.abs(curvature) * size < rounding] = 0.0  # of straight sides
    curvature -= (curvature * tangent).sum(1, keepdims=True) * tangent
    across = np.stack([tangent[:, 1], -tangent[:, 0]], 1)
    return Walls(where[kept], tangent, across * np.sign((across * normal[kept]).sum(1))[:, None], curvature)


def outward_normals(space: FESpace, facets: np.ndarray) -> np.ndarray:
    """(m, 2) unit normals of straight facets, 0 for those between two cells."""
    skmesh = space.skmesh
    a, b = (skmesh.p[:, end].T for end in skmesh.facets[:, facets])
    across = _unit(np.stack([(b - a)[:, 1], (a - b)[:, 0]], 1))
    inside = skmesh.p[:, skmesh.t[:, skmesh.f2t[0, facets]]].mean(1).T
    across *= np.sign(((a - inside) * across).sum(1))[:, None]
    across[skmesh.f2t[1, facets] >= 0] = 0.0
    return across


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
