import itertools
import math

import pytest
import torch

import meshlearn as ml
from meshlearn.sim.vorticity import places, random_field

SIDE = 2 * math.pi


def grid(flow, name, n, length):
    """(frames, n, n, ...) values of a point field by place."""
    at = places(flow.mesh, n, length)
    values = flow.point_data[name]
    made = torch.empty(len(values), n * n, *values.shape[2:], dtype=values.dtype)
    made[:, at] = values
    return made.reshape(len(values), n, n, *values.shape[2:])


def angles(n):
    x = SIDE * torch.arange(n, dtype=torch.float64) / n
    return x[:, None], x[None]


def energy(flow, n):
    return grid(flow, "velocity", n, SIDE).square().sum(-1).mean((1, 2)) / 2


def test_vortices_of_taylor_and_green_decay_as_they_should():
    """u = (sin x cos y, -cos x sin y) exp(-2 nu t), w = 2 sin x sin y exp(-2 nu t)."""
    x, y = angles(24)
    flow = ml.sim.vorticity_flow(2 * x.sin() * y.sin(), 0.05, None, SIDE, 1.0, 4, 10)
    for t in range(5):
        decay = math.exp(-2 * 0.05 * t)
        w, u = grid(flow, "vorticity", 24, SIDE)[t], grid(flow, "velocity", 24, SIDE)[t]
        assert torch.allclose(w, 2 * x.sin() * y.sin() * decay, atol=1e-10)
        assert torch.allclose(u[..., 0], x.sin() * y.cos() * decay, atol=1e-10)
        assert torch.allclose(u[..., 1], -x.cos() * y.sin() * decay, atol=1e-10)


def test_vorticity_is_the_curl_of_the_velocity_at_points_that_are_one():
    flow = ml.sim.make_vorticity(1, resolution=32, frames=1)[0]
    points, u = flow.mesh.points, flow.point_data["velocity"][1]
    left, right = (points[:, 0] == edge for edge in (0.0, 1.0))
    assert torch.equal(u[left], u[right])
    w = grid(flow, "vorticity", 32, 1.0)[1].double()
    v = grid(flow, "velocity", 32, 1.0)[1].double()
    k = 2j * math.pi * 32 * torch.fft.fftfreq(32, dtype=torch.float64)
    k[16] = 0  # the highest mode of an even number of places has no derivative
    curl = k[:, None] * torch.fft.fft2(v[..., 1]) - k[None] * torch.fft.fft2(v[..., 0])
    error = torch.fft.ifft2(curl).real - w
    assert float(error.norm() / w.norm()) < 0.02  # of the modes that have no velocity


def test_energy_is_kept_without_viscosity_and_errors_fall_with_the_fourth_power_of_the_step():
    x, y = angles(32)
    start = (x + 0.3).cos() + (2 * y).sin() * x.sin() + (x + y).cos()
    flow = ml.sim.vorticity_flow(start, 1e-12, None, SIDE, 0.5, 2, 40)
    assert torch.allclose(energy(flow, 32), energy(flow, 32)[0].expand(3), rtol=1e-9)
    ends = [
        ml.sim.vorticity_flow(start, 1e-2, None, SIDE, 1.0, 1, s).point_data["vorticity"][-1] for s in (5, 10, 20, 160)
    ]
    errors = [float((end - ends[-1]).abs().max()) for end in ends[:-1]]
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert min(orders) > 3.6, errors


def test_a_force_balances_viscosity_where_the_flow_is_steady():
    """w = cos x does not carry itself: with f = nu cos x it stays."""
    x, _ = angles(16)
    w = x.cos().expand(16, 16)
    flow = ml.sim.vorticity_flow(w, 0.3, 0.3 * w, SIDE, 1.0, 3, 10)
    assert torch.allclose(grid(flow, "vorticity", 16, SIDE), w.expand(4, 16, 16), atol=1e-12)


def test_drawn_fields_have_the_covariance_that_is_asked_for():
    generator = torch.Generator().manual_seed(0)
    fields = torch.stack([random_field(16, generator) for _ in range(400)])
    modes = torch.fft.fft2(fields).abs().square().mean(0) / 16**4
    k = 2 * math.pi * 16 * torch.fft.fftfreq(16, dtype=torch.float64)
    wanted = 7**1.5 * (k[:, None] ** 2 + k**2 + 49) ** -2.5
    for i, j in ((1, 0), (0, 1), (2, 3), (5, 5)):
        assert float(modes[i, j] / wanted[i, j]) == pytest.approx(1.0, abs=0.2)


def test_flows_depend_on_the_seed_and_their_number_only_and_are_written(tmp_path):
    made = ml.sim.make_vorticity(2, tmp_path, resolution=16, frames=2, viscosity=(1e-4, 1e-2))
    again = ml.sim.make_vorticity(1, resolution=16, frames=2, viscosity=(1e-4, 1e-2))
    assert torch.equal(made[0].point_data["vorticity"], again[0].point_data["vorticity"])
    assert len(ml.read_many(str(tmp_path / "*.safetensors"))) == 2
    assert 1e-4 <= float(made[1].mesh.global_data["viscosity"]) <= 1e-2


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: ml.sim.vorticity_flow(torch.zeros(4, 4)), "n x n"),
        (lambda: ml.sim.vorticity_flow(torch.zeros(8, 9)), "n x n"),
        (lambda: ml.sim.vorticity_flow(torch.full((8, 8), torch.inf)), "not finite"),
        (lambda: ml.sim.vorticity_flow(torch.zeros(8, 8), forcing=torch.zeros(9, 9)), "forcing has shape"),
        (lambda: ml.sim.vorticity_flow(torch.zeros(8, 8), viscosity=0), "viscosity"),
        (lambda: ml.sim.vorticity_flow(torch.zeros(8, 8), length=0), "length=0"),
        (lambda: ml.sim.make_vorticity(1, resolution=5), "resolution=5"),
        (lambda: ml.sim.make_vorticity(1, resolution=32, time_step=10.0, substeps=1), "grew beyond all numbers"),
        (lambda: ml.sim.make_vorticity(1, viscosity=(1.0, 0.1)), "viscosity"),
    ],
)
def test_wrong_requests_of_vortices_are_told(call, told):
    with pytest.raises(ml.MeshlearnError, match=told):
        call()
