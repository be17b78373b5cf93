"""ModulatedField: the same interface with one code for each mesh."""

from functools import partial

import pytest
import torch

import meshlearn as ml
from meshlearn.testing import RigidMotion, assert_same_fields

QUIET = {"epochs": 2, "progress": False}
Small = partial(ml.ModulatedField, latent_dim=6, hidden=8, layers=2)


def meshes():
    made = [ml.shapes.square(n=4), ml.shapes.rectangle(1.2, 1.0, n=(5, 4), cells="mixed"), ml.Mesh(torch.rand(30, 2))]
    return [mesh.with_point_data(u=torch.sin(2 * mesh.points[:, 0] + i)) for i, mesh in enumerate(made)]


def test_one_code_is_a_cloud_of_one_point(tmp_path):
    model = Small(["u"]).fit(meshes(), **QUIET)
    latents = model.fit_latents(meshes()[0])
    assert latents.point_data["context"].shape == (1, 6)
    assert model.decode(latents, torch.rand(7, 2)).point_data["u"].shape == (7,)
    again = ml.load(model.save(tmp_path / "model"))
    assert_same_fields(again.predict(meshes()[1]), model.predict(meshes()[1]), 0.0, 0.0, "before and after")


def test_it_commutes_with_translations_alone():
    model, mesh = Small(["u"]).fit(meshes(), **QUIET), meshes()[1].double()
    motion = RigidMotion.random(2, seed=1)
    before = model.predict(mesh).point_data["u"]
    shifted = model.predict(mesh.replace(points=mesh.points + 3.0)).point_data["u"]
    assert (shifted - before).abs().max() < 1e-4 * before.std()
    assert (model.predict(motion.mesh(mesh)).point_data["u"] - before).abs().max() > 1e-3 * before.std()


@pytest.mark.parametrize(
    "bad", [{"latent_dim": 0}, {"hidden": 7}, {"layers": 0}, {"frequency": 0.0}, {"meta": "none"}], ids=str
)
def test_arguments_of_modulated_fields(bad):
    with pytest.raises(ml.ParameterError, match=next(iter(bad))):
        Small(["u"], **bad).fit(meshes(), **QUIET)


def test_nothing_of_one_code_is_left_out():
    model = Small(["u"]).fit(meshes(), **QUIET)
    with pytest.raises(ml.ParameterError, match="one code for a whole mesh"):
        model.truncation_error(meshes()[0], 1)


@pytest.mark.slow
def test_codes_keep_what_they_are_fitted_to():
    """Unseen waves come back far better than the mean."""
    rng = torch.Generator().manual_seed(0)
    waves = []
    for n in (7, 8, 9, 10) * 8:
        a, c = torch.rand(2, generator=rng).tolist()
        mesh = ml.shapes.square(n=n)
        x, y = mesh.points.T
        waves.append(mesh.with_point_data(u=torch.sin(3 * x + 6 * a) + c * torch.cos(2 * y)))
    model = ml.ModulatedField(["u"], latent_dim=32, hidden=32)
    model.fit(waves[:28], epochs=15, learning_rate=4e-3, progress=False)
    error, mean = model.score(waves[28:])["u"], ml.MeanField([], ["u"]).fit(waves[:28]).score(waves[28:])["u"]
    assert error < 0.3 * mean, f"relative error {error:.3f}, of the mean field {mean:.3f}"
