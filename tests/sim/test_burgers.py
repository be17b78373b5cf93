"""Burgers' equation against travelling waves made by the Cole-Hopf transform, its symmetries, and its data sets."""

import math

import numpy as np
import pytest
import torch

import meshlearn as ml
from meshlearn.sim import burgers_waves, marching
from meshlearn.sim.collection import mesher_seed

NU = 0.05


def front(x, t):
    """u = f(x + y, t); g = 2 f solves g_t + g g_s = 2 nu g_ss, with the travelling wave 1 - tanh((s - t) / (4 nu))."""
    return 0.5 * (1 - torch.tanh((x[0] + x[1] - t - 0.8) / (4 * NU)))


def coupled(x, t):
    """C. A. J. Fletcher (1983), "Generating exact solutions of the two-dimensional Burgers' equations"."""
    e = 1 + torch.exp((-4 * x[0] + 4 * x[1] - t) / (32 * NU))
    return 0.75 - 0.25 / e, 0.75 + 0.25 / e


def run(exact, n, order, steps, time=0.4, cells="triangle"):
    mesh = ml.shapes.square(n=n, cells=cells).double()
    walls = {"boundary": exact}
    return ml.sim.burgers(mesh, lambda x: exact(x, 0.0), NU, time, 1, steps, dirichlet=walls, order=order)


def error(made, exact, time):
    """Root mean square of the error at the points, at the last time."""
    u, truth = made.point_data["u"][-1], exact(made.mesh.points.t(), time)
    truth = truth if isinstance(truth, torch.Tensor) else torch.stack(truth, 1)
    return float((u - truth).square().mean().sqrt())


@pytest.mark.parametrize("exact", [front, coupled])
@pytest.mark.parametrize(("order", "sizes"), [(1, (8, 16, 32)), (2, (6, 12))])
def test_burgers_errors_fall_with_the_size_of_the_cells(exact, order, sizes):
    errors = [error(run(exact, n, order, 80), exact, 0.4) for n in sizes]
    rate = -np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert rate > order + 0.75, f"order {rate:.2f}, theory {order + 1}: {errors}"


def test_burgers_errors_fall_with_the_square_of_the_time_step():
    steps = (5, 10, 20)
    best = run(front, 10, 1, 320).point_data["u"][-1]
    errors = [float((run(front, 10, 1, k).point_data["u"][-1] - best).norm()) for k in steps]
    rate = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert abs(rate - 2) < 0.3, f"order {rate:.2f}: {errors}"


def test_quads_and_lines_carry_burgers_equation_too():
    assert error(run(front, 16, 1, 20, cells="quad"), front, 0.4) < 3e-3
    mesh = ml.shapes.interval(n=64).double()
    wave = lambda x, t: 1 - torch.tanh((x[0] - t - 0.3) / (2 * NU))  # noqa: E731
    made = ml.sim.burgers(mesh, lambda x: wave(x, 0.0), NU, 0.3, 1, 60, dirichlet={"boundary": wave})
    assert error(made, wave, 0.3) < 4e-3


def hump(shift):
    def at(x):
        return 1.0 + torch.exp(2 * torch.cos(2 * math.pi * (x[0] - shift)) + 2 * torch.cos(2 * math.pi * x[1]) - 4)

    return at


def test_the_mean_of_a_periodic_wave_is_kept_to_second_order_in_time():
    mesh, drift = ml.shapes.square(n=8, dtype=torch.float64), []
    for steps in (4, 16):
        made = ml.sim.burgers(mesh, hump(0.0), 0.05, 0.1, 1, steps, periodic=(("left", "right"), ("bottom", "top")))
        means = made.point_data["u"].reshape(2, 9, 9)[:, :-1, :-1].mean((1, 2))
        drift.append(abs(float(means[1] - means[0])))
    assert drift[1] < drift[0] / 10, drift


def test_periodic_waves_know_no_place_and_lose_energy():
    mesh = ml.shapes.square(n=12, dtype=torch.float64)
    sides = (("left", "right"), ("bottom", "top"))
    waves = [ml.sim.burgers(mesh, hump(s), 0.02, 0.1, 3, 4, periodic=sides).point_data["u"] for s in (0.0, 0.25)]
    grids = [wave.reshape(4, 13, 13) for wave in waves]
    rows = grids[0][:, :-1, :-1]
    rolled = [torch.roll(rows, 3, axis) for axis in (1, 2)]
    assert min(float((r - grids[1][:, :-1, :-1]).abs().max()) for r in rolled) < 1e-9
    torch.testing.assert_close(grids[0][:, 0], grids[0][:, -1])
    torch.testing.assert_close(grids[0][:, :, 0], grids[0][:, :, -1])
    energy = rows.square().mean((1, 2))
    assert bool((energy.diff() < 0).all())


def test_old_factors_give_what_new_ones_give(monkeypatch):
    direct = run(coupled, 6, 1, 5).point_data["u"]
    monkeypatch.setattr(marching, "SMALL", 0)
    torch.testing.assert_close(run(coupled, 6, 1, 5).point_data["u"], direct, rtol=0, atol=1e-8)


def test_fields_values_and_functions_start_burgers_equation_alike():
    mesh = ml.shapes.square(n=5).double()
    square = mesh.points.square().sum(1)
    made = [
        ml.sim.burgers(given, start, 0.1, 0.1, 1, dirichlet={"left": 0.0}).point_data["u"]
        for given, start in (
            (mesh, lambda x: x.square().sum(0)),
            (mesh, square),
            (mesh.with_point_data(start=square), "start"),
        )
    ]
    torch.testing.assert_close(made[0], made[1])
    torch.testing.assert_close(made[0], made[2])
    assert float(made[0][:, mesh.points[:, 0] == 0].abs().max()) == 0.0


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"viscosity": 0.0}, ml.ParameterError, "viscosity is a positive number"),
        ({"time_step": -1.0}, ml.ParameterError, "time_step is the time between two frames"),
        ({"frames": 0}, ml.ParameterError, "frames is the number of frames after the first"),
        ({"substeps": 1.5}, ml.ParameterError, "substeps is the number of steps"),
        ({"initial": "v"}, ml.FieldError, "no point field 'v'"),
        ({"initial": torch.ones(3)}, ml.FieldError, r"shape \(3,\); expected \(16,\)"),
        ({"initial": torch.full((16,), torch.nan)}, ml.FieldError, "16 of the initial values are not finite"),
        ({"initial": torch.ones(16, 2), "direction": (1.0, 0.0)}, ml.ParameterError, "a vector carries itself"),
        ({"direction": (1.0,)}, ml.ParameterError, "2 finite numbers"),
        ({"dirichlet": {"roof": 0.0}}, ml.FieldError, "no boundary named 'roof'"),
        ({"initial": torch.ones(16, requires_grad=True)}, ml.ParameterError, "initial requires a gradient"),
    ],
)
def test_wrong_arguments_of_burgers_are_told(wrong, error, words):
    given = {"initial": torch.ones(16), **wrong}
    with pytest.raises(error, match=words):
        ml.sim.burgers(ml.shapes.square(n=3), **given)


@pytest.mark.parametrize("components", [1, 2])
def test_burgers_data_is_the_same_problem_on_every_mesh(components):
    coarse, fine = (
        ml.sim.make_burgers(2, seed=3, resolution=n, reference=k, frames=3, components=components)
        for n, k in ((6, 4), (12, 2))
    )
    for a, b in zip(coarse, fine, strict=True):
        grid = b.point_data["u"].reshape(4, 13, 13, -1)[:, ::2, ::2]
        torch.testing.assert_close(a.point_data["u"].reshape(4, 7, 7, -1), grid)
        assert a.point_data["u"].dtype == torch.float32
        assert torch.equal(a.mesh.global_data["viscosity"], b.mesh.global_data["viscosity"])
    assert not torch.equal(coarse[0].point_data["u"], coarse[1].point_data["u"])


def test_burgers_data_steepens_and_is_written(tmp_path):
    made = ml.sim.make_burgers(2, tmp_path, seed=1, resolution=8, frames=4)
    again = ml.read_many(str(tmp_path / "*.mesh.safetensors"))
    for trajectory, read in zip(made, again, strict=True):
        assert torch.equal(trajectory.point_data["u"], read.point_data["u"])
        assert torch.equal(trajectory.mesh.global_data["viscosity"], read.mesh.global_data["viscosity"])
        u = trajectory.point_data["u"]
        assert float(u[1:, trajectory.mesh.boundary_points].abs().max()) == 0.0
        assert float(u[-1].square().sum()) < float(u[0].square().sum())
    with pytest.raises(ml.ParameterError, match="resolution is a whole number of at least 4"):
        ml.sim.make_burgers(1, resolution=2)
    with pytest.raises(ml.ParameterError, match="components is 1"):
        ml.sim.make_burgers(1, components=3)


def test_burgers_on_plates_converges_and_rests_at_every_wall():
    """The same seed is the same problem on the same mesh: only the reference is finer."""
    options = {"seed": 3, "resolution": 10, "holes": 2, "frames": 4, "viscosity": 0.02}
    made = [ml.sim.make_burgers(1, reference=k, **options)[0] for k in (1, 2, 4)]
    u = [trajectory.point_data["u"] for trajectory in made]
    assert torch.equal(made[0].mesh.points, made[2].mesh.points)
    assert {"hole_0", "hole_1"} <= set(made[0].mesh.cell_sets)
    assert float((u[1] - u[2]).norm()) < 0.1 * float((u[0] - u[2]).norm())
    walls = made[2].mesh.boundary_points
    assert float(u[2][1:, walls].abs().max()) == 0.0
    assert float(u[2][0, walls].abs().max()) < 0.05
    highest = u[2][1:].amax(1)  # the top of the initial values lies between the points
    assert bool((highest[1:] <= highest[:-1]).all())  # the maximum principle


def test_burgers_on_a_grid_of_quads_is_that_on_triangles():
    options = {"seed": 1, "resolution": 8, "reference": 4, "frames": 3}
    quads, triangles = (ml.sim.make_burgers(1, cells=cells, **options)[0] for cells in ("quad", "triangle"))
    assert list(quads.mesh.domain_types) == ["quad"]
    torch.testing.assert_close(quads.point_data["u"], triangles.point_data["u"], rtol=0, atol=4e-3)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"holes": 5}, "holes=5"),
        ({"holes": (2, 1)}, "holes="),
        ({"holes": 1.5}, "holes=1.5"),
        ({"cells": "hexagon"}, "cells='hexagon'"),
        ({"cells": "quad", "holes": 1}, "'triangle' is expected"),
    ],
)
def test_wrong_domains_of_burgers_data_are_told(wrong, told):
    with pytest.raises(ml.ParameterError, match=told):
        ml.sim.make_burgers(1, resolution=6, **wrong)


def cole_hopf(u, nu, time):
    """u of period 1 on a fine grid, at a later time: u = -2 nu phi_x / phi, phi solves the heat equation."""
    n = len(u)
    k = 2 * math.pi * torch.fft.rfftfreq(n, 1.0 / n, dtype=torch.float64)
    raw = torch.fft.rfft(u)
    raw[0] = 0.0
    potential = torch.fft.irfft(torch.where(k > 0, raw / (1j * k.clamp_min(1.0)), 0.0), n)
    phi = torch.exp(-(potential - potential.mean()) / (2 * nu))
    heat = torch.fft.rfft(phi) * torch.exp(-nu * k**2 * time)
    return -2 * nu * torch.fft.irfft(1j * k * heat, n) / torch.fft.irfft(heat, n)


def test_random_waves_follow_the_transform_of_cole_and_hopf_to_second_order_in_time():
    fine = burgers_waves.RandomWave(mesher_seed(2, 0))(torch.arange(2048, dtype=torch.float64)[None] / 2048)
    steps, errors = (5, 10, 20), []
    for k in steps:
        options = {"resolution": 64, "viscosity": 0.02, "frames": 3, "time_step": 0.1, "substeps": k}
        wave, other = ml.sim.make_burgers_waves(2, seed=2, **options)
        u = wave.point_data["u"]
        truths = [cole_hopf(fine, 0.02, 0.1 * frame)[::32] for frame in range(4)]
        errors.append(max(float((u[frame, :-1] - truth).abs().max()) for frame, truth in enumerate(truths)))
    rate = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert abs(rate - 2) < 0.35, f"order {rate:.2f}: {errors}"
    assert errors[-1] < 1e-3 * float(u.abs().max())
    assert torch.equal(u[:, 0], u[:, -1])
    assert not torch.equal(u, other.point_data["u"])


def test_random_waves_have_the_spread_of_their_field():
    x = torch.arange(64, dtype=torch.float64)[None] / 64
    waves = torch.stack([burgers_waves.RandomWave(seed)(x) for seed in range(400)])
    k = 2 * math.pi * torch.arange(1, 25)
    assert float(waves.square().mean()) == pytest.approx(float((2 * (25 / (k**2 + 25)).square()).sum()), rel=0.15)
    again = ml.sim.make_burgers_waves(3, resolution=16, reference=1, frames=1)
    assert torch.equal(
        again[0].point_data["u"], ml.sim.make_burgers_waves(1, resolution=16, reference=1, frames=1)[0].point_data["u"]
    )
    with pytest.raises(ml.ParameterError, match="resolution=4"):
        ml.sim.make_burgers_waves(1, resolution=4)


def test_holes_and_humps_are_drawn_apart():
    from meshlearn.sim.burgers_data import _ranges
    from meshlearn.sim.holes import hole_ranges

    humps = _ranges(3, (0.1, 0.2), (0.5, 1.0), (0.01, 0.02))
    assert not set(humps) & set(hole_ranges(1, 4))


def test_humps_are_where_they_are_without_holes():
    wave = ml.sim.make_burgers(1, resolution=24, reference=1, frames=1, holes=1, humps=1, width=0.05)[0]
    u = wave.point_data["u"][0].reshape(wave.n_points, -1).norm(dim=1)
    centre = (wave.mesh.points * u[:, None]).sum(0) / u.sum()
    assert bool(((centre > 0.15) & (centre < 0.65)).all()), centre
