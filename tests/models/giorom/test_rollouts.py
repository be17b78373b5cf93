"""Rollouts: films that can be read whatever happens, points whose motion is given, and what they refuse."""

import math

import pytest
import torch

import meshlearn as ml
from meshlearn.models.giorom import Ballistic, ConstantVelocity, RolloutWarning


def swing(turn=1.0, frames=7):
    """A bar that is clamped on the left and bends: places are known at all times."""
    mesh = ml.shapes.rectangle(0.4, 0.1, n=(12, 4))
    x = mesh.points[:, 0]
    places = [mesh.points + torch.stack([0 * x, turn * math.sin(0.3 * k) * x.square()], 1) for k in range(frames)]
    mesh = mesh.with_global_data(young=torch.tensor(2e5 * turn), gravity=torch.tensor([0.0, -9.81]))
    mesh = mesh.with_point_data(mass=torch.full((mesh.n_points,), 0.1), stuff=(x > 0.2).long())
    return ml.Trajectory(mesh, 0.01 * torch.arange(frames).double(), moving_points=torch.stack(places))


def options(**others):
    return {"n_nodes": 12, "hidden": 8, "layers": 2, "grid": 3, "subsets": 2, "fixed": ["left"], **others}


@pytest.fixture(scope="module")
def model():
    return ml.GIOROM(**options()).fit([swing(), swing(-0.5)], epochs=1, progress=False)


@pytest.mark.parametrize("name", ["film.pvd", "film.xdmf"])
def test_constants_may_come_with_every_frame_of_a_file(name, tmp_path):
    """The same model to the last bit, whether constants are on the mesh or in a film of one file per time."""
    films = [swing(), swing(-0.5)]
    read = []
    for k, film in enumerate(films):
        ml.write(film, tmp_path / f"{k}_{name}")
        read.append(ml.read(tmp_path / f"{k}_{name}"))
    assert "young" in read[0].global_data
    told = options(inputs=["young"], gravity="gravity", types="stuff")
    motions = [ml.GIOROM(**told).fit(some, epochs=1, progress=False).rollout(some[1], 2) for some in (films, read)]
    assert torch.equal(motions[0].moving_points, motions[1].moving_points)
    assert torch.equal(motions[0].global_data["momentum"], motions[1].global_data["momentum"])  # with the masses
    free = Ballistic(gravity="gravity")
    assert free.fit(read).score(read) == free.fit(films).score(films)


def test_constants_that_change_in_time_are_told():
    film = swing()
    young = torch.arange(len(film)).double()
    film = film.replace(mesh=film.mesh.replace(global_data={}), global_data={"young": young})
    with pytest.raises(ml.FieldError, match="'young' of trajectory 0 changes in time, first in frame 1"):
        ml.GIOROM(**options(inputs=["young"])).fit([film], epochs=1, progress=False)


def test_clamped_points_stay_whether_they_are_nodes_or_not(model):
    film = swing()
    left = film.mesh.points[:, 0] == 0
    motion = model.rollout(film, 3)
    assert torch.equal(motion.moving_points[:, left], film.moving_points[2:3, left].expand(4, -1, -1))
    fine = ml.refine(film.mesh)
    motion = model.rollout(film, 3, query=fine)
    held = fine.points[:, 0] == 0
    assert int(held.sum()) > int(left.sum())
    assert torch.equal(motion.moving_points[:, held], fine.points[held].expand(4, -1, -1))


def test_driven_points_go_where_they_are_told_in_any_query(model):
    film = swing()
    fine = ml.refine(film.mesh)
    motion = model.rollout(film, 3, query=fine, forced=lambda time, rest: rest + time * torch.tensor([0.0, 2.0]))
    held = fine.points[:, 0] == 0
    expected = fine.points[held] + float(motion.times[-1]) * torch.tensor([0.0, 2.0])
    torch.testing.assert_close(motion.moving_points[-1, held], expected)


def test_films_hold_the_diagnostics_and_can_be_led_on(model, tmp_path):
    film = swing()
    whole = model.rollout(film, 6)
    model.rollout(film, 3, out=tmp_path / "film.pvd")
    read = ml.read(tmp_path / "film.pvd")
    torch.testing.assert_close(read.global_data["momentum"], whole.global_data["momentum"][:4])
    last = read[-3:]
    rest = model.rollout(ml.Trajectory(film.mesh, last.times, moving_points=last.moving_points), 3)
    torch.testing.assert_close(rest.times, whole.times[3:])
    torch.testing.assert_close(rest.moving_points, whole.moving_points[3:], rtol=0, atol=1e-5)


def test_what_was_written_before_an_interruption_can_be_read(model, tmp_path, monkeypatch):
    film, out = swing(), tmp_path / "film.pvd"
    whole = model.rollout(film, 4)
    model.rollout(film, 2, out=out)  # an older film in its place
    original, seen = type(model.module_).forward, []

    def cut(module, batch, *rest):
        seen.append(batch)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return original(module, batch, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(type(model.module_), "forward", cut)
        with pytest.raises(KeyboardInterrupt):
            model.rollout(film, 4, out=out)
    read = ml.read(out)
    torch.testing.assert_close(read.moving_points.float(), whole.moving_points[:4])
    assert len(list(tmp_path.iterdir())) == 2, "frames of the older film are gone"
    model.rollout(film, 4, out=out)
    assert len(ml.read(out)) == 5
    assert len(list(tmp_path.iterdir())) == 2


def test_what_scores_and_rollouts_cannot_take_is_told(model):
    film = swing()
    bad = film.moving_points.clone()
    bad[5, 3] = math.nan
    torn = film.replace(moving_points=bad)
    for action, error, word in (
        (lambda: model.score([film, torn]), ml.MeshError, "trajectory 1 has NaN or infinite places in frame 5"),
        (lambda: Ballistic().fit([film]).score([torn]), ml.MeshError, "trajectory 0 has NaN"),
        (lambda: model.rollout(film, 2, query="fine"), ml.ParameterError, "points .* or a Mesh, not a str"),
        (lambda: model.rollout(film, 2, forced=lambda time, rest: None), ml.ParameterError, "gave a NoneType"),
        (lambda: model.rollout(film, 2, forced=lambda time, rest: rest[:1]), ml.ParameterError, "gave .1, 2.: finite"),
        (
            lambda: model.rollout(film.mesh.with_point_data(velocity=torch.full_like(film.mesh.points, math.nan)), 2),
            ml.FieldError,
            "those of 65 points are NaN",
        ),
    ):
        with pytest.raises(error, match=word):
            action()
    assert model.score([torn], steps=2)["rollout"] >= 0, "before the gap it can be scored"


def test_queries_outside_of_the_body_are_told(model):
    with pytest.warns(RolloutWarning, match=r"1 of 2 query points are outside of the body .*number 1, at \[5.0, 5.0\]"):
        model.rollout(swing(), 2, query=torch.tensor([[0.1, 0.05], [5.0, 5.0]]))


@pytest.mark.slow
def test_unrolled_training_learns_to_lead_a_motion_on():
    films = ml.sim.make_bodies(6, kind="beam", cells=4, duration=0.35, frames=40)
    model = ml.GIOROM(**options(n_nodes=16, hidden=16, inputs=["young"], subsets=4), unroll=3)
    model.fit(films[:5], epochs=12, learning_rate=3e-3, progress=False)
    flying = ConstantVelocity(fixed=["left"]).fit(films[:5]).score(films[5:])["rollout"]
    assert model.score(films[5:])["rollout"] < 0.65 * flying
