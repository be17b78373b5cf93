"""The length of the time step: remembered, the same in all training data, and the default of rollouts."""

import pytest
import torch
from torch.testing import assert_close

import meshlearn as ml

from .tiny import Tiny, quick


def decay(step=0.1, frames=4, dtype=torch.float32, **global_data):
    mesh = ml.shapes.square(n=3)
    times = 2.0 + step * torch.arange(frames, dtype=dtype)
    u = torch.exp(-times)[:, None].float() * (1 + mesh.points[:, 0])
    return ml.Trajectory(mesh, times, {"u": u}, global_data=global_data)


KINDS = {
    "network": lambda inputs: Tiny(inputs, ["u"]),
    "mean": lambda inputs: ml.MeanField(inputs, ["u"]),
    "nearest": lambda inputs: ml.NearestNeighbor(inputs, ["u"]),
    "ridge": lambda inputs: ml.RidgeRegression(inputs, ["u"], degree=1),
}


def fitted(kind, trajectories, inputs=("u",)):
    model = KINDS[kind](list(inputs))
    return quick(model, trajectories, epochs=1) if kind == "network" else model.fit(trajectories)


@pytest.mark.parametrize("kind", KINDS)
def test_the_step_is_remembered_and_gives_the_times(kind, tmp_path):
    model = fitted(kind, [decay(), decay(frames=6)])
    assert model.time_step_ == 0.1
    model = ml.load(model.save(tmp_path / "model"))
    assert model.time_step_ == 0.1
    start = decay()[1]
    rolled = model.rollout(start, steps=2)
    assert_close(rolled.times, torch.tensor([2.1, 2.2, 2.3], dtype=torch.float64))
    assert_close(model.predict(start).global_data["time"], torch.tensor(2.2))
    assert_close(model.predict(start.replace(global_data={})).point_data["u"], rolled[1].point_data["u"])
    assert "time" not in model.predict(start.replace(global_data={})).global_data
    longer = model.rollout(decay(), steps=5)
    assert_close(longer.times, 2.0 + 0.1 * torch.arange(6, dtype=torch.float64))


@pytest.mark.parametrize("kind", KINDS)
def test_different_steps_in_one_fit_are_refused(kind):
    with pytest.raises(ml.ParameterError, match=r"(?s)0\.1 in mesh 0, 10 in mesh 1.*global input"):
        fitted(kind, [decay(), decay(10.0)])
    uneven = ml.Trajectory(decay().mesh, [0.0, 1.0, 2.0, 4.0], {"u": decay().point_data["u"]})
    with pytest.raises(ml.ParameterError, match=r"1 in (.*), 2 in \1"):
        fitted(kind, [uneven])


def test_different_steps_are_refused_in_validation_and_in_a_fit_that_goes_on():
    with pytest.raises(ml.ParameterError, match="differ"):
        quick(Tiny(["u"], ["u"]), [decay()], validation=[decay(10.0)])
    model = fitted("network", [decay()])
    with pytest.raises(ml.ParameterError, match="the fit before"):
        quick(model, [decay(10.0)], warm_start=True)
    assert model.time_step_ == 0.1


def test_a_step_that_is_an_input_may_differ():
    def known(step):
        return decay(step, dt=torch.full((4,), step))

    model = fitted("ridge", [known(0.1), known(0.2)], ("u", "dt"))
    assert model.time_step_ == "dt"
    model = fitted("network", [known(0.1), known(0.2)], ("u", "dt"))
    rolled = model.rollout(known(0.2)[0], steps=2)
    assert_close(rolled.times, torch.tensor([2.0, 2.2, 2.4], dtype=torch.float64))
    with pytest.raises(ml.ParameterError, match="differ"):
        fitted("ridge", [known(0.1), decay(0.2, dt=torch.full((4,), 0.1))], ("u", "dt"))


def test_other_steps_than_those_learned_are_refused():
    model = fitted("network", [decay()])
    for action in (model.predict, model.score, model.rollout):
        with pytest.raises(ml.ParameterError, match=r"step of 10.*steps of 0\.1"):
            action(decay(10.0))
    with pytest.raises(ml.ParameterError, match=r"time_step=5.*steps of 0\.1"):
        model.rollout(decay()[0], steps=2, time_step=5.0)
    assert len(model.rollout(decay()[0], steps=2, time_step=0.1)) == 3
    for wrong in ({"steps": 0}, {"steps": True}, {"steps": 2, "time_step": -1.0}):
        with pytest.raises(ml.ParameterError, match=r"rollout has a whole number|positive number"):
            model.rollout(decay()[0], **wrong)


def test_rounded_times_are_one_step():
    thirds = ml.Trajectory(decay().mesh, [0.0, 0.333, 0.667, 1.0], {"u": decay().point_data["u"]})
    assert fitted("mean", [thirds]).time_step_ == pytest.approx(1 / 3)


def test_steady_models_have_no_step():
    series = [decay(), decay(10.0)]
    model = ml.MeanField([], ["u"]).fit(series)
    assert model.time_step_ is None
    assert torch.equal(model.predict(series[1]).times, series[1].times)


def test_models_of_earlier_versions_know_no_step(tmp_path):
    model = fitted("network", [decay()])
    model.time_step_ = None
    old = ml.load(model.save(tmp_path / "model"))
    assert old.rollout(decay()[0], steps=2, time_step=5.0).times.tolist() == [2.0, 7.0, 12.0]
    assert old.rollout(decay()[0], steps=1).times.tolist() == [2.0, 3.0]
    with pytest.raises(ml.CheckpointError):
        model.time_step_ = "u"
        ml.load(model.save(tmp_path / "model"))
