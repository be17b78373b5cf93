"""What of a basis of scikit-fem a space can take over: all cells, its numbering, and the order of its quadrature."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np
import skfem
from skfem.assembly.dofs import Dofs
from skfem.mesh.mesh_dg import MeshDG
from skfem.quadrature import get_quadrature

from meshlearn.errors import ParameterError

_HIGHEST = 40  # order of quadrature that is looked for


def check_basis(basis: Any) -> None:
    """Raises ParameterError for bases on facets or on a part of the cells, for dofs numbered in another way, and for
    what is no basis."""
    name = type(basis).__name__
    if isinstance(basis, skfem.Mesh):
        raise ParameterError(f"{name} is a mesh of scikit-fem: FESpace(ml.Mesh.from_skfem(mesh), element).")
    if isinstance(basis, (str, PathLike)):
        raise ParameterError(f"a space is made on a mesh, not on a path: FESpace(ml.read({str(basis)!r}), element).")
    if not isinstance(basis, skfem.AbstractBasis):
        raise ParameterError(f"a space is made on an ml.Mesh, or of a skfem.Basis; this is a {name}.")
    if not isinstance(basis, skfem.CellBasis):
        raise ParameterError(
            f"a space lives on all cells of a mesh, {name} on facets.\n  Make it of skfem.Basis(mesh, element), and "
            "name facets where they are integrated over: space.assemble(form, on='left')."
        )
    if isinstance(basis.mesh, MeshDG):
        raise ParameterError(
            f"{type(basis.mesh).__name__} joins points that lie apart, which spaces do not: make the basis on the "
            "usual mesh, with an element such as skfem.ElementTriP1DG(); space.periodic(first, second) joins sides."
        )
    if isinstance(basis.elem, skfem.ElementLinePp):
        raise ParameterError(
            f"{type(basis.elem).__name__} keeps its values from one call to the next, and is not supported: take "
            "skfem.ElementLineP2() or skfem.ElementLineHermite()."
        )
    if basis.tind is not None and not np.array_equal(np.sort(basis.tind), np.arange(basis.mesh.nelements)):
        raise ParameterError(
            f"a space lives on all cells of a mesh, this {name} on {len(basis.tind)} of {basis.mesh.nelements}.\n"
            "  Give a coefficient that is 1 on these cells and 0 elsewhere, assemble(lambda v, x: x.inside * v, "
            "inside=...), or restrict the mesh: basis.mesh.restrict(elements)."
        )
    usual = Dofs(basis.mesh, basis.elem).element_dofs
    if not np.array_equal(basis.dofs.element_dofs, usual):
        raise ParameterError(f"this {name} has a numbering of dofs of its own; give one without dofs=...")


def basis_order(basis: skfem.AbstractBasis) -> int | None:
    """The order of quadrature that a basis was made with, None for scikit-fem's choice.

    Raises ParameterError for a rule that is not among scikit-fem's.
    """

    def is_rule(order: int) -> bool:
        try:
            places, weights = get_quadrature(basis.mesh.refdom, order)
        except NotImplementedError:  # so high an order has no rule
            return False
        return places.shape == basis.X.shape and np.allclose(places, basis.X) and np.allclose(weights, basis.W)

    if is_rule(2 * basis.elem.maxdeg):
        return None
    fitting = [order for order in range(_HIGHEST) if is_rule(order)]
    if not fitting:
        raise ParameterError(
            f"the basis has a quadrature of its own ({basis.X.shape[1]} places), which is none of scikit-fem's rules: "
            "leave it out, and give order=... to assemble."
        )
    return max(fitting)
