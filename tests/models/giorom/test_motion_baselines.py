"""Baselines of motions: exact where their assumption holds, and refusals."""

import pytest
import torch

import meshlearn as ml
from meshlearn.models.giorom import Ballistic, ConstantVelocity, GappyPOD, SparseNodes


def thrown(gravity, frames=8, step=0.02):
    mesh = ml.shapes.rectangle(0.4, 0.2, n=(6, 3)).double()
    mesh = mesh.with_global_data(gravity=torch.tensor([0.0, gravity]))
    t = step * torch.arange(frames).double()[:, None, None]
    speed = 1 + mesh.points
    places = mesh.points + t * speed + 0.5 * t.square() * torch.tensor([0.0, gravity]).double()
    return ml.Trajectory(mesh, t[:, 0, 0], moving_points=places)


def test_free_points_fly_on_parabolas_and_lines():
    falling, drifting = thrown(-9.81), thrown(0.0)
    assert Ballistic("gravity").fit([falling]).score([falling])["final"] < 1e-9
    assert ConstantVelocity().fit([drifting]).score([drifting])["final"] < 1e-9
    assert ConstantVelocity().fit([falling]).score([falling])["final"] > 0.01
    motion = Ballistic("gravity", history=1).fit([falling]).rollout(falling)
    torch.testing.assert_close(motion.times, falling.times[1:])
    torch.testing.assert_close(motion.moving_points, falling.moving_points[1:])


def test_points_that_are_fixed_stay():
    film = thrown(-9.81)
    motion = Ballistic("gravity", fixed=["left"]).fit([film]).rollout(film, 3).moving_points
    left = film.mesh.points[:, 0] == 0
    assert torch.equal(motion[-1, left], motion[0, left])
    assert not torch.equal(motion[-1, ~left], motion[0, ~left])


def test_modes_of_the_training_give_back_its_motions_from_few_nodes():
    film = thrown(-9.81)
    pod = GappyPOD(modes=3).fit([film, thrown(0.0)])
    nodes = SparseNodes(film.mesh, 5).nodes
    found = pod.reconstructed(film.moving_points[:, nodes], nodes, film.mesh.points)
    torch.testing.assert_close(found, film.moving_points, rtol=0, atol=1e-9)


def test_what_baselines_cannot_do_is_told():
    film = thrown(0.0)
    other = ml.Trajectory(ml.shapes.square(n=2), [0.0, 1.0], moving_points=torch.zeros(2, 9, 2))
    with pytest.raises(ml.MeshError, match="trajectory 1 has points"):
        GappyPOD(2).fit([film, other])
    with pytest.raises(ml.ParameterError, match="have no more"):
        GappyPOD(500).fit([film])
    with pytest.raises(ml.ParameterError, match="cannot be told from 2 nodes"):
        GappyPOD(6).fit([film]).reconstructed(film.moving_points[:, :2], torch.tensor([0, 1]), film.mesh.points)
    with pytest.raises(ml.MeshError, match=r"\(n_times, 2, 2\), got"):
        GappyPOD(2).fit([film]).reconstructed(film.moving_points[:, :3], torch.tensor([0, 1]), film.mesh.points)
    with pytest.raises(ml.MeshError, match="trajectory 1 has NaN"):
        GappyPOD(2).fit([film, film.replace(moving_points=film.moving_points * torch.nan)])
    for unfitted in (
        lambda: Ballistic().rollout(film, 2),
        lambda: ConstantVelocity().score([film]),
        lambda: GappyPOD().reconstructed(film.moving_points, torch.arange(28), film.mesh.points),
    ):
        with pytest.raises(ml.NotFittedError, match="not fitted yet"):
            unfitted()
    with pytest.raises(ml.ParameterError, match="set_params changed gravity=None"):
        Ballistic("gravity").fit([film]).set_params(gravity=None).rollout(film, 2)
    with pytest.raises(ml.ParameterError, match="needs the number of steps"):
        ConstantVelocity().fit([film]).rollout(film[0].with_point_data(velocity=film.mesh.points))
