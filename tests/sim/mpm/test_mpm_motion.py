"""Motion of bodies: conservation laws, theory of bars, water and sand, gradients, and runs that go wrong."""

import math

import pytest
import torch

import meshlearn as ml
from meshlearn.sim import mpm

MATERIALS = [mpm.NeoHookean(1e4), mpm.Corotated(1e4), mpm.Water(1e4), mpm.VonMises(1e4, 0.3, 100.0), mpm.Sand(1e4)]


def cloud(dim, material, n=200, speed=0.3, gravity=0.0, walls="separate"):
    points = 0.35 + 0.3 * torch.rand(n, dim, dtype=torch.float64)
    body = mpm.Body(points, material, 0.3**dim / n, 1000.0, speed * torch.randn_like(points))
    return mpm.MPM(body, 0.1, (0,) * dim, (1,) * dim, walls, gravity)


@pytest.mark.parametrize("material", MATERIALS, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("dim", [2, 3])
def test_momentum_and_angular_momentum_are_conserved(material, dim):
    series = mpm.simulate(cloud(dim, material), 0.04, 2).global_data
    for name in ("momentum", "angular_momentum"):
        torch.testing.assert_close(series[name][0], series[name][-1], rtol=0, atol=1e-11 * series[name].abs().max())


@pytest.mark.parametrize("dim", [2, 3])
def test_free_fall_is_exact(dim):
    gravity = torch.tensor([0.3, -9.0, 2.0][:dim], dtype=torch.float64)
    points = 0.4 + 0.2 * torch.rand(100, dim, dtype=torch.float64)
    start = torch.tensor([0.5, 0.2, -0.4][:dim], dtype=torch.float64)
    body = mpm.Body(points, mpm.NeoHookean(1e4), 1e-4, velocity=start)
    scene = mpm.MPM(body, 0.1, (0,) * dim, (1,) * dim, gravity=gravity)
    n, dt = 50, 2e-3
    state = scene.run(scene.start(), n, dt)
    torch.testing.assert_close(state.velocities, (start + n * dt * gravity).expand(100, -1), rtol=1e-12, atol=1e-12)
    fallen = points + n * dt * start + dt * dt * n * (n + 1) / 2 * gravity  # the sum of a symplectic step
    torch.testing.assert_close(state.points, fallen, rtol=1e-12, atol=1e-12)
    assert scene.bodies[0].material.energy(state.memory[0]).abs().max() < 1e-9


def vibrating_bar(spacing, periods=3):
    """(relative error of the period, energy at the end over that at the start) of a free bar in its first mode."""
    length, young, density = 1.0, 1e4, 1000.0
    bar = ml.shapes.rectangle(length, 0.25, n=2).double()
    bar = bar.replace(points=bar.points + 0.5)
    body = mpm.Body.fill(
        bar,
        mpm.NeoHookean(young, 0.0),
        spacing / 2,
        density,
        lambda x: torch.stack([0.01 * torch.cos(math.pi * (x[:, 0] - 0.5) / length), 0 * x[:, 0]], 1),
    )
    theory = 2 * length / math.sqrt(young / density)
    film = mpm.simulate(mpm.MPM(body, spacing, (0, 0), (2, 1.25)), periods * theory, 40 * periods)
    mode = torch.cos(math.pi * (film.moving_points[0, :, 0] - 0.5) / length)
    height = (film.point_data["velocity"][:, :, 0] * mode).mean(1)
    crossing = (height[1:] * height[:-1] < 0).nonzero()[:, 0]
    at = film.times[crossing] + film.times[1] * height[crossing] / (height[crossing] - height[crossing + 1])
    energy = film.global_data["kinetic_energy"] + film.global_data["stored_energy"]
    assert energy.max() < 1.03 * energy[0]
    return float(2 * (at[-1] - at[0]) / (len(at) - 1) / theory - 1), float(energy[-1] / energy[0])


def test_a_bar_vibrates_at_the_frequency_of_theory_and_loses_less_energy_on_finer_grids():
    errors, kept = zip(*[vibrating_bar(h) for h in (1 / 8, 1 / 16, 1 / 24)], strict=True)
    assert abs(errors[2]) < 3e-3
    order = math.log(errors[0] / errors[2]) / math.log(3)
    assert order > 1.6, f"observed order {order:.2f}, errors {errors}"
    assert kept[0] < kept[1] < kept[2]
    assert kept[2] > 0.98


def test_water_at_rest_has_hydrostatic_pressure():
    h, depth, width, density = 1 / 16, 0.5, 0.25, 1000.0
    material = mpm.Water(4e5)
    body = mpm.Body.fill(ml.shapes.rectangle(width, depth, n=2).double(), material, h / 2, density)
    scene = mpm.MPM(body, h, (0, 0), (width, 1), "slip", (0.0, -9.81))
    state, pressure, height = scene.start(), [], []
    dt = 0.9 * scene.stable_step(state)
    with torch.no_grad():
        while state.time < 2.0:  # it bounces under its weight: pressures are means over the bounces
            state = scene.run(state, 5, dt)
            if state.time > 1.0:
                pressure.append(-material.stress(state.memory[0], state.affine)[0, 0])
                height.append(state.points[:, 1])
    p, y = torch.stack(pressure), torch.stack(height)
    for layer in range(1, 6):
        here = (y / h).long() == layer
        expected = 9.81 * density * float((depth - y[here]).mean())
        assert float(p[here].mean()) == pytest.approx(expected, rel=0.05), layer


@pytest.mark.slow
def test_columns_of_sand_run_out_further_the_less_friction_there_is():
    """Lube, Huppert, Sparks and Freundt 2005: a column as high as wide runs out 1.2 times its width."""
    h, width = 1 / 24, 0.375
    runout = {}
    for friction in (20.0, 30.0, 40.0):
        column = ml.shapes.rectangle(width, width, n=2)
        body = mpm.Body.fill(column, mpm.Sand(5e5, 0.2, friction), h / 2, 1500.0)
        scene = mpm.MPM(body, h, (0, 0), (2, 0.5), {"left": "slip", "bottom": "sticky"}, (0.0, -9.81))
        film = mpm.simulate(scene, 1.2, 4)
        runout[friction] = float(film.moving_points[-1, :, 0].quantile(0.99)) / width - 1
        assert film.point_data["velocity"][-1].abs().mean() < 0.02  # a heap, at rest
        assert float(film.moving_points[-1, :, 1].max()) > 0.6 * width
    assert runout[20.0] > runout[30.0] > runout[40.0]
    assert 0.8 < runout[30.0] < 1.5


def test_walls_let_pass_what_they_should():
    ended = {}
    for kind in ("separate", "slip", "sticky"):
        points = torch.rand(300, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * 0.2
        body = mpm.Body(points + torch.tensor([0.4, 0.01]), mpm.NeoHookean(2e4), 0.04 / 300, velocity=(0.5, -1.0))
        scene = mpm.MPM(body, 0.05, (0, 0), (1, 1), kind)
        ended[kind] = scene.run(scene.start(), 200, 1e-3)
        assert ended[kind].points[:, 1].min() >= 0
    assert ended["separate"].velocities[:, 1].mean() > 0.1  # bounces
    assert abs(ended["slip"].points[:, 1].min()) < 0.03
    assert ended["slip"].velocities[:, 0].mean() == pytest.approx(0.5, abs=0.05)
    assert ended["sticky"].points[:, 0].mean() < ended["slip"].points[:, 0].mean() - 0.05


def test_friction_slows_a_sliding_block_by_its_coefficient():
    mu, g, t = 0.3, 10.0, 0.2
    block = ml.shapes.rectangle(0.4, 0.1, n=2).double()
    body = mpm.Body.fill(block, mpm.NeoHookean(1e5, 0.0), 0.0125, velocity=(1.0, 0.0))
    scene = mpm.MPM(body, 0.025, (0, 0), (1, 0.5), {"bottom": mpm.Wall("separate", mu), "left": "open"}, (0.0, -g))
    film = mpm.simulate(scene, t, 2)
    momentum = film.global_data["momentum"][:, 0]
    assert float(1 - momentum[-1] / momentum[0]) == pytest.approx(mu * g * t, rel=0.1)


def test_gradients_agree_with_differences_and_checkpoints_change_nothing():
    young = torch.tensor(1e4, dtype=torch.float64, requires_grad=True)
    speed = torch.tensor([0.2, -1.0], dtype=torch.float64, requires_grad=True)
    points = torch.rand(60, 2, dtype=torch.float64) * 0.2 + torch.tensor([0.4, 0.05])

    def height(young, speed, checkpoint=0):
        body = mpm.Body(points, mpm.NeoHookean(young, 0.3), 0.04 / 60, velocity=speed)
        scene = mpm.MPM(body, 0.1, (0, 0), (1, 1), gravity=(0.0, -9.81))
        return scene.run(scene.start(), 60, 2e-3, checkpoint).points[:, 1].square().mean()

    plain = torch.autograd.grad(height(young, speed), (young, speed))
    again = torch.autograd.grad(height(young, speed, checkpoint=8), (young, speed))
    for a, b in zip(plain, again, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=0)
    with torch.no_grad():
        change = (height(young + 1.0, speed) - height(young - 1.0, speed)) / 2.0
        assert float(plain[0]) == pytest.approx(float(change), rel=1e-5)
        for axis in range(2):
            step = torch.zeros(2, dtype=torch.float64)
            step[axis] = 1e-5
            change = (height(young, speed + step) - height(young, speed - step)) / 2e-5
            assert float(plain[1][axis]) == pytest.approx(float(change), rel=1e-5)


def test_blocks_of_particles_and_bodies_side_by_side_change_nothing(monkeypatch):
    from meshlearn.sim.mpm import solver

    scene = cloud(2, mpm.NeoHookean(1e4))
    whole = scene.run(scene.start(), 20, 1e-3)
    monkeypatch.setitem(solver.BLOCK, "cpu", 37)
    torch.testing.assert_close(scene.run(scene.start(), 20, 1e-3).points, whole.points)
    body = scene.bodies[0]
    halves = [mpm.Body(body.points[p], body.material, body.volume[p], 1000.0, body.velocity[p]) for p in parts(80, 200)]
    split = mpm.MPM(halves, 0.1, (0, 0), (1, 1))
    torch.testing.assert_close(split.run(split.start(), 20, 1e-3).points, whole.points)


def parts(first, n):
    return slice(0, first), slice(first, n)


def test_runs_that_go_wrong_name_the_step_and_the_cause():
    scene = cloud(2, mpm.NeoHookean(1e6))
    with pytest.raises(ml.SimulationError, match=r"step \d+ \(time .*\): .*\n.*The time step is 0.02, stable is"):
        scene.run(scene.start(), 100, 0.02)
    open_box = cloud(2, mpm.NeoHookean(1e4), walls="open", gravity=(0.0, -10.0))
    with pytest.raises(ml.SimulationError, match=r"step \d+ .*left the box .*\n.*Make the box larger"):
        open_box.run(open_box.start(), 400, 1e-3)
    bad = scene.start().with_tensors([t * float("nan") for t in scene.start().tensors()])
    with pytest.raises(ml.SimulationError, match="finite values"):
        scene.run(bad, 1, 1e-3)


def test_what_a_scene_cannot_be_is_told():
    body = mpm.Body(torch.rand(5, 2), mpm.NeoHookean(), 0.01)
    for make, word in (
        (lambda: mpm.MPM(body, 0.3, (0, 0), (1, 1)), "whole number"),
        (lambda: mpm.MPM(body, 0.1, (0, 0), (1, 1), "stiky"), "did you mean 'sticky'"),
        (lambda: mpm.MPM(body, 0.1, (0, 0), (1, 1), {"front": "slip"}), "no side 'front'"),
        (lambda: mpm.MPM(body, 0.1, (0, 0, 0), (1, 1, 1)), "in 2-D, the box is in 3-D"),
        (lambda: mpm.MPM(body, 0.1, (2, 2), (3, 3)), "outside the box"),
        (lambda: mpm.MPM(body, 0.1, (0, 0), (1, 1), gravity=9.81), "vector of 2"),
        (lambda: mpm.MPM([], 0.1, (0, 0), (1, 1)), "bodies is a Body"),
        (lambda: mpm.Body(torch.rand(5, 2), "rubber", 0.01), "a material is needed"),
        (lambda: mpm.Body(torch.rand(5, 2), mpm.Water(), -1.0), "volumes must be positive"),
        (lambda: mpm.Body(torch.rand(5, 2), mpm.Water(), 1.0, velocity=(1.0, 2.0, 3.0)), "does not fit"),
        (lambda: mpm.Body.fill(ml.shapes.sphere(), mpm.Water(), 0.1), "planar mesh"),
        (lambda: mpm.Wall("slip", 0.3), "friction acts"),
        (lambda: mpm.Body(torch.rand(5, 2), mpm.Water(), 1.0, velocity=None), "velocity=None"),
        (lambda: mpm.Body(torch.rand(5, 2), mpm.NeoHookean(torch.ones(4)), 1.0), "young of NeoHookean has 4 values"),
        (lambda: mpm.Body.fill("disc", mpm.Water(), 0.1), "mesh is a Mesh"),
        (lambda: mpm.Body.fill(ml.shapes.disc(), mpm.Water(), "fine"), "spacing='fine'"),
        (lambda: mpm.MPM(body, 0.1, (0, 0), (1, 1), gravity="down"), "gravity='down'"),
        (lambda: mpm.MPM(body, 0.1, (0, 0), (1, 1), cfl=2), "cfl=2 is not allowed"),
        (lambda: mpm.simulate(mpm.MPM(body, 0.1, (0, 0), (1, 1)), 0.1, 0), "frames=0"),
    ):
        with pytest.raises(ml.ParameterError, match=word):
            make()


@pytest.mark.gpu
@pytest.mark.parametrize("dim", [2, 3])
def test_cuda_gives_the_same_motion(dim):
    scene = cloud(dim, mpm.NeoHookean(1e4))
    body = scene.bodies[0]
    there = mpm.MPM(
        mpm.Body(body.points.cuda(), body.material, body.volume.cuda(), velocity=body.velocity.cuda()),
        0.1,
        (0,) * dim,
        (1,) * dim,
    )
    torch.testing.assert_close(
        there.run(there.start(), 20, 1e-3).points.cpu(), scene.run(scene.start(), 20, 1e-3).points
    )
