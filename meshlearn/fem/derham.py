"""Exact derivatives between finite-element spaces, as sparse maps of dofs: P1 -> N1 -> RT0 -> P0 and its relatives.

On the reference cell the dofs of a derivative are combinations of the dofs of the function; the Piola maps carry that
over to every cell unchanged, up to orientation signs. The entries of grad and curl on the lowest-order sequence are
those of the incidence matrices, so curl grad and div curl are zero to the last bit (Arnold, Falk and Winther, Acta
Numerica 15, 2006).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.dual import dual
from meshlearn.fem.interpolation import owners
from meshlearn.fem.quadrature import quadrature
from meshlearn.fem.reference import Block
from meshlearn.ops import SparseOperator

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace

# (family of the source, derivative, family of the target) -> (part of the source, power of det J that is left over)
_MAPS: dict[tuple[str, str, str], str] = {
    ("h1", "grad", "hcurl"): "one",
    ("hcurl", "curl", "hdiv"): "sign",  # in space
    ("h1", "curl", "hdiv"): "sign",  # in the plane: the rotated gradient
    ("hcurl", "curl", "h1"): "det",  # in the plane
    ("hdiv", "div", "h1"): "abs",
}


def derivative(source: FESpace, target: FESpace, kind: str) -> SparseOperator:
    """(n_target, n_source) map of dofs whose result is the derivative itself, not an approximation of it.

    kind  "grad" (P1 to N1, P2 to N2 …), "curl" (N1 to RT0 in space; in the plane P1 to RT0 and N1 to P0), "div"
          (RT0 and BDM1 to P0, RT1 to P1DG)

    Raises ParameterError for pairs of spaces that are not neighbours in the sequence: the derivative must lie in the
    target space.

    >>> mesh = ml.shapes.box(n=2)
    >>> p1, n1, rt0 = (ml.fem.FESpace(mesh, name) for name in ("P1", "N1", "RT0"))
    >>> gradient, curl = ml.fem.derivative(p1, n1, "grad"), ml.fem.derivative(n1, rt0, "curl")
    >>> abs(curl.to_scipy() @ gradient.to_scipy()).max().item()
    0.0
    """
    if not source.same_mesh(target):
        raise ParameterError("source and target space lie on different meshes.")
    if len(source.blocks) > 1 or len(target.blocks) > 1:
        raise ParameterError("derivatives of composite spaces are taken part by part.")
    a, b = source.blocks[0], target.blocks[0]
    factor = _MAPS.get((a.family, kind, b.family))
    functionals = dual(b)
    if factor is None or functionals is None or a.components or b.components:
        raise ParameterError(f"there is no exact {kind} from {source} to {target}; try P1 -> N1 -> RT0 -> P0.")
    if factor in ("det", "abs") and not source.geometry.affine:
        raise ParameterError(f"the {kind} of {source} is not in {target} where cells are not affine images.")
    table = _reference(a, kind, functionals.places)
    _check(b, functionals.places, functionals.weights, a, kind)
    local = np.einsum("ipa,jpa->ij", functionals.weights, table)
    local = np.where(np.abs(local - np.round(local)) < 1e-9, np.round(local), local)
    return _gathered(source, target, torch.from_numpy(local).to(source.like), factor)


def _reference(block: Block, kind: str, places: np.ndarray) -> np.ndarray:
    """(n_functions, n_places, width) derivative on the reference cell, pulled back as the target's values."""
    part = "grad" if kind == "curl" and block.family == "h1" else kind
    table = block.tables(places, torch.float64)[part].numpy()
    if kind == "curl" and block.family == "h1":
        return np.stack([table[..., 1], -table[..., 0]], axis=-1)
    return table


def _check(target: Block, places: np.ndarray, weights: np.ndarray, source: Block, kind: str) -> None:
    """The derivative must be reproduced by the target's functions on the reference cell."""
    where, _ = quadrature(source.element.refdom, 2 * int(source.element.maxdeg) + 2)
    wanted = _reference(source, kind, where)
    dofs = np.einsum("ipa,jpa->ij", weights, _reference(source, kind, places))
    values = target.tables(where, torch.float64)["value"].numpy()
    if np.abs(np.einsum("ij,ipa->jpa", dofs, values) - wanted).max() > 1e-9 * max(np.abs(wanted).max(), 1.0):
        raise ParameterError(
            f"the {kind} of {type(source.element).__name__} is not contained in {type(target.element).__name__}."
        )


def _gathered(source: FESpace, target: FESpace, local: Tensor, factor: str) -> SparseOperator:
    """Rows from the cell that owns each target dof: all cells agree."""
    n_cells = len(source.element_dofs)
    rows, first = owners(target, 0)
    i, cell = torch.div(first, n_cells, rounding_mode="floor"), first % n_cells
    entries = local.index_select(0, i)
    signs = target.local_signs(0)
    if signs is not None:
        entries = entries * signs[i, cell][:, None]
    signs = source.local_signs(0)
    if signs is not None:
        entries = entries * signs.t().index_select(0, cell)
    if factor != "one":
        det = _FACTORS[factor](source.geometry.at(np.zeros((source.dim, 1))).det.mean(1))
        entries = entries * det.index_select(0, cell)[:, None]
    columns = source.element_dofs.index_select(0, cell)
    keep = (local != 0).index_select(0, i)
    where = rows[:, None].expand_as(columns)
    return SparseOperator.from_coo(where[keep], columns[keep], entries[keep], (target.n_dofs, source.n_dofs))


_FACTORS: dict[str, Callable[[Tensor], Tensor]] = {
    "sign": lambda det: det.sign(),
    "det": lambda det: 1 / det,
    "abs": lambda det: 1 / det.abs(),
}
