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


def test_sums_and_multiples_are_those_of_the_members(stack):
    space = FESpace(plain("triangle", 3), "P1")
    one = space.assemble(lambda u, v, x: u * v, on="boundary")
    other = ml.ops.SparseOperator.from_dense(torch.rand(16, 16, dtype=torch.float64))
    factors = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    for made, wanted in (
        (stack + one, [A + one for A in stack]),
        (other - stack, [other - A for A in stack]),
        (stack - 2.0 * stack, [-A for A in stack]),
        (factors * stack / 2, [A * float(f) / 2 for A, f in zip(stack, factors, strict=True)]),
        (stack.T + other, [A.T + other for A in stack]),
        (sum([stack, stack]), [2 * A for A in stack]),
    ):
        assert len(made) == 3
        for A, B in zip(made, wanted, strict=True):
            torch.testing.assert_close(A.to_dense(), B.to_dense())


def test_sums_on_one_pattern_keep_it_and_gradients_reach_factors(stack):
    assert (stack + stack).adjacency is stack.adjacency
    other = ml.ops.SparseOperator.from_dense(torch.eye(16, dtype=torch.float64))
    factors = torch.rand(3, dtype=torch.float64, requires_grad=True)
    entries = other.values.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda factors, entries: (factors * stack + other.with_values(entries)).values, (factors, entries)
    )


def test_stacks_of_other_sizes_do_not_add_up(stack):
    with pytest.raises(ml.MeshError, match="as many matrices"):
        stack + StackedOperator(stack.adjacency, stack.values[1:])
    with pytest.raises(ml.ParameterError, match="scaled by a number"):
        stack * torch.ones(2)
    with pytest.raises(TypeError):
        stack - 1.0
