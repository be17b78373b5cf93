"""What an operator network sees of one mesh: dofs, their graphs, the matrices of the loss, prescribed values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from meshlearn.ops import Adjacency
from meshlearn.train.sample import Sample


@dataclass(frozen=True)
class InputDofs:
    """Input fields in a space with other dofs than the outputs.

    values         (n_inputs, f) spread dofs
    edges          row i holds the input dofs that share a cell with output dof i
    edge_features  (n_edges, dim + 1) position of the input dof relative to the output dof, and its length, over h
    """

    values: Float[Tensor, "n_inputs f"]
    edges: Adjacency
    edge_features: Float[Tensor, "n_edges k"]


@dataclass(frozen=True)
class CoarseDofs:
    """One coarser level.

    dof_inputs            (n_coarse, f) fields restricted, flags and coordinates of the dofs that were kept
    edges, edge_features  as those of the dofs, from the Galerkin matrices of the level
    up, up_values         prolongation: rows are dofs of the next finer level, columns those of this one
    down, down_values     restriction: weighted means over the dofs of the next finer level
    """

    dof_inputs: Float[Tensor, "n_coarse f"]
    edges: Adjacency
    edge_features: Float[Tensor, "n_edges k"]
    up: Adjacency
    up_values: Float[Tensor, " n_up"]
    down: Adjacency
    down_values: Float[Tensor, " n_down"]


@dataclass(frozen=True)
class DofSample(Sample):
    """One mesh, or several. Rows of "point" and "cell" outputs are dofs of the output space.

    dof_inputs     (n, f) inputs at the output dofs: fields, global values, flags, coordinates
    edges          graph of the output dofs, with `edge_features` (n_edges, k)
    mass_diagonal, mass_edges            mass matrix over the measure of the mesh, for the loss
    stiffness_diagonal, stiffness_edges  stiffness matrix in units of the mass matrix, for the loss in H1; else None
    share          (n,) share of the measure of the mesh that each dof stands for
    direction      (n, dim) unit direction of directed dofs, else None
    fixed, values  {location: (n, columns)}: 1 where a dof is prescribed, and its value (along its direction)
    others         {element: InputDofs} inputs in other spaces
    coarse         coarser levels, from fine to coarse
    """

    dof_inputs: Float[Tensor, "n f"] = field(kw_only=True)
    edges: Adjacency = field(kw_only=True)
    edge_features: Float[Tensor, "n_edges k"] = field(kw_only=True)
    mass_diagonal: Float[Tensor, " n"] = field(kw_only=True)
    mass_edges: Float[Tensor, " n_edges"] = field(kw_only=True)
    stiffness_diagonal: Float[Tensor, " n"] | None = field(kw_only=True)
    stiffness_edges: Float[Tensor, " n_edges"] | None = field(kw_only=True)
    share: Float[Tensor, " n"] = field(kw_only=True)
    direction: Float[Tensor, "n dim"] | None = field(kw_only=True)
    fixed: dict[str, Tensor] = field(kw_only=True)
    values: dict[str, Tensor] = field(kw_only=True)
    others: dict[str, InputDofs] = field(default_factory=dict, kw_only=True)
    coarse: tuple[CoarseDofs, ...] = field(default=(), kw_only=True)

    features: ClassVar[tuple[str, ...]] = ("dof_inputs", "edge_features")

    @property
    def cost(self) -> tuple[int, int]:
        """(dofs, edges) over all spaces and levels."""
        dofs, edges = len(self.dof_inputs), self.edges.n_edges
        for other in self.others.values():
            dofs, edges = dofs + len(other.values), edges + other.edges.n_edges
        for level in self.coarse:
            dofs, edges = dofs + level.edges.n_rows, edges + level.edges.n_edges + level.up.n_edges
        return dofs, edges

    def rows(self, location: str) -> int:
        """Number of rows of `location` in the batch (from shapes: nothing is read back from a device)."""
        return self.n_meshes if location == "global" else len(self.dof_inputs)

    def feature_tensors(self) -> dict[str, Tensor]:
        """{name: (rows, width)} of everything the estimator normalises."""
        found = super().feature_tensors()
        for name, other in self.others.items():
            found |= {f"values_{name}": other.values, f"edges_{name}": other.edge_features}
        for k, level in enumerate(self.coarse, start=1):
            found |= {f"dofs_{k}": level.dof_inputs, f"edges_{k}": level.edge_features}
        return found

    def with_feature_tensors(self, features: dict[str, Tensor]) -> DofSample:
        """A copy with these features in the place of the old ones."""
        others = {
            name: replace(other, values=features[f"values_{name}"], edge_features=features[f"edges_{name}"])
            for name, other in self.others.items()
        }
        coarse = [
            replace(level, dof_inputs=features[f"dofs_{k}"], edge_features=features[f"edges_{k}"])
            for k, level in enumerate(self.coarse, start=1)
        ]
        changes: dict[str, Any] = {name: values for name, values in features.items() if name in self.features}
        return self.replace(**changes, others=others, coarse=tuple(coarse))
