"""The numbers behind the colours: one value per point or per cell, from a field of any shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.mesh.mesh import Mesh


@dataclass(frozen=True)
class Shade:
    """values (n_points,) or (n_cells,) float64, where they live ("point" or "cell"), and a label for the colour bar."""

    values: np.ndarray
    location: str
    label: str

    def limits(self) -> tuple[float, float]:
        """Smallest and largest finite value; (0, 1) if there is none."""
        finite = self.values[np.isfinite(self.values)]
        return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)


def shade(mesh: Mesh, field: str | Tensor | np.ndarray, component: int | None = None, unit: str | None = None) -> Shade:
    """Look a field up and make one number of each value.

    field      name in point_data or cell_data, or (n_points, ...) or (n_cells, ...) values
    component  which component of a vector or tensor (flattened); None is the magnitude
    unit       put behind the name, in brackets

    Raises FieldError for a name that is missing, ambiguous or of the whole mesh and for values of another length;
    ParameterError for a component that does not exist.
    """
    name = field if isinstance(field, str) else "values"
    values, location = _named(mesh, field) if isinstance(field, str) else _given(mesh, torch.as_tensor(field))
    table = values.detach().cpu()
    if table.is_complex():
        table = torch.view_as_real(table)
    table = table.double().reshape(len(table), -1)
    width = table.shape[1]
    tail = f" [{unit}]" if unit else ""
    if component is not None:
        if not isinstance(component, int | np.integer) or isinstance(component, bool):
            raise ParameterError(f"component is the number of a component, 0 to {width - 1}, not {component!r}.")
        if not -width <= component < width:
            raise ParameterError(f"{name!r} has {width} components; there is no component {component}.")
        axes = "xyz" if width <= 3 and width == mesh.dim else None
        suffix = f" {axes[component]}" if axes else f" [{component % width}]"
        return Shade(table[:, component].numpy(), location, name + (suffix if width > 1 else "") + tail)
    if width == 1:
        return Shade(table[:, 0].numpy(), location, name + tail)
    return Shade(table.norm(dim=1).numpy(), location, f"|{name}|{tail}")


def _named(mesh: Mesh, name: str) -> tuple[Tensor, str]:
    if name in mesh.point_data and name in mesh.cell_data:
        raise FieldError(f"{name!r} is in point_data and in cell_data: pass the values themselves instead of the name.")
    if name in mesh.point_data:
        return mesh.point_data[name], "point"
    if name in mesh.cell_data:
        parts = mesh.cell_data[name]
        like = next(iter(parts.values()))
        blank = torch.full((1, *like.shape[1:]), torch.nan, dtype=torch.float64)
        blocks = [
            parts[kind].cpu().double() if kind in parts else blank.expand(len(mesh.cells[kind]), *like.shape[1:])
            for kind in mesh.domain_types
        ]
        if blocks and any(kind in parts for kind in mesh.domain_types):
            return torch.cat(blocks), "cell"
        raise FieldError(f"{name!r} lives on {list(parts)} only; drawn are the cells {mesh.domain_types}.")
    if name in mesh.global_data:
        raise FieldError(f"{name!r} is one value of the whole mesh (global_data): there is nothing to draw.")
    raise FieldError(
        f"the mesh has no field {name!r} (mesh {mesh.source or 'made in memory'}).\n"
        f"  point_data: {', '.join(mesh.point_data) or 'nothing'}\n"
        f"  cell_data: {', '.join(mesh.cell_data) or 'nothing'}"
    )


def _given(mesh: Mesh, values: Tensor) -> tuple[Tensor, str]:
    if values.ndim and len(values) == mesh.n_points:
        return values, "point"
    if values.ndim and len(values) == mesh.n_cells:
        return values, "cell"
    raise FieldError(
        f"values of shape {tuple(values.shape)} fit neither the {mesh.n_points} points nor the {mesh.n_cells} cells."
    )
