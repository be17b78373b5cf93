"""Trajectories as single samples: modes in space and time, against frames, by hand, and on files."""

import pytest
import torch

import meshlearn as ml
from meshlearn.models.mmgp.series import trapezoids

TIMES = torch.tensor([0.0, 0.1, 0.3, 0.6, 1.0, 1.5], dtype=torch.float64)


def decays(count=20, seed=0, unlike=False, cells="triangle"):
    """Fields that decay at a rate of their own; v a vector, q on cells, total of the mesh; load a history."""
    g = torch.Generator().manual_seed(seed)
    found = []
    for k in range(count):
        rate, stretch, push = (float(v) for v in torch.rand(3, generator=g) + 0.5)
        n = (4 + k % 3, 4) if unlike else (5, 4)
        mesh = ml.shapes.rectangle(stretch, 1.0, n=n, cells=cells).double()
        x, y = mesh.points.T
        u = torch.exp(-rate * TIMES)[:, None] * (1 + x * y)
        history = push * (0.2 + TIMES)
        v = torch.stack([u, history[:, None] * x], dim=2)
        kind = mesh.domain_types[0]
        q = {kind: torch.exp(-rate * TIMES)[:, None] * mesh.cell_centroids()[kind][:, 0]}
        series = {"load": history, "total": history * rate}
        found.append(
            ml.Trajectory(
                mesh.with_global_data(rate=torch.tensor(rate).double()),
                TIMES,
                point_data={"u": u, "v": v},
                cell_data={"q": q},
                global_data=series,
            )
        )
    return found


@pytest.fixture(scope="module")
def fitted():
    series = decays(32)
    return ml.MMGP(["rate", "load"], ["u", "v", "q", "total"], series="modes").fit(series[:26]), series[26:]


def test_trajectories_are_predicted_as_a_whole(fitted):
    model, test = fitted
    scores = model.score(test)
    assert max(scores["u"], scores["v"], scores["q"]) < 0.02
    assert model.processes_.inputs_.shape[0] == 26
    assert model.regressors_.inputs["load"].rank_ == 1  # a ramp is one number
    assert model.ranks_["total"] >= 1
    prediction = model.predict(test[0], return_std=True)
    assert isinstance(prediction, ml.Trajectory)
    assert prediction.point_data["v"].shape == test[0].point_data["v"].shape
    for place, name in (("point_data", "u_std"), ("point_data", "v_std"), ("global_data", "total_std")):
        assert bool((getattr(prediction, place)[name] >= 0).all())
    assert "q_std" in prediction.cell_data
    torch.testing.assert_close(prediction.times, TIMES)
    error = (prediction.point_data["u"] - test[0].point_data["u"]).abs()
    assert float((error <= 3 * prediction.point_data["u_std"]).double().mean()) > 0.8


def test_unlike_meshes_and_a_mesh_that_has_only_inputs():
    series = decays(20, unlike=True)
    model = ml.MMGP(["rate"], ["u"], series="modes").fit(series[:16])
    whole = model.predict(series[17])
    alone = model.predict(series[17].mesh)  # all that it needs are the shape and inputs that hold all the time
    assert isinstance(alone, ml.Trajectory)
    torch.testing.assert_close(alone.point_data["u"], whole.point_data["u"])
    assert model.score(series[16:])["u"] < 0.05


def test_samples_derivatives_novelty_and_files(fitted, tmp_path):
    model, test = fitted
    drawn = model.sample(test[0], 60, seed=1)
    prediction = model.predict(test[0], return_std=True)
    peaks = torch.stack([t.global_data["total"] for t in drawn])
    assert peaks.shape == (60, 6)
    distance = (peaks.mean(0) - prediction.global_data["total"]).abs()
    assert bool((distance <= 4 * prediction.global_data["total_std"] / 60**0.5 + 1e-9).all())
    h = 1e-4
    slope = model.derivative(test[1], "rate").point_data["d_v_d_rate"]
    up, down = (
        model.predict(
            test[1].replace(mesh=test[1].mesh.with_global_data(rate=test[1].mesh.global_data["rate"] + s * h))
        )
        for s in (1, -1)
    )
    difference = (up.point_data["v"] - down.point_data["v"]) / (2 * h)
    torch.testing.assert_close(slope, difference, rtol=1e-4, atol=1e-6)
    with pytest.raises(ml.FieldError, match="wrt='load'"):
        model.derivative(test[1], "load")
    assert model.novelty(test[0]) < 2
    again = ml.load(model.save(tmp_path / "model"))
    there = again.predict(test[0], return_std=True)
    assert torch.equal(there.point_data["v"], prediction.point_data["v"])
    assert torch.equal(there.point_data["u_std"], prediction.point_data["u_std"])


def test_modes_know_the_length_of_the_steps():
    weights = trapezoids(TIMES)
    assert float(weights.mean()) == pytest.approx(1.0)
    area = float((weights * TIMES**2).sum() / weights.sum() * 1.5)
    assert area == pytest.approx(float(torch.trapezoid(TIMES**2, TIMES)))


def test_unlike_times_and_other_misuse_are_told(fitted):
    model, test = fitted
    series = decays(4)
    late = series[3].replace(times=TIMES + torch.tensor([0, 0, 0, 0.05, 0, 0]).double())
    with pytest.raises(ml.ParameterError, match=r"mesh 3 .*time number 3 is 0.65, not 0.6|mesh 3 has 6 times"):
        ml.MMGP(["rate"], ["u"], series="modes").fit([*series[:3], late])
    with pytest.raises(ml.ParameterError, match=r"4 times from 0 to 0.6.*expects 6 times from 0 to 1.5"):
        model.predict(test[0][:4])
    with pytest.raises(ml.ParameterError, match="single mesh"):
        ml.MMGP(["rate"], ["u"], series="modes").fit([*series[:2], series[2].frame(0)])
    with pytest.raises(ml.ParameterError, match="time"):
        ml.MMGP(["rate", "time"], ["u"], series="modes").fit(series)
    with pytest.raises(ml.ParameterError, match="step in time"):
        ml.MMGP(["u"], ["u"], series="modes").fit(series)
    with pytest.raises(ml.ParameterError, match="series"):
        ml.MMGP(["rate"], ["u"], series="both").fit(series)
    steady = ml.MMGP(["rate"], ["u"], series="modes", restarts=1).fit(series)
    moved = series[0].replace(global_data={"rate": TIMES})
    with pytest.raises(ml.FieldError, match="'rate' changes in time"):
        steady.predict(moved)


def test_frames_that_nothing_tells_apart_are_told():
    series = decays(6)
    with pytest.warns(ml.train.survey.FitWarning, match="one prediction"):
        ml.MMGP(["rate"], ["u"], restarts=1).fit(series)
