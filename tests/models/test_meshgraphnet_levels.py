"""Levels end where graphs do, and small meshes pass through networks of many levels."""

import pytest
import torch

import meshlearn as ml
from meshlearn.models.meshgraphnet.geometry import hierarchy


def meshes(*sizes):
    found = [ml.shapes.square(n=n) for n in sizes]
    return [mesh.with_point_data(u=mesh.points[:, 0]) for mesh in found]


def fitted(levels, *sizes, **options):
    model = ml.MeshGraphNet([], ["u"], hidden=8, steps=1, levels=levels)
    return model.fit(meshes(*sizes), epochs=1, progress=False, **options)


@pytest.mark.parametrize("sizes", [(1,), (2, 3), (4, 12)])
def test_the_network_has_the_levels_that_have_edges(sizes):
    model = fitted(12, *sizes)
    deepest = hierarchy(meshes(max(sizes))[0], 12, 8)
    expected = 1 + sum(level.edges.n_edges > 0 for level in deepest.coarse)
    assert model.levels_ == expected < 12
    assert len(model.module_.restrict) == expected - 1
    assert model.levels == 12
    assert fitted(expected, *sizes).levels_ == expected
    assert fitted(1, *sizes).levels_ == 1


def test_levels_beyond_the_last_change_nothing():
    deep, exact = fitted(12, 3, 8), fitted(fitted(12, 3, 8).levels_, 3, 8)
    for name, value in exact.get_state()[0].items():
        assert torch.equal(value, deep.get_state()[0][name]), name
    assert deep.get_state()[0].keys() == exact.get_state()[0].keys()


@pytest.mark.parametrize("cache", [True, False])
def test_small_and_large_meshes_go_through_the_same_levels(tmp_path, cache):
    model = fitted(12, 4, 9, 12, cache_samples=cache, validation=meshes(3))
    assert model.levels_ >= 2
    point = ml.Mesh(torch.zeros(1, 2))
    triangle = ml.Mesh(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), {"triangle": [[0, 1, 2]]})
    shapes = [point, triangle, ml.shapes.square(n=1), ml.shapes.square(n=20)]
    together = model.predict(shapes)
    model.save(tmp_path)
    again = ml.load(tmp_path)
    assert again.levels_ == model.levels_
    for mesh, found in zip(shapes, together, strict=True):
        alone = model.predict(mesh).point_data["u"]
        assert torch.isfinite(alone).all()
        torch.testing.assert_close(found.point_data["u"], alone, rtol=1e-4, atol=1e-5)
        assert torch.equal(again.predict(mesh).point_data["u"], alone)


def test_levels_are_found_anew_by_every_fit_but_a_warm_one():
    model = fitted(12, 12)
    first = model.levels_
    model.fit(meshes(1), epochs=1, progress=False, warm_start=True)
    assert model.levels_ == first
    model.fit(meshes(1), epochs=1, progress=False)
    assert model.levels_ < first
    model.fit(meshes(12), epochs=1, progress=False)
    assert model.levels_ == first


def test_a_fit_with_levels_left_out_resumes(tmp_path):
    options = {"schedule": "constant", "warmup": 0.0}
    whole = ml.MeshGraphNet([], ["u"], hidden=8, steps=1, levels=12)
    whole.fit(meshes(3, 4), epochs=3, progress=False, **options)
    model = ml.MeshGraphNet([], ["u"], hidden=8, steps=1, levels=12)
    model.fit(meshes(3, 4), epochs=3, progress=False, checkpoint=tmp_path, max_steps=3, **options)
    model.fit(meshes(3, 4), epochs=3, progress=False, checkpoint=tmp_path, resume=True, **options)
    for name, value in whole.get_state()[0].items():
        assert torch.equal(value, model.get_state()[0][name]), name
