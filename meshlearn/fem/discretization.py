"""A mesh and an element: numbering, orientation, and the tables that assembly asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from skfem.assembly.dofs import Dofs
from torch import Tensor

from meshlearn import ops
from meshlearn.errors import ParameterError
from meshlearn.fem.basis import basis_order, check_basis
from meshlearn.fem.domain import geometry, skfem_mesh
from meshlearn.fem.elements import make_element
from meshlearn.fem.geometry import Cells, check_cells, pick
from meshlearn.fem.pattern import Pattern
from meshlearn.fem.places import Rule
from meshlearn.fem.reference import Block, blocks, cell_tables
from meshlearn.mesh.mesh import Mesh


class Discretization:
    """What a finite-element space is made of; see `FESpace` for the arguments.

    mesh, skmesh  the mesh, and scikit-fem's of the same cells and points
    element       scikit-fem's; blocks: its fields, one for each part of a composite element
    geometry      the cells' maps; kind: their type
    element_dofs  (n_cells, n_local) in scikit-fem's numbering; n_dofs: how many there are
    order         of quadrature, where a basis came with one
    """

    def __init__(
        self,
        mesh: Any,
        element: Any = None,
        components: int | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self.order: int | None = None
        if isinstance(mesh, Mesh):
            self.mesh, self.skmesh = mesh, skfem_mesh(mesh)
            kind = mesh.domain_types[0]
            self.element = make_element("P1" if element is None else element, kind, components)
        else:
            check_basis(mesh)
            self.skmesh, self.order = mesh.mesh, basis_order(mesh)
            self.mesh = Mesh.from_skfem(self.skmesh)
            kind = self.mesh.domain_types[0]
            self.element = mesh.elem if element is None else make_element(element, kind, components)
        if dtype not in (torch.float32, torch.float64):
            raise ParameterError(f"dtype={dtype} is not one to integrate in; use torch.float64, or torch.float32.")
        self.kind, self.dtype = kind, dtype
        self.geometry = geometry(self.mesh, self.skmesh, dtype)
        self.blocks: list[Block] = blocks(self.element)
        self.numbering = Dofs(self.skmesh, self.element)
        self.element_dofs: Int64[Tensor, "n_cells n_local"] = self._tensor(self.numbering.element_dofs.T)
        self.n_dofs = int(self.numbering.N)
        self._tables: dict[tuple[Any, ...], dict[str, Tensor]] = {}
        self._patterns: dict[int, tuple[Discretization, Pattern]] = {}
        self.recorded: dict[int, Any] = {}  # of `meshlearn.fem.functionals`, by field
        self._signs = [self._orientation(block) for block in self.blocks]
        for block in self.blocks:
            check_cells(block, self.geometry, kind)
        if self.geometry.points.requires_grad and any(b.family == "table" for b in self.blocks):
            raise ParameterError(
                f"the functions of {type(self.element).__name__} are not carried from a reference cell: no gradients "
                "in the points. Detach them: mesh.replace(points=mesh.points.detach())."
            )

    @property
    def device(self) -> torch.device:
        """The device of the mesh."""
        return self.mesh.device

    @property
    def dim(self) -> int:
        """Dimension of the mesh."""
        return self.mesh.dim

    @property
    def degree(self) -> int:
        """Highest polynomial degree among the element's functions on the reference cell."""
        return max(int(block.element.maxdeg) for block in self.blocks)

    @property
    def like(self) -> Tensor:
        """An empty tensor of the space's dtype and device."""
        return torch.empty(0, dtype=self.dtype, device=self.device)

    def same_mesh(self, other: Discretization) -> bool:
        """Whether another space has the same cells with the same numbering."""
        return self.skmesh is other.skmesh or (
            self.skmesh.t.shape == other.skmesh.t.shape and bool((self.skmesh.t == other.skmesh.t).all())
        )

    @property
    def signs(self) -> Float[Tensor, "n_cells n_local"]:
        """Orientation of every local function: +1, or -1 where the dof counts the other way in this cell."""
        made = torch.ones(self.element_dofs.shape, dtype=self.dtype, device=self.device)
        for k, sign in enumerate(self._signs):
            if sign is not None:
                made[:, self.rows(k)] = sign.t()
        return made

    def pattern(self, trial: Discretization | None = None) -> Pattern:
        """The fixed pattern of matrices with this test space; made once per trial space."""
        trial = self if trial is None else trial
        if id(trial) not in self._patterns:
            made = Pattern.of(self.element_dofs.t(), trial.element_dofs.t(), self.n_dofs, trial.n_dofs)
            self._patterns[id(trial)] = (trial, made)
        return self._patterns[id(trial)][1]

    def rows(self, k: int) -> Int64[Tensor, " n"]:
        """Places of the functions of field k among the local functions."""
        return torch.from_numpy(np.ascontiguousarray(self.blocks[k].rows, np.int64)).to(self.device)

    def block_dofs(self, k: int, cells: Cells = None) -> Int64[Tensor, "n n_cells"]:
        """Dofs of the functions of field k in the cells."""
        table = pick(self.element_dofs, 0, cells)
        return table.t() if len(self.blocks) == 1 else table.t().index_select(0, self.rows(k))

    def local_signs(self, k: int, cells: Cells = None) -> Tensor | None:
        """(n, n_cells) signs of the functions of field k, None where all are +1."""
        signs = self._signs[k]
        return None if signs is None else pick(signs, 1, cells)

    def local_values(self, dofs: Float[Tensor, "n_batch n_dofs"], k: int, cells: Cells = None) -> Tensor:
        """(n_functions, n_components, n_cells, n_batch) coefficients of the functions of field k on the cells."""
        where = self.block_dofs(k, cells)
        values = ops.gather(dofs.t(), where.reshape(-1)).reshape(*where.shape, len(dofs))
        signs = self.local_signs(k, cells)
        if signs is not None:
            values = values * signs[..., None]
        return values.reshape(self.blocks[k].n_functions, -1, *values.shape[1:])

    def tables(self, k: int, rule: Rule) -> dict[str, Tensor]:
        """Functions of field k at the places of a rule, kept for the next time."""
        key = (k, *rule.key)
        if key not in self._tables:
            block = self.blocks[k]
            if block.family == "table":
                made = cell_tables(block, self.skmesh.mapping(), rule.places, self.dtype)
            else:
                made = block.tables(rule.places, self.dtype)
            self._tables[key] = {part: table.to(self.device) for part, table in made.items()}
        return self._tables[key]

    def _orientation(self, block: Block) -> Tensor | None:
        if block.family not in ("hdiv", "hcurl"):
            return None
        mapping = self.skmesh.mapping()
        signs = np.stack([block.element.orient(mapping, i) for i in range(block.n_functions)])
        return self._tensor(np.repeat(signs, block.components or 1, axis=0)).to(self.dtype)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, np.int64)).to(self.device)
