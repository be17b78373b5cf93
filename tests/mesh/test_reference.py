"""Reference cells: the nodal basis is one, its gradients are right, and the quadrature is exact."""

from itertools import product

import numpy as np
import pytest
import torch

from meshlearn.errors import ParameterError, TopologyError
from meshlearn.mesh.reference import KINDS, jacobian_measure, jacobians, map_points, reference_cell

FIRST_ORDER = [kind for kind in KINDS if reference_cell(kind).order == 1]
RATIONAL = ("pyramid", "pyramid13", "pyramid14")


def random_inside(cell, n=30, dtype=torch.float64):
    """Points strictly inside: convex combinations of the vertices."""
    weights = torch.distributions.Dirichlet(torch.ones(cell.n_vertices, dtype=torch.float64)).sample((n,))
    return (weights @ cell.nodes[: cell.n_vertices]).to(dtype)


@pytest.mark.parametrize("kind", KINDS)
def test_shape_functions_are_one_at_their_node_and_zero_at_the_others(kind):
    cell = reference_cell(kind)
    torch.testing.assert_close(cell.shape(cell.nodes), torch.eye(cell.n_nodes, dtype=torch.float64), rtol=0, atol=1e-13)
    single = cell.shape(cell.nodes.float())
    torch.testing.assert_close(single, torch.eye(cell.n_nodes), rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_partition_of_unity_and_its_gradient(kind):
    cell = reference_cell(kind)
    xi = random_inside(cell)
    torch.testing.assert_close(cell.shape(xi).sum(-1), torch.ones(len(xi), dtype=xi.dtype))
    torch.testing.assert_close(cell.grad(xi).sum(1), torch.zeros(len(xi), cell.dim, dtype=xi.dtype), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_polynomials_of_the_order_are_reproduced(kind):
    cell = reference_cell(kind)
    xi, nodes = random_inside(cell), cell.nodes
    for power in product(range(cell.order + 1), repeat=cell.dim):
        if sum(power) > cell.order:
            continue
        exponents = torch.tensor(power, dtype=torch.float64)
        at_nodes, expected = (nodes**exponents).prod(-1), (xi**exponents).prod(-1)
        torch.testing.assert_close(cell.shape(xi) @ at_nodes, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_equal_automatic_differentiation(kind):
    cell = reference_cell(kind)
    if cell.dim == 0:
        assert cell.grad(torch.zeros(4, 0)).shape == (4, 1, 0)
        return
    xi = random_inside(cell, 12).requires_grad_()
    values = cell.shape(xi)
    for node in range(cell.n_nodes):
        (expected,) = torch.autograd.grad(values[:, node].sum(), xi, retain_graph=True)
        torch.testing.assert_close(cell.grad(xi)[:, node], expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives_by_gradcheck(kind):
    cell = reference_cell(kind)
    if cell.dim:
        xi = (0.7 * random_inside(cell, 3) + 0.3 * cell.centre).requires_grad_()
        assert torch.autograd.gradcheck(cell.grad, (xi,))


@pytest.mark.parametrize("kind", FIRST_ORDER)
@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4, 5, 6, 9])
def test_quadrature_is_exact_to_its_degree(kind, degree):
    cell = reference_cell(kind)
    xi, weights = cell.quadrature(degree)
    # far more points than needed, collapsed by hand, independent of the rule under test
    fine, fine_weights = cell.quadrature(25)
    assert (weights > 0).all()
    assert cell.contains(xi, 1e-12).all()
    for power in product(range(degree + 1), repeat=cell.dim):
        if sum(power) <= degree:
            exponents = torch.tensor(power, dtype=torch.float64)
            value = weights @ (xi**exponents).prod(-1)
            reference = fine_weights @ (fine**exponents).prod(-1)
            torch.testing.assert_close(value, reference, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5, 8])
def test_quadrature_against_the_closed_formula_on_simplices(degree):
    """The integral of x^a y^b (z^c) over the unit simplex is a! b! (c!) / (a + b (+ c) + dim)!"""
    from math import factorial, prod

    for kind, dim in (("line", 1), ("triangle", 2), ("tetra", 3)):
        xi, weights = reference_cell(kind).quadrature(degree)
        for power in product(range(degree + 1), repeat=dim):
            if sum(power) <= degree:
                value = weights @ (xi ** torch.tensor(power, dtype=torch.float64)).prod(-1)
                exact = prod(map(factorial, power)) / factorial(sum(power) + dim) if dim > 1 else 1 / (power[0] + 1)
                assert abs(value.item() - exact) < 1e-13, (kind, power)


@pytest.mark.parametrize("kind", KINDS)
def test_measure_of_the_domain(kind):
    cell = reference_cell(kind)
    _, weights = cell.quadrature(2)
    assert weights.sum().item() == pytest.approx(cell.measure, abs=1e-14)
    nodes = cell.nodes[None]
    xi, weights = cell.quadrature(2)
    volume = jacobian_measure(jacobians(cell, nodes, xi)) @ weights
    assert volume.item() == pytest.approx(cell.measure, abs=1e-13)
    torch.testing.assert_close(map_points(cell, nodes, xi)[0], xi)


@pytest.mark.parametrize(
    ("kind", "name"),
    {
        "line3": "QuadraticEdge",
        "triangle6": "QuadraticTriangle",
        "triangle7": "BiQuadraticTriangle",
        "quad8": "QuadraticQuad",
        "quad9": "BiQuadraticQuad",
        "tetra10": "QuadraticTetra",
        "wedge": "Wedge",
        "wedge15": "QuadraticWedge",
        "wedge18": "BiQuadraticQuadraticWedge",
        "hexahedron": "Hexahedron",
        "hexahedron20": "QuadraticHexahedron",
        "hexahedron27": "TriQuadraticHexahedron",
    }.items(),
)
def test_node_order_is_that_of_vtk(kind, name):
    vtk = pytest.importorskip("vtk")
    cell, peer = reference_cell(kind), getattr(vtk, f"vtk{name}")()
    coordinates = np.reshape(peer.GetParametricCoords()[: 3 * cell.n_nodes], (-1, 3))[:, : cell.dim]
    np.testing.assert_allclose(cell.nodes.numpy(), coordinates, atol=1e-3)  # VTK writes 1/3 with three digits


@pytest.mark.parametrize("kind", RATIONAL)
def test_apex_of_a_pyramid_is_harmless(kind):
    cell = reference_cell(kind)
    apex = torch.tensor([[0.5, 0.5, 1.0]], requires_grad=True)
    assert torch.isfinite(cell.grad(apex)).all()
    near = torch.tensor([[0.5, 0.5, 1 - 1e-4]])
    torch.testing.assert_close(cell.grad(apex), cell.grad(near), atol=2e-3, rtol=1e-2)
    cell.shape(apex).square().sum().backward()
    assert torch.isfinite(apex.grad).all()


@pytest.mark.parametrize("kind", KINDS)
def test_inside_means_inside(kind):
    cell = reference_cell(kind)
    assert cell.contains(random_inside(cell)).all()
    if cell.dim:
        centre = cell.centre
        outside = centre + 1.05 * (cell.nodes[: cell.n_vertices] - centre)
        assert not cell.contains(outside).any()


def test_surface_measure_has_no_nan_gradient_at_a_degenerate_cell():
    nodes = torch.zeros(1, 3, 3, requires_grad=True)
    cell = reference_cell("triangle")
    jacobian_measure(jacobians(cell, nodes, cell.centre[None].float())).sum().backward()
    assert torch.isfinite(nodes.grad).all()


def test_unknown_types_and_degrees_are_named():
    with pytest.raises(TopologyError, match="polyhedron"):
        reference_cell("polyhedron")
    with pytest.raises(ParameterError, match="-1"):
        reference_cell("triangle").quadrature(-1)
