"""One reference cell: nodes, nodal shape functions and gradients, quadrature, and the closest point inside."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from meshlearn.mesh.reference import domain as domains
from meshlearn.mesh.reference.basis import Basis, basis_of
from meshlearn.mesh.reference.quadrature import quadrature_rule

_APEX = 1e-6  # closest that 1 - z comes to 0 in the rational terms of a pyramid, relative to its height


@dataclass(frozen=True, eq=False)
class ReferenceCell:
    """A cell type on its reference domain (`meshlearn.mesh.reference.domain` lists the domains).

    kind      meshio's name, for example "wedge15"
    domain    first-order type of the same domain, "wedge"
    dim       dimension of the domain: 0, 1, 2 or 3
    order     1 or 2
    n_nodes, n_vertices
    measure   length, area or volume of the domain
    """

    kind: str
    domain: str
    dim: int
    order: int
    n_nodes: int
    n_vertices: int
    measure: float

    @property
    def nodes(self) -> Float[Tensor, "{self.n_nodes} {self.dim}"]:
        """Reference coordinates of the nodes, float64, in meshio's (VTK's) order."""
        return torch.from_numpy(domains.node_coordinates(self.kind))

    @property
    def is_affine(self) -> bool:
        """Whether the map from the domain is always affine: first-order vertices, lines, triangles, tetrahedra."""
        return self.order == 1 and self.domain in ("vertex", "line", "triangle", "tetra")

    @property
    def centre(self) -> Float[Tensor, " {self.dim}"]:
        """Centroid of the domain, float64."""
        points, weights = self.quadrature(1)
        return weights @ points / self.measure

    def shape(self, xi: Float[Tensor, "*q {self.dim}"]) -> Float[Tensor, "*q {self.n_nodes}"]:
        """Values of the shape functions at reference coordinates `xi`; differentiable in `xi`."""
        basis = basis_of(self.kind)
        powers, inverse = self._powers(basis, xi)
        terms = xi.new_ones(*xi.shape[:-1], len(basis.exponents))
        for axis in range(self.dim):
            terms = terms * _take(powers[axis], basis.exponents[:, axis])
        if inverse is not None:
            terms = terms * _take(inverse, basis.exponents[:, -1])
        return terms @ torch.as_tensor(basis.coefficients, dtype=xi.dtype, device=xi.device)

    def grad(self, xi: Float[Tensor, "*q {self.dim}"]) -> Float[Tensor, "*q {self.n_nodes} {self.dim}"]:
        """Gradients of the shape functions with respect to the reference coordinates; differentiable in `xi`.

        At the apex of a pyramid, where the gradients depend on the direction of approach, it is that along the axis.
        """
        basis = basis_of(self.kind)
        powers, inverse = self._powers(basis, xi)
        coefficients = torch.as_tensor(basis.coefficients, dtype=xi.dtype, device=xi.device)
        factors = [_take(powers[axis], basis.exponents[:, axis]) for axis in range(self.dim)]
        rational = None if inverse is None else _take(inverse, basis.exponents[:, -1])
        columns = []
        for axis in range(self.dim):
            exponent = basis.exponents[:, axis]
            terms = _take(powers[axis], np.maximum(exponent - 1, 0)) * _row(exponent, xi)
            for other in range(self.dim):
                terms = terms if other == axis else terms * factors[other]
            if rational is not None:
                terms = terms * rational
            if inverse is not None and axis == self.dim - 1:  # d/dz w^-d = d w^-(d + 1)
                power = basis.exponents[:, -1]
                terms = terms + factors[0] * factors[1] * factors[2] * _take(inverse, power + (power > 0)) * _row(
                    power, xi
                )
            columns.append(float(basis.scale[axis]) * (terms @ coefficients))
        return torch.stack(columns, dim=-1) if columns else xi.new_zeros(*xi.shape[:-1], self.n_nodes, 0)

    def quadrature(self, degree: int) -> tuple[Float[Tensor, "q {self.dim}"], Float[Tensor, " q"]]:
        """Points and positive weights (float64) of a rule exact for polynomials of total degree `degree`."""
        points, weights = quadrature_rule(self.domain, degree)
        return torch.from_numpy(points), torch.from_numpy(weights)

    def excess(self, xi: Float[Tensor, "*q {self.dim}"]) -> Float[Tensor, "*q"]:
        """How far `xi` is outside: the largest violation of the domain's inequalities; 0 or less inside."""
        faces = torch.tensor(domains.FACES[self.domain], dtype=xi.dtype, device=xi.device).reshape(-1, self.dim + 1)
        if not len(faces):
            return xi.new_zeros(xi.shape[:-1])
        return (xi @ faces[:, :-1].T - faces[:, -1]).amax(-1)

    def contains(self, xi: Float[Tensor, "*q {self.dim}"], tolerance: float = 1e-6) -> Bool[Tensor, "*q"]:
        """Whether `xi` lies in the reference domain, up to `tolerance`."""
        return self.excess(xi) <= tolerance

    def _powers(self, basis: Basis, xi: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """Powers 0 .. 3 of each centred coordinate, and of 1 / (1 - z) where the basis is rational."""
        scale = torch.as_tensor(basis.scale, dtype=xi.dtype, device=xi.device)
        t = xi * scale + torch.as_tensor(basis.shift, dtype=xi.dtype, device=xi.device)
        highest = int(basis.exponents[:, :-1].max(initial=1))
        powers = [_power_table(t[..., axis], highest) for axis in range(self.dim)]
        if not basis.exponents[:, -1].any():
            return powers, None
        weight = 1.0 - t[..., 2]
        weight = torch.where(weight.abs() < _APEX, torch.full_like(weight, _APEX), weight)
        return powers, _power_table(1.0 / weight, int(basis.exponents[:, -1].max()) + 1)


def _power_table(t: Tensor, highest: int) -> Tensor:
    columns = [torch.ones_like(t)]
    for _ in range(highest):
        columns.append(columns[-1] * t)
    return torch.stack(columns, dim=-1)


def _take(table: Tensor, exponents: np.ndarray) -> Tensor:
    return table.index_select(-1, torch.as_tensor(exponents, device=table.device))


def _row(exponents: np.ndarray, like: Tensor) -> Tensor:
    return torch.as_tensor(exponents, dtype=like.dtype, device=like.device)


@cache
def reference_cell(kind: str) -> ReferenceCell:
    """The reference cell of a cell type, by meshio's name. Raises `TopologyError` for a type that has none.

    >>> reference_cell("hexahedron27").order
    2
    >>> reference_cell("polygon")
    Traceback (most recent call last):
    ...
    meshlearn.errors.TopologyError: cell type 'polygon' has no reference cell ...
    """
    domain = domains.domain_of(kind)
    nodes = domains.node_coordinates(kind)
    return ReferenceCell(
        kind=kind,
        domain=domain,
        dim=nodes.shape[1],
        order=1 if kind == domain else 2,
        n_nodes=nodes.shape[0],
        n_vertices=len(domains.VERTICES[domain]),
        measure=domains.MEASURE[domain],
    )
