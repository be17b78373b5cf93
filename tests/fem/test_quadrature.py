"""Rules are exact for polynomials of their order, on every reference cell and at every order."""

from math import factorial, prod

import numpy as np
import pytest
from skfem.refdom import RefHex, RefLine, RefQuad, RefTet, RefTri, RefWedge

import meshlearn as ml
from meshlearn.fem.quadrature import quadrature


def simplex(*powers):
    return prod(factorial(p) for p in powers) / factorial(sum(powers) + len(powers))


def exact(cell, powers):
    if cell in (RefTri, RefTet):
        return simplex(*powers)
    if cell is RefWedge:
        return simplex(*powers[:2]) / (powers[2] + 1)
    return np.prod([1 / (p + 1) for p in powers])


@pytest.mark.parametrize("cell", [RefLine, RefTri, RefQuad, RefTet, RefHex, RefWedge])
@pytest.mark.parametrize("order", [*range(13), 20, 24])
def test_polynomials_are_integrated_exactly(cell, order):
    places, weights = quadrature(cell, order)
    dim = cell.p.shape[0]
    assert places.min() >= 0
    assert places.max() <= 1
    if cell in (RefTri, RefTet, RefWedge):
        assert places[: 2 if cell is RefWedge else dim].sum(0).max() <= 1
    for powers in np.ndindex(*[order + 1] * dim):
        if sum(powers) <= order and (order < 10 or sum(powers) in (order, order - 3)):
            made = weights @ np.prod(places ** np.array(powers)[:, None], axis=0)
            assert abs(made - exact(cell, powers)) < 1e-14, (powers, made)


@pytest.mark.parametrize("order", [-1, 61, True])
def test_orders_out_of_range_are_refused(order):
    with pytest.raises(ml.ParameterError, match="integer between 0 and 60"):
        quadrature(RefTri, order)
