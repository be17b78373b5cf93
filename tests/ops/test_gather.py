"""Gathers: equal to indexing, with the adjoint as gradient."""

import pytest
import torch

import meshlearn as ml
from meshlearn import ops


@pytest.fixture
def graph():
    return ops.Adjacency.from_edges(torch.randint(0, 6, (20,)), torch.randint(0, 4, (20,)), n_rows=4, n_cols=6)


@pytest.mark.parametrize("features", [(), (3,), (2, 2)])
def test_equal_to_indexing_with_derivatives_of_both_orders(graph, features):
    x = torch.randn(6, *features, dtype=torch.float64, requires_grad=True)
    y = torch.randn(4, *features, dtype=torch.float64, requires_grad=True)
    table = torch.randint(0, 6, (5, 3))
    for function, argument, expected in (
        (lambda v: ops.gather_senders(v, graph), x, x[graph.index]),
        (lambda v: ops.gather_receivers(v, graph), y, y[graph.receivers]),
        (lambda v: ops.gather(v, table), x, x[table]),
    ):
        assert torch.equal(function(argument), expected)
        assert torch.autograd.gradcheck(function, (argument,))
        assert torch.autograd.gradgradcheck(lambda v, f=function: f(v).sin(), (argument,))


def test_gather_and_sum_are_adjoint(graph):
    x, messages = torch.randn(4, 3, dtype=torch.float64), torch.randn(20, 3, dtype=torch.float64)
    forward = (ops.gather_receivers(x, graph) * messages).sum()
    back = (x * ops.segment_sum(messages, graph)).sum()
    torch.testing.assert_close(forward, back)


def test_gradient_is_the_same_to_the_last_bit_twice():
    x = torch.randn(50, 8, requires_grad=True)
    index, weights = torch.randint(0, 50, (5000,)), torch.randn(5000, 8)
    first, second = (torch.autograd.grad(ops.gather(x, index), x, weights)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_integers_and_empty_tables():
    assert ops.gather(torch.arange(5), torch.tensor([[4, 0]])).tolist() == [[4, 0]]
    assert ops.gather(torch.ones(5, 2), torch.zeros((0, 3), dtype=torch.int64)).shape == (0, 3, 2)
    assert ops.gather(torch.ones(0, 2), torch.zeros(0, dtype=torch.int64)).shape == (0, 2)


def test_wrong_number_of_rows_is_named(graph):
    with pytest.raises(ml.MeshError, match="6 senders"):
        ops.gather_senders(torch.ones(4, 2), graph)
    with pytest.raises(ml.MeshError, match="4 receivers"):
        ops.gather_receivers(torch.ones(6, 2), graph)


def test_no_transpose_is_made_where_no_gradient_is_needed(graph):
    ops.gather_senders(torch.ones(6, 2), graph)
    with torch.no_grad():
        ops.gather_senders(torch.ones(6, 2, requires_grad=True), graph)
    assert not graph.has_transpose
