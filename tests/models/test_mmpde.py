"""The moving-mesh solver: constants, two branches that are one where nothing moves, movers as data, and learning."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch.testing import assert_close

import meshlearn as ml
from meshlearn.models.mmpde.motion import Motion
from meshlearn.models.mmpde.transfer import LearnedTransfer, make_transfer
from meshlearn.testing import check_estimator

QUIET = {"epochs": 1, "progress": False}
SMALL = {"hidden": 8, "steps": 1, "levels": 2, "transfer_hidden": 4}


def front(n, start, frames=3):
    """A front that moves across a square."""
    mesh = ml.shapes.square(n=n)
    mesh = mesh.with_global_data(viscosity=torch.tensor(start))
    x, y = mesh.points.T
    u = torch.stack([torch.tanh(8 * (x - start - 0.1 * i - 0.3 * y)) for i in range(frames + 1)])
    return ml.Trajectory(mesh, 0.05 * torch.arange(frames + 1, dtype=torch.float64), {"u": u})


@pytest.fixture(scope="module")
def series():
    return [front(6, 0.2), front(6, 0.4), front(8, 0.3)]


@pytest.fixture(scope="module")
def fitted(series):
    return ml.MMPDE(["u", "viscosity"], ["u"], smoothing=0.05, **SMALL).fit(series, **QUIET)


def bump(points):
    return torch.tanh(8 * (points[:, 0] - 0.4 - 0.2 * points[:, 1]))


def moved_pair(n=6, dtype=torch.float64):
    mesh = ml.shapes.square(n=n, dtype=dtype)
    mesh = mesh.with_point_data(u=bump(mesh.points))
    return mesh, Motion("newton", "u", "hessian", 5.0, 0.05).moved(mesh)


@pytest.mark.parametrize("learned", [False, True])
def test_interpolation_keeps_constants_whatever_it_has_learned(learned):
    mesh, moved = moved_pair()
    torch.manual_seed(0)
    layer = LearnedTransfer(2, 8).double()
    if learned:
        torch.nn.init.normal_(layer.weigh.weight, std=3.0)
    for source, target in ((mesh, moved), (moved, mesh)):
        where = make_transfer(source, target.points, neighbors=8)
        weights = torch.zeros(mesh.n_points, 1, dtype=torch.float64) + 1
        made = layer(weights, where)
        assert_close(made, torch.ones_like(made), rtol=0, atol=1e-12)
        corrections = layer.corrections(where).detach().reshape(mesh.n_points, 8)
        assert float(corrections.sum(1).abs().max()) < 1e-12
        assert (float(corrections.abs().max()) > 0.1) is learned


def test_interpolation_starts_as_linear_and_its_weights_do_not_depend_on_the_unit():
    mesh, moved = moved_pair()
    layer = LearnedTransfer(2, 8).double()
    linear = torch.stack([mesh.points[:, 0], 1 - 2 * mesh.points[:, 1]], 1)
    at = torch.stack([moved.points[:, 0], 1 - 2 * moved.points[:, 1]], 1)
    assert_close(layer(linear, make_transfer(mesh, moved.points, 6)), at)
    torch.nn.init.normal_(layer.weigh.weight)
    scaled = [m.replace(points=1000 * m.points) for m in (mesh, moved)]
    near = layer.corrections(make_transfer(mesh, moved.points, 6))
    assert_close(near, layer.corrections(make_transfer(scaled[0], scaled[1].points, 6)))


def test_gradients_reach_the_weights_and_the_values():
    mesh, moved = moved_pair(3)
    where = make_transfer(mesh, moved.points, 4)
    layer = LearnedTransfer(2, 4).double()
    torch.nn.init.normal_(layer.weigh.weight)
    x = torch.randn(mesh.n_points, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: layer(v, where), x)
    weight = layer.weigh.weight.detach().clone().requires_grad_()
    call = lambda w: torch.func.functional_call(layer, {"weigh.weight": w}, (x.detach(), where))  # noqa: E731
    assert torch.autograd.gradcheck(call, weight)


def test_without_motion_both_branches_see_the_same(series):
    model = ml.MMPDE(["u"], ["u"], mover="still", cut=False, **SMALL).fit(series, **QUIET)
    mesh = series[0][1]
    sample = model.normalizers_.normalise(model.collate([model.prepare(mesh)]))
    network = model.module_
    fields = sample.point_inputs[:, : network.fields]
    torch.nn.init.zeros_(network.to_moved.weigh.weight)
    torch.nn.init.zeros_(network.to_rest.weigh.weight)
    assert_close(network.to_moved(fields, sample.to_moved), fields, rtol=0, atol=1e-5)
    both = network.rest(sample)["point"] + network.moving(sample)["point"]
    assert_close(network(sample)["point"], both, rtol=1e-4, atol=1e-5)


def test_the_mesh_follows_the_front_and_stays_valid(fitted, series):
    moving = fitted.moving(series[0])
    assert moving.moving_points.shape == (4, 49, 2)
    rest = series[0].mesh
    for i in range(len(moving)):
        frame = moving[i]
        assert frame.n_inverted() == 0
        assert float((frame.points - rest.points).abs().max()) > 0.005
        carried = ml.interpolate(series[0][i], frame.without_data(), ["u"]).point_data["u"]
        assert_close(frame.point_data["u"], carried)


def test_a_field_that_asks_for_nothing_leaves_the_mesh_alone():
    mesh = ml.shapes.square(n=4)
    motion = Motion("newton", "u", "hessian", 5.0, 0.02)
    for values in (torch.zeros(25), torch.full((25,), 3.0)):
        assert torch.equal(motion.moved(mesh.with_point_data(u=values)).points, mesh.points)
    vector = mesh.with_point_data(u=torch.stack([bump(mesh.points), 0 * mesh.points[:, 0]], 1))
    assert not torch.equal(motion.moved(vector).points, mesh.points)


def test_what_is_learned_does_not_depend_on_the_order_of_the_frames(series):
    """Samples that are prepared anew in every epoch, in any order, are those that were kept."""
    fits = [
        ml.MMPDE(["u"], ["u"], **SMALL).fit(series[:1], epochs=2, progress=False, cache_samples=kept)
        for kept in (True, False)
    ]
    kept, anew = (model.module_.state_dict() for model in fits)
    assert all(torch.equal(kept[name], anew[name]) for name in kept)


def test_defaults_are_those_of_the_graph_network():
    own, shared = ml.MMPDE().get_params(), ml.MeshGraphNet().get_params()
    assert {name for name in shared if name not in own} == {"displacement", "k"}
    assert {name: own[name] for name in own if name in shared} == {n: v for n, v in shared.items() if n in own}


def test_a_series_followed_by_its_mesh_is_the_truth_at_the_moved_points():
    fine = front(48, 0.3)
    rest = ml.shapes.square(n=12)
    model = ml.MMPDE(["u"], ["u"], state="moved", amplitude=20.0, smoothing=0.05, **SMALL)
    made = model.follow(fine, rest)
    for i in range(len(made)):
        frame = made[i]
        assert frame.n_inverted() == 0
        at = ml.interpolation_operator(fine.mesh, frame.points)[0] @ fine.point_data["u"][i]
        assert_close(frame.point_data["u"], at)
        assert torch.equal(frame.point_data["rest_points"], rest.points)
        if i:  # each mesh is the one that the frame before asked for
            assert torch.equal(frame.points, made.point_data["next_points"][i - 1])

    def off(points, mesh, u):
        return float((ml.interpolation_operator(mesh, points)[0] @ u - fine.point_data["u"][i]).norm())

    i = 3
    still = ml.interpolation_operator(fine.mesh, rest.points)[0] @ fine.point_data["u"][i]
    moved = off(fine.mesh.points, made[i], made.point_data["u"][i])
    assert moved < 0.8 * off(fine.mesh.points, rest, still)  # what moving is for


@pytest.fixture(scope="module")
def carried(series):
    model = ml.MMPDE(["u", "viscosity"], ["u"], state="moved", smoothing=0.05, **SMALL)
    followed = [model.follow(front(12, start), ml.shapes.square(n=6)) for start in (0.2, 0.4)]
    return model.fit(followed, **QUIET), followed


def test_states_on_the_moved_mesh_are_rolled_out_from_mesh_to_mesh(carried, tmp_path):
    model, followed = carried
    rolled = model.rollout(followed[0])
    assert rolled.moving_points.shape == (4, 49, 2)
    assert set(rolled.point_data) == {"u"}
    assert torch.equal(rolled.moving_points[0], followed[0].moving_points[0])
    assert torch.equal(rolled.point_data["u"][0], followed[0].point_data["u"][0])
    assert_close(rolled.moving_points[1], followed[0].moving_points[1], rtol=0, atol=0.02)
    assert all(rolled[i].n_inverted() == 0 for i in range(4))
    step = model.predict(followed[0]).point_data["u"][1]
    assert_close(rolled.point_data["u"][1], step, rtol=0, atol=0.05)
    # what the truth does later is not looked at
    changed = followed[0].moving_points.clone()
    changed[1:] = changed[0]
    later = {name: torch.cat([values[:1], 0 * values[1:]]) for name, values in followed[0].point_data.items()}
    blind = model.rollout(followed[0].replace(point_data=later, moving_points=changed))
    assert torch.equal(blind.moving_points, rolled.moving_points)
    assert torch.equal(blind.point_data["u"], rolled.point_data["u"])
    alone = model.rollout(followed[0][0], steps=3)
    assert_close(alone.moving_points, rolled.moving_points, rtol=0, atol=0.02)
    again = ml.load(model.save(tmp_path / "model"))
    assert torch.equal(again.rollout(followed[0]).point_data["u"], rolled.point_data["u"])
    rest = ml.shapes.square(n=6)
    rest = rest.with_point_data(u=bump(rest.points)).with_global_data(viscosity=torch.tensor(0.2))
    assert torch.equal(model.rollout(rest, steps=2).moving_points[0], rest.points)


def test_a_state_that_does_not_move_is_the_solver_at_rest(series):
    """With the mover "still" all meshes of a rollout are the one at rest, and points that do not move carry nothing."""
    model = ml.MMPDE(["u", "viscosity"], ["u"], mover="still", state="moved", **SMALL)
    followed = [model.follow(wave, wave.mesh) for wave in series]
    model.fit(followed, **QUIET)
    assert_close(followed[0].point_data["u"], series[0].point_data["u"])
    rolled = model.rollout(followed[0])
    assert torch.equal(rolled.moving_points, series[0].mesh.points.expand(4, -1, -1))
    sample = model.normalizers_.normalise(model.collate([model.prepare(followed[0][0])]))
    assert sample.to_rest is None
    fields = sample.point_inputs[:, : model.module_.fields]
    torch.nn.init.zeros_(model.module_.to_moved.weigh.weight)
    assert_close(model.module_.to_moved(fields, sample.to_moved), fields, rtol=0, atol=1e-5)


def test_series_that_no_moved_state_can_be_learned_from_are_told(series, carried):
    model, followed = carried
    with pytest.raises(ml.FieldError, match=r"no point field 'next_points'[\s\S]*model\.follow"):
        ml.MMPDE(["u"], ["u"], state="moved", **SMALL).fit(series[:1], **QUIET)
    with pytest.raises(ml.ParameterError, match="needs a Trajectory on a mesh whose points do not move"):
        model.follow(followed[0], followed[0].mesh)
    with pytest.raises(ml.ParameterError, match="must be a Mesh in 2-D"):
        model.follow(series[0], ml.shapes.box(n=2))
    with pytest.raises(ml.FieldError, match=r"field='w' moves the mesh, but the trajectory has no such series"):
        ml.MMPDE(["w"], ["w"], state="moved").follow(series[0], series[0].mesh)
    other = followed[0].replace(point_data={**followed[0].point_data, "f": followed[0].point_data["u"]})
    with pytest.raises(ml.ParameterError, match="'f' would have to be known wherever the points move"):
        ml.MMPDE(["u", "f"], ["u"], state="moved", **SMALL).fit([other], **QUIET)
    with pytest.raises(ml.ParameterError, match="there is no state"):
        ml.MMPDE(["viscosity"], ["u"], state="moved", **SMALL).fit([other], **QUIET)


def test_starting_from_the_frame_before_gives_the_same_mesh_up_to_the_tolerance(series):
    exact = ml.MongeAmpereMover("newton", rtol=1e-8)
    cold, warm = (Motion(exact, "u", "hessian", 5.0, 0.05) for _ in range(2))
    warm.begin(warm=True)
    for frame in series[0]:
        assert_close(warm.moved(frame).points, cold.moved(frame).points, rtol=0, atol=1e-5)


def test_predictions_do_not_depend_on_what_was_predicted_before(fitted, series):
    alone = fitted.predict(series[0][1]).point_data["u"]
    fitted.rollout(series[0])
    fitted.predict(series[0][2])
    assert torch.equal(fitted.predict(series[0][1]).point_data["u"], alone)


def test_rollouts_of_unlike_meshes_and_scores(fitted, series):
    for wave in series:
        rolled = fitted.rollout(wave)
        assert rolled.point_data["u"].shape == wave.point_data["u"].shape
        assert torch.equal(rolled.point_data["u"][0], wave.point_data["u"][0])
        assert bool(torch.isfinite(rolled.point_data["u"]).all())
    assert 0 < fitted.score(series)["u"] < 2


@pytest.mark.parametrize("mover", ["newton", "still", "object", "learned"])
def test_saved_models_hold_their_mover(mover, series, tmp_path):
    given = mover
    if mover == "object":
        given = ml.MongeAmpereMover("variational", rtol=1e-2, isotropy=0.3, strict=False)
    if mover == "learned":
        frames = [series[0][i] for i in range(2)]
        given = ml.DataFreeMeshMover(rounds=1, hidden=4).fit(frames, **QUIET)
    model = ml.MMPDE(["u"], ["u"], mover=given, **SMALL).fit(series[:1], **QUIET)
    again = ml.load(model.save(tmp_path / "model"))
    assert torch.equal(again.rollout(series[0]).point_data["u"], model.rollout(series[0]).point_data["u"])
    assert type(again.mover) is type(given)
    assert torch.equal(again.moving(series[0]).moving_points, model.moving(series[0]).moving_points)


def steady(n, shift):
    mesh = ml.shapes.square(n=n)
    f = torch.tanh(6 * (mesh.points[:, 0] - shift))
    return mesh.with_point_data(f=f, u=f.square() + mesh.points[:, 1]).with_global_data(a=torch.tensor(shift))


@pytest.mark.parametrize("mover", ["still", pytest.param("newton", marks=pytest.mark.slow)])
def test_the_solver_keeps_the_rules_of_estimators(mover):
    meshes = [steady(n, shift) for n, shift in ((4, 0.4), (5, 0.5), (6, 0.6), (4, 0.7))]
    check_estimator(partial(ml.MMPDE, field="f", mover=mover, **SMALL), meshes)


class Strange:
    def move(self, mesh, monitor):
        return None


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"mover": "fast"}, ml.ParameterError, "mover='fast': expected one of "),
        ({"mover": 3}, ml.ParameterError, "mover=3 has no method move"),
        ({"mover": Strange()}, ml.ParameterError, r"Strange\.move returned NoneType"),
        ({"monitor": "edges"}, ml.ParameterError, "monitor='edges': expected one of 'hessian'"),
        ({"amplitude": -1.0}, ml.ParameterError, "amplitude=-1.0 must be a number of at least 0"),
        ({"field": "v"}, ml.FieldError, "field='v' moves the mesh"),
        ({"neighbors": 0}, ml.ParameterError, "neighbors=0 is not allowed: a whole number"),
        ({"cut": 1}, ml.ParameterError, "cut=1 is not allowed: True or False"),
        ({"state": "there"}, ml.ParameterError, "state='there': expected one of 'rest', 'moved'"),
        ({"outputs": ["u", "viscosity"]}, ml.ParameterError, "MMPDE gives point fields; 'viscosity' is not"),
    ],
)
def test_wrong_arguments_of_the_solver_are_told(wrong, error, words, series):
    given = {"inputs": ["u"], "outputs": ["u"], **SMALL, **wrong}
    with pytest.raises(error, match=words):
        ml.MMPDE(**given).fit(series[:1], **QUIET)


def test_movers_that_return_tangled_meshes_are_told(series):
    class Folding:
        def move(self, mesh, monitor):
            points = mesh.points.clone()
            points[mesh.n_points // 2] = points[0] - 0.1
            return SimpleNamespace(mesh=mesh.replace(points=points))

    with pytest.raises(ml.MeshError, match=r"Folding.move returned a mesh with [1-9]\d* of \d+ cells inverted"):
        ml.MMPDE(["u"], ["u"], mover=Folding(), hidden=4, steps=1, levels=1).fit(series[:1], epochs=1, progress=False)


def test_a_mover_has_to_be_an_object_and_cells_simplices(series):
    with pytest.raises(ml.ParameterError, match="mover=MongeAmpereMover is a class"):
        ml.MMPDE(["u"], ["u"], mover=ml.MongeAmpereMover).fit(series[:1], epochs=1, progress=False)
    quads = ml.shapes.square(n=3, cells="quad")
    frames = [quads.with_point_data(u=torch.exp(-9 * (quads.points[:, 0] - a) ** 2)) for a in (0.4, 0.5)]
    wave = ml.Trajectory.from_meshes(frames, times=[0.0, 0.1])
    with pytest.raises(ml.TopologyError, match="movers need a mesh of triangle cells"):
        ml.MMPDE(["u"], ["u"]).fit([wave], epochs=1, progress=False)
    with pytest.raises(ml.ParameterError, match="far outside that of the trajectory"):
        ml.MMPDE(["u"], ["u"], state="moved").follow(series[0], ml.shapes.rectangle(3.0, 1.0, n=(3, 1)))


def test_a_mover_that_is_code_cannot_be_saved(series, tmp_path):
    class Shift:
        def move(self, mesh, monitor):
            return ml.MongeAmpereMover("newton", rtol=1e-2, strict=False).move(mesh, monitor)

    model = ml.MMPDE(["u"], ["u"], mover=Shift(), **SMALL).fit(series[:1], **QUIET)
    with pytest.raises(ml.CheckpointError, match="its mover is a Shift, which is code"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_the_solver_learns_burgers_equation():
    """Rolled out on unseen trajectories it is far better than no change at all."""
    waves = ml.sim.make_burgers(15, resolution=10, reference=1, frames=8, viscosity=0.01)
    training, test = waves[:12], waves[12:]
    model = ml.MMPDE(["u"], ["u"], hidden=16, steps=2, levels=2, noise=0.01)
    model.fit(training, epochs=25, learning_rate=5e-3, progress=False)

    def error(made, truth):
        return float((made - truth)[1:].norm() / truth[1:].norm())

    rolled = [error(model.rollout(wave).point_data["u"], wave.point_data["u"]) for wave in test]
    still = [error(wave.point_data["u"][:1], wave.point_data["u"]) for wave in test]
    assert sum(rolled) < 0.4 * sum(still), (rolled, still)
