"""Time steps: increments, noise that the targets undo, rollouts, moving points."""

import pytest
import torch
from torch.testing import assert_close

import meshlearn as ml
from meshlearn import ops
from meshlearn.models.meshgraphnet.noise import add_noise

QUIET = {"epochs": 1, "progress": False}


def decay(n=4, frames=5, rate=0.8):
    """u falls by the same factor in every step, everywhere; the drive is an input that changes in time."""
    mesh = ml.shapes.square(n=n)
    start = 1 + mesh.points[:, 0]
    u = torch.stack([start * rate**i for i in range(frames)])
    drive = torch.stack([torch.full_like(start, float(i)) for i in range(frames)])
    shift = torch.stack([0.01 * i * mesh.points for i in range(frames)])
    return ml.Trajectory(mesh, torch.arange(frames) * 0.5, {"u": u, "drive": drive, "shift": shift})


def fitted(inputs=("u",), outputs=("u",), **options):
    model = ml.MeshGraphNet(list(inputs), list(outputs), hidden=8, steps=1, levels=2, **options)
    return model.fit([decay(3), decay(4)], **QUIET)


def test_the_network_learns_increments():
    model = fitted()
    trajectory = decay(4)
    tables = model.targets(trajectory[0], trajectory[1])
    assert_close(tables["point"][:, 0], trajectory[1].point_data["u"] - trajectory[0].point_data["u"])
    back = model.decode(trajectory[0], tables)
    assert_close(back["point"][:, 0], trajectory[1].point_data["u"])


def test_a_rollout_is_repeated_prediction():
    model, trajectory = fitted(("u", "drive"), ("u",)), decay(4)
    rolled = model.rollout(trajectory)
    assert len(rolled) == len(trajectory)
    assert_close(rolled.times, trajectory.times.double())
    state = trajectory[0]
    for i in range(1, len(trajectory)):
        assert_close(rolled[i].point_data["u"], model.predict(state).point_data["u"])
        state = trajectory[i].with_point_data(u=rolled[i].point_data["u"])


def test_a_rollout_carries_driven_inputs_and_moving_points():
    model, given = fitted(("u", "drive"), ("u",)), decay(4)
    given = given.replace(moving_points=torch.stack([given.mesh.points * (1 + 0.1 * i) for i in range(len(given))]))
    rolled = model.rollout(given)
    assert torch.equal(rolled.moving_points, given.moving_points)
    assert torch.equal(rolled.point_data["drive"], given.point_data["drive"])
    assert "shift" not in rolled.point_data, "neither predicted nor an input"
    short, long = model.rollout(given, steps=2), model.rollout(given, steps=5)
    assert torch.equal(short.moving_points, given.moving_points[:3])
    assert torch.equal(long.moving_points[5], given.moving_points[4])
    assert long.point_data["drive"][:, 0].tolist() == [0, 1, 2, 3, 4, 4]
    assert_close(model.predict(rolled[3]).point_data["u"], rolled[4].point_data["u"])
    with pytest.raises(ml.ParameterError, match="moving_points"):
        fitted().rollout(given, steps=9)


def test_a_rollout_from_one_mesh_keeps_its_inputs():
    model, start = fitted(("u", "drive"), ("u",)), decay(4)[0]
    rolled = model.rollout(start, steps=3)
    assert_close(rolled.times, torch.tensor([0.0, 0.5, 1.0, 1.5], dtype=torch.float64))
    again = model.rollout(rolled[2], steps=1)
    assert_close(again[1].point_data["u"], rolled[3].point_data["u"])


def test_what_a_rollout_needs():
    still = ml.MeshGraphNet(["drive"], ["u"], hidden=8, steps=1, levels=1).fit([decay(3)], **QUIET)
    with pytest.raises(ml.ParameterError, match="does not step in time"):
        still.rollout(decay(3))
    model = fitted(("u", "drive"), ("u",))
    with pytest.raises(ml.ParameterError, match="number of steps"):
        model.rollout(decay(3)[0])
    with pytest.raises(ml.ParameterError, match="drive"):
        model.rollout(decay(3), steps=9)
    assert len(fitted().rollout(decay(3), steps=9)) == 10


def test_noise_moves_the_state_and_the_target_back():
    model = fitted(("drive", "u"), ("u",), noise=0.1)
    trajectory = decay(4)
    sample = model.make_sample(trajectory[0], trajectory[1])
    noisy = model.augment(sample)
    moved = noisy.point_inputs - sample.point_inputs
    assert not bool(moved[:, 0].any()), "a field that is not stepped in time is left alone"
    assert float(moved[:, 1].std()) == pytest.approx(
        0.1 * float(model.normalizers_.features["point_inputs"].scale[1]), rel=0.5
    )
    assert_close(
        noisy.point_inputs[:, 1:2] + noisy.targets["point"], sample.point_inputs[:, 1:2] + sample.targets["point"]
    )


def test_edges_carry_reference_and_current_positions_on_all_levels():
    model = fitted(("shift",), ("shift",), displacement="shift", noise=0.05)
    mesh = decay(4)[3]
    sample = model.prepare(mesh)
    assert sample.edge_features.shape[1] == 6
    moved = mesh.points + mesh.point_data["shift"]
    graph = sample.adjacency
    assert_close(sample.edge_features[:, 3:5], ops.gather_senders(moved, graph) - ops.gather_receivers(moved, graph))
    still = model.prepare(mesh.with_point_data(shift=torch.zeros_like(mesh.points)))
    assert_close(still.coarse[0].up_features[:, :3], still.coarse[0].up_features[:, 3:])
    assert_close(still.edge_features[:, :3], sample.edge_features[:, :3])

    training = model.make_sample(decay(4)[3], decay(4)[4])
    noisy = add_noise(training, model.fields_, model.normalizers_, 0.05, "shift")
    disturbed = mesh.with_point_data(shift=noisy.point_inputs[:, :2])
    for name, values in model.prepare(disturbed).feature_tensors().items():
        assert_close(noisy.feature_tensors()[name], values, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_it_learns_a_decay_and_stays_on_it():
    model = ml.MeshGraphNet(["u"], ["u"], hidden=16, steps=1, levels=1, noise=0.01)
    model.fit([decay(3), decay(4), decay(5)], epochs=60, learning_rate=3e-3, progress=False)
    truth = decay(6)
    error = (model.rollout(truth).point_data["u"] - truth.point_data["u"]).norm() / truth.point_data["u"].norm()
    assert float(error) < 0.1
