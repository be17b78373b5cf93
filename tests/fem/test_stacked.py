"""A stack of matrices is its matrices."""

import pytest
import torch
from space_cases import plain

import meshlearn as ml
from meshlearn.fem import Batch, FESpace, StackedOperator


@pytest.fixture
def stack():
    return FESpace(plain("triangle", 3), "P1").assemble(lambda u, v, x: x.k * u * v, k=Batch(torch.arange(1.0, 4.0)))


def test_products_are_those_of_the_members(stack):
    assert stack.shape == (3, 16, 16)
    for x in (torch.rand(3, 16).double(), torch.rand(3, 16, 2).double()):
        made = stack @ x
        assert all(torch.allclose(made[k], A @ x[k]) for k, A in enumerate(stack))
    assert torch.equal(stack[-1].values, stack.values[2])


def test_sizes_are_checked(stack):
    with pytest.raises(ml.MeshError, match="3 matrices need x"):
        stack @ torch.rand(2, 16).double()
    with pytest.raises(ml.MeshError, match="values have shape"):
        StackedOperator(stack.adjacency, stack.values[:, 1:])


def test_gradients_reach_values_and_vectors(stack):
    values, x = stack.values.clone().requires_grad_(), torch.rand(3, 16, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda values, x: StackedOperator(stack.adjacency, values) @ x, (values, x), fast_mode=True
    )
