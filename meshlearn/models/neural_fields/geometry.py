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
from meshlearn.mesh.reference import reference_cell
from meshlearn.mesh.search.closest import ClosestPoint
from meshlearn.models.neural_fields.periodic import Period, images, repeated, unglued
from meshlearn.train.fields import describe, resolve_one

DISTANCE, DEFORMATION, NAME = "signed_distance", "deformation", "geometry"


def signed_distance(
    mesh: Mesh, points: Float[Tensor, "n dim"] | None = None, sets: Sequence[str] = (), period: Period = ()
) -> Float[Tensor, "n k"]:
    """Distance from points (default: those of the mesh) to the boundary, in the unit of the points; exact on straight
    facets. Positive inside the mesh, negative outside.

    sets  names or patterns ("hole_*") of cell sets of facets or edges, or of point sets: one column for each; () for
          one column with the distance to the whole boundary. A set that the mesh does not have is as far as
          its diagonal
    period  of the box of the mesh along every axis, None where it is not periodic: distances go through its sides, and
            where the mesh fills it, they are no boundary

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
        facets = {kind: nodes.cpu() for kind, nodes in mesh.topology.boundary_facets.items()}
        facets = {kind: nodes for kind, nodes in unglued(x, facets, period).items() if len(nodes)}
        if not facets:
            raise MeshError(
                f"{where} is closed: it has no boundary to measure a distance from.\n"
                "  Name fields that describe its shape: geometry=['curvature', …]."
            )
        parts = [facets]
    diagonal = (x.amax(0) - x.amin(0)).norm()
    copies, n_copies = images(x, period)
    parts = [{kind: repeated(nodes, len(x), n_copies) for kind, nodes in part.items()} for part in parts]
    columns = [_distance(copies, part, queries, diagonal) for part in parts]
    table = torch.stack(columns, 1)
    if points is not None and mesh.cell_dim == mesh.dim:
        from meshlearn.mesh.location import PointLocator

        outside = PointLocator(mesh).locate(queries.to(mesh.points)).status.cpu() == 1
        table = torch.where(outside[:, None], -table, table)
    return table.to(mesh.points)


def _distance(x: Tensor, part: dict[str, Tensor], queries: Tensor, missing: Tensor) -> Tensor:
    """(n,) distances to the nearest of some elements: vertices, lines and faces; `missing` where there are none."""
    found = []
    for dim in sorted({reference_cell(kind).dim for kind in part}):
        elements = {kind: nodes for kind, nodes in part.items() if reference_cell(kind).dim == dim}
        found.append(ClosestPoint(x, elements)(queries)[2])
    return torch.stack(found).amin(0) if found else missing.expand(len(queries))


def _tagged(mesh: Mesh, pattern: str) -> dict[str, Tensor]:
    """Elements of the sets that match a pattern: the cells of cell sets, vertices of point sets.

    Raises FieldError when all these cells are those that the mesh consists of: there is no distance to the inside.
    """
    found: dict[str, list[Tensor]] = {}
    solid = []
    for name, kinds in mesh.cell_sets.items():
        if fnmatchcase(name, pattern):
            for kind, rows in kinds.items():
                if kind not in mesh.domain_types:
                    found.setdefault(kind, []).append(mesh.cells[kind].index_select(0, rows).cpu())
                elif len(rows):
                    solid.append(f"{name!r} ({len(rows)} {kind})")
    if not found:
        for name, rows in mesh.point_sets.items():
            if fnmatchcase(name, pattern):
                found.setdefault("vertex", []).append(rows[:, None].cpu())
    if solid and not found:
        raise FieldError(
            f"boundary_sets: {pattern!r} means {', '.join(solid)} of {describe(mesh)}, which are no part of its "
            "boundary but of its inside.\n  Name sets of facets, edges or points."
        )
    return {kind: torch.cat(parts) for kind, parts in found.items() if sum(map(len, parts))}


class Geometry:
    """The field of a mesh's shape, as `Enf2Enf` asks for it.

    names      names of point fields; "signed_distance" is computed where a mesh has no such field; "deformation" alone:
               where the points of the mesh are, against those of `reference`
    sets       what distances are measured to, see `signed_distance`
    reference  (n_points, dim) mean places of the points of the training meshes, for "deformation"
    period     of the box, see `signed_distance`
    """

    def __init__(
        self, names: Sequence[str], sets: Sequence[str], reference: Tensor | None, period: Period = ()
    ) -> None:
        self.names, self.sets, self.reference, self.period = tuple(names), tuple(sets), reference, period

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
            signed_distance(mesh, points, self.sets, self.period)
            if name == DISTANCE and name not in mesh.point_data
            else operator @ self._column(mesh, name)
            for name in self.names
        ]
        return torch.cat(columns, 1)

    def _column(self, mesh: Mesh, name: str) -> Tensor:
        if name == DISTANCE and name not in mesh.point_data:
            return signed_distance(mesh, None, self.sets, self.period)
        spec = resolve_one(mesh, name)
        if spec.location != "point":
            raise FieldError(f"geometry: {name!r} is a {spec.location} field of {describe(mesh)}; name point fields.")
        return spec.values(mesh).to(mesh.points)
