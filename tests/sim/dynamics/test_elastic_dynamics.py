"""Explicit elastic dynamics: exact where theory is, conserving, bounded, and honest when it fails."""

import math

import pytest
import torch

import meshlearn as ml
from meshlearn.sim import dynamics
from meshlearn.sim.dynamics.elements import Elements

MESHES = {
    2: lambda: ml.shapes.rectangle(1.0, 0.6, size=0.2).double(),
    3: lambda: ml.shapes.box(1.0, 0.6, 0.6, n=(4, 2, 2)).double(),
}
LAWS = [dynamics.NeoHookean(1e4, 0.3), dynamics.Corotated(1e4, 0.3)]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
@pytest.mark.parametrize("dim", [2, 3])
def test_forces_are_minus_the_slope_of_the_energy(dim, law):
    mesh = MESHES[dim]()
    body = dynamics.ElasticDynamics(mesh, law)
    position = (mesh.points + 0.02 * torch.randn_like(mesh.points)).t().requires_grad_()
    energy = (law.energy(body.elements.deformation(position).flatten(0, 1)) * body.elements.volume).sum()
    (slope,) = torch.autograd.grad(energy, position)
    torch.testing.assert_close(body._acceleration(position.detach()) * body.mass, -slope, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("dim", [2, 3])
def test_patch_test_and_rotation(dim):
    """Any affine motion gives one deformation gradient and no force inside; a rotation gives no stress at all."""
    mesh = MESHES[dim]()
    body = dynamics.ElasticDynamics(mesh, LAWS[0])
    affine = torch.eye(dim, dtype=torch.float64) + 0.2 * torch.randn(dim, dim, dtype=torch.float64)
    position = (mesh.points @ affine.T + 1.0).t()
    deformation = body.elements.deformation(position)
    torch.testing.assert_close(deformation, affine[:, :, None].expand_as(deformation))
    forces = body._acceleration(position) * body.mass
    inside = ~mesh.topology.is_boundary
    assert inside.any()
    assert forces[:, inside].abs().max() < 1e-9 * forces.abs().max()
    turn = torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64))[0]
    turn = turn if torch.linalg.det(turn) > 0 else turn.flip(0)
    assert (body._acceleration((mesh.points @ turn.T).t()) * body.mass).abs().max() < 1e-9
    bent = (mesh.points + 0.02 * torch.randn_like(mesh.points)).t()
    torch.testing.assert_close(body._acceleration(turn @ bent), turn @ body._acceleration(bent), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("dim", [2, 3])
def test_a_body_in_free_flight_follows_the_parabola(dim):
    gravity = torch.tensor([0.5, -9.81, 1.0][:dim], dtype=torch.float64)
    speed = torch.tensor([1.0, 3.0, -2.0][:dim], dtype=torch.float64)
    mesh = MESHES[dim]()
    body = dynamics.ElasticDynamics(mesh, LAWS[0], velocity=speed, gravity=gravity)
    state = body.run(body.start(), 100, 2e-3)
    t = state.time
    torch.testing.assert_close(state.points, mesh.points + t * speed + t * t / 2 * gravity, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(state.velocities, (speed + t * gravity).expand_as(state.points))


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
@pytest.mark.parametrize("dim", [2, 3])
def test_momenta_are_kept_and_energy_does_not_drift(dim, law):
    mesh = MESHES[dim]()
    centred = mesh.points - mesh.points.mean(0)
    velocity = 0.1 * torch.randn(dim, dtype=torch.float64) + centred @ torch.randn(dim, dim, dtype=torch.float64)
    body = dynamics.ElasticDynamics(mesh, law, velocity=velocity, safety=0.3)
    series = dynamics.simulate(body, 2.0, 40).global_data
    for name in ("momentum", "angular_momentum"):
        assert (series[name] - series[name][0]).abs().max() < 1e-9 * series[name].abs().max()
    energy = series["kinetic_energy"] + series["stored_energy"]
    assert series["stored_energy"].max() > 0.05 * energy[0]
    first, last = energy[1:11].mean(), energy[-10:].mean()
    assert abs(last / first - 1) < 2e-3
    assert (energy / energy[0] - 1).abs().max() < 2e-2


def period(mesh, length, young, density, safety=0.7):
    """Of the first longitudinal vibration of a bar that is held on the left, and moves along its axis only."""
    sides = {"left": 0.0}
    for name in ("bottom", "top", "front", "back"):
        if name in mesh.cell_sets:
            axis = {"front": 1, "back": 1}.get(name, mesh.dim - 1)
            sides[name] = tuple(0.0 if i == axis else None for i in range(mesh.dim))
    sides["left"] = (0.0, *[None] * (mesh.dim - 1))
    shape = torch.sin(math.pi * mesh.points[:, 0] / (2 * length))
    velocity = torch.zeros_like(mesh.points)
    velocity[:, 0] = 0.001 * shape
    body = dynamics.ElasticDynamics(
        mesh, dynamics.NeoHookean(young, 0.0), density, velocity, fixed=sides, safety=safety
    )
    theory = 4 * length / math.sqrt(young / density)
    film = dynamics.simulate(body, 2.2 * theory, 220)
    height = (film.point_data["velocity"][:, :, 0] * shape).mean(1)
    crossing = (height[1:] * height[:-1] < 0).nonzero()[:, 0]
    at = film.times[crossing] + film.times[1] * height[crossing] / (height[crossing] - height[crossing + 1])
    return float(2 * (at[-1] - at[0]) / (len(at) - 1) / theory)


def test_bars_vibrate_at_the_frequency_of_theory_with_errors_of_second_order():
    errors = [period(ml.shapes.rectangle(1.0, 0.25, n=(n, n // 4)).double(), 1.0, 1e4, 1000.0) - 1 for n in (4, 8, 16)]
    rate = math.log2(abs(errors[0] / errors[2])) / 2
    assert abs(errors[2]) < 2e-3
    assert rate > 1.6, f"observed order {rate:.2f}, errors {errors}"
    assert period(ml.shapes.box(1.0, 0.25, 0.25, n=(12, 3, 3)).double(), 1.0, 1e4, 1000.0) == pytest.approx(1, abs=3e-3)


@pytest.mark.parametrize("dim", [2, 3])
def test_the_stable_step_is_below_that_of_the_fastest_vibration_and_not_far(dim):
    mesh = MESHES[dim]()
    body = dynamics.ElasticDynamics(mesh, dynamics.NeoHookean(1e4, 0.3))
    rest = mesh.points.t()
    jacobian = torch.autograd.functional.jacobian(lambda x: body._acceleration(x), rest)
    matrix = jacobian.reshape(rest.numel(), rest.numel())
    root = body.mass.repeat(dim).sqrt()
    highest = torch.linalg.eigvalsh(-(root[:, None] * matrix / root))[-1].sqrt()
    assert highest < body.fastest < 2.5 * highest


def test_a_ball_bounces_without_gaining_energy_and_friction_slows_a_block():
    ball = ml.shapes.disc(0.1, n=8).double()
    ball = ball.replace(points=ball.points + 0.5)
    body = dynamics.ElasticDynamics(
        ball,
        dynamics.NeoHookean(2e5, 0.3),
        gravity=(0.0, -9.81),
        velocity=(0.2, -1.0),
        lower=(0, 0),
        upper=(1, 1),
    )
    film = dynamics.simulate(body, 1.0, 50)
    fall = 9.81 * film.moving_points[:, :, 1] @ film.mesh.point_data["mass"]
    energy = film.global_data["kinetic_energy"] + film.global_data["stored_energy"] + fall
    assert (energy / energy[0] - 1).abs().max() < 1e-2
    assert film.moving_points[:, :, 1].min() > -0.02
    assert film.global_data["momentum"][:, 1].max() > 0  # it comes back
    mu, t = 0.4, 0.15
    block = ml.shapes.rectangle(0.4, 0.1, n=(8, 2)).double()
    slider = dynamics.ElasticDynamics(
        block.replace(points=block.points + torch.tensor([0.1, -2e-5])),
        dynamics.NeoHookean(1e5, 0.0),
        velocity=(2.0, 0.0),
        gravity=(0.0, -9.81),
        lower=(0, 0),
        upper=(2, 1),
        walls={"bottom": dynamics.Wall("separate", mu)},
        damping=0.0,
    )
    momentum = dynamics.simulate(slider, t, 10).global_data["momentum"][:, 0]
    assert float(momentum[0] - momentum[-1]) == pytest.approx(mu * 9.81 * t * float(slider.mass.sum()), rel=0.1)


def test_held_and_driven_sides_move_as_told_and_damping_brings_rest():
    mesh = ml.shapes.rectangle(1.0, 0.25, n=(8, 2)).double()
    body = dynamics.ElasticDynamics(
        mesh,
        LAWS[0],
        fixed={"left": 0.0, "right": lambda time: (0.1 if time <= 0.5 else 0.0, None)},
        damping=8.0,
    )
    film = dynamics.simulate(body, 3.0, 10)
    moved = film.moving_points[-1] - film.moving_points[0]
    left, right = mesh.points[:, 0] == 0, mesh.points[:, 0] == 1
    assert moved[left].abs().max() == 0
    assert moved[right][:, 0].sub(0.05).abs().max() < 1e-3
    assert film.point_data["velocity"][-1].abs().max() < 1e-3
    force = body._acceleration(film.moving_points[-1].t()) * body.mass
    assert float(force[0, right].sum()) == pytest.approx(-float(force[0, left].sum()), rel=1e-2)


def test_gradients_of_a_run_agree_with_differences():
    young = torch.tensor(1e4, dtype=torch.float64, requires_grad=True)
    mesh = ml.shapes.rectangle(1.0, 0.3, n=(4, 1)).double()
    points = mesh.points.clone().requires_grad_()

    def tip(young, points, checkpoint=0):
        body = dynamics.ElasticDynamics(
            mesh.replace(points=points), dynamics.NeoHookean(young, 0.3), gravity=(0.0, -9.81), fixed={"left": 0.0}
        )
        return body.run(body.start(), 80, 2e-3, checkpoint).points[:, 1].square().sum()

    plain = torch.autograd.grad(tip(young, points), (young, points))
    again = torch.autograd.grad(tip(young, points, 9), (young, points))
    for a, b in zip(plain, again, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
    with torch.no_grad():
        change = (tip(young + 1, points) - tip(young - 1, points)) / 2
        assert float(plain[0]) == pytest.approx(float(change), rel=1e-5)
        bump = torch.zeros_like(points)
        bump[3, 1] = 1e-6
        change = (tip(young, points + bump) - tip(young, points - bump)) / 2e-6
        assert float(plain[1][3, 1]) == pytest.approx(float(change), rel=1e-5)


def test_solids_that_go_wrong_name_the_step_and_the_cause():
    mesh = ml.shapes.rectangle(1.0, 0.5, n=(8, 4)).double()
    body = dynamics.ElasticDynamics(mesh, LAWS[0], velocity=torch.randn(mesh.n_points, 2))
    with pytest.raises(ml.SimulationError, match=r"step \d+ .*\n.*The time step is 0.5, stable is .* Take that"):
        body.run(body.start(), 50, 0.5)
    wild = dynamics.ElasticDynamics(mesh, LAWS[0], velocity=50 * torch.randn(mesh.n_points, 2))
    with pytest.raises(ml.SimulationError, match=r"turned inside out \(triangle .*\n.*Compressed elements"):
        wild.run(wild.start(), 50)


def test_what_a_solid_cannot_be_is_told():
    mesh = ml.shapes.rectangle(1.0, 1.0, n=2)
    for make, error, word in (
        (lambda: Elements(ml.shapes.rectangle(1.0, 1.0, cells="quad")), ml.MeshError, "moves triangles"),
        (lambda: Elements(ml.shapes.sphere()), ml.MeshError, "moves triangles"),
        (lambda: dynamics.ElasticDynamics(mesh, "rubber"), ml.ParameterError, "the material is"),
        (lambda: dynamics.ElasticDynamics(mesh, density=-1.0), ml.ParameterError, "density=-1.0 is not allowed"),
        (lambda: dynamics.ElasticDynamics(torch.rand(5, 2)), ml.ParameterError, "mesh is a Mesh"),
        (lambda: dynamics.ElasticDynamics(mesh, safety=1.5), ml.ParameterError, "safety=1.5"),
        (lambda: dynamics.ElasticDynamics(mesh, velocity="up"), ml.ParameterError, "velocity='up'"),
        (
            lambda: dynamics.ElasticDynamics(mesh, dynamics.NeoHookean(torch.ones(3))),
            ml.ParameterError,
            "there are 8 cells",
        ),
        (lambda: dynamics.ElasticDynamics(mesh, velocity=3.0), ml.ParameterError, "vector of 2"),
        (lambda: dynamics.ElasticDynamics(mesh, force=torch.zeros(3, 2)), ml.ParameterError, "is expected"),
        (lambda: dynamics.ElasticDynamics(mesh, fixed={"left": (0.0,)}), ml.ParameterError, "velocity of 'left'"),
        (lambda: dynamics.ElasticDynamics(mesh, fixed={"lft": 0.0}), ml.FieldError, "lft"),
        (lambda: dynamics.ElasticDynamics(mesh, lower=(0, 0)), ml.ParameterError, "two corners"),
        (
            lambda: dynamics.ElasticDynamics(mesh, lower=(0, 0), upper=(1, 1), walls="sticky"),
            ml.ParameterError,
            "for grids",
        ),
    ):
        with pytest.raises(error, match=word):
            make()


@pytest.mark.gpu
@pytest.mark.parametrize("dim", [2, 3])
def test_solids_move_on_cuda_as_on_the_cpu(dim):
    mesh = MESHES[dim]()
    found = []
    for device in ("cpu", "cuda"):
        body = dynamics.ElasticDynamics(mesh.to(device), LAWS[0], velocity=lambda x: x.flip(1), gravity=[0.0] * dim)
        found.append(body.run(body.start(), 50).points.cpu())
    torch.testing.assert_close(*found)
