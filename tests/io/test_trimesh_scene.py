"""Scenes of trimesh."""

import pytest

import meshlearn as ml

trimesh = pytest.importorskip("trimesh")


def test_a_scene_is_joined_with_its_placements():
    box = trimesh.creation.box()
    scene = trimesh.Scene()
    scene.add_geometry(box)
    scene.add_geometry(box, transform=trimesh.transformations.translation_matrix([5, 0, 0]))
    mesh = ml.Mesh.from_trimesh(scene)
    assert mesh.n_cells == 24
    assert mesh.bounding_box().tolist() == [[-0.5, -0.5, -0.5], [5.5, 0.5, 0.5]]


@pytest.mark.parametrize("given", [trimesh.Scene(), object()])
def test_what_holds_no_surface(given):
    with pytest.raises(ml.MeshError):
        ml.Mesh.from_trimesh(given)
