"""The gated stepper: linear in the motion, of a body that it sees once."""

import pytest
import torch

import meshlearn as ml
from meshlearn.models.giorom.gated import GatedStepper
from meshlearn.train.precision import narrowed


def swings(count=2, **options):
    return ml.sim.make_bodies(count, kind="beam", cells=5, duration=0.3, frames=14, **options)


def small(**options):
    settings = {"n_nodes": 12, "fixed": ["left"], "stepper": "gated", "hidden": 8, "layers": 2, "subsets": 3}
    return ml.GIOROM(**{**settings, **options})


@pytest.fixture(scope="module")
def films():
    return swings()


@pytest.fixture(scope="module")
def model(films):
    return small().fit(films, epochs=1, progress=False)


def window(model, film, frame=4):
    sample = model._windows_of([(film, "film")], [0], warm=True).window(0, frame, 0)
    return model.collate([narrowed(sample, torch.float64, torch.device("cpu"))])


@torch.no_grad()
def test_at_rest_it_is_linear_in_velocities(model, films):
    module, batch = model.module_.double(), window(model, films[0])
    batch = batch.replace(places=batch.rest)
    first, second = torch.randn(2, *batch.velocities.shape, dtype=torch.float64)
    made = [module(batch.replace(velocities=v)) for v in (first, second, 2 * first - 3 * second, 0 * first)]
    model.module_.float()
    assert torch.allclose(made[2], 2 * made[0] - 3 * made[1])
    assert bool((made[3] == 0).all())


@torch.no_grad()
def test_small_strains_are_superposed(model, films):
    module, batch = model.module_.double(), window(model, films[0])
    batch = batch.replace(velocities=0 * batch.velocities)
    shift = 1e-6 * torch.randn(2, *batch.rest.shape, dtype=torch.float64)
    made = [module(batch.replace(places=batch.rest + u)) for u in (shift[0], shift[1], shift[0] + shift[1])]
    model.module_.float()
    assert torch.allclose(made[2], made[0] + made[1], rtol=1e-3, atol=1e-4 * float(made[2].abs().max()))


def test_a_body_at_rest_stays_there(model, films):
    still = films[0].mesh.with_point_data(velocity=0 * films[0].mesh.points)
    motion = model.rollout(still, 5).moving_points
    assert torch.allclose(motion, still.points.expand_as(motion), atol=1e-6)


def test_the_body_is_seen_once_in_a_rollout(model, films, monkeypatch):
    calls = []
    own = GatedStepper.coefficients
    monkeypatch.setattr(GatedStepper, "coefficients", lambda self, batch: calls.append(1) or own(self, batch))
    once = model.rollout(films[0], 6).moving_points
    assert len(calls) == 1
    monkeypatch.setattr(ml.models.giorom.rollout, "SHARED", ())
    assert torch.equal(model.rollout(films[0], 6).moving_points, once)
    assert len(calls) == 7


def test_a_moved_scene_moves_alike_and_a_file_keeps_all(model, films, tmp_path):
    film = films[0].to(torch.float64)
    far = film.replace(mesh=film.mesh.replace(points=film.mesh.points + 50.0), moving_points=film.moving_points + 50.0)
    here = model.rollout(film, 4).moving_points
    torch.testing.assert_close(model.rollout(far, 4).moving_points - 50.0, here, rtol=0, atol=1e-6)
    model.save(tmp_path / "gated")
    assert torch.equal(ml.load(tmp_path / "gated").rollout(film, 4).moving_points, here)


def test_walls_are_felt_near_them_and_not_far_away(films):
    model = small(box=((-10.0, -10.0), (10.0, 10.0))).fit(films, epochs=1, progress=False)
    module, batch = model.module_.double(), window(model, films[0])
    batch = batch.replace(places=batch.rest, velocities=0 * batch.velocities)
    low = batch.places.amin(0) - 0.1 * batch.radius[0]
    with torch.no_grad():
        assert bool((module(batch) == 0).all())
        near = module(batch.replace(box=torch.cat([low, low + 100.0])[None]))
    assert float(near.abs().max()) > 0


def test_kinds_and_constants_gate(films):
    kinds = [
        film.replace(mesh=film.mesh.with_point_data(stuff=(film.mesh.points[:, 0] > 0.5).long())) for film in films
    ]
    model = small(types="stuff", inputs=["young"]).fit(kinds, epochs=1, progress=False)
    stiff = kinds[0].mesh.with_global_data(young=10 * kinds[0].mesh.global_data["young"])
    one, other = (model.rollout(kinds[0].replace(mesh=mesh), 3).moving_points for mesh in (kinds[0].mesh, stiff))
    assert not torch.equal(one, other)


def test_fluids_have_no_body_at_rest(films):
    with pytest.raises(ml.ParameterError, match=r"stepper='gated'.*'operator' with kind='fluid'"):
        small(kind="fluid", fixed=()).fit(films, epochs=1, progress=False)
    with pytest.raises(ml.ParameterError, match="stepper='gate' is not known: did you mean 'gated'"):
        small(stepper="gate").fit(films, epochs=1, progress=False)


@pytest.mark.slow
def test_swinging_beams_are_learned_better_than_by_message_passing():
    films = swings(10)
    errors = {}
    for stepper, layers in (("gated", 4), ("operator", 2)):
        model = small(stepper=stepper, layers=layers, grid=4, hidden=24, unroll=2, inputs=["young"])
        model.fit(films[:8], max_steps=500, epochs=10**6, learning_rate=1e-2, batch_points=96, progress=False)
        errors[stepper] = max(model.score(film, 10)["rollout"] for film in films[8:])
    assert errors["gated"] < 0.6 * errors["operator"], errors
