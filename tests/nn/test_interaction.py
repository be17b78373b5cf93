"""The interaction layer: what it computes, and its symmetries."""

import pytest
import torch
from torch.testing import assert_close

import meshlearn as ml
from meshlearn import ops
from meshlearn.nn.interaction import Interaction
from meshlearn.nn.mlp import Picked


def random_graph(n=20, n_edges=90):
    return ops.Adjacency.from_edges(torch.randint(0, n, (n_edges,)), torch.randint(0, n - 2, (n_edges,)), n)


@pytest.mark.parametrize("aggregation", ["sum", "mean"])
def test_it_computes_its_formula(aggregation):
    graph = random_graph()
    layer = Interaction(4, aggregation=aggregation).double()
    x, e = torch.randn(20, 4, dtype=torch.float64), torch.randn(90, 4, dtype=torch.float64)
    new_x, new_e = layer(x, e, graph)

    phi, psi = (
        torch.nn.Sequential(m.linears[0], torch.nn.SiLU(), m.linears[1], m.norm)
        for m in (layer.edge_mlp, layer.point_mlp)
    )
    message = phi(torch.cat([e, x[graph.receivers], x[graph.index]], 1))
    total = torch.zeros_like(x).index_add(0, graph.receivers, message)
    if aggregation == "mean":
        total = total / graph.degree().clamp(min=1)[:, None]
    assert_close(new_e, e + message)
    assert_close(new_x, x + psi(torch.cat([x, total], 1)))


def test_permuting_points_permutes_the_result():
    n, senders, receivers = 20, torch.randint(0, 20, (90,)), torch.randint(0, 20, (90,))
    layer = Interaction(4).double()
    x, e = torch.randn(n, 4, dtype=torch.float64), torch.randn(90, 4, dtype=torch.float64)
    graph, order = ops.Adjacency.from_edges_with_order(senders, receivers, n)
    expected, _ = layer(x, e[order], graph)
    permutation = torch.randperm(n)
    inverse = torch.argsort(permutation)
    graph, order = ops.Adjacency.from_edges_with_order(inverse[senders], inverse[receivers], n)
    got, _ = layer(x[permutation], e[order], graph)
    assert_close(got, expected[permutation], rtol=1e-10, atol=1e-10)


def test_two_graphs_side_by_side_equal_each_alone():
    layer = Interaction(4).double()
    parts = [(random_graph(n, 5 * n), torch.randn(n, 4).double(), torch.randn(5 * n, 4).double()) for n in (8, 13)]
    alone = [layer(x, e, graph) for graph, x, e in parts]
    graphs, points, edges = zip(*parts, strict=True)
    together = layer(torch.cat(points), torch.cat(edges), ops.Adjacency.block_diagonal(graphs))
    assert_close(together[0], torch.cat([x for x, _ in alone]))
    assert_close(together[1], torch.cat([e for _, e in alone]))


def test_without_edge_update_the_edges_come_back_as_they_were():
    graph = random_graph()
    full, short = Interaction(4), Interaction(4, update_edges=False)
    short.load_state_dict(full.state_dict())
    x, e = torch.randn(20, 4), torch.randn(90, 4)
    assert_close(short(x, e, graph)[0], full(x, e, graph)[0])
    assert short(x, e, graph)[1] is e


def test_condition_and_other_senders():
    rows = ops.Adjacency.from_edges(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 0, 1, 3]), 4, 3)
    meshes = ops.Adjacency(torch.tensor([0, 2, 4]), torch.arange(4), 4)
    layer = Interaction(5, conditioning=2).double()
    x, y, e = (torch.randn(n, 5, dtype=torch.float64) for n in (4, 3, 4))
    c = torch.randn(2, 2, dtype=torch.float64)
    picked, _ = layer(x, e, rows, Picked(c, meshes, "receivers"), senders=y)
    dense, _ = layer(x, e, rows, c[[0, 0, 1, 1]], senders=y)
    assert_close(picked, dense)


def test_gradcheck_in_float64():
    graph = random_graph(5, 8)
    layer = Interaction(3).double()
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    e = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, e, *_: layer(x, e, graph), (x, e, *layer.parameters()), fast_mode=True)


def test_unknown_aggregation():
    with pytest.raises(ml.ParameterError, match="median"):
        Interaction(4, aggregation="median")
