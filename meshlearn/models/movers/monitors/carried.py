"""A point field that stays where it is while the mesh moves through it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import FieldError
from meshlearn.mesh.checks import of_mesh
from meshlearn.mesh.interpolation import interpolation_operator
from meshlearn.mesh.location import PointLocator
from meshlearn.mesh.mesh import Mesh


class CarriedField:
    """The P1 function of values (n_points,) on `mesh`, at any points: found by point location, clamped outside.

    values  may require a gradient: what is evaluated here is differentiable in them

    >>> mesh = ml.shapes.square(n=2)
    >>> ml.models.movers.CarriedField(mesh, mesh.points[:, 0])(torch.tensor([[0.3, 0.6]]))
    tensor([0.3000], dtype=torch.float64)
    """

    def __init__(self, mesh: Mesh, values: Any, name: str = "the monitor") -> None:
        made = torch.as_tensor(values)
        if made.is_complex():
            raise FieldError(f"{name} is complex; expected real, positive densities, such as its absolute value.")
        if made.dim() == 2 and made.shape[1] == 1:
            made = made[:, 0]
        if made.shape != (mesh.n_points,):
            raise FieldError(
                f"{name} has shape {tuple(made.shape)}, expected ({mesh.n_points},): one value per point"
                f"{of_mesh(mesh.source)}."
            )
        self.mesh = mesh.replace(points=mesh.points.detach().double())
        self.field = made.to(torch.float64)
        self._locator = PointLocator(self.mesh)

    def __call__(self, points: Tensor) -> Tensor:
        if points.shape == self.mesh.points.shape and torch.equal(points.detach(), self.mesh.points):
            return self.field
        return interpolation_operator(self._locator, points.detach())[0] @ self.field

    def gradient(self, points: Tensor) -> Tensor:
        """(n, dim): the slope of the cell that each point is in; where it is outside, of the closest one."""
        cell = self._locator.locate(points).cell
        return self._cell_slopes().index_select(0, cell)

    def _cell_slopes(self) -> Tensor:
        (kind,) = self.mesh.domain_types
        nodes = self.mesh.cells[kind]
        x, u = self.mesh.points[nodes], self.field.detach()[nodes]
        return torch.linalg.solve(x[:, 1:] - x[:, :1], u[:, 1:] - u[:, :1])
