"""Metrics and losses against their definitions."""

import math

import pytest
import torch

import meshlearn as ml
from meshlearn.train import graph_sample, max_error, measure_weights, relative_l2, rmse
from meshlearn.train.fields import resolve_fields
from meshlearn.train.loss import mesh_losses, pointwise_loss
from meshlearn.train.sample import collate

from .tiny import wave


def test_relative_l2_of_a_scaled_truth_is_the_scale():
    t, w = torch.randn(50, 3), torch.rand(50)
    assert relative_l2(1.1 * t, t, w) == pytest.approx(0.1, rel=1e-5)
    assert relative_l2(torch.zeros_like(t), t, w) == 1.0


def test_relative_l2_where_the_truth_is_zero():
    zero, w = torch.zeros(4), torch.ones(4)
    assert math.isnan(relative_l2(zero, zero, w))
    assert math.isnan(relative_l2(zero + 1, zero, w))


@pytest.mark.parametrize("unit", [1e-200, 1e-20, 1e20, 1e200])
def test_relative_l2_has_no_unit(unit):
    t, w = torch.randn(9, 2, dtype=torch.float64), torch.rand(9, dtype=torch.float64)
    assert relative_l2(unit * 1.1 * t, unit * t, w) == pytest.approx(0.1, rel=1e-9)


def test_relative_l2_converges_to_the_integral_on_graded_meshes():
    """Measure weights make the error independent of how the points are spread; plain averages do not."""
    values = []
    for power in (1.0, 2.0):
        mesh = ml.shapes.square(n=60)
        mesh = mesh.replace(points=mesh.points**power)
        x = mesh.points[:, 0]
        values.append(relative_l2(x + x.square(), x, measure_weights(mesh, "point")))
    exact = math.sqrt((1 / 5) / (1 / 3))
    assert values == pytest.approx([exact, exact], rel=2e-3)


def test_rmse_and_max_error():
    p, t = torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.zeros(2, 2)
    assert rmse(p, t, torch.ones(2)) == pytest.approx(math.sqrt(12.5))
    assert max_error(p, t) == 5.0


def test_weights_add_up_to_one_and_are_safe():
    mesh = wave()
    for location in ("point", "cell", "global"):
        assert float(measure_weights(mesh, location).sum()) == pytest.approx(1.0)
    flat = mesh.replace(points=mesh.points * 0)
    assert torch.allclose(measure_weights(flat, "point"), torch.full((mesh.n_points,), 1 / mesh.n_points))
    mirrored = mesh.replace(points=mesh.points * torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(measure_weights(mirrored, "point"), measure_weights(mesh, "point"))


@pytest.mark.parametrize("name", ["mse", "mae", "huber"])
def test_loss_of_a_batch_is_the_losses_of_its_meshes(name):
    samples, outputs = [], []
    for mesh in (wave((3, 4)), wave((6, 5), a=0.3)):
        fields = resolve_fields(mesh, ["f"], ["u", "v", "q", "total"])
        weights = {place: measure_weights(mesh, place) for place in fields.output_locations}
        sample = graph_sample(mesh, fields).replace(targets=fields.targets(mesh), weights=weights)
        samples.append(sample)
        outputs.append({place: torch.randn_like(values) for place, values in sample.targets.items()})
    loss = pointwise_loss(name)
    apart = torch.cat([mesh_losses(o, s.targets, s, loss) for o, s in zip(outputs, samples, strict=True)])
    batch = collate(samples)
    joined = {place: torch.cat([o[place] for o in outputs]) for place in outputs[0]}
    torch.testing.assert_close(mesh_losses(joined, batch.targets, batch, loss), apart)


def test_unknown_loss():
    with pytest.raises(ml.ParameterError, match="l3"):
        pointwise_loss("l3")
