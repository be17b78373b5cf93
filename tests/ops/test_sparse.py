"""Sparse operators against dense matrices and scipy, with derivatives in entries and vectors."""

import numpy as np
import pytest
import scipy.sparse
import torch

import meshlearn as ml
from meshlearn import ops
from meshlearn.ops import SparseOperator


@pytest.fixture
def operator():
    rows, cols = torch.randint(0, 5, (14,)), torch.randint(0, 7, (14,))
    return SparseOperator.from_coo(rows, cols, torch.randn(14, dtype=torch.float64), (5, 7))


@pytest.mark.parametrize("features", [(), (3,), (2, 2)])
def test_products_equal_the_dense_matrix(operator, features):
    dense = operator.to_dense()
    x, y = torch.randn(7, *features, dtype=torch.float64), torch.randn(5, *features, dtype=torch.float64)
    torch.testing.assert_close(operator @ x, torch.tensordot(dense, x, 1))
    torch.testing.assert_close(operator.T @ y, torch.tensordot(dense.T, y, 1))
    torch.testing.assert_close(operator.T.to_dense(), dense.T)
    product = ops.spmm(operator.ptr, operator.index, operator.values, x)
    torch.testing.assert_close(product, operator @ x)
    assert operator.shape == (5, 7)


@pytest.mark.parametrize("features", [(), (3,)])
def test_first_and_second_derivatives_in_entries_and_vector(operator, features):
    x = torch.randn(7, *features, dtype=torch.float64, requires_grad=True)
    values = operator.values.clone().requires_grad_()

    def forward(v, u):
        return operator.with_values(v) @ u

    def backward(v, u):
        return operator.with_values(v).T @ (operator.with_values(v) @ u)

    for function in (forward, backward):
        assert torch.autograd.gradcheck(function, (values, x))
        assert torch.autograd.gradgradcheck(function, (values, x))


def test_neighbour_sum_without_weights_is_gather_then_sum():
    graph = ops.Adjacency.from_edges(torch.randint(0, 7, (30,)), torch.randint(0, 5, (30,)), 5, 7)
    x = torch.randn(7, 2, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(ops.neighbor_sum(x, graph), ops.segment_sum(ops.gather_senders(x, graph), graph))
    assert torch.autograd.gradcheck(lambda v: ops.neighbor_sum(v, graph), (x,))
    assert torch.autograd.gradgradcheck(lambda v: ops.neighbor_sum(v, graph).sin(), (x,))


def test_the_transpose_is_the_adjoint(operator):
    x, y = torch.randn(7, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    torch.testing.assert_close((operator @ x) @ y, x @ (operator.T @ y))
    assert operator.T is operator.T, "a transpose without gradients is kept"


def test_transpose_carries_the_gradient(operator):
    values = operator.values.clone().requires_grad_()
    (operator.with_values(values).T @ torch.ones(5, dtype=torch.float64)).sum().backward()
    assert torch.equal(values.grad, torch.ones(14, dtype=torch.float64))


def test_scipy_round_trip():
    matrix = scipy.sparse.random_array((6, 4), density=0.4, format="coo", rng=np.random.default_rng(0))
    operator = SparseOperator.from_scipy(matrix)
    assert operator.dtype == torch.float64
    assert abs(operator.to_scipy() - matrix).max() == 0
    assert SparseOperator.from_scipy(matrix, torch.float32).dtype == torch.float32
    assert SparseOperator.from_scipy(matrix.astype(np.int64)).dtype == torch.float32


def test_repeated_entries_add_up():
    two = SparseOperator.from_coo(torch.tensor([0, 0]), torch.tensor([1, 1]), torch.tensor([2.0, 3.0]), (1, 2))
    assert (two @ torch.tensor([0.0, 1.0])).tolist() == [5.0]
    assert two.to_dense().tolist() == [[0.0, 5.0]]


def test_diagonal_dtype_and_device(operator):
    torch.testing.assert_close(operator.diagonal(), operator.to_dense().diagonal())
    torch.testing.assert_close(operator.T.diagonal(), operator.to_dense().T.diagonal())
    assert operator.to(torch.float32).dtype == torch.float32
    assert operator.to("cpu").device.type == "cpu"


def test_mixed_precision_is_promoted(operator):
    assert (operator @ torch.ones(7)).dtype == torch.float64
    assert (operator.to(torch.float32) @ torch.ones(7, dtype=torch.float64)).dtype == torch.float64


def test_wrong_shapes_are_named(operator):
    with pytest.raises(ml.MeshError, match=r"\(7, \.\.\.\)"):
        operator @ torch.ones(5, dtype=torch.float64)
    with pytest.raises(ml.MeshError, match="values have shape"):
        SparseOperator(operator.ptr, operator.index, torch.ones(3), 7)
    with pytest.raises(ml.MeshError, match="ends at 14"):
        SparseOperator(operator.ptr, operator.index[:5], torch.ones(5), 7)


def test_operators_without_rows_or_entries():
    none = torch.zeros(0, dtype=torch.int64)
    assert (SparseOperator(torch.zeros(1, dtype=torch.int64), none, torch.zeros(0), 3) @ torch.ones(3)).shape == (0,)
    assert (SparseOperator(torch.zeros(3, dtype=torch.int64), none, torch.zeros(0), 3) @ torch.ones(3, 2)).eq(0).all()
