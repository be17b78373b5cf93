"""Fields with a large mean and a small spread (absolute pressures, kelvins) are learned as well as others."""

import pytest
import torch
from torch.testing import assert_close

import meshlearn as ml
from meshlearn.train import resolve_fields
from meshlearn.train.metrics import relative_l2
from meshlearn.train.normalization import Normalizers
from meshlearn.train.normalizer import Normalizer
from meshlearn.train.relative_loss import physical_zeros, relative_losses


def sines(mean, amplitude):
    """Double meshes with y = a x for several a, and p = mean + amplitude sin(4 y)."""
    square = ml.shapes.square(n=6).double()
    fields = [a * square.points[:, 0] for a in (0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 0.8, 1.2)]
    return [square.with_point_data(y=y, p=mean + amplitude * torch.sin(4 * y)) for y in fields]


def error_in_spreads(mean, amplitude):
    """Of a short fit, on two meshes it has not seen, relative to the spread of the field."""
    meshes = sines(mean, amplitude)
    model = ml.MeshGraphNet(["y"], ["p"], hidden=16, steps=2, levels=1)
    model.fit(meshes[:6], epochs=20, learning_rate=3e-3, progress=False)
    errors = []
    for mesh in meshes[6:]:
        truth, found = mesh.point_data["p"], model.predict(mesh).point_data["p"]
        errors.append(float((found - truth).norm() / (truth - truth.mean()).norm()))
    return max(errors)


def test_learning_is_relative_to_the_spread_whatever_the_mean():
    for mean, amplitude in ((293.15, 0.05), (101325.0, 5.0)):
        assert error_in_spreads(mean, amplitude) < 0.25, (mean, amplitude)


def test_the_zero_of_the_amplitude_is_the_physical_one_unless_it_is_far_away():
    values = torch.tensor([[9.0, 109.0, -1.0], [11.0, 111.0, 3.0]])  # means 10, 110 and 1, spreads 1, 1 and 2
    assert physical_zeros(Normalizer(3).fit(values)).tolist() == [0.0, 0.0, -0.5]


@pytest.mark.parametrize(("mean", "factor"), [(0.5, 1.0), (3.0, 1.0), (30.0, (901 / 10) ** 0.5)])
def test_the_loss_is_the_relative_error_or_for_large_means_that_of_the_spread(mean, factor):
    mesh = ml.shapes.square(n=4).double()
    noise = torch.linspace(-1, 1, mesh.n_points, dtype=torch.float64)
    model = ml.MeshGraphNet([], ["p"], hidden=8, steps=1)
    model.fields_ = resolve_fields(mesh.with_point_data(p=noise), [], ["p"])
    model.normalizers_ = Normalizers(targets={"point": 1}).double()
    normalizer = model.normalizers_.targets["point"]
    normalizer.mean.fill_(mean)  # of spread 1
    truth = mesh.with_point_data(p=mean + noise)
    batch = model.make_sample(truth, truth)
    batch = batch.replace(targets={"point": normalizer(batch.targets["point"])})
    outputs = {"point": batch.targets["point"] + 0.1 * noise[:, None]}
    loss = relative_losses(outputs, batch, model.fields_, model.normalizers_)
    weights = mesh.point_measures()
    expected = relative_l2(truth.point_data["p"] + 0.1 * noise, truth.point_data["p"], weights)
    assert_close(float(loss), factor * expected, rtol=1e-3, atol=0)


@pytest.mark.parametrize("loss", ["L2", "H1"])
def test_operator_networks_learn_it_beside_another_field(loss):
    """A pressure about a large mean, fitted together with a field about zero, whose relative errors are larger."""
    meshes = [mesh.with_point_data(u=torch.cos(5 * mesh.point_data["y"])) for mesh in sines(101325.0, 5.0)]
    model = ml.SPON(["y"], ["p", "u"], hidden=16, steps=2, parts=4, loss=loss)
    model.fit(meshes[:6], epochs=20, learning_rate=3e-3, progress=False)
    truth, found = meshes[6].point_data["p"], model.predict(meshes[6]).point_data["p"]
    assert float((found - truth).norm() / (truth - truth.mean()).norm()) < 0.6  # 0.9 where the mean rules the loss


@pytest.mark.parametrize(("mean", "factor"), [(0.5, 1.0), (3.0, 1.0), (30.0, (901 / 10) ** 0.5)])
def test_the_loss_in_the_norm_of_the_space_compares_with_the_spread_too(mean, factor):
    mesh = ml.shapes.square(n=4).double()
    noise = torch.linspace(-1, 1, mesh.n_points, dtype=torch.float64)
    truth = mesh.with_point_data(p=mean + noise)
    model = ml.SPON([], ["p"], hidden=8, steps=1, parts=0)
    model.fields_ = resolve_fields(truth, [], ["p"])
    model.normalizers_ = Normalizers(targets={"point": 1}).double()
    normalizer = model.normalizers_.targets["point"]
    normalizer.mean.fill_(mean)  # of spread 1
    batch = model.make_sample(truth, truth)
    batch = batch.replace(targets={"point": normalizer(batch.targets["point"])})
    outputs = {"point": batch.targets["point"] + 0.1 * noise[:, None]}
    loss = model.sample_losses(outputs, batch)
    space = ml.fem.FESpace(mesh, "P1")
    expected = 0.1 * space.norm(space.interpolate(noise)) / space.norm(space.interpolate(truth.point_data["p"]))
    assert_close(float(loss), factor * float(expected), rtol=1e-3, atol=0)


@pytest.mark.parametrize("mean", [101325.0, 0.5])
def test_a_score_that_hides_the_error_is_told(mean):
    meshes = sines(mean, 5.0)
    model = ml.MeanField([], ["p"]).fit(meshes[:6])
    if mean > 1.0:
        with pytest.warns(ml.errors.ScoreWarning, match="'p' hides its error"):
            assert model.score(meshes[6:])["p"] < 1e-4
    else:
        assert model.score(meshes[6:])["p"] > 0.5
    good = ml.RidgeRegression(["y"], ["p"], degree=5).fit(meshes[:6])
    assert good.score(meshes[6:])["p"] < 0.01
