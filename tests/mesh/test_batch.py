"""Batches of unlike meshes: nothing is lost, nothing mixes."""

import pytest
import torch

import meshlearn as ml


@pytest.fixture
def unlike(mixed):
    cloud = ml.Mesh(torch.rand(4, 2), point_data={"u": torch.arange(4), "extra": torch.rand(4)})
    polygons = ml.Mesh(torch.rand(6, 2), {"polygon": [[0, 1, 2, 3, -1], [1, 2, 3, 4, 5]]}, point_data={"u": [0] * 6})
    return [mixed, cloud, polygons, mixed]


def test_unbatching_gives_the_meshes_back(unlike):
    batch = ml.MeshBatch.from_meshes(unlike)
    for cut, original in zip(batch.unbatch(batch.mesh), unlike, strict=True):
        assert ml.meshes_equal(cut, original)


def test_fields_common_to_all_are_concatenated(unlike):
    batch = ml.MeshBatch.from_meshes(unlike)
    assert list(batch.mesh.point_data) == ["u"]
    assert batch.mesh.cell_counts == {"quad": 2, "triangle": 4, "line": 2, "polygon": 2}
    assert batch.mesh.n_points == sum(mesh.n_points for mesh in unlike)
    assert torch.bincount(batch.point_batch).tolist() == [mesh.n_points for mesh in unlike]


def test_cells_and_sets_are_shifted(mixed):
    batch = ml.MeshBatch.from_meshes([mixed, mixed])
    second = batch.mesh.cells["triangle"][2:]
    assert torch.equal(second, mixed.cells["triangle"] + mixed.n_points)
    assert batch.mesh.cell_sets["bottom"]["line"].tolist() == [0, 1]
    assert batch.mesh.point_sets["corner"].tolist() == [0, mixed.n_points]
    torch.testing.assert_close(batch.mesh.measure(), 2 * mixed.measure())
    assert batch.global_data["load"].tolist() == [1.5, 1.5]


def test_the_graph_is_that_of_the_concatenated_mesh(mixed):
    batch = ml.MeshBatch.from_meshes([mixed, mixed])
    direct = batch.mesh.point_adjacency
    assert torch.equal(batch.point_adjacency.ptr, direct.ptr)
    assert torch.equal(batch.point_adjacency.index, direct.index)


def test_polyhedra_move_their_points_but_not_their_counts():
    stream = [4, 3, 0, 1, 2, 3, 0, 1, 3, 3, 1, 2, 3, 3, 0, 2, 3]
    mesh = ml.Mesh(torch.rand(4, 3), {"polyhedron": [stream]})
    batch = ml.MeshBatch.from_meshes([mesh, mesh])
    assert batch.mesh.cells["polyhedron"][1].tolist() == [4, 3, 4, 5, 6, 3, 4, 5, 7, 3, 5, 6, 7, 3, 4, 6, 7]
    assert mesh.cells["polyhedron"][0].tolist() == stream


def test_new_fields_are_cut_apart(mixed):
    batch = ml.MeshBatch.from_meshes([mixed, mixed.replace(points=mixed.points + 1)])
    changed = batch.mesh.with_point_data(new=torch.arange(12.0)).with_cell_data(e=torch.arange(6.0))
    first, second = batch.unbatch(changed)
    assert second.point_data["new"].tolist() == [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]
    assert first.cell_data["e"]["quad"].tolist() == [0.0]
    assert second.cell_data["e"]["triangle"].tolist() == [4.0, 5.0]


def test_what_cannot_stand_side_by_side_is_named(mixed):
    with pytest.raises(ml.MeshError, match="mesh 1"):
        ml.MeshBatch.from_meshes([mixed, ml.Mesh(torch.rand(3, 3))])
    with pytest.raises(ml.MeshError, match="at least one"):
        ml.MeshBatch.from_meshes([])
