"""Geometric inputs that several models offer: boundary flags, distances to named parts, centred coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from meshlearn import ops
from meshlearn.errors import FieldError
from meshlearn.mesh.mesh import Mesh

# Frames of a trajectory on a fixed mesh share these. {points: {key: (table, what the key's ids belong to)}}
_KNOWN = WeakTensorKeyDictionary()


def set_points(mesh: Mesh, pattern: str) -> Int[Tensor, " k"]:
    """Points of all point sets and cell sets whose name matches a pattern such as "left" or "hole_*", ascending.

    A pattern with a wildcard may match nothing. Raises FieldError for a plain name that the mesh does not have.
    """
    found = [points for name, points in mesh.point_sets.items() if fnmatchcase(name, pattern)]
    for name, by_type in mesh.cell_sets.items():
        if fnmatchcase(name, pattern):
            found += [mesh.cells[kind].index_select(0, rows).reshape(-1) for kind, rows in by_type.items()]
    if not found:
        if not any(c in pattern for c in "*?["):
            names = sorted({*mesh.point_sets, *mesh.cell_sets})
            raise FieldError(
                f"the mesh {mesh.source or ''} has no point set or cell set named {pattern!r} (boundary_sets).\n"
                f"  Its sets are {names or 'none'}. A pattern such as {pattern + '*'!r} may be absent on some meshes."
            )
        return torch.zeros(0, dtype=torch.int64, device=mesh.device)
    nodes = torch.unique(torch.cat(found))
    return nodes[nodes >= 0]


def boundary_features(mesh: Mesh, patterns: Sequence[str], distances: bool) -> Float[Tensor, "n_points f"]:
    """Columns: is on the boundary, is in the set of each pattern; with `distances`, how far away each of these is.

    The distance is to the nearest point of the set, in the unit of the points; where a mesh has no such point it is
    the diagonal of its bounding box.
    """
    known = _KNOWN.setdefault(mesh.points, {})
    sets = [mesh.boundary_points if mesh.domain_types else mesh.points.new_zeros(0).long()]
    sets += [set_points(mesh, pattern) for pattern in patterns]
    key = ("boundary", distances, id(mesh.topology), tuple(patterns), tuple(map(id, mesh.cell_sets.values())))
    if key in known:
        return known[key][0]
    points = mesh.points.detach()
    columns = []
    for nodes in sets:
        columns.append(points.new_zeros(len(points)).index_fill_(0, nodes, 1.0))
    if distances:
        diagonal = (points.amax(0) - points.amin(0)).norm()
        for nodes in sets:
            if len(nodes):
                columns.append(ops.knn(points.index_select(0, nodes), points, 1)[0][:, 0].to(points.dtype))
            else:
                columns.append(diagonal.expand(len(points)))
    table = torch.stack(columns, dim=1)
    known[key] = (table, mesh.topology, mesh.cell_sets)
    return table


def centred(points: Float[Tensor, "n_points dim"], weights: Float[Tensor, " n_points"]) -> Float[Tensor, "n_points dim"]:
    """Coordinates from the centre of mass: they do not change when the mesh is moved."""
    return points - (weights[:, None] * points).sum(0)
