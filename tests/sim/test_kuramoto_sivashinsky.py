import itertools
import math

import pytest
import torch

import meshlearn as ml


def smooth(n, length=32 * math.pi):
    """The initial values of Kassam and Trefethen 2005, their section 4."""
    x = length * torch.arange(n, dtype=torch.float64) / n
    return torch.cos(x / 16) * (1 + torch.sin(x / 16))


def end(n, substeps, frames=4):
    solved = ml.sim.kuramoto_sivashinsky(smooth(n), 32 * math.pi, 5.0, frames, substeps)
    return solved.point_data["u"][-1, :-1]


@pytest.mark.parametrize("waves", [2, 5, 9])
def test_small_waves_grow_as_the_dispersion_relation_says(waves):
    n, length = 64, 40.0
    k = 2 * math.pi * waves / length
    x = length * torch.arange(n, dtype=torch.float64) / n
    solved = ml.sim.kuramoto_sivashinsky(1e-7 * torch.cos(k * x), length, 2.0, 1, 40)
    grown = solved.point_data["u"][-1, :-1] / 1e-7
    expected = math.exp(2.0 * (k**2 - k**4)) * torch.cos(k * x)
    assert torch.allclose(grown, expected, atol=1e-5, rtol=0)


def test_errors_fall_with_the_fourth_power_of_the_step():
    truth = end(128, 640, frames=1)
    errors = [float((end(128, substeps, frames=1) - truth).abs().max()) for substeps in (40, 80, 160)]
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert min(orders) > 3.6, errors


def test_the_resolution_converges_faster_than_any_power():
    truth = end(512, 40)
    errors = [float((end(n, 40) - truth[:: 512 // n]).abs().max()) for n in (128, 256)]
    assert errors[1] < 1e-4 * errors[0], errors


def test_mean_is_kept_and_a_moving_frame_is_a_shift():
    """u(x, t) + c is the solution from u0 + c, moved by c t (Galilean invariance)."""
    u, length = smooth(128), 32 * math.pi
    still = ml.sim.kuramoto_sivashinsky(u, length, 1.0, 4, 20).point_data["u"][:, :-1]
    c = length / 128 * 4  # four nodes in one unit of time
    moved = ml.sim.kuramoto_sivashinsky(u + c, length, 1.0, 4, 20).point_data["u"][:, :-1]
    assert torch.allclose(still.mean(1), still[0].mean().expand(5), atol=1e-12)
    for t in range(5):
        assert torch.allclose(moved[t], still[t].roll(4 * t) + c, atol=1e-6)


def test_trajectories_are_chaotic_and_depend_on_seed_and_number_only():
    first = ml.sim.make_kuramoto_sivashinsky(2, seed=3, resolution=64, frames=30, start=60.0)
    again = ml.sim.make_kuramoto_sivashinsky(1, seed=3, resolution=64, frames=30, start=60.0)
    u = first[0].point_data["u"]
    assert torch.equal(u, again[0].point_data["u"])
    assert not torch.equal(u, first[1].point_data["u"])
    assert torch.equal(u[:, 0], u[:, -1])
    assert first[0].times[0] == 0
    late = torch.corrcoef(torch.stack([u[0], u[-1]]))[0, 1]
    assert 0.8 < float(u.std()) < 2.0
    assert abs(float(late)) < 0.7


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: ml.sim.kuramoto_sivashinsky(torch.zeros(4)), "at least 8"),
        (lambda: ml.sim.kuramoto_sivashinsky(torch.full((16,), torch.nan)), "not finite"),
        (lambda: ml.sim.kuramoto_sivashinsky(torch.zeros(16), length=-1.0), "length=-1.0"),
        (lambda: ml.sim.kuramoto_sivashinsky(torch.zeros(16), substeps=0), "substeps"),
        (lambda: ml.sim.make_kuramoto_sivashinsky(1, start=-1), "start=-1"),
        (lambda: ml.sim.make_kuramoto_sivashinsky(0), "n=0"),
        (lambda: ml.sim.make_kuramoto_sivashinsky(1, resolution=4), "resolution=4"),
        (lambda: ml.sim.make_kuramoto_sivashinsky(1, resolution=32), r"(?s)32 places over a length of 64 .*least 51"),
        (lambda: ml.sim.make_kuramoto_sivashinsky(1, time_step=5.0, substeps=1), "grew beyond all numbers"),
    ],
)
def test_wrong_requests_of_chaos_are_told(call, told):
    with pytest.raises(ml.MeshlearnError, match=told):
        call()


def test_as_few_places_as_are_allowed_keep_the_field_bounded():
    chaos = ml.sim.make_kuramoto_sivashinsky(1, resolution=51, start=200.0, frames=20)[0].point_data["u"]
    assert float(chaos.abs().max()) < 6
