"""Constraints as they are made: prescribed values, their precision and gradients."""

import pytest
import torch
from solve_cases import Square

import meshlearn as ml
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.solve import solve

DOUBLE = torch.float64


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_prescribed_values_hold_to_the_last_bit(dtype):
    square = Square(3)
    g = torch.rand(len(square.boundary)).to(dtype) / 3
    c = AffineConstraint.dirichlet(square.n, square.boundary, g)
    for method in ("direct", "cg"):
        u = solve(square.stiffness.to(dtype), square.load.to(dtype), c, method=method)
        assert u.dtype == dtype
        assert torch.equal(u[square.boundary], g)
    assert torch.equal(c.impose(torch.randn(square.n).to(dtype))[square.boundary], g)


def test_numbers_take_the_precision_of_the_unknowns():
    c = AffineConstraint.dirichlet(3, torch.tensor([1]), 0.1)
    assert c.expand(torch.zeros(2)).dtype == torch.float32
    assert c.expand(torch.zeros(2, dtype=DOUBLE))[1].item() == 0.1


def test_gradient_of_overwritten_entries_is_zero_and_that_of_data_the_identity():
    g = torch.rand(2, dtype=DOUBLE, requires_grad=True)
    u = torch.rand(5, dtype=DOUBLE, requires_grad=True)
    out = AffineConstraint.dirichlet(5, torch.tensor([3, 1]), g).impose(u)
    weight = torch.rand(5, dtype=DOUBLE)
    of_u, of_g = torch.autograd.grad(out @ weight, (u, g))
    assert torch.equal(of_g, weight[[3, 1]])
    assert torch.equal(of_u, weight * torch.tensor([1, 0, 1, 0, 1]))


def test_many_sets_of_boundary_values():
    g = torch.rand(2, 3, dtype=DOUBLE)
    square = Square(2)
    dofs = square.boundary[:2]
    c = AffineConstraint.dirichlet(square.n, dofs, g)
    u = solve(square.stiffness, square.load, c)
    for k in range(3):
        one = solve(square.stiffness, square.load, AffineConstraint.dirichlet(square.n, dofs, g[:, k]))
        assert torch.allclose(u[:, k], one, atol=1e-14)


def test_wrong_arguments_are_named():
    with pytest.raises(ml.ParameterError, match="degree of freedom 9"):
        AffineConstraint.dirichlet(5, torch.tensor([9]), 0.0)
    with pytest.raises(ml.ParameterError, match="finite"):
        AffineConstraint.dirichlet(5, torch.tensor([1]), float("nan"))
    with pytest.raises(ml.ParameterError, match="expects"):
        AffineConstraint.none(5).expand(torch.rand(4))
    with pytest.raises(ml.ParameterError, match="not zero"):
        AffineConstraint.mean_zero(torch.zeros(3))
