"""Coarse graphs: a maximal independent set of roots, complete aggregates, and no dependence on the numbering."""

import pytest
import torch
from scipy.sparse.csgraph import connected_components

import meshlearn as ml
from meshlearn import ops
from meshlearn.models.meshgraphnet.coarsening import coarsen, independent_roots, join_roots, priorities
from meshlearn.testing.permutation import permute_mesh
from meshlearn.train.graph import nearest_graph

MESHES = {
    "triangles": lambda: ml.shapes.square(n=12),
    "lattice of quads": lambda: ml.shapes.square(n=9, cells="quad"),
    "line": lambda: ml.Mesh(
        torch.linspace(0, 1, 30)[:, None], {"line": torch.stack([torch.arange(29), torch.arange(1, 30)], 1)}
    ),
    "tetrahedra": lambda: ml.shapes.box(n=(4, 4, 4)),
    "surface": lambda: ml.shapes.sphere(refine=2),
    "second order": lambda: ml.shapes.rectangle(n=(5, 5), order=2),
}


def distances(graph):
    matrix = torch.zeros(graph.n_rows, graph.n_rows)
    matrix[graph.receivers, graph.index] = 1
    near = (matrix + torch.eye(len(matrix))) > 0
    return near, (near.float() @ near.float()) > 0


@pytest.mark.parametrize("name", MESHES)
def test_roots_are_three_edges_apart_and_none_is_missing(name):
    mesh = MESHES[name]()
    graph = mesh.point_adjacency
    roots = independent_roots(graph, priorities(mesh.points))
    _, within_two = distances(graph)
    assert int(within_two[roots][:, roots].sum()) == int(roots.sum()), "two roots are too near"
    assert bool(within_two[:, roots].any(1).all()), "a point has no root near it"


@pytest.mark.parametrize("name", MESHES)
def test_aggregates_cover_all_points_and_hang_together(name):
    mesh = MESHES[name]()
    graph = mesh.point_adjacency
    coarse = coarsen(mesh.points, graph)
    n = len(coarse.points)
    assert 1 <= n < mesh.n_points / 2
    assert torch.equal(torch.unique(coarse.aggregate), torch.arange(n))
    inside = coarse.aggregate[graph.index] == coarse.aggregate[graph.receivers]
    matrix = torch.sparse_coo_tensor(graph.edge_index()[:, inside], torch.ones(int(inside.sum())), (mesh.n_points,) * 2)
    parts = connected_components(matrix.to_dense().numpy(), directed=False)[0]
    assert parts == n, "an aggregate falls apart"
    assert torch.equal(coarse.down.degree(), torch.bincount(coarse.aggregate, minlength=n))
    assert coarse.edges.symmetric
    assert not bool((coarse.edges.index == coarse.edges.receivers).any())
    assert int(coarse.up.degree().min()) >= 1


@pytest.mark.parametrize("name", MESHES)
def test_a_renumbered_mesh_has_the_same_coarse_points(name):
    mesh = MESHES[name]()
    new = permute_mesh(mesh, seed=3).mesh
    a, b = (coarsen(m.points.double(), m.point_adjacency).points for m in (mesh, new))
    assert len(a) == len(b)
    assert float(torch.cdist(a, b).amin(1).max()) < 1e-6


def test_a_moved_mesh_has_the_same_aggregates():
    mesh = ml.shapes.square(n=12).double()
    moved = coarsen(mesh.points + 7.0, mesh.point_adjacency)
    assert torch.equal(moved.aggregate, coarsen(mesh.points, mesh.point_adjacency).aggregate)


def test_components_and_lone_points_are_never_joined():
    mesh = ml.MeshBatch.from_meshes([ml.shapes.square(n=4), ml.shapes.square(n=5)]).mesh
    graph = ops.Adjacency.from_edges(*mesh.point_adjacency.edge_index(), mesh.n_points + 2)
    points = torch.cat([mesh.points, torch.tensor([[5.0, 5.0], [6.0, 5.0]])])
    coarse = coarsen(points, graph)
    first = set(coarse.aggregate[:25].tolist())
    second = set(coarse.aggregate[25:61].tolist())
    assert not first & second
    assert len({*coarse.aggregate[61:].tolist()} - first - second) == 2


def test_one_point():
    empty = torch.zeros(0, dtype=torch.int64)
    coarse = coarsen(torch.zeros(1, 2), ops.Adjacency.from_edges(empty, empty, 1))
    assert len(coarse.points) == 1
    assert coarse.edges.n_edges == 0
    assert coarse.up.index.tolist() == [0]


def test_join_roots_prefers_the_own_neighbour():
    path = torch.arange(4)
    graph = ops.Adjacency.from_edges(torch.cat([path, path + 1]), torch.cat([path + 1, path]), 5)
    roots = torch.tensor([True, False, False, False, True])
    assert join_roots(graph, torch.tensor([5, 1, 2, 3, 9]), roots).tolist() == [0, 0, 1, 1, 1]


def test_nearest_graph_is_symmetric_and_keeps_ties():
    lattice = ml.shapes.square(n=8, cells="quad").points
    graph = nearest_graph(lattice, k=6)
    assert graph.symmetric
    inner = ((lattice > 0.3) & (lattice < 0.7)).all(1)
    assert set(graph.degree()[inner].tolist()) == {8}, (
        "six neighbours on a lattice: four, and the four at equal distance"
    )
    assert nearest_graph(torch.zeros(1, 2), 8).n_edges == 0
