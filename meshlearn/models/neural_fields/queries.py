"""The numbers that points bring along when a field is decoded at them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.mesh.interpolation import interpolation_operator
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.neural_fields.geometry import Geometry
from meshlearn.train.fields import FieldSet
from meshlearn.train.graph import cells_to_points


def own_queries(mesh: Mesh, fields: FieldSet, shape: Tensor | None) -> Float[Tensor, "n_points e"]:
    """At the points of a mesh: the field of the shape (None for a deformation, which belongs to nodes), point inputs,
    and cell inputs averaged to the points."""
    return torch.cat([*([] if shape is None else [shape.reshape(mesh.n_points, -1)]), _inputs(mesh, fields)], 1)


def at_points(mesh: Mesh, at: Mesh, fields: FieldSet, geometry: Geometry) -> Float[Tensor, "n e"]:
    """The same at the points of another mesh: read there where it has all the fields, else carried over."""
    operator = interpolation_operator(mesh, at.points.to(mesh.points))[0]
    names = [spec.name for place in ("point", "cell") for spec in fields.at("inputs", place)]
    known = {*at.point_data, *at.cell_data}
    given = bool(names) and known >= set(names)
    if given:
        fields.check(at.replace(global_data=mesh.global_data), "the mesh to predict at", roles=("inputs",))
    inputs = _inputs(at, fields).to(mesh.points) if given else operator @ _inputs(mesh, fields)
    columns = [] if geometry.deformation else [geometry.at(mesh, at.points.to(mesh.points), operator)]
    return torch.cat([*columns, inputs], 1)


def _inputs(mesh: Mesh, fields: FieldSet) -> Tensor:
    columns = [fields.table(mesh, "inputs", "point", exact=True)]
    cells = fields.table(mesh, "inputs", "cell", exact=True) if fields.at("inputs", "cell") else None
    if cells is not None:
        columns.append(cells_to_points(mesh, cells))
    return torch.cat(columns, 1)
