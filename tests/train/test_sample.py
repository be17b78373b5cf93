"""Samples: what they hold, how they are joined."""

from dataclasses import dataclass, field

import pytest
import torch

import meshlearn as ml
from meshlearn.ops import Adjacency
from meshlearn.train import GraphSample, collate, graph_sample
from meshlearn.train.fields import resolve_fields
from meshlearn.train.graph import nearest_graph

from .tiny import heat, wave


def sample_of(mesh, outputs=("u",)):
    return graph_sample(mesh, resolve_fields(mesh, ["f", "a", "q"], list(outputs)))


def test_the_standard_sample():
    mesh = wave()
    s = sample_of(mesh)
    assert s.point_inputs.shape == (mesh.n_points, 3)  # f, q averaged, boundary flag
    assert torch.equal(s.point_inputs[:, -1] > 0, mesh.topology.is_boundary)
    assert s.cost == (mesh.n_points, 2 * len(mesh.edges))
    receivers, senders = s.adjacency.receivers, s.adjacency.index
    torch.testing.assert_close(s.edge_features[:, :2], mesh.points[senders] - mesh.points[receivers])
    torch.testing.assert_close(s.edge_features[:, 2], s.edge_features[:, :2].norm(dim=1))
    assert s.cell_points.n_rows == mesh.n_cells
    torch.testing.assert_close(s.cell_points.index[:3].sort()[0], mesh.cells["triangle"][0].sort()[0])


def test_a_constant_cell_field_is_constant_at_the_points():
    mesh = wave().with_cell_data(q=torch.full((wave().n_cells,), 3.0))
    torch.testing.assert_close(sample_of(mesh).point_inputs[:, 1], torch.full((mesh.n_points,), 3.0))


def test_coordinates_and_no_flag():
    mesh = wave()
    s = graph_sample(mesh, resolve_fields(mesh, ["f"], ["u"]), boundary=False, coordinates=True)
    assert torch.equal(s.point_inputs[:, :2], mesh.points)
    assert s.point_inputs.shape[1] == 3
    assert s.cell_points is None


def test_collate_concatenates_everything_and_keeps_the_meshes_apart():
    a, b = sample_of(wave((2, 3))), sample_of(wave((5, 4)))
    batch = collate([a, b])
    assert (batch.n_meshes, batch.rows("point"), batch.rows("cell")) == (
        2,
        a.rows("point") + b.rows("point"),
        batch.cell_points.n_rows,
    )
    assert torch.equal(batch.ptr("point"), torch.tensor([0, a.rows("point"), batch.rows("point")]))
    assert torch.equal(batch.mesh_index("global"), torch.arange(2))
    first = batch.adjacency.receivers < a.rows("point")
    assert bool((batch.adjacency.index[first] < a.rows("point")).all())
    assert bool((batch.adjacency.index[~first] >= a.rows("point")).all())
    assert collate([a]) is a


@dataclass(frozen=True)
class Level:
    x: torch.Tensor
    graph: Adjacency


@dataclass(frozen=True)
class LevelSample(GraphSample):
    levels: tuple = field(default=(), kw_only=True)


def test_a_subclass_only_adds_fields():
    def make(mesh):
        return LevelSample.extending(sample_of(mesh), levels=(Level(mesh.points, mesh.point_adjacency),))

    meshes = [wave((2, 3)), wave((5, 4))]
    batch = collate([make(m) for m in meshes])
    assert batch.levels[0].x.shape[0] == batch.levels[0].graph.n_rows == sum(m.n_points for m in meshes)
    assert batch.to(dtype=torch.float64).levels[0].x.dtype == torch.float64


def test_unknown_things_cannot_be_joined():
    with pytest.raises(ml.ParameterError, match="str"):
        collate([LevelSample.extending(sample_of(wave()), levels=("x",))] * 2)


def test_frames_share_graph_and_edge_features():
    from meshlearn.train.steps import frame_of

    series = heat()
    fields = resolve_fields(series.frame(0), ["f"], ["u"])
    a, b = (graph_sample(frame_of(series, i), fields) for i in (0, 1))
    assert a.adjacency is b.adjacency
    assert a.edge_features.data_ptr() == b.edge_features.data_ptr()


def test_point_clouds_get_a_symmetric_graph_of_neighbours():
    points = torch.rand(40, 3)
    graph = nearest_graph(points, 5)
    assert bool((graph.degree() >= 5).all())
    pairs = set(zip(graph.receivers.tolist(), graph.index.tolist(), strict=True))
    assert all((b, a) in pairs and a != b for a, b in pairs)
    distance = torch.cdist(points, points)
    for i in range(40):
        assert set(distance[i].argsort()[1:6].tolist()) <= {b for a, b in pairs if a == i}
    assert nearest_graph(points[:1], 5).n_edges == 0
    assert nearest_graph(points[:3], 5).n_edges == 6


def test_the_nearest_graph_joins_all_ties_whatever_the_numbering():
    assert nearest_graph(torch.zeros(60, 2), 5).degree().tolist() == [59] * 60
    angle = torch.arange(40, dtype=torch.float64) * (2 * torch.pi / 40)
    ring = torch.cat([torch.zeros(1, 2, dtype=torch.float64), torch.stack([angle.cos(), angle.sin()], 1)])
    assert nearest_graph(ring, 2).degree().tolist() == [40] + [3] * 40
