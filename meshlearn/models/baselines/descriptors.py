"""A fixed-length description of one mesh: its size, its loads, and summaries of its input fields."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from meshlearn.mesh.mesh import Mesh
from meshlearn.train.fields import FieldSet
from meshlearn.train.graph import measure_weights


def describe_mesh(mesh: Mesh, fields: FieldSet) -> Float64[Tensor, " d"]:
    """Global inputs; extent along each axis, measure, measure of the boundary; mean and spread of every input field.

    Both measures are 0 for a cloud. float64, on the CPU. Lengths are in the unit of the points; nothing depends on the
    position of the mesh.
    """
    parts = [fields.table(mesh, "inputs", "global", exact=True)[0], mesh.points.amax(0) - mesh.points.amin(0)]
    if mesh.domain_types:
        parts += [mesh.measure().reshape(1), mesh.boundary_mesh().measure().reshape(1)]
    else:
        parts.append(mesh.points.new_zeros(2))
    for location in ("point", "cell"):
        if fields.at("inputs", location):
            table = fields.table(mesh, "inputs", location, exact=True).double()  # squares of large values leave float32
            weights = measure_weights(mesh, location).double()
            mean = weights @ table
            parts += [mean, (weights @ (table - mean).square()).sqrt()]
    return torch.cat([part.detach().double().cpu() for part in parts])


def described_fields(fields: FieldSet) -> Bool[Tensor, " d"]:
    """Which entries of `describe_mesh` are made of fields; the others are geometry."""
    n_global, n_others = (
        fields.width("inputs", "global"),
        fields.width("inputs", "point") + fields.width("inputs", "cell"),
    )
    return torch.tensor([True] * n_global + [False] * (fields.dim + 2) + [True] * (2 * n_others))
