"""The scalar point field behind a monitor, and the size that it is measured by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.mesh.checks import of_mesh
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.movers.preparation import check_simplices

_ROUNDINGS = 4.0  # how many of them may meet in a recovered derivative


def point_field(mesh: Mesh, field: Any) -> tuple[Mesh, Float[Tensor, " n"]]:
    """(mesh in float64, values (n,) float64). Raises FieldError for what is not a finite scalar point field,
    TopologyError where it is not linear in the cells: other cells than lines, triangles or tetrahedra that fill space.
    """
    check_simplices(mesh, "derivatives of a field are recovered on")
    name = f"the point field {field!r}" if isinstance(field, str) else "the field"
    if isinstance(field, str):
        if field not in mesh.point_data:
            names = ", ".join(map(repr, mesh.point_data)) or "none"
            raise FieldError(f"the mesh has no point field {field!r}{of_mesh(mesh.source)}.\n  point fields: {names}")
        field = mesh.point_data[field]
    values = torch.as_tensor(field)
    if values.dim() == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (mesh.n_points,):
        raise FieldError(
            f"{name} has shape {tuple(values.shape)}, expected ({mesh.n_points},): one number per point.\n"
            "  of a vector, take a component or its norm."
        )
    bad = int((~torch.isfinite(values.detach())).sum())
    if bad:
        raise FieldError(f"{bad} of {len(values)} values of {name} are not finite{of_mesh(mesh.source)}.")
    return mesh.replace(points=mesh.points.detach().double()), values.double()


def rounding(mesh: Mesh, field: Any, order: int) -> float:
    """The size that derivatives of this order have by rounding alone: of the points or the values, whatever is coarser.

    mesh, field  as given, before `point_field` made them float64
    """
    values = torch.as_tensor(mesh.point_data[field] if isinstance(field, str) else field).detach()
    kinds = (values.dtype, mesh.points.dtype)
    return float(values.double().abs().max()) * derivative_rounding(kinds, smallest_length(mesh), order)


def smallest_length(mesh: Mesh) -> float:
    """Of the cells, as the root of their measure; 1 where none has any."""
    measures = torch.cat([m.detach().double() for m in mesh.cell_measures().values()])
    return float(measures[measures > 0].min()) ** (1 / mesh.dim) if bool((measures > 0).any()) else 1.0


def derivative_rounding(kinds: Iterable[torch.dtype], smallest: float, order: int) -> float:
    """`rounding` of a field of size 1, with points and values of these dtypes on cells of this length and more."""
    exactness = max((torch.finfo(kind).eps for kind in kinds if kind.is_floating_point), default=0.0)
    return _ROUNDINGS * exactness / smallest**order


def reference(size: Float[Tensor, " n"], relative_to: str, what: str, least: float) -> Float[Tensor, ""]:
    """The largest or the mean size. Raises FieldError where it is at most `least`, which is rounding."""
    if relative_to not in ("max", "mean"):
        raise ParameterError(f"relative_to={relative_to!r}: expected 'max' or 'mean'.")
    made = size.max() if relative_to == "max" else size.mean()
    if not float(made.detach()) > least:
        largest = float(size.detach().max())
        raise FieldError(
            f"the {what} of the field is zero everywhere (at most {largest:.1e}, which is rounding): no "
            "place is to be denser than another.\n  use a monitor that is constant, or another field."
        )
    return made
