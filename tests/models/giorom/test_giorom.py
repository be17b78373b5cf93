"""GIOROM: what it learns, what it keeps, and what it refuses."""

import math

import pytest
import torch

import meshlearn as ml
from meshlearn.models.giorom import RolloutWarning
from meshlearn.models.giorom.evaluation import motion_errors


def flight(shape=None, frames=12, spin=2.0, speed=(0.5, 1.0), gravity=-9.81, step=0.01, seed=0):
    """A rigid body in free flight: exact places."""
    mesh = ml.shapes.rectangle(0.4, 0.2, n=(8, 4)) if shape is None else shape
    centre = mesh.points.mean(0)
    times = step * torch.arange(frames)
    places = []
    for t in times.tolist():
        c, s = math.cos(spin * t), math.sin(spin * t)
        turn = torch.tensor([[c, -s], [s, c]])
        fall = torch.tensor([speed[0] * t, speed[1] * t + 0.5 * gravity * t * t])
        places.append((mesh.points - centre) @ turn.T + centre + fall)
    mesh = mesh.with_global_data(gravity=torch.tensor([0.0, gravity]), spin=torch.tensor(spin))
    return ml.Trajectory(mesh, times.double(), moving_points=torch.stack(places))


def small(**options):
    settings = {"n_nodes": 12, "gravity": "gravity", "hidden": 8, "layers": 2, "grid": 3, "subsets": 3}
    return ml.GIOROM(**{**settings, **options})


def fitted(films=None, epochs=1, fit=None, **options):
    return small(**options).fit(films or [flight(), flight(spin=-1.0)], epochs=epochs, progress=False, **(fit or {}))


@pytest.fixture(scope="module")
def model():
    return fitted()


def test_without_inner_forces_a_body_flies_on_exactly():
    """Zero learned accelerations leave semi-implicit Euler under gravity, which is exact at the frames."""
    film = flight(spin=0.0)
    model = fitted([film, flight(spin=0.0, speed=(-1.0, 0.2))])
    with torch.no_grad():
        for parameter in model.module_.decode.parameters():
            parameter.zero_()
    motion = model.rollout(film)
    history = model._history()
    torch.testing.assert_close(motion.moving_points, film.moving_points[history:], rtol=0, atol=2e-6)
    torch.testing.assert_close(motion.times, film.times[history:])


def test_a_moved_scene_moves_alike(model):
    film = flight().to(torch.float64)
    far = film.replace(
        mesh=film.mesh.replace(points=film.mesh.points + 1000.0), moving_points=film.moving_points + 1000.0
    )
    here, there = model.rollout(film, 4).moving_points, model.rollout(far, 4).moving_points - 1000.0
    torch.testing.assert_close(there, here, rtol=0, atol=1e-6)


def test_points_of_the_body_may_come_in_any_order():
    model = fitted(n_nodes="all")
    film = flight()
    order = torch.randperm(film.n_points)
    cloud = ml.Mesh(film.mesh.points, global_data=film.mesh.global_data)
    moved = ml.Mesh(film.mesh.points[order], global_data=film.mesh.global_data)
    one = model.rollout(ml.Trajectory(cloud, film.times, moving_points=film.moving_points), 3).moving_points
    other = model.rollout(ml.Trajectory(moved, film.times, moving_points=film.moving_points[:, order]), 3).moving_points
    torch.testing.assert_close(other, one[:, order], rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind", ["solid", "fluid"])
def test_affine_motions_of_the_nodes_are_those_of_all_points(kind):
    from meshlearn.models.giorom.carriers import FlowCarrier, RestCarrier

    mesh = ml.shapes.square(n=12).double()
    nodes = ml.models.giorom.SparseNodes(mesh, 20).node_points
    make = RestCarrier if kind == "solid" else FlowCarrier
    carrier = make(nodes, mesh.points, "least_squares", None, torch.float64)
    slope = torch.eye(2, dtype=torch.float64)
    for _ in range(3):
        slope = slope @ torch.tensor([[1.1, 0.2], [-0.1, 0.9]], dtype=torch.float64)
        torch.testing.assert_close(carrier(nodes @ slope + 0.3), mesh.points @ slope + 0.3, rtol=0, atol=1e-9)


def test_targets_lead_to_the_true_places_also_over_several_frames():
    film = flight(spin=5.0)
    model = fitted([film, flight()], unroll=3)
    windows = model._windows_of([(film, "film")], [0], warm=True)
    sample = windows.window(0, 4, 0)
    nodes = windows.nodes(0, 0).index
    x, v = film.moving_points.double()[:, nodes], sample.last_velocity
    gravity = torch.tensor([0.0, -9.81e-4], dtype=torch.float64)
    for k in (1, 2, 3):
        mean = sample.targets["point"][:, 2 * k - 2 : 2 * k] + gravity
        torch.testing.assert_close(x[4] + k * v + k * (k + 1) / 2 * mean, x[4 + k])


def test_noise_is_undone_by_its_target():
    from meshlearn.models.giorom.noise import add_noise

    model = fitted()
    sample = model._windows_of([(flight(), "film")], [0], warm=True).window(0, 4, 0)
    noisy = add_noise(sample, 1e-3)
    before = sample.last_velocity + sample.targets["point"]
    torch.testing.assert_close(noisy.last_velocity + noisy.targets["point"], before)
    walk = (noisy.velocities - sample.velocities)[:, -2:]
    assert 0.5e-3 < walk.std() < 2e-3


def test_a_turned_scene_is_the_scene_of_a_turned_body():
    from meshlearn.models.giorom.noise import turned

    model = fitted()
    sample = model._windows_of([(flight(), "film")], [0], warm=True).window(0, 4, 0)
    other = turned(sample)
    rotation = torch.linalg.lstsq(sample.places, other.places).solution
    torch.testing.assert_close(torch.linalg.det(rotation), torch.tensor(1.0, dtype=torch.float64))
    for name in ("rest", "gravity"):
        torch.testing.assert_close(getattr(other, name), getattr(sample, name) @ rotation)
    torch.testing.assert_close(other.targets["point"], sample.targets["point"] @ rotation)
    torch.testing.assert_close(other.velocities[:, 2:], sample.velocities[:, 2:] @ rotation)


def test_saved_and_loaded_it_rolls_out_to_the_same_bits(model, tmp_path):
    film = flight()
    model.save(tmp_path / "model")
    again = ml.load(tmp_path / "model")
    assert torch.equal(again.rollout(film, 5).moving_points, model.rollout(film, 5).moving_points)
    assert again.scales_ == model.scales_
    assert again.time_step_ == model.time_step_


def test_a_fit_that_was_cut_goes_on_to_the_same_bits(tmp_path):
    films = [flight(), flight(spin=-1.0)]
    whole = small().fit(films, epochs=2, progress=False)
    small().fit(films, epochs=2, progress=False, checkpoint=tmp_path / "run", callbacks=[lambda fit: fit.stop()])
    again = small().fit(films, epochs=2, progress=False, checkpoint=tmp_path / "run", resume=True)
    for one, other in zip(whole.module_.parameters(), again.module_.parameters(), strict=True):
        assert torch.equal(one, other)


def test_scales_and_normalisers_are_those_of_the_training_alone():
    films = [flight(spin=spin) for spin in (1.0, 2.0, 3.0)]
    alone = fitted(films[:2], inputs=["spin"])
    watched = fitted(films[:2], inputs=["spin"], fit={"validation": [flight(spin=50.0)]})
    assert watched.scales_ == alone.scales_
    for name, value in alone.normalizers_.state_dict().items():
        assert torch.equal(watched.normalizers_.state_dict()[name], value)
    assert watched.history_[-1]["val_loss"] is not None


def test_validation_holds_out_whole_trajectories():
    model = fitted([flight(spin=spin) for spin in (1.0, 2.0, 3.0, 4.0)], fit={"validation": 0.25})
    assert model.history_[-1]["val_loss"] is not None


def test_lengths_and_numbers_of_points_may_differ(model):
    other = flight(ml.shapes.disc(0.2, n=6), frames=9)
    both = fitted([flight(), other, flight(ml.shapes.rectangle(0.3, 0.3, n=(2, 2)), frames=8)])
    assert len(both.rollout(other)) == 7
    assert model.rollout(other, 2, query=0.1 * torch.rand(5, 2)).moving_points.shape == (3, 5, 2)


def test_the_number_of_nodes_may_be_changed_afterwards(model):
    film = flight()
    for count in (6, 24, "all"):
        motion = model.rollout(film, 2, n_nodes=count)
        assert bool((motion.global_data["components"] == 1).all())


def test_diagnostics_are_conserved_where_nothing_acts():
    film = flight(gravity=0.0, spin=0.0)
    model = fitted([film, flight(gravity=0.0)])
    with torch.no_grad():
        for parameter in model.module_.decode.parameters():
            parameter.zero_()
    told = model.rollout(film, 6).global_data
    expected = torch.tensor([[0.5, 1.0]], dtype=torch.float64).expand(7, 2)
    torch.testing.assert_close(told["momentum"], expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(told["kinetic_energy"], torch.full((7,), 0.625).double(), rtol=1e-5, atol=0)
    assert bool((told["mean_degree"] > 3).all())


def test_points_that_leave_the_box_are_counted():
    box = [[-1.0, -0.2], [1.0, 5.0]]
    model = fitted(box=box)
    told = model.rollout(flight(speed=(0.0, -5.0)), 8).global_data["out_of_bounds"]
    assert int(told[0]) == 0
    assert int(told[-1]) > 0


def test_a_rollout_that_is_no_longer_finite_ends_there_and_says_so():
    model = fitted()
    with torch.no_grad():
        model.module_.decode.linears[-1].bias.fill_(float("inf"))
    with pytest.warns(RolloutWarning, match="ends after 0 of 4 steps"):
        motion = model.rollout(flight(), 4)
    assert len(motion) == 1
    assert int(motion.mesh.global_data["first_nonfinite"]) == 1
    assert bool(torch.isfinite(motion.moving_points).all())


def test_a_rollout_can_start_from_a_mesh_with_velocities(model):
    film = flight(spin=0.0, frames=4)
    speed = torch.tensor([[0.5, 1.0 - 9.81 * 0.02]]).expand(film.n_points, 2)
    start = film[2].with_point_data(velocity=speed)
    known = model.rollout(film[:3], 3).moving_points
    made = model.rollout(start, 3)
    torch.testing.assert_close(float(made.times[0]), 0.02)
    torch.testing.assert_close(made.moving_points[0], known[0], rtol=0, atol=1e-6)
    with pytest.raises(ml.FieldError, match="has no velocities 'velocity'"):
        model.rollout(film[2], 3)


def test_nodes_that_are_held_stay_and_those_that_are_driven_go_where_they_are_told():
    films = [flight(), flight(spin=-1.0)]
    model = fitted(films, fixed=["left"])
    left = films[0].mesh.points[:, 0] == 0
    motion = model.rollout(films[0], 3, n_nodes="all").moving_points
    assert torch.equal(motion[-1, left], motion[0, left])

    def lift(time, rest):
        return rest + torch.tensor([0.0, 5.0]) * time

    driven = model.rollout(films[0], 3, n_nodes="all", forced=lift)
    expected = films[0].mesh.points[left] + torch.tensor([0.0, 5.0]) * float(driven.times[-1])
    torch.testing.assert_close(driven.moving_points[-1, left], expected)


def test_some_nodes_are_held_whatever_the_draw():
    mesh = ml.shapes.rectangle(1.0, 0.1, n=(60, 6))
    film = ml.Trajectory(mesh, [0.0, 1.0], moving_points=torch.stack([mesh.points, mesh.points]))
    body = small(gravity=None, fixed=["left"])._reading(()).film(film, "film", 2, None).body
    for seed in range(5):
        nodes = body.nodes(5, "random", seed, None, None)
        assert int(nodes.held.sum()) >= 2
        assert len(nodes.index) == 5
        assert nodes.sparse.n_components == 1
        torch.testing.assert_close(nodes.share.sum(), torch.tensor(1.0, dtype=torch.float64))


def test_frames_are_written_one_by_one(model, tmp_path):
    film = flight()
    kept = model.rollout(film, 3, query=ml.shapes.rectangle(0.4, 0.2, n=(16, 8)))
    nodes = model.rollout(film, 3, query=ml.shapes.rectangle(0.4, 0.2, n=(16, 8)), out=tmp_path / "film.pvd")
    assert nodes.n_points == 12
    assert len(nodes) == 4
    read = ml.read(tmp_path / "film.pvd")
    torch.testing.assert_close(read.moving_points.float(), kept.moving_points)


def test_types_are_told_apart_and_unknown_ones_refused():
    film = flight()
    kinds = (film.mesh.points[:, 0] > 0.2).long() * 7
    typed = film.replace(mesh=film.mesh.with_point_data(stuff=kinds))
    model = fitted([typed, typed], types="stuff")
    assert model.types_ == (0, 7)
    other = film.replace(mesh=film.mesh.with_point_data(stuff=kinds + 1))
    with pytest.raises(ml.FieldError, match=r"kind 1 .*the training had"):
        model.rollout(other, 1)


def test_fluids_are_connected_anew_in_every_frame():
    model = fitted(kind="fluid", history=2, unroll=2)
    told = model.rollout(flight(spin=0.0), 4)
    assert len(told) == 5
    assert bool((told.global_data["components"] == 1).all())
    x = flight().moving_points[:, :12]
    torn = torch.where((x[..., :1] > 0.2), x + torch.tensor([50.0, 0.0]) * torch.arange(12)[:, None, None], x)
    apart = ml.Trajectory(ml.Mesh(x[0], global_data=flight().mesh.global_data), flight().times, moving_points=torn)
    assert int(model.rollout(apart, 4, n_nodes="all").global_data["components"][-1]) > 1


def test_errors_are_relative_to_the_largest_displacement():
    truth = torch.zeros(3, 4, 2)
    truth[1, :, 0], truth[2, :, 0] = 1.0, 2.0
    torch.testing.assert_close(
        motion_errors(truth + 0.1 * torch.tensor([0.0, 1.0]), truth), torch.full((3,), 0.05, dtype=torch.float64)
    )


def test_data_that_cannot_be_learned_from_are_told():
    good = flight()
    bad = good.moving_points.clone()
    bad[5, 3, 1] = math.nan
    still = ml.Trajectory(good.mesh, good.times, {"u": torch.zeros(12, good.n_points)})
    rest = ml.Trajectory(good.mesh, good.times, moving_points=good.mesh.points.expand(12, -1, 2))
    slow = good.replace(times=2 * good.times)
    for films, error, word in (
        ([good, good.replace(moving_points=bad)], ml.MeshError, "trajectory 1 has NaN.*of 1 points in frame 5"),
        ([still], ml.FieldError, "trajectory 0 do not move"),
        ([good[:3]], ml.ParameterError, "has 3 frames, but 4 are needed"),
        ([good, slow], ml.ParameterError, "trajectory 1 has a time step of 0.02"),
        ([good.mesh], ml.ParameterError, "is a Mesh; a Trajectory"),
        ([rest], ml.ParameterError, "nothing moves"),
    ):
        with pytest.raises(error, match=word):
            small(gravity=None).fit(films, epochs=1, progress=False)
    with pytest.raises(ml.FieldError, match="no field 'gravty'"):
        small(gravity="gravty").fit([good], epochs=1, progress=False)
    with pytest.raises(ml.FieldError, match="no point or cell set named 'lft'"):
        small(fixed=["lft"]).fit([good], epochs=1, progress=False)


def test_arguments_that_cannot_be_are_told(model):
    for options, word in (
        ({"kind": "sold"}, "kind='sold' is not known: did you mean 'solid'"),
        ({"n_nodes": 2}, "n_nodes=2"),
        ({"sampling": "fartest"}, "did you mean 'farthest'"),
        ({"hidden": 10}, "multiple of the 4 heads"),
        ({"grid": 1}, "grid=1"),
        ({"noise": -1.0}, "noise=-1.0"),
        ({"vary": 0.5}, "vary=0.5"),
        ({"unroll": 0}, "unroll=0"),
        ({"rotations": True, "box": "box"}, "False with a box"),
        ({"fixed": "left"}, "a list of names"),
        ({"radius": 0.01}, "falls apart; it is one piece from"),
    ):
        with pytest.raises(ml.ParameterError, match=word):
            small(**options).fit([flight()], epochs=1, progress=False)
    film = flight()
    for call, word in (
        (lambda: model.rollout(film, 0), "steps=0"),
        (lambda: model.rollout(film[0].with_point_data(velocity=film.mesh.points)), "needs the number of steps"),
        (lambda: model.rollout(film, 2, forced=lambda t, x: x), "there are none"),
        (lambda: model.rollout(film, 2, query=torch.rand(4, 3)), "3 dimensions"),
        (lambda: model.rollout(film, 2, n_nodes="most"), "n_nodes='most'"),
        (lambda: model.predict(film[0]), "call rollout"),
        (lambda: model.score(film, steps=50), "too short"),
        (lambda: model.rollout(film, 2, out="film.vtu"), "one by one to a .pvd file"),
    ):
        with pytest.raises(ml.ParameterError, match=word):
            call()
    with pytest.raises(ml.MeshWriteError, match="does not exist"):
        model.rollout(film, 2, out="no/such/film.pvd")
    with pytest.raises(ml.NotFittedError):
        small().rollout(film, 2)


def test_a_fit_can_begin_with_what_an_earlier_one_has_learned_and_in_double_precision():
    model = fitted(fit={"precision": "64"})
    assert model.dtype == torch.float64
    scales, before = model.scales_, [p.clone() for p in model.module_.parameters()]
    model.fit([flight(spin=3.0)], epochs=1, warm_start=True, learning_rate=1e-12, precision="64", progress=False)
    assert model.scales_ == scales
    for old, new in zip(before, model.module_.parameters(), strict=True):
        torch.testing.assert_close(old, new, rtol=0, atol=1e-9)
    assert len(model.rollout(flight(), 2)) == 3
