"""Prolongations between the levels of a hierarchy: from meshes or spaces, for vector fields, without fixed unknowns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.mesh_prolongation import find_refinement, prolongation, refinement_prolongation
from meshlearn.fem.submatrix import submatrix
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.refinement import refine_once
from meshlearn.ops import SparseOperator

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace


def between_meshes(meshes: Sequence[Mesh], how: str) -> tuple[list[SparseOperator], bool]:
    """Prolongations between nested meshes, coarsest first, and whether all of them are exact.

    Raises ParameterError for fewer than two meshes, or points that do not grow.
    """
    counts = [mesh.n_points for mesh in meshes]
    if len(meshes) < 2 or any(a >= b for a, b in pairwise(counts)):
        raise ParameterError(f"Hierarchy.from_meshes needs two or more meshes, coarsest first; got points {counts}.")
    steps, exact = [], True
    for coarse, fine in pairwise(meshes):
        refined = find_refinement(coarse, fine) if how == "auto" else None
        exact = exact and (refined is not None or how == "refinement")
        if refined is not None:
            steps.append(refinement_prolongation(coarse, refined))
        else:
            steps.append(prolongation(coarse, fine, how="location" if how == "auto" else how))
    return steps, exact


def of_refinements(mesh: Mesh, levels: int) -> tuple[list[Mesh], list[SparseOperator]]:
    """A mesh and its refinements, and the prolongations between them, coarsest first."""
    if levels < 1:
        raise ParameterError(f"levels={levels}: a hierarchy needs one refinement or more.")
    meshes, steps = [mesh], []
    for _ in range(levels):
        refined = refine_once(meshes[-1])
        steps.append(refinement_prolongation(meshes[-1], refined))
        meshes.append(refined.mesh)
    return meshes, steps


def between_spaces(spaces: Sequence[FESpace]) -> list[SparseOperator]:
    """Prolongations between spaces, coarsest first. Raises ParameterError for fewer than two, or dofs that do not
    grow."""
    from meshlearn.fem.space_prolongation import space_prolongation

    counts = [space.n_dofs for space in spaces]
    if len(spaces) < 2 or any(a >= b for a, b in pairwise(counts)):
        raise ParameterError(f"Hierarchy.from_spaces needs two or more spaces, coarsest first; got dofs {counts}.")
    return [space_prolongation(a, b) for a, b in pairwise(spaces)]


def expand_components(P: SparseOperator, components: int) -> SparseOperator:
    """P for vector fields: component c of node i is unknown `i * components + c` on both levels (P ⊗ identity).

    Raises ParameterError for fewer than one component.
    """
    if components < 1:
        raise ParameterError(f"components={components}: expected 1 or more.")
    if components == 1:
        return P
    component = torch.arange(components, device=P.device)
    rows = (P.adjacency.receivers[:, None] * components + component).reshape(-1)
    cols = (P.index[:, None] * components + component).reshape(-1)
    values = P.values.repeat_interleave(components)
    return SparseOperator.from_coo(rows, cols, values, (P.n_rows * components, P.n_cols * components))


def restricted(
    steps: Sequence[SparseOperator], free: Int64[Tensor, " n_free"], n: int
) -> tuple[list[Tensor], list[SparseOperator]]:
    """Kept unknowns of every level, and P_l[kept_l][:, kept_{l+1}], finest first; see `Hierarchy.restricted`.

    n  unknowns of the finest level
    """
    if not len(free) or not bool((free.diff() > 0).all()) or int(free[0]) < 0 or int(free[-1]) >= n:
        raise ParameterError(f"free must hold ascending ids within [0, {n}); got {len(free)} of them: {free}.")
    mask = torch.zeros(n, dtype=torch.bool, device=free.device)
    mask[free] = True
    kept, made = [free], []
    for level, P in enumerate(steps):
        mask = coarse_free(P, mask)
        kept.append(mask.nonzero().squeeze(1))
        if not len(kept[-1]):
            raise ParameterError(
                f"every unknown of level {level + 1} (of {P.n_cols}) touches a constrained one, so that level is "
                "empty: start from a finer coarsest mesh."
            )
        made.append(submatrix(P, kept[-2], kept[-1]))
    return kept, made


def coarse_free(P: SparseOperator, free: Bool[Tensor, " n_fine"]) -> Bool[Tensor, " n_coarse"]:
    """(n_coarse,) bool: coarse functions that vanish at every constrained fine node, so that P keeps Dirichlet data.

    `free` (n_fine,) bool marks the unconstrained fine nodes.
    """
    touched = (P.values.detach().abs() > 1e-10) & ~free.index_select(0, P.adjacency.receivers)
    mask = torch.ones(P.n_cols, dtype=torch.bool, device=P.device)
    mask[P.index.index_select(0, touched.nonzero().squeeze(1))] = False
    return mask
