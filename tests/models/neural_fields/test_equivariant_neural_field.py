"""EquivariantNeuralField on meshes: latents as point clouds, unlike meshes, equivariance from file to field, errors."""

from functools import partial

import pytest
import torch
from torch.testing import assert_close

import meshlearn as ml
from meshlearn.testing import RigidMotion, assert_same_fields, permute_mesh
from meshlearn.train.survey import FitWarning

QUIET = {"epochs": 2, "progress": False}
Small = partial(ml.EquivariantNeuralField, n_latents=5, latent_dim=4, hidden=16, nearest=3)


def with_field(mesh, turn=0.0):
    x = mesh.points - mesh.points.mean(0)
    return mesh.with_point_data(u=torch.sin(2 * x[:, 0] + turn), v=torch.stack([x[:, 0], x.square().sum(1)], 1))


def uneven(mesh):
    """The mesh without its symmetries."""
    x, y = mesh.points.T
    return mesh.replace(points=torch.stack([x + 0.2 * x * y, y + 0.3 * x.square()], 1))


def unlike_meshes():
    shapes = [
        ml.shapes.rectangle(1.4, 1.0, n=(7, 5)),
        uneven(ml.shapes.rectangle(1.2, 1.0, n=(5, 4), cells="mixed")),
        ml.shapes.disc(refine=2),
        ml.Mesh(torch.rand(40, 2)),
    ]
    return [with_field(mesh, float(i)) for i, mesh in enumerate(shapes)]


@pytest.fixture(scope="module")
def fitted():
    torch.manual_seed(0)
    return Small(["u", "v"], group="SE2").fit(unlike_meshes(), **QUIET)


def test_latents_are_a_point_cloud(fitted):
    mesh = unlike_meshes()[0].double()
    latents = fitted.fit_latents(mesh)
    assert isinstance(latents, ml.Mesh)
    assert latents.dtype == torch.float64
    shapes = {name: tuple(values.shape) for name, values in latents.point_data.items()}
    assert shapes == {"context": (5, 4), "window": (5,), "frame": (5, 2, 2)}
    assert not bool(ml.PointLocator(mesh).locate(latents.points).status.any())


def test_decoding_at_a_mesh_and_at_points(fitted):
    mesh = unlike_meshes()[1]
    latents = fitted.fit_latents(mesh)
    at_mesh, at_points = fitted.decode(latents, mesh), fitted.decode(latents, mesh.points)
    assert at_mesh.cells.keys() == mesh.cells.keys()
    assert not at_points.cells
    assert at_points.point_data["v"].shape == (mesh.n_points, 2)
    assert torch.equal(at_mesh.point_data["u"], at_points.point_data["u"])


def test_chunks_change_nothing(fitted):
    mesh = unlike_meshes()[0]
    latents = fitted.fit_latents(mesh)
    whole, parts = fitted.decode(latents, mesh), fitted.decode(latents, mesh, chunk=7)
    assert_close(parts.point_data["u"], whole.point_data["u"], rtol=1e-5, atol=1e-6)


def test_moved_latents_give_the_moved_field(fitted):
    """The same values at moved points, to 1e-5 of the variation, even far away from the origin."""
    mesh, motion = unlike_meshes()[0].double(), RigidMotion.random(2, seed=2, shift=100.0)
    latents = fitted.fit_latents(mesh)
    frame = motion.rotation @ latents.point_data["frame"]
    moved = motion.mesh(latents).with_point_data(frame=frame)
    before, after = fitted.decode(latents, mesh), fitted.decode(moved, motion.mesh(mesh))
    u, w = before.point_data["u"], after.point_data["u"]
    assert (u - w).abs().max() < 1e-5 * u.std()
    still = fitted.decode(motion.mesh(latents), motion.mesh(mesh)).point_data["u"]  # frames left behind
    assert (u - still).abs().max() > 0.02 * u.std()


@pytest.mark.parametrize("group", ["SE2", "En"])
def test_fitting_and_decoding_commute_with_motions(group):
    """From the mesh to its latents and back: a turned and shifted mesh gets the same values."""
    meshes = unlike_meshes()
    model = Small(["u"], group=group).fit(meshes, **QUIET)
    mesh, motion = meshes[1].double(), RigidMotion.random(2, seed=5, shift=10.0)
    before, after = model.predict(mesh).point_data["u"], model.predict(motion.mesh(mesh)).point_data["u"]
    assert (before - after).abs().max() < 1e-5 * before.abs().max()
    shared = Small(["u"], placement="shared").fit(meshes, **QUIET)  # the control: translations alone
    turned, moved = motion.mesh(mesh), mesh.replace(points=mesh.points + motion.shift)
    before = shared.predict(mesh).point_data["u"]
    assert (before - shared.predict(moved).point_data["u"]).abs().max() < 1e-5 * before.abs().max()
    assert (before - shared.predict(turned).point_data["u"]).abs().max() > 0.01 * before.std()


def test_the_order_of_points_does_not_matter(fitted):
    mesh = unlike_meshes()[2]
    other, order, _ = permute_mesh(mesh)
    a, b = fitted.predict(mesh), fitted.predict(other)
    assert_close(b.point_data["u"], a.point_data["u"][order], rtol=1e-6, atol=1e-6)


def test_a_list_equals_one_by_one(fitted):
    meshes = unlike_meshes()
    together = fitted.predict(meshes)
    for mesh, prediction in zip(meshes, together, strict=True):
        assert_same_fields(prediction, fitted.predict(mesh), 0.0, 0.0, "a list and one mesh")
    assert len(fitted.fit_latents(meshes)) == 4


def test_batches_of_unlike_meshes_train_as_one_by_one():
    """One batch of all meshes and as many of one each, accumulated, give the same weights."""
    meshes, options = unlike_meshes(), {"schedule": "constant", "warmup": 0.0, "epochs": 1, "progress": False}
    batched = Small(["u"], points_per_step=10**6).fit(meshes, batch_points=10**6, **options)
    single = Small(["u"], points_per_step=10**6).fit(meshes, batch_points=1, accumulate=4, **options)
    for name, value in batched.module_.state_dict().items():
        assert_close(value, single.module_.state_dict()[name], rtol=1e-3, atol=2e-5, msg=lambda m, n=name: f"{n}: {m}")


def test_saved_and_loaded(fitted, tmp_path):
    mesh = unlike_meshes()[0]
    again = ml.load(fitted.save(tmp_path / "model"))
    assert_same_fields(again.predict(mesh), fitted.predict(mesh), 0.0, 0.0, "before and after")
    shared = Small(["u"], moving=["position", "window"]).fit(unlike_meshes(), **QUIET)
    again = ml.load(shared.save(tmp_path / "shared"))
    assert_same_fields(again.predict(mesh), shared.predict(mesh), 0.0, 0.0, "before and after, shared places")


@pytest.mark.parametrize(
    "options",
    [
        {"group": "En", "moving": ["position"]},
        {"group": "SE3", "moving": ["position", "turn"]},
        {"group": "Rn", "meta": "first", "nearest": None},
        {"group": "Tn", "period": [2.0, 2.0, None]},
    ],
    ids=lambda options: options["group"],
)
def test_groups_in_space(options):
    meshes = [with_field(ml.shapes.box(n=(n, 2, 2))) for n in (3, 4)]
    model = Small(["u"], **options).fit(meshes, **QUIET)
    assert model.predict(meshes[0]).point_data["u"].isfinite().all()
    start = model.fit_latents(meshes[0], steps=0).points
    moved = float((model.fit_latents(meshes[0]).points - start).abs().max())
    assert (moved > 1e-6) == ("moving" in options)


def test_gradients_reach_points_and_latents(fitted):
    latents = fitted.fit_latents(unlike_meshes()[0])
    points = torch.rand(5, 2, requires_grad=True)
    context = latents.point_data["context"].clone().requires_grad_()
    values = fitted.decode(latents.with_point_data(context=context), points).point_data["u"]
    for gradient in torch.autograd.grad(values.sum(), [points, context]):
        assert gradient.abs().sum() > 0
    assert not fitted.decode(latents, points.detach()).point_data["u"].requires_grad


def test_latents_that_are_none_are_told(fitted):
    mesh = unlike_meshes()[0]
    latents = fitted.fit_latents(mesh)
    frame, context = latents.point_data["frame"], latents.point_data["context"]
    for bad in (3 * frame, 0 * frame, frame + 0.1):
        with pytest.raises(ml.FieldError, match="no rotations"):
            fitted.decode(latents.with_point_data(frame=bad), mesh)
    for name, bad in (("context", context / 0.0), ("frame", frame * torch.nan)):
        with pytest.raises(ml.FieldError, match=f"'{name}' of latents has NaN"):
            fitted.decode(latents.with_point_data(**{name: bad}), mesh)


def test_all_latents_have_no_truncation_error(fitted):
    mesh = unlike_meshes()[0]
    errors = [fitted.truncation_error(mesh, nearest)["u"] for nearest in (1, 5)]
    assert errors[0] > 1e-3
    assert errors[1] == 0.0


def test_fields_nobody_can_fit_are_told(fitted):
    mesh = unlike_meshes()[0]
    with pytest.raises(ml.FieldError, match="no field 'u'"):
        fitted.fit_latents(mesh.without_data())
    spoiled = mesh.point_data["u"].clone()
    spoiled[3] = torch.nan
    with pytest.raises(ml.FieldError, match="NaN"):
        fitted.fit_latents(mesh.with_point_data(u=spoiled))
    with pytest.raises(ml.FieldError, match="at points"):
        Small(["load"]).fit(mesh.with_global_data(load=1.0), **QUIET)
    with pytest.raises(ml.FieldError, match="fit_latents"):
        fitted.decode(mesh, mesh)
    with pytest.raises(ml.ParameterError, match="point cloud"):
        fitted.decode(mesh.points, mesh)
    with pytest.raises(ml.MeshError, match="3 dimensions"):
        fitted.decode(fitted.fit_latents(mesh), torch.rand(4, 3))


def test_meshes_far_larger_than_those_of_the_training_are_told(fitted):
    mesh = unlike_meshes()[0]
    with pytest.warns(ml.ExtrapolationWarning, match="guess"):
        fitted.fit_latents(mesh.replace(points=3 * mesh.points))
    with pytest.raises(ml.MeshError, match="unit of length"):
        fitted.fit_latents(mesh.replace(points=1000 * mesh.points))


def test_meshes_far_smaller_than_those_of_the_training_are_told(fitted, tmp_path):
    mesh = unlike_meshes()[0]
    loaded = ml.load(fitted.save(tmp_path / "model"))
    for model in (fitted, loaded):
        with pytest.warns(ml.ExtrapolationWarning, match="smaller"):
            model.fit_latents(mesh.replace(points=0.2 * mesh.points))
        with pytest.raises(ml.MeshError, match="unit of length"):
            model.fit_latents(mesh.replace(points=0.001 * mesh.points))


@pytest.mark.parametrize("placement", ["own", "shared"])
def test_points_of_no_cell_are_no_part_of_the_shape(placement):
    """Reference nodes lie far away in files of many programs."""
    mesh = unlike_meshes()[1]
    x, fields = torch.cat([mesh.points, mesh.points.new_tensor([[90.0, 40.0]])]), mesh.point_data
    lone = mesh.replace(points=x, point_data={k: torch.cat([v, v[:1]]) for k, v in fields.items()})
    model = Small(["u", "v"], placement=placement).fit(mesh, **QUIET)
    with pytest.warns(FitWarning, match="belongs to no cell"):
        other = Small(["u", "v"], placement=placement).fit(lone, **QUIET)
    assert other.length_ == pytest.approx(model.length_)
    expected, found = model.fit_latents(mesh), other.fit_latents(lone)
    assert_close(found.points, expected.points, rtol=0, atol=1e-5)


def test_points_far_beyond_the_training_are_told(fitted):
    mesh = unlike_meshes()[0]
    latents = fitted.fit_latents(mesh)
    with pytest.warns(ml.ExtrapolationWarning, match="farthest point to decode at reaches"):
        assert torch.isfinite(fitted.decode(latents, torch.tensor([[50.0, 50.0]])).point_data["u"]).all()
    with pytest.raises(ml.MeshError, match="no points"):
        fitted.decode(latents, torch.zeros(0, 2))


BAD = [
    {"group": "SO2"},
    {"group": "SE3"},
    {"group": "Tn"},
    {"period": [1.0, 1.0]},
    {"n_latents": 0},
    {"n_latents": 2.5},
    {"latent_dim": 0},
    {"hidden": 3},
    {"heads": 3},
    {"frequencies": 1.0},
    {"frequencies": (0.0, 1.0)},
    {"nearest": 0},
    {"moving": ["turn"]},
    {"moving": "position"},
    {"placement": "grid"},
    {"inner_steps": 0},
    {"meta": "third"},
    {"points_per_step": None},
    {"loss": "relative"},
]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_arguments_that_cannot_be(bad):
    with pytest.raises(ml.ParameterError, match=next(iter(bad))):
        Small(["u"], **bad).fit(unlike_meshes(), **QUIET)


def test_more_latents_than_points():
    with pytest.raises(ml.MeshError, match="n_latents=500"):
        Small(["u"], group="En", n_latents=500).fit(unlike_meshes(), **QUIET)


@pytest.mark.slow
def test_latents_keep_what_they_are_fitted_to():
    """Unseen fields come back from 16 latents far better than the mean does."""
    rng = torch.Generator().manual_seed(0)

    def wave(n):
        a, b, c = torch.rand(3, generator=rng).tolist()
        mesh = ml.shapes.square(n=n)
        x, y = mesh.points.T
        return mesh.with_point_data(u=torch.sin(3 * x + 6 * a) + torch.cos(2 * y - 3 * b * x) * c)

    meshes = [wave(n) for n in (9, 10, 11, 12) * 8]
    model = ml.EquivariantNeuralField(["u"], hidden=32, latent_dim=8)
    model.fit(meshes[:28], epochs=12, learning_rate=4e-3, progress=False)
    error, mean = model.score(meshes[28:])["u"], ml.MeanField([], ["u"]).fit(meshes[:28]).score(meshes[28:])["u"]
    assert error < 0.3 * mean, f"relative error {error:.3f}, of the mean field {mean:.3f}"
