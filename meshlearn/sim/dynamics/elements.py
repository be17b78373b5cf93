"""Linear simplices: deformation gradients, nodal forces, masses, and a bound of the fastest vibration."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import MeshError
from meshlearn.sim.motion.arguments import need_mesh
from meshlearn.sim.mpm.tensors import cofactor, determinant, product, product_transposed

KINDS = {2: "triangle", 3: "tetra"}


class Elements:
    """The triangles of a planar mesh or the tetrahedra of a solid one; arrays have the elements last.

    volume   (n_elements,): undeformed (an area in 2-D)
    inverse  (dim, dim, n_elements): of the matrix whose columns are the edges from node 0
    mass     (n_points,): a volume per node, each element giving its nodes equal shares

    Differentiable in the points of the mesh. Raises MeshError for other cells, and for elements without volume.
    """

    def __init__(self, mesh: Any) -> None:
        need_mesh("mesh", mesh)
        kind = KINDS.get(mesh.dim)
        others = [name for name in mesh.domain_types if name != kind]
        if kind is None or kind not in mesh.cells or others:
            raise MeshError(
                f"explicit dynamics moves triangles in 2-D or tetrahedra in 3-D; this mesh has {mesh.cell_counts} in "
                f"{mesh.dim}-D.\n  Shapes take cells='triangle' or cells='tetra'; the material point method "
                "(meshlearn.sim.mpm) fills any mesh."
            )
        self.kind, self.dim, self.n_points = kind, mesh.dim, mesh.n_points
        nodes = mesh.cells[kind].t().contiguous()  # (dim + 1, n)
        points = mesh.points.t()
        self.nodes = nodes.reshape(-1)
        edges = self._edges(points)
        measure = determinant(edges)
        flat = measure.detach().abs() <= 1e-12 * float(edges.detach().abs().max()) ** self.dim
        if bool(flat.any()):
            raise MeshError(
                f"{int(flat.sum())} of {len(measure)} elements have no volume; the first is number "
                f"{int(flat.nonzero()[0])}. ml.check_mesh(mesh) lists such defects."
            )
        self.volume: Float[Tensor, " n_elements"] = measure.abs() / math.factorial(self.dim)
        self.inverse: Float[Tensor, "dim dim n_elements"] = (cofactor(edges) / measure).transpose(0, 1)
        shares = (self.volume / (self.dim + 1)).repeat(self.dim + 1)
        self.share: Float[Tensor, " n_points"] = points.new_zeros(mesh.n_points).scatter_add(0, self.nodes, shares)
        unused = int((self.share.detach() == 0).sum())
        if unused:
            raise MeshError(
                f"{unused} points belong to no {kind} and would have no mass; mesh.without_unused_points() leaves them "
                "out."
            )

    def _edges(self, position: Float[Tensor, "dim n_points"]) -> Float[Tensor, "dim dim n_elements"]:
        """Columns x_a - x_0."""
        local = torch.stack([row.index_select(0, self.nodes) for row in position.unbind(0)])
        local = local.view(self.dim, self.dim + 1, -1)
        return local[:, 1:] - local[:, :1]

    def deformation(self, position: Float[Tensor, "dim n_points"]) -> Float[Tensor, "dim dim n_elements"]:
        """Deformation gradients F."""
        return product(self._edges(position), self.inverse)

    def forces(
        self, stress: Float[Tensor, "dim dim n_elements"], deformation: Float[Tensor, "dim dim n_elements"]
    ) -> Float[Tensor, "dim n_points"]:
        """Nodal forces of a Kirchhoff stress: minus volume times P grad N, with P = stress F^-T."""
        first = product(stress, cofactor(deformation) / determinant(deformation))
        columns = product_transposed(-self.volume * first, self.inverse)
        local = torch.cat([-columns.sum(1, keepdim=True), columns], 1).flatten(1)
        zero = local.new_zeros(self.n_points)
        return torch.stack([zero.scatter_add(0, self.nodes, row) for row in local.unbind(0)])

    def slope_bound(self) -> float:
        """The largest eigenvalue of (dim + 1) sum_a grad N_a grad N_a^T over all elements, per squared length.

        Times the largest eigenvalue of the elastic moduli over the density it bounds every squared frequency of the
        body with lumped masses (Fried, Bounds on the extremal eigenvalues of the finite element stiffness and mass
        matrices, 1972), also where elements of all kinds meet.
        """
        rows = self.inverse.detach().permute(2, 0, 1)  # rows are the gradients of N_1 …
        gradients = torch.cat([-rows.sum(1, keepdim=True), rows], 1)
        return (self.dim + 1) * float(torch.linalg.matrix_norm(gradients, 2).square().max())
