"""A basis of scikit-fem becomes a space only where that means the same."""

import numpy as np
import pytest
import skfem
import torch

import meshlearn as ml
from meshlearn.fem import FESpace

MESH = skfem.MeshTri().refined(2).with_defaults()
P1 = skfem.ElementTriP1()


@pytest.mark.parametrize("order", [None, 1, 2, 3, 5])
def test_its_order_of_quadrature_is_that_of_the_space(order):
    basis = skfem.Basis(MESH, P1, intorder=order)
    space = FESpace(basis)
    wave = skfem.LinearForm(lambda v, w: np.cos(7 * w.x[0]) * v).assemble(basis)
    made = space.assemble(lambda v, x: torch.cos(7 * x[0]) * v)
    assert np.allclose(made.numpy(), wave, rtol=1e-12, atol=1e-15)
    exact = space.assemble(lambda v, x: torch.cos(7 * x[0]) * v, order=12)
    assert not np.allclose(exact.numpy(), wave, rtol=1e-9)


def test_a_part_of_the_cells_is_refused():
    with pytest.raises(ml.ParameterError, match="on 3 of 32"):
        FESpace(skfem.Basis(MESH, P1, elements=[0, 1, 5]))
    whole = FESpace(skfem.Basis(MESH, P1, elements=np.arange(32)))
    assert whole.integrate(torch.ones(whole.n_dofs)).item() == pytest.approx(1.0)


@pytest.mark.parametrize("kind", [skfem.FacetBasis, skfem.InteriorFacetBasis])
def test_facets_are_refused(kind):
    with pytest.raises(ml.ParameterError, match=r"on facets.*\n.*on='left'"):
        FESpace(kind(MESH, P1))


def test_rules_and_numberings_of_its_own_are_refused():
    places = np.array([[0.2, 0.5], [0.3, 0.1]]), np.array([0.25, 0.25])
    with pytest.raises(ml.ParameterError, match="quadrature of its own"):
        FESpace(skfem.Basis(MESH, P1, quadrature=places))
    dofs = skfem.Basis(MESH, P1).dofs
    dofs.element_dofs = dofs.element_dofs[:, ::-1]
    with pytest.raises(ml.ParameterError, match="numbering"):
        FESpace(skfem.Basis(MESH, P1, dofs=dofs))


def test_meshes_and_elements_that_would_be_read_wrong_are_refused():
    apart = skfem.MeshTri1DG.from_mesh(skfem.MeshTri())
    with pytest.raises(ml.ParameterError, match="MeshTri1DG joins points that lie apart"):
        FESpace(skfem.Basis(apart, skfem.ElementTriP1DG()))
    with pytest.raises(ml.ParameterError, match="ElementLinePp keeps its values"):
        FESpace(skfem.Basis(skfem.MeshLine(), skfem.ElementLinePp(3)))
