"""Adjacency: order, transpose, batching, and errors that name the fault."""

import pytest
import torch

import meshlearn as ml
from meshlearn.ops import Adjacency


def random_graph(n_rows=12, n_cols=9, n_edges=40):
    return Adjacency.from_edges(
        torch.randint(0, n_cols, (n_edges,)), torch.randint(0, n_rows, (n_edges,)), n_rows, n_cols
    )


def as_matrix(graph):
    matrix = torch.zeros(graph.shape)
    return matrix.index_put((graph.receivers, graph.index), torch.ones(graph.n_edges), accumulate=True)


def test_edges_are_sorted_by_receiver_then_sender():
    senders, receivers = torch.tensor([3, 0, 2, 0, 3]), torch.tensor([1, 1, 0, 1, 1])
    graph, order = Adjacency.from_edges_with_order(senders, receivers, n_rows=3, n_cols=4)
    assert graph.ptr.tolist() == [0, 1, 5, 5]
    assert graph.index.tolist() == [2, 0, 0, 3, 3]
    assert torch.equal(graph.edge_index(), torch.stack([senders[order], receivers[order]]))
    assert graph.degree().tolist() == [1, 4, 0]
    assert torch.equal(graph.receivers, Adjacency(graph.ptr, graph.index, 4).receivers)
    assert graph.shape == (3, 4)


def test_transpose_is_the_transpose_and_its_permutation_maps_edges():
    graph = random_graph()
    other, perm = graph.transpose()
    other.validate()
    assert torch.equal(as_matrix(other), as_matrix(graph).T)
    assert torch.equal(other.receivers, graph.index[perm])
    assert torch.equal(other.index, graph.receivers[perm])
    assert graph.transpose()[0] is other
    assert torch.equal(as_matrix(other.transpose()[0]), as_matrix(graph))


@pytest.mark.parametrize("transposed", [False, True])
def test_block_diagonal_keeps_graphs_apart_and_transposes(transposed):
    parts = [random_graph(4, 3, 7), random_graph(2, 5, 0), random_graph(1, 1, 2)]
    if transposed:
        for part in parts:
            part.transpose()
    joined = Adjacency.block_diagonal(parts).validate()
    assert torch.equal(as_matrix(joined), torch.block_diag(*map(as_matrix, parts)))
    assert joined.has_transpose == transposed
    other, perm = joined.transpose()
    assert torch.equal(as_matrix(other), as_matrix(joined).T)
    assert torch.equal(other.index, joined.receivers[perm])
    with pytest.raises(ml.MeshError, match="empty list"):
        Adjacency.block_diagonal([])


def test_symmetric():
    path = Adjacency.from_edges(torch.tensor([0, 1, 1, 2]), torch.tensor([1, 0, 2, 1]), 3)
    assert path.symmetric
    assert not Adjacency.from_edges(torch.tensor([0, 0, 1]), torch.tensor([1, 1, 0]), 2).symmetric
    assert not random_graph(2, 3, 2).symmetric


def test_empty_graphs():
    nothing = torch.zeros(0, dtype=torch.int64)
    graph = Adjacency.from_edges(nothing, nothing, 0)
    assert (graph.n_rows, graph.n_cols, graph.n_edges) == (0, 0, 0)
    assert graph.symmetric
    assert graph.transpose()[0].n_rows == 0
    assert Adjacency.from_edges(nothing, nothing, 3, 2).transpose()[0].ptr.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("ptr", "index", "message"),
    [
        ([1, 2], [0, 0], "starts at 1"),
        ([0, 2, 1, 3], [0, 0, 0], "falls from 2 to 1 at row 1"),
        ([0, 1, 2], [0, 0, 0], "ends at 2, but there are 3"),
        ([0, 1, 2], [0, 2], r"holds 2, but must lie in \[0, 2\)"),
        ([0, 1, 2], [0, -1], "holds -1"),
    ],
)
def test_wrong_pointers_are_named(ptr, index, message):
    ptr, index = torch.tensor(ptr), torch.tensor(index)
    with pytest.raises(ml.MeshError, match=message):
        Adjacency.from_ptr(ptr, index)
    Adjacency.from_ptr(ptr, index, validate=False)


def test_wrong_shapes_are_refused_at_once():
    with pytest.raises(ml.MeshError, match="ptr = "):
        Adjacency(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(ml.MeshError, match="holds 5"):
        Adjacency.from_edges(torch.tensor([5]), torch.tensor([0]), 3)
    with pytest.raises(ml.MeshError, match="receivers"):
        Adjacency.from_edges(torch.tensor([0]), torch.tensor([3]), 3)


def test_moving_to_where_it_is_returns_itself():
    graph = random_graph()
    assert graph.to("cpu") is graph


@pytest.mark.gpu
def test_moving_keeps_what_was_cached():
    graph = random_graph()
    graph.transpose()
    moved = graph.to("cuda")
    assert moved.device.type == "cuda"
    assert moved.has_transpose
    assert torch.equal(moved.transpose()[1].cpu(), graph.transpose()[1])
