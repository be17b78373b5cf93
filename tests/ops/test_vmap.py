"""torch.func.vmap over the operations: one call for a batch equals the calls one by one, with gradients."""

import pytest
import torch
from torch.func import grad, vmap

from meshlearn import ops

ROWS, COLS, EDGES, BATCH = 4, 6, 20, 3
F64 = {"dtype": torch.float64}


@pytest.fixture
def graph():
    return ops.Adjacency.from_edges(torch.randint(0, COLS, (EDGES,)), torch.randint(0, ROWS, (EDGES,)), ROWS, COLS)


OPERATIONS = {
    "gather": (COLS, lambda x, graph: ops.gather(x, torch.tensor([[0, 5], [2, 2]]))),
    "gather_senders": (COLS, ops.gather_senders),
    "gather_receivers": (ROWS, ops.gather_receivers),
    "neighbor_sum": (COLS, ops.neighbor_sum),
    "segment_sum": (EDGES, ops.segment_sum),
    "segment_mean": (EDGES, ops.segment_mean),
    "segment_max": (EDGES, ops.segment_max),
    "segment_softmax": (EDGES, ops.segment_softmax),
}


@pytest.mark.parametrize("in_dim", [0, 1, 2])
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_batch_of_values_equals_a_loop(graph, name, in_dim):
    n, operation = OPERATIONS[name]
    batch = torch.randn(BATCH, n, 2, **F64)
    moved = batch.movedim(0, in_dim)
    expected = torch.stack([operation(x, graph) for x in batch])
    torch.testing.assert_close(vmap(lambda x: operation(x, graph), in_dims=in_dim)(moved), expected)


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradients_per_sample_equal_a_loop(graph, name):
    n, operation = OPERATIONS[name]
    batch = torch.randn(BATCH, n, **F64)

    def loss(x):
        return operation(x, graph).sin().square().sum()

    expected = torch.stack([grad(loss)(x) for x in batch])
    torch.testing.assert_close(vmap(grad(loss))(batch), expected)
    plain = [torch.autograd.grad(loss(x), x)[0] for x in batch.clone().requires_grad_().unbind(0)]
    torch.testing.assert_close(expected, torch.stack(plain))


def test_tables_entries_and_vectors_may_be_batched(graph):
    x = torch.randn(COLS, 2, **F64)
    tables = torch.randint(0, COLS, (BATCH, 5))
    assert torch.equal(vmap(lambda index: ops.gather(x, index))(tables), x[tables])
    values, vectors = torch.randn(BATCH, EDGES, **F64), torch.randn(BATCH, COLS, **F64)
    operator = ops.SparseOperator.from_adjacency(graph, values[0])
    expected = torch.stack([operator.with_values(v) @ u for v, u in zip(values, vectors, strict=True)])
    torch.testing.assert_close(vmap(lambda v, u: ops.neighbor_sum(u, graph, v))(values, vectors), expected)

    def energy(v, u):
        return ops.neighbor_sum(u, graph, v).square().sum()

    per_sample = vmap(grad(energy, argnums=(0, 1)), in_dims=(0, None))(values, vectors[0])
    alone = [grad(energy, argnums=(0, 1))(v, vectors[0]) for v in values]
    for batched, single in zip(per_sample, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(batched, torch.stack(single))
