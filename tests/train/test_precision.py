"""Small spreads on large values: float64 fields are centred before they become float32."""

import pytest
import torch

import meshlearn as ml
from meshlearn.train import Normalizer
from meshlearn.train.precision import float32_suffices, moved, narrowed

from .tiny import Tiny, quick

FAR = 5e6


def surveys(offset, dtype=torch.float64):
    """Squares whose input is a coordinate far away from zero."""
    square = ml.shapes.square(n=6).double()
    fields = [a * square.points[:, 0] for a in (0.5, 0.75, 1.0, 1.25, 1.5, 0.6, 1.4)]
    return [square.to(dtype).with_point_data(x=offset + y, y=y) for y in fields]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["ridge", "tiny", "network"])
def test_a_small_spread_on_a_large_value_is_used(kind, dtype):
    makes = {
        "ridge": lambda meshes: ml.RidgeRegression(["x"], ["y"]).fit(meshes),
        "tiny": lambda meshes: quick(Tiny(["x"], ["y"]), meshes, epochs=15, learning_rate=1e-2),
        "network": lambda meshes: quick(
            ml.MeshGraphNet(["x"], ["y"], hidden=8, steps=1, levels=1), meshes, epochs=10, learning_rate=1e-2
        ),
    }
    near, far = (
        makes[kind](surveys(offset, dtype)[:5]).score(surveys(offset, dtype)[5:])["y"] for offset in (0.0, FAR)
    )
    assert far == pytest.approx(near, rel=0.05, abs=1e-5)
    assert far < 0.4


def test_a_small_spread_of_an_output_is_predicted():
    meshes = [mesh.with_point_data(u=FAR + mesh.point_data["y"]) for mesh in surveys(0.0)]
    model = quick(Tiny(["x"], ["u"]), meshes[:5], epochs=60, learning_rate=1e-2)
    for mesh in meshes[5:]:
        found, truth = model.predict(mesh).point_data["u"], mesh.point_data["u"]
        assert (found - truth).norm() < 0.3 * (truth - truth.mean()).norm()


def test_float64_global_inputs_are_used():
    loads = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9, 0.4, 0.6], dtype=torch.float64)
    for kind in (ml.RidgeRegression, ml.NearestNeighbor):
        near, far = (
            [mesh.with_global_data(a=offset + a, t=a) for a, mesh in zip(loads, surveys(0.0), strict=True)]
            for offset in (0.0, FAR)
        )
        scores = [kind(["a"], ["t"]).fit(meshes[:5]).score(meshes[5:])["t"] for meshes in (near, far)]
        assert scores[0] == pytest.approx(scores[1], rel=1e-4)
        assert scores[1] < 0.4


def test_only_fields_that_need_it_stay_in_float64():
    model = quick(ml.MeshGraphNet(["x"], ["y"], hidden=8, steps=1, levels=1), surveys(FAR), epochs=1)
    far, near = (narrowed(model.make_sample(m, m), torch.float32) for m in (surveys(FAR)[0], surveys(0.0)[0]))
    assert far.point_inputs.dtype == torch.float64
    assert moved(far, torch.float32, "cpu").point_inputs.dtype == torch.float64
    assert {t.dtype for t in (near.point_inputs, far.edge_features, far.targets["point"], far.points)} == {
        torch.float32
    }
    assert model.normalizers_.normalise(far).point_inputs.dtype == torch.float32
    assert narrowed(far, torch.float64).edge_features.dtype == torch.float64


def test_rounding_of_float32_and_of_geometry_is_no_spread():
    noise = torch.linspace(-1, 1, 50, dtype=torch.float64)[:, None]
    assert Normalizer(1).fit(5.0 + 1e-7 * noise).constant.all()
    for x, fine in ((5.0 + 1e-7 * noise.float(), True), (5.0 + 1e-11 * noise, True), (5.0 + 1e-7 * noise, False)):
        normalizer = Normalizer(1)
        normalizer.update(x, fine=fine)
        assert normalizer.finish().constant.all()
    normalizer = Normalizer(1)
    normalizer.update(FAR + noise, fine=True)
    normalizer.finish()
    normal = normalizer(FAR + noise)
    torch.testing.assert_close(normal, noise / noise.square().mean().sqrt(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(normalizer.inverse(normal), FAR + noise, rtol=0, atol=1e-6)


def test_normalisers_of_earlier_versions_are_read():
    old = Normalizer(2).fit(torch.randn(9, 2)).state_dict()
    del old["rest"]
    assert torch.equal(Normalizer(2).fit(torch.ones(3, 2)).rest, torch.zeros(2))
    new = Normalizer(2)
    new.load_state_dict(old)
    assert torch.equal(new.mean, old["mean"])


def test_float32_suffices_for_ordinary_fields():
    x = torch.randn(100, 3, dtype=torch.float64)
    for table in (x, 100 + x, torch.ones(4, 1).double()):
        assert float32_suffices(table)
    assert not float32_suffices(1e4 + x)
    assert float32_suffices((1e4 + x).float())
