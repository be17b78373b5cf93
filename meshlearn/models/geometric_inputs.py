"""Geometric inputs that several models offer: boundary flags, distances to named parts, centred coordinates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import no_type_check

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from meshlearn import ops
from meshlearn.errors import FieldError, ParameterError
from meshlearn.mesh.boundary import tagged_points
from meshlearn.mesh.mesh import Mesh

# Frames of a trajectory on a fixed mesh share these. {points: {key: (table, what the key's ids belong to)}}
_KNOWN = WeakTensorKeyDictionary()


def matching_points(mesh: Mesh, pattern: str) -> Int[Tensor, " k"]:
    """Points of all point sets and cell sets whose name matches a pattern such as "left" or "hole_*", ascending.

    A pattern with a wildcard may match nothing. Raises FieldError for a plain name that the mesh does not have.
    """
    names = sorted(name for name in {*mesh.point_sets, *mesh.cell_sets} if fnmatchcase(name, pattern))
    if not any(c in pattern for c in "*?["):
        names = [pattern]
    if not names:
        return torch.zeros(0, dtype=torch.int64, device=mesh.device)
    return torch.unique(torch.cat([tagged_points(mesh, name) for name in names]))


def check_patterns(patterns: Sequence[str], names: Iterable[str]) -> None:
    """Raise FieldError for a pattern of `boundary_sets` that matches none of the sets of all training meshes."""
    names = sorted(names)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise FieldError(
                f"boundary_sets={list(patterns)!r}: no set of any training mesh matches {pattern!r}.\n"
                f"  The meshes have the sets {', '.join(names) or '(none)'}."
            )


@no_type_check  # `patterns` come from a user's argument, which is checked here
def boundary_features(
    mesh: Mesh, patterns: Sequence[str], distances: bool, normals: bool = False
) -> Float[Tensor, "n_points f"]:
    """Columns: is on the boundary, is in the set of each pattern; how far away each is; which way it faces.

    distances  the distance to the nearest point of the set, in the unit of the points; where a mesh has no such point,
               the diagonal of its bounding box
    normals    `dim` columns for each set: the outward direction of the mesh at that nearest point (see
               `outward_directions`; the mean of several at the same distance), 0 where there is none
    """
    if isinstance(patterns, str) or not isinstance(patterns, Sequence) or not all(isinstance(p, str) for p in patterns):
        raise ParameterError(f"boundary_sets={patterns!r}: a list of names of sets is expected, such as ['left'].")
    known = _KNOWN.setdefault(mesh.points, {})
    sets = [mesh.boundary_points if mesh.domain_types else mesh.points.new_zeros(0).long()]
    sets += [matching_points(mesh, pattern) for pattern in patterns]
    key = (distances, normals, id(mesh.topology), *(nodes.cpu().numpy().tobytes() for nodes in sets))
    if key in known:
        return known[key][0]
    points = mesh.points.detach()
    flags = [points.new_zeros(len(points)).index_fill_(0, nodes, 1.0)[:, None] for nodes in sets]
    away, facing = [], []
    outward = outward_directions(mesh) if normals else None
    diagonal = (points.amax(0) - points.amin(0)).norm()
    for nodes in sets:
        if not len(nodes):
            away.append(diagonal.expand(len(points), 1))
            facing.append(torch.zeros_like(points))
            continue
        distance, index = ops.knn(points.index_select(0, nodes), points, min(len(nodes), 16 if normals else 1))
        away.append(distance[:, :1].to(points.dtype))
        if outward is not None:
            nearest = (distance <= distance[:, :1] * (1 + 1e-4)).to(points.dtype)[..., None]
            directions = ops.gather(outward.index_select(0, nodes), index)
            facing.append((nearest * directions).sum(1) / nearest.sum(1))
    table = torch.cat([*flags, *(away if distances else []), *(facing if normals else [])], dim=1)
    known[key] = (table, mesh.topology)  # the topology is kept so that its id stays taken
    return table


def outward_directions(mesh: Mesh) -> Float[Tensor, "n_points dim"]:
    """Unit vectors away from the mean direction of the neighbours: about the normal on a boundary; 0 for clouds.

    It needs no facets and so works for every mesh. Inside, where neighbours lie on all sides, it means little.
    """
    if mesh.cell_dim == 0:
        return torch.zeros_like(mesh.points)
    graph, points = mesh.point_adjacency, mesh.points.detach()
    offset = ops.gather_senders(points, graph) - ops.gather_receivers(points, graph)
    mean = ops.segment_sum(torch.nn.functional.normalize(offset, dim=1), graph)
    return -torch.nn.functional.normalize(mean, dim=1)


def centred(
    points: Float[Tensor, "n_points dim"], weights: Float[Tensor, " n_points"]
) -> Float[Tensor, "n_points dim"]:
    """Coordinates from the centre of mass: they do not change when the mesh is moved."""
    return points - (weights[:, None] * points).sum(0)
