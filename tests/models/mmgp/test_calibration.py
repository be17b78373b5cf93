"""Scores of error bands against closed forms and samples; conformal bands hold for new meshes."""

import math

import pytest
import torch

import meshlearn as ml
from meshlearn.models.mmgp.bands import Ratios, conformal_factor, factor_for_coverage
from meshlearn.models.mmgp.calibration import calibration_of, crps, negative_log_density, quantile
from meshlearn.train.fields import FieldSet, FieldSpec


def known(count, seed, noise=0.3):
    """Rectangles whose field is a smooth function of inputs times one amplitude per mesh that nothing explains."""
    g = torch.Generator().manual_seed(seed)
    base, found = ml.shapes.square(n=3).double(), []
    for _ in range(count):
        a = float(torch.rand((), generator=g))
        odd = noise * float(torch.randn((), generator=g)) * (0.2 + a)
        u = (math.sin(3 * a) + odd) * (1 + base.points[:, 0])
        found.append(base.with_point_data(u=u).with_global_data(a=torch.tensor(a).double()))
    return found


def test_scores_equal_closed_forms():
    assert quantile(0.95) == pytest.approx(1.959964, abs=1e-6)
    error, std = torch.tensor([0.3, -1.2, 2.0]).double(), torch.tensor([0.5, 1.0, 0.7]).double()
    normal = torch.distributions.Normal(torch.zeros(3).double(), std)
    torch.testing.assert_close(negative_log_density(error, std), -normal.log_prob(error))
    draws = normal.sample((200_000,))
    other = normal.sample((200_000,))
    sampled = (draws - error).abs().mean(0) - 0.5 * (draws - other).abs().mean(0)  # E|X - y| - E|X - X'| / 2
    torch.testing.assert_close(crps(error, std), sampled, rtol=0, atol=0.01)
    torch.testing.assert_close(crps(error, torch.zeros(3).double()), error.abs())


def test_means_are_weighted_by_measure_and_count_meshes_alike():
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [9.0, 9.0], [9.1, 9.0], [9.0, 9.1]]).double()
    mesh = ml.Mesh(points, {"triangle": torch.tensor([[0, 1, 2], [3, 4, 5]])})  # areas 1/2 and 1/200
    truth = mesh.with_point_data(u=torch.tensor([0.0, 0.0, 0.0, 5.0, 5.0, 5.0]).double())
    prediction = mesh.with_point_data(u=torch.zeros(6).double(), u_std=torch.ones(6).double())
    fields = FieldSet((), (FieldSpec("u", "point"),), 2)
    found = calibration_of([(prediction, truth, "here")], fields, (0.95,))["u"]
    assert found["coverage"][0.95] == pytest.approx(100 / 101)
    assert found["width"] == pytest.approx(2 * 1.959964, rel=1e-6)
    assert found["nll"] == pytest.approx(0.5 * math.log(2 * math.pi) + 12.5 / 101)
    right = mesh.with_point_data(u=truth.point_data["u"], u_std=torch.ones(6).double())
    both = calibration_of([(prediction, truth, "a"), (right, truth, "b")], fields, (0.95,))["u"]
    assert both["coverage"][0.95] == pytest.approx(0.5 * (100 / 101 + 1))


def test_calibration_of_a_model():
    meshes = known(70, 0)
    model = ml.MMGP(["a"], ["u"], restarts=2).fit(meshes[:40])
    found = model.calibration(meshes[40:], levels=(0.5, 0.95))
    assert set(found["u"]) == {"coverage", "width", "nll", "crps"}
    assert 0.8 < found["u"]["coverage"][0.95] <= 1.0
    assert 0.2 < found["u"]["coverage"][0.5] < 0.8
    sure = ml.MMGP(["a"], ["u"], restarts=2).fit(meshes[:40])
    sure.factors_ = {"u": 0.05 * model.factors_["u"]}  # bands twenty times too narrow
    narrow = sure.calibration(meshes[40:])["u"]
    assert narrow["coverage"][0.95] < 0.4
    assert narrow["nll"] > found["u"]["nll"]
    assert narrow["crps"] > found["u"]["crps"]
    for wrong in (0.95, "95", (95,), ()):
        with pytest.raises(ml.ParameterError, match="levels"):
            model.calibration(meshes[40:], levels=wrong)


def ratios(count, rows, generator):
    """Rows of one item are alike: a scale per item times normal values."""
    scale = torch.rand(count, generator=generator, dtype=torch.float64).exp() ** 2
    return scale[:, None] * torch.randn(count, rows, generator=generator, dtype=torch.float64).abs()


def test_conformal_factor_covers_new_items_on_average():
    g = torch.Generator().manual_seed(0)
    inside = []
    for _ in range(300):
        known_ratios, new = ratios(24, 40, g), ratios(20, 40, g)
        table = Ratios(
            known_ratios.reshape(-1), torch.full((960,), 1 / 40).double(), torch.arange(24).repeat_interleave(40)
        )
        inside.append((new <= 1.959964 * conformal_factor(table)).double().mean())
    mean, error = float(torch.stack(inside).mean()), float(torch.stack(inside).std()) / 300**0.5
    assert mean > 0.95 - 3 * error
    assert mean < 0.995


def test_conformal_factor_by_hand():
    values = torch.arange(1, 20).double()  # 19 items of one value each: the largest, for 95 %
    one = Ratios(values, torch.ones(19).double(), torch.arange(19))
    assert conformal_factor(one) == pytest.approx(19 / 1.959964)
    values = torch.arange(1, 40).double()  # 39 items: the value number ceil(0.95 * 40) = 38
    two = Ratios(values, torch.ones(39).double(), torch.arange(39))
    assert conformal_factor(two) == pytest.approx(38 / 1.959964)
    frames = Ratios(values.repeat_interleave(3), torch.ones(117).double(), torch.arange(39).repeat_interleave(3))
    assert conformal_factor(frames) == pytest.approx(38 / 1.959964)  # frames of an item share its weight
    assert factor_for_coverage(values) == pytest.approx(39 / 1.959964)
    with pytest.raises(ml.ParameterError, match="at least 19"):
        conformal_factor(Ratios(values[:18], torch.ones(18).double(), torch.arange(18)))
    none = Ratios(torch.full((19,), torch.nan).double(), torch.ones(19).double(), torch.arange(19))
    assert conformal_factor(none) == pytest.approx(1e-6)  # no errors in bands of no width


def test_conformal_bands_of_a_model():
    meshes = known(100, 3)
    model = ml.MMGP(["a"], ["u"], restarts=1, calibrate="conformal").fit(meshes[:60])
    assert model.calibration(meshes[60:])["u"]["coverage"][0.95] >= 0.85  # 40 meshes, each in or out as a whole
    plain = ml.MMGP(["a"], ["u"], restarts=1, calibrate=False).fit(meshes[:60])
    assert plain.factors_ == {"u": 1.0}
    with pytest.raises(ml.ParameterError, match="at least 19 meshes"):
        ml.MMGP(["a"], ["u"], calibrate="conformal").fit(meshes[:18])
    for wrong in (True, "scaled", 1, None):
        with pytest.raises(ml.ParameterError, match="calibrate"):
            ml.MMGP(["a"], ["u"], calibrate=wrong).fit(meshes[:6])
