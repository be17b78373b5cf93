"""Finite-element functions back on the mesh, as fields that files and pictures know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from meshlearn import ops
from meshlearn.errors import FieldError, ParameterError
from meshlearn.fem.coefficients import known_function
from meshlearn.fem.places import Rule, region
from meshlearn.mesh.mesh import Mesh

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace


def to_mesh(space: FESpace, **functions: Tensor) -> Mesh:
    """The space's mesh with functions as fields: point data where they are continuous, else cell data at the centres.

    functions  {name: dofs (n_dofs,)}

    Values at the nodes of the cells are exact. Functions with continuous values
    (P1, P2, MINI … and vectors of them) become point data (n_points, ...); all others (P0, DG, CR, RT, BDM, Nédélec)
    cell data {kind: (n_cells, ...)}. Raises ParameterError for composite spaces, FieldError for dofs of another shape.

    >>> space = ml.fem.FESpace(ml.shapes.square(n=2), "P2")
    >>> mesh = ml.fem.to_mesh(space, u=space.interpolate(lambda x: x[0] * x[1]))
    >>> mesh.point_data["u"].max().item()
    1.0
    """
    if len(space.blocks) > 1:
        raise ParameterError("a composite function has no single field; make a space of each part.")
    mesh = space.mesh
    for name, dofs in functions.items():
        if dofs.shape != (space.n_dofs,):
            raise FieldError(f"{name!r} has dofs of shape {tuple(dofs.shape)}, expected ({space.n_dofs},) for {space}.")
        if int(space.blocks[0].element.nodal_dofs) and space.blocks[0].family == "h1":
            mesh = mesh.with_point_data(**{name: _at_points(space, dofs)})
        else:
            middle = np.asarray(space.element.refdom.p, np.float64).mean(1, keepdims=True)
            values = _values(space, dofs, middle)[..., 0]
            mesh = mesh.with_cell_data(**{name: {space.kind: values.movedim(-1, 0)}})
    return mesh


def _at_points(space: FESpace, dofs: Tensor) -> Tensor:
    shape = space.geometry.shape
    values = _values(space, dofs, np.asarray(shape.element.doflocs, np.float64).T)  # (*components, cells, nodes)
    flat = values.movedim((-1, -2), (0, 1)).flatten(0, 1)
    numbers = space.geometry.nodes.t().reshape(-1)
    first = torch.full((space.mesh.n_points,), len(numbers), dtype=torch.int64, device=space.device)
    first.scatter_reduce_(0, numbers, torch.arange(len(numbers), device=space.device), "amin")
    return ops.gather(flat, first)


def _values(space: FESpace, dofs: Tensor, places: np.ndarray) -> Tensor:
    """(*components, cells, places)."""
    rule = Rule(places, np.ones(places.shape[1]), ("sample", places.shape[1]))
    where = region(space, None, rule)
    value = known_function(space.function(dofs), "u", None, rule, where.maps).value
    made = value[..., 0, 0, :, 0, :]
    return made.expand(*made.shape[:-1], places.shape[1])
