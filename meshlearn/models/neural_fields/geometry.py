"""The field that stands for the shape of a mesh: a signed distance, a deformation, or any point fields."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import FieldError, MeshError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.search.closest import ClosestPoint
from meshlearn.train.fields import describe, resolve_one

DISTANCE, DEFORMATION, NAME = "signed_distance", "deformation", "geometry"


def signed_distance(
    mesh: Mesh, points: Float[Tensor, "n dim"] | None = None, sets: Sequence[str] = ()
) -> Float[Tensor, "n k"]:
    """Distance from points (default: those of the mesh) to the boundary, in the unit of the points; exact on straight
    facets. Positive inside the mesh, negative outside.

    sets  names or patterns ("hole_*") of cell sets of facets, or of point sets: one column for each; () for one column
          with the distance to the whole boundary. A set that the mesh does not have is as far as its diagonal

    Raises MeshError for a mesh without a boundary: a point cloud, or a closed surface.
    """
    where = describe(mesh)
    if not mesh.domain_types:
        raise MeshError(
            f"{where} is a point cloud: it has no boundary to measure a distance from.\n"
            f"  Give the distance as a point field named {DISTANCE!r}, or name other fields: geometry=['thickness', …]."
        )
    x = mesh.points.detach().cpu().double()
    queries = x if points is None else points.detach().cpu().double()
    if sets:
        parts = [_tagged(mesh, pattern) for pattern in sets]
    else:
        facets = {kind: nodes.cpu() for kind, nodes in mesh.topology.boundary_facets.items() if len(nodes)}
        if not facets:
            raise MeshError(
                f"{where} is closed: it has no boundary to measure a distance from.\n"
                "  Name fields that describe its shape: geometry=['curvature', …]."
            )
        parts = [facets]
    diagonal = (x.amax(0) - x.amin(0)).norm()
    columns = [ClosestPoint(x, part)(queries)[2] if part else diagonal.expand(len(queries)) for part in parts]
    table = torch.stack(columns, 1)
    if points is not None and mesh.cell_dim == mesh.dim:
        from meshlearn.mesh.location import PointLocator

        outside = PointLocator(mesh).locate(queries.to(mesh.points)).status.cpu() == 1
        table = torch.where(outside[:, None], -table, table)
    return table.to(mesh.points)


def _tagged(mesh: Mesh, pattern: str) -> dict[str, Tensor]:
    """Elements of the sets that match a pattern: the cells of cell sets, vertices of point sets, of one dimension."""
    found: dict[str, list[Tensor]] = {}
    for name, kinds in mesh.cell_sets.items():
        if fnmatchcase(name, pattern):
            for kind, rows in kinds.items():
                if kind not in mesh.domain_types:
                    found.setdefault(kind, []).append(mesh.cells[kind].index_select(0, rows).cpu())
    if not found:
        for name, rows in mesh.point_sets.items():
            if fnmatchcase(name, pattern):
                found.setdefault("vertex", []).append(rows[:, None].cpu())
    return {kind: torch.cat(parts) for kind, parts in found.items() if sum(map(len, parts))}


class Geometry:
    """The field of a mesh's shape, as `Enf2Enf` asks for it.

    names      names of point fields; "signed_distance" is computed where a mesh has no such field; "deformation" alone:
               where the points of the mesh are, against those of `reference`
    sets       what distances are measured to, see `signed_distance`
    reference  (n_points, dim) mean places of the points of the training meshes, for "deformation"
    """

    def __init__(self, names: Sequence[str], sets: Sequence[str], reference: Tensor | None) -> None:
        self.names, self.sets, self.reference = tuple(names), tuple(sets), reference

    @property
    def deformation(self) -> bool:
        """True if the shape is the deformation of a reference."""
        return self.names == (DEFORMATION,)

    def mesh(self, mesh: Mesh) -> Mesh:
        """The mesh (or, for a deformation, the reference as a point cloud) with the point field "geometry"."""
        if not self.deformation:
            bare = mesh.replace(point_data={}, cell_data={}, global_data={})
            return bare.with_point_data(**{NAME: self.values(mesh)})
        assert self.reference is not None
        if len(self.reference) != mesh.n_points:
            raise MeshError(
                f"{describe(mesh)} has {mesh.n_points} points, the reference of the deformation "
                f"{len(self.reference)}.\n"
                "  geometry='deformation' needs the same nodes in the same order on all meshes; the default, "
                f"geometry={DISTANCE!r}, does not."
            )
        reference = self.reference.to(mesh.points)
        return Mesh(reference, point_data={NAME: mesh.points.detach() - reference}, source=mesh.source)

    def values(self, mesh: Mesh) -> Float[Tensor, "n_points k"]:
        """The fields side by side; raises FieldError for a missing one."""
        return torch.cat([self._column(mesh, name) for name in self.names], 1)

    def at(self, mesh: Mesh, points: Float[Tensor, "n dim"], operator: Any) -> Float[Tensor, "n k"]:
        """The fields of `mesh` at other points; `operator` interpolates what is not computed."""
        columns = [
            signed_distance(mesh, points, self.sets)
            if name == DISTANCE and name not in mesh.point_data
            else operator @ self._column(mesh, name)
            for name in self.names
        ]
        return torch.cat(columns, 1)

    def _column(self, mesh: Mesh, name: str) -> Tensor:
        if name == DISTANCE and name not in mesh.point_data:
            return signed_distance(mesh, None, self.sets)
        spec = resolve_one(mesh, name)
        if spec.location != "point":
            raise FieldError(f"geometry: {name!r} is a {spec.location} field of {describe(mesh)}; name point fields.")
        return spec.values(mesh).to(mesh.points)
