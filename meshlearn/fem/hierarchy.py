"""Levels of a multigrid method: prolongations, the Galerkin matrices they give, and how they were made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem import algebraic
from meshlearn.fem.galerkin import GalerkinProduct
from meshlearn.fem.levels import between_meshes, between_spaces, expand_components, of_refinements, restricted
from meshlearn.mesh.mesh import Mesh
from meshlearn.ops import SparseOperator

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Levels 0 (finest) to n_levels - 1 (coarsest).

    - prolongations: P_l (n_l, n_{l+1}) as SparseOperator, from level l + 1 to level l; `P.T` restricts.
    - matrices: A_l (n_l, n_l) with A_{l+1} = P_l^T A_l P_l; empty until `with_matrix`.
    - meshes: the mesh of every level, empty for an algebraic hierarchy.
    - free: per level the ids (n_l,) int64 of the unconstrained unknowns, empty where there are no constraints.
    - method, backend: "refinement"/"location"/"spaces" by "mesh", or "smoothed_aggregation"/"aggregation" by
      "pyamg"/"own".

    >>> from meshlearn.fem.hierarchy import Hierarchy
    >>> Hierarchy.refined(ml.shapes.square(n=2), 3)
    Hierarchy(sizes=[289, 81, 25, 9], method='refinement', backend='mesh')
    """

    prolongations: tuple[SparseOperator, ...]
    matrices: tuple[SparseOperator, ...] = ()
    meshes: tuple[Mesh, ...] = ()
    free: tuple[Tensor, ...] = ()
    method: str = "refinement"
    backend: str = "mesh"
    # Galerkin products by level, shared by all matrices on one pattern
    _products: list[GalerkinProduct] = field(default_factory=list, repr=False)

    @classmethod
    def from_meshes(
        cls,
        meshes: Sequence[Mesh],
        matrix: SparseOperator | None = None,
        free: Int64[Tensor, " n_free"] | None = None,
        components: int = 1,
        how: str = "auto",
    ) -> Hierarchy:
        """Of first-order elements on nested meshes, coarsest first.

        meshes      two or more, of the same domain, each finer than the one before (uniform refinements are exact;
                    other meshes by point location, see `prolongation`)
        matrix      the finest matrix: (n_free, n_free) with `free`, else (n_points * components, same)
        free        (n_free,) int64 ascending: unconstrained unknowns of the finest level. Coarse functions that do not
                    vanish at a constrained unknown are left out, so every coarse function respects the constraint.
        components  of a vector field, interleaved: unknown = point * components + component

        Raises ParameterError for meshes in another order or sizes that do not fit, and what `prolongation` raises.
        """
        steps, exact = between_meshes(meshes, how)
        made = cls._of_meshes(meshes, steps, components, "refinement" if exact else "location")
        made = made if free is None else made.restricted(free)
        return made if matrix is None else made.with_matrix(matrix)

    @classmethod
    def refined(cls, mesh: Mesh, levels: int, components: int = 1) -> Hierarchy:
        """Of `mesh` (the coarsest) and its 1st to `levels`-th uniform refinement: `levels` + 1 levels.

        Raises ParameterError for levels < 1, TopologyError for cells that are not of first order.
        """
        meshes, steps = of_refinements(mesh, levels)
        return cls._of_meshes(meshes, steps, components, "refinement")

    @classmethod
    def from_spaces(
        cls,
        spaces: Sequence[FESpace],
        matrix: SparseOperator | None = None,
        free: Int64[Tensor, " n_free"] | None = None,
    ) -> Hierarchy:
        """Of Lagrange spaces, coarsest first: degrees may rise on one mesh, meshes may be refined, or both.

        matrix, free  as in `from_meshes`, in the dofs of the last space

        `method` is "spaces". Raises ParameterError for fewer than two spaces or dofs that do not grow, and what
        `space_prolongation` raises.
        """
        steps = between_spaces(spaces)
        made = cls._of_meshes([space.mesh for space in spaces], steps, 1, "spaces")
        made = made if free is None else made.restricted(free)
        return made if matrix is None else made.with_matrix(matrix)

    @classmethod
    def _of_meshes(
        cls, meshes: Sequence[Mesh], steps: Sequence[SparseOperator], components: int, method: str
    ) -> Hierarchy:
        """From meshes and prolongations, both coarsest first."""
        finest_first = tuple(expand_components(P, components) for P in reversed(steps))
        return cls(finest_first, meshes=tuple(reversed(meshes)), method=method)

    @classmethod
    def from_matrix(
        cls,
        A: SparseOperator,
        method: str = "smoothed_aggregation",
        backend: str = "auto",
        near_nullspace: Float[Tensor, "n k"] | None = None,
        block_size: int = 1,
        strength: float = 0.0,
        max_coarse: int = 100,
        max_levels: int = 20,
    ) -> Hierarchy:
        """Of a symmetric positive definite matrix alone, by aggregation of its unknowns.

        method          "smoothed_aggregation" (better convergence) or "aggregation" (sparser coarse matrices)
        backend         "pyamg" (extra `amg`), "own", or "auto": pyamg where it is installed. The attribute `backend`
                        says which was used.
        near_nullspace  (n, k) float vectors that coarse levels must carry; constants per block entry when left out
        block_size      unknowns per node, interleaved: they are aggregated together
        strength        couplings |a_ij| < strength * sqrt(a_ii a_jj) are not aggregated along (0: all are)
        max_coarse      coarsening stops at this size; max_levels: or with that many levels

        The prolongations are fixed numbers; the matrices are differentiable in `A.values`. Computed on the CPU, stored
        on A's device. Raises ParameterError for unknown names, shapes that do not fit or a diagonal that is not
        positive, MissingDependencyError for backend="pyamg" without pyamg.
        """
        settings = algebraic.Settings(method, backend, block_size, strength, max_coarse, max_levels)
        used, steps = algebraic.prolongations(A, near_nullspace, settings)
        return cls(tuple(steps), method=method, backend=used).with_matrix(A)

    @property
    def n_levels(self) -> int:
        """Number of levels, the finest included."""
        return len(self.prolongations) + 1

    @property
    def sizes(self) -> list[int]:
        """Unknowns of every level, finest first."""
        if not self.prolongations:
            return [A.n_rows for A in self.matrices]
        return [P.n_rows for P in self.prolongations] + [self.prolongations[-1].n_cols]

    @property
    def operator_complexity(self) -> float:
        """Entries of all matrices per entry of the finest: memory and work of a cycle. Raises ParameterError without a
        matrix."""
        self._need_matrices()
        counts = [A.adjacency.n_edges for A in self.matrices]
        return sum(counts) / max(counts[0], 1)

    def restricted(self, free: Int64[Tensor, " n_free"]) -> Hierarchy:
        """Without the constrained unknowns: P_l[free_l][:, free_{l+1}]; matrices are dropped.

        free  (n_free,) int64 ascending, distinct: the unconstrained unknowns of the finest level

        Raises ParameterError for ids out of range or order, or when a coarse level would keep no unknown.
        """
        if self.free:
            raise ParameterError("this hierarchy is restricted already: restrict the one it was made from.")
        kept, steps = restricted(self.prolongations, free, self.sizes[0])
        return replace(self, prolongations=tuple(steps), matrices=(), free=tuple(kept), _products=[])

    def with_matrix(self, A: SparseOperator) -> Hierarchy:
        """With A (n_0, n_0) on the finest level and its Galerkin products below, differentiable in `A.values`.

        Prolongations take A's dtype and device. Set-up is shared by matrices on one pattern (the same `adjacency`).
        Raises ParameterError for another shape.
        """
        size = self.sizes[0] if self.prolongations else A.n_cols
        if A.shape != (size, size):
            hint = (
                "" if self.free or not self.meshes else "\n  for a matrix reduced by Dirichlet data: restricted(free)."
            )
            raise ParameterError(f"the finest level has {size} unknowns, the matrix has shape {A.shape}.{hint}")
        moved = self.to(A.device).to(A.dtype)
        matrices = [A]
        for level, P in enumerate(moved.prolongations):
            if len(moved._products) <= level or moved._products[level].pattern is not matrices[-1].adjacency:
                moved._products[level:] = [GalerkinProduct(matrices[-1].adjacency, P)]
            matrices.append(moved._products[level](matrices[-1]))
        return replace(moved, matrices=tuple(matrices))

    def to(self, target: torch.device | str | torch.dtype) -> Hierarchy:
        """On another device, or with values of another dtype; itself where nothing changes."""
        parts = (*self.prolongations, *self.matrices)
        if isinstance(target, torch.dtype):
            same = all(part.dtype == target for part in parts)
        else:
            place = torch.empty(0, device=target).device
            same = all(part.device == place for part in parts)
        if same:
            return self
        free, meshes = self.free, self.meshes
        if not isinstance(target, torch.dtype):
            free, meshes = tuple(ids.to(target) for ids in free), tuple(mesh.to(target) for mesh in meshes)
        return replace(
            self,
            prolongations=tuple(P.to(target) for P in self.prolongations),
            matrices=tuple(A.to(target) for A in self.matrices),
            meshes=meshes,
            free=free,
            _products=[],
        )

    def _need_matrices(self) -> None:
        if not self.matrices:
            raise ParameterError("this hierarchy has no matrices yet: use hierarchy.with_matrix(A).")

    def __repr__(self) -> str:
        return f"Hierarchy(sizes={self.sizes}, method={self.method!r}, backend={self.backend!r})"
