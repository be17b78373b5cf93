"""`ConstitutiveNet`: learned in both simulators and from stresses, used elsewhere, saved; strict about its inputs."""

import pytest
import torch
from films import BLOCK, MESH, TRUTH, meshed, stretching, thrown
from learned_laws import KINDS, deformations, parts, stress_of

import meshlearn as ml
from meshlearn.models.constitutive import steps
from meshlearn.models.constitutive.moduli import first_piola
from meshlearn.models.constitutive.observed import Observed
from meshlearn.models.constitutive.training import segments
from meshlearn.sim import dynamics, mpm


@pytest.fixture(scope="module")
def film():
    return mpm.simulate(thrown(TRUTH), 0.2, 8)


@pytest.fixture(scope="module")
def fitted(film):
    return ml.ConstitutiveNet(young=1.5e4, hidden=8).fit(film, thrown, updates=6, segment=4)


def pairs(law, n=200):
    f = deformations(2, n, 0.1)
    return f.permute(2, 0, 1), first_piola(stress_of(law, f), f).permute(2, 0, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_free_bodies_of_learned_laws_keep_momentum_and_angular_momentum(kind):
    law = parts(kind, young=2e4, spread=0.3, convex=True).requires_grad_(False).material()
    flying = mpm.simulate(thrown(law, torch.float64), 0.15, 5).global_data
    solid = dynamics.ElasticDynamics(MESH.double(), law, velocity=stretching, safety=0.3)
    floating = dynamics.simulate(solid, 0.1, 5).global_data
    for data in (flying, floating):
        size = data["kinetic_energy"][0].sqrt()
        for name in ("momentum", "angular_momentum"):
            assert (data[name] - data[name][0]).abs().max() < 1e-12 * size, name
        assert data["stored_energy"].max() > 1e-2 * data["kinetic_energy"][0]  # it was not at rest all the time
    if kind != "stress":
        energy = floating["kinetic_energy"] + floating["stored_energy"]
        assert (energy / energy[0] - 1).abs().max() < 0.02


@pytest.mark.parametrize("scene", [thrown, meshed], ids=["particles", "mesh"])
def test_gradients_through_several_steps_are_right(scene):
    made = parts(young=2e4, spread=0.1)
    mesh = scene is meshed

    def end(*weights):
        law = made.material()
        world = (
            dynamics.ElasticDynamics(MESH.double(), law, velocity=stretching) if mesh else thrown(law, torch.float64)
        )
        return world.run(world.start(), 5, 2e-3).points[::7] * 1e3

    torch.autograd.gradcheck(end, tuple(made.parameters()), rtol=1e-3, atol=1e-5, eps=1e-4, fast_mode=True)


def test_gradients_through_flow_are_right_and_the_same_when_states_are_computed_again():
    made = parts(young=2e4, spread=0.05, plasticity=True, yield_strain=0.01)

    def end(checkpoint):
        world = thrown(made.material(), torch.float64)
        reached = world.run(world.start(), 6, 4e-3, checkpoint=checkpoint)
        assert reached.memory[0][-1].max() > 1e-3  # it flows
        return reached.points

    torch.autograd.gradcheck(
        lambda *w: end(0)[::11] * 1e3, tuple(made.parameters()), rtol=1e-3, atol=1e-5, eps=1e-4, fast_mode=True
    )
    grads = [torch.autograd.grad(end(keep).square().sum(), made.flow.log_limit)[0] for keep in (0, 3)]
    torch.testing.assert_close(*grads)


def test_states_from_places_are_exact_for_affine_motions_and_on_meshes():
    times, rate = torch.linspace(0, 0.2, 5, dtype=torch.float64), torch.tensor([[0.5, 1.0], [-0.2, 0.3]]).double()
    world = thrown(TRUTH, torch.float64)
    start = world.start().points
    moved = torch.stack([start @ (torch.eye(2) + t * rate).T.double() for t in times])
    observed = Observed(ml.Trajectory(ml.Mesh(start), times, moving_points=moved), world)
    state, f = observed.state(2, world), torch.eye(2).double() + 0.1 * rate
    torch.testing.assert_close(state.memory[0].view(2, 2, -1), f[:, :, None].expand(2, 2, world.n))
    torch.testing.assert_close(state.affine, (rate @ torch.linalg.inv(f))[:, :, None].expand(2, 2, world.n))
    assert state.time == pytest.approx(0.1)
    solid = meshed(TRUTH)
    film = dynamics.simulate(solid, 0.1, 4, time_step=1e-3)
    after = solid.run(solid.start(), 50, 1e-3)
    made = Observed(film, solid).state(2, solid)
    torch.testing.assert_close(made.acceleration, after.acceleration, rtol=1e-3, atol=1e-1)
    on = solid.run(after, 50, 1e-3).points
    torch.testing.assert_close(solid.run(made, 50, 1e-3).points, on, rtol=1e-4, atol=1e-4)


def test_memory_of_flow_is_led_through_the_film():
    law = parts(young=2e4, spread=0.05, plasticity=True, yield_strain=0.02).requires_grad_(False).material()
    world = thrown(law, torch.float64)
    film = mpm.simulate(world, 0.1, 10)
    state, steps = world.start(), 0
    while state.time < 0.1 - 1e-9:
        state, steps = world.run(state, 10, 1e-3), steps + 1
    memory = Observed(film, world).state(10, world).memory[0]
    truth = state.memory[0]
    assert truth[5].max() > 0.01
    assert (memory[5] - truth[5]).norm() < 0.25 * truth[5].norm()
    deformed = (film.moving_points[-1] - film.moving_points[0]).norm() / film.moving_points[0].std() / 2
    assert (memory[:4] - truth[:4]).square().mean().sqrt() < 0.1 * deformed


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["isotropic", "neo-hookean"])
def test_a_fit_finds_the_law_of_a_film_from_places_only(film, kind):
    blind = ml.Trajectory(film.mesh, film.times, moving_points=film.moving_points)
    model = ml.ConstitutiveNet(kind, young=1.2e4, poisson=0.2, hidden=8)
    model.fit(blind, thrown, updates=40, segment=4, learning_rate=0.05 if kind == "isotropic" else 0.1)
    start = ml.ConstitutiveNet("neo-hookean", young=1.2e4, poisson=0.2)
    start.fit(blind, thrown, updates=1, learning_rate=1e-9)
    assert model.score(film, thrown)["position"] < 0.2 * start.score(film, thrown)["position"]
    if kind == "neo-hookean":
        assert float(model.law().young) == pytest.approx(2e4, rel=0.1)


def test_a_law_learned_on_a_mesh_moves_particles(film):
    truth = dynamics.simulate(meshed(TRUTH), 0.12, 6)
    model = ml.ConstitutiveNet("neo-hookean", young=1e4).fit(truth, meshed, updates=25, segment=3, learning_rate=0.15)
    assert model.score(truth, meshed)["position"] < 0.02
    assert model.score(film, thrown)["position"] < 0.02


@pytest.mark.parametrize("kind", [*KINDS, "corotated"])
def test_stresses_are_learned_from_pairs_and_predicted_on_meshes(kind):
    f, p = pairs(TRUTH)
    model = ml.ConstitutiveNet(kind, young=1e4, hidden=16, convex=False).fit_stress(
        f, p, updates=300, learning_rate=0.03
    )
    new, truth = pairs(TRUTH, 100)
    error = (model.predict_stress(new) - truth).norm() / truth.norm()
    assert error < (0.25 if kind == "corotated" else 0.05)
    cloud = ml.Mesh(torch.rand(len(new), 2).double(), point_data={"deformation_gradient": new, "stress": truth})
    assert model.score(cloud)["stress"] == pytest.approx(float(error))
    torch.testing.assert_close(model.predict(cloud).point_data["stress"], model.predict_stress(new))
    same = ml.ConstitutiveNet(kind, young=1e4, hidden=16, convex=False)
    mesh = ml.Mesh(torch.rand(len(f), 2).double(), point_data={"deformation_gradient": f, "stress": p})
    same.fit([mesh], updates=3)
    other = ml.ConstitutiveNet(kind, young=1e4, hidden=16, convex=False).fit_stress(f, p, updates=3)
    torch.testing.assert_close(same.predict_stress(new), other.predict_stress(new))


def test_saved_and_loaded_laws_are_the_same_and_fits_repeat(film, fitted, tmp_path):
    loaded = ml.load(fitted.save(tmp_path / "law"))
    f, _ = pairs(TRUTH, 20)
    assert torch.equal(loaded.predict_stress(f), fitted.predict_stress(f))
    assert loaded.law().stiffness() == fitted.law().stiffness()
    assert loaded.get_params() == fitted.get_params()
    assert loaded.history_ == fitted.history_
    again = ml.ConstitutiveNet(**fitted.get_params()).fit(film, thrown, updates=6, segment=4, recompute=True)
    torch.testing.assert_close(again.predict_stress(f), fitted.predict_stress(f), rtol=1e-4, atol=1e-2)
    flowing = ml.ConstitutiveNet(plasticity=True, young=1.5e4, hidden=8).fit(film, thrown, updates=2, segment=4)
    back = ml.load(flowing.save(tmp_path / "flow")).law()
    memory = back.rest(2, BLOCK.volume)
    growth = 0.1 * torch.randn(2, 2, len(BLOCK.volume))
    assert torch.equal(back.moved(memory, growth), flowing.law().moved(memory, growth))


def test_segments_cover_the_film():
    assert segments(11, 4) == [(0, 4), (2, 6), (4, 8), (6, 10)]
    assert segments(10, 4)[-1] == (5, 9)
    assert segments(5, None) == segments(5, 9) == [(0, 4)]


def test_arguments_that_do_not_fit_are_told(film, fitted):
    other = ml.Trajectory(ml.Mesh(film.mesh.points[1:]), film.times, moving_points=film.moving_points[:, 1:])
    moved = ml.Trajectory(film.mesh, film.times, moving_points=film.moving_points + 0.1)
    still = ml.Trajectory(film.mesh, film.times)
    torn = film.moving_points.clone()
    torn[3] = torch.nan
    torn = ml.Trajectory(film.mesh, film.times, moving_points=torn)
    frozen = ml.Trajectory(film.mesh, film.times, moving_points=film.moving_points[:1].expand(9, -1, -1))
    net, wrong = ml.ConstitutiveNet, ml.ParameterError
    for call, error, word in (
        (lambda: net("isotropc").fit(film, thrown), wrong, "did you mean 'isotropic'"),
        (lambda: net("energy", plasticity=True).fit(film, thrown), wrong, "forgets the axes"),
        (lambda: net(young=-1.0).fit(film, thrown), wrong, "young"),
        (lambda: net(poisson=0.0).fit(film, thrown), wrong, "poisson"),
        (lambda: net(hidden=0).fit(film, thrown), wrong, "hidden"),
        (lambda: net(convex=1).fit(film, thrown), wrong, "True or False"),
        (lambda: net().fit(film), wrong, "scene is a function"),
        (lambda: net().fit(film, thrown(TRUTH)), wrong, "scene is a function"),
        (lambda: net().fit(film, lambda law: law), wrong, "returned a NeoHookean"),
        (lambda: net().fit(film, lambda law: thrown(TRUTH)), wrong, "does not depend on the law"),
        (lambda: net().fit(film, thrown, updates=0), wrong, "updates"),
        (lambda: net().fit(film, thrown, segment=0), wrong, "segment"),
        (lambda: net().fit(still, thrown), wrong, "moving_points"),
        (lambda: net().fit(frozen, thrown), wrong, "nothing moves"),
        (lambda: net().fit(other, thrown), ml.FieldError, "47 points"),
        (lambda: net().fit(moved, thrown), ml.FieldError, "first frame is up to 0.1 away"),
        (lambda: net().fit(torn, thrown), ml.FieldError, "frame 3"),
        (lambda: net().law(), ml.NotFittedError, "fit"),
        (lambda: net(plasticity=True).fit_stress(*pairs(TRUTH)), wrong, "films"),
        (lambda: net().fit_stress(torch.ones(3, 2), torch.ones(3, 2)), ml.FieldError, "deformation_gradient"),
        (lambda: net().fit_stress(torch.eye(2)[None], torch.ones(2, 2, 2)), ml.FieldError, "one stress for each"),
        (lambda: net().fit_stress(-torch.eye(3)[None], torch.ones(1, 3, 3)), ml.FieldError, "inside out"),
        (lambda: fitted.predict_stress(torch.eye(2)), ml.FieldError, "deformation_gradient"),
        (lambda: dynamics.ElasticDynamics(MESH, mpm.Water()), wrong, "remembers only F"),
    ):
        with pytest.raises(error, match=word):
            call()

    with pytest.raises(ml.SimulationError, match="in a row"):
        net(hidden=4).fit(film, escaping, updates=8, segment=None)


def test_laws_with_axes_refuse_bodies_of_another_dimension():
    law = ml.ConstitutiveNet("energy", hidden=4).fit_stress(*pairs(TRUTH), updates=2).law()
    cube = ml.shapes.box(0.3, 0.3, 0.3, n=2, cells="tetra")
    with pytest.raises(ml.ParameterError, match="learned in 2-D"):
        dynamics.ElasticDynamics(cube, law)
    body = mpm.Body.fill(cube, law, 0.1, shift=(0.3, 0.3, 0.3))
    with pytest.raises(ml.ParameterError, match="learned in 2-D"):
        mpm.MPM(body, 0.2, (0, 0, 0), (1, 1, 1)).start()


def escaping(law):
    body = mpm.Body(BLOCK.points, law, BLOCK.volume, velocity=100.0)
    return mpm.MPM(body, 0.1, (0, 0), (1, 1), "open")


def test_updates_that_fail_are_left_out_and_told(film):
    calls = []

    def scene(law):
        calls.append(law)
        return escaping(law) if len(calls) == 3 else thrown(law)

    with pytest.warns(ml.FitWarning, match="1 of 3 updates were left out"):
        model = ml.ConstitutiveNet("neo-hookean").fit(film, scene, updates=3, segment=None)
    assert [record["update"] for record in model.history_] == [0, 2]


def test_laws_so_stiff_that_no_simulation_would_end_are_told(film, monkeypatch):
    """A wrong unit of `young`, or a learning rate that leads far away."""
    with pytest.raises(ml.SimulationError, match=r"would take \S+ time steps of .* as stiff as this"):
        ml.ConstitutiveNet("neo-hookean", young=1e25).fit(film, thrown, updates=8)
    with pytest.raises(ml.SimulationError, match="as stiff as this"):
        ml.ConstitutiveNet(hidden=4).fit(film, thrown, updates=12, learning_rate=50.0)
    with pytest.raises(ml.SimulationError, match="longer time_step"):
        ml.ConstitutiveNet("neo-hookean").fit(film, thrown, updates=8, time_step=1e-12)
    monkeypatch.setattr(steps, "MANY", 3 * 8 * 25 - 1)  # of three updates of eight frames of 0.025
    with pytest.warns(ml.FitWarning, match=r"3 updates take about 6e\+02 time steps, 2e\+02 for the film once"):
        ml.ConstitutiveNet("neo-hookean").fit(film, thrown, updates=3, segment=None, time_step=1e-3)


def test_segments_of_torn_bodies_are_refused(film):
    places = film.moving_points.clone()
    places[4] = places[4].flip(0) * torch.tensor([1.0, -1.0])  # mirrored
    torn = ml.Trajectory(film.mesh, film.times, moving_points=places)
    with pytest.raises(ml.FieldError, match=r"frame 4 turn the neighbourhoods of 48 particles"):
        Observed(torn, thrown(TRUTH)).state(4, thrown(TRUTH))
