"""Enf2Enf: an estimator on all kinds of meshes; shapes by distance, deformation or fields; other places; stages."""

import os
import signal
from functools import partial

import pytest
import torch
from torch.testing import assert_close

import meshlearn as ml
from meshlearn.mesh.boundary import tagged_points
from meshlearn.models.neural_fields.autodecoder import Autodecoder
from meshlearn.models.neural_fields.geometry import signed_distance
from meshlearn.testing import RigidMotion, assert_same_fields, check_estimator

Small = partial(
    ml.Enf2Enf,
    n_latents=4,
    latent_dim=3,
    hidden=8,
    encoder_hidden=8,
    heads=1,
    blocks=1,
    nearest=2,
    inner_steps=2,
    layers=2,
)
QUIET = {"epochs": 1, "progress": False}


def with_fields(mesh, load=1.0):
    x = mesh.points - mesh.points.mean(0)
    mesh = mesh.with_point_data(f=x[:, 0].square(), u=load * torch.sin(3 * x[:, 0]))
    mesh = mesh.with_global_data(load=torch.tensor(load), total=torch.tensor([load, 2.0]))
    if mesh.domain_types:
        mesh = mesh.with_cell_data(q=mesh.join_cells(mesh.cell_centroids())[:, 0])
    return mesh


def uneven(mesh):
    """The mesh without its symmetries."""
    x, y = mesh.points.T[:2]
    rest = mesh.points[:, 2:]
    return mesh.replace(points=torch.cat([torch.stack([x + 0.2 * x * y, y + 0.3 * x.square()], 1), rest], 1))


def plates():
    holes = [((0.4, 0.5, 0.15),), ((0.6, 0.4, 0.2),), ((0.5, 0.6, 0.1),)]
    meshes = [ml.shapes.plate_with_holes(hole, size=0.2) for hole in holes]
    return [with_fields(uneven(mesh), load) for mesh, load in zip(meshes, (1.0, 2.0, -1.0), strict=True)]


def example():
    return [with_fields(uneven(ml.shapes.square(n=n)), load) for n, load in ((4, 1.0), (5, 2.0), (6, -1.0))]


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"training": "joint"}, {"backbone": "film"}], ids=str)
def test_it_is_an_estimator(options):
    check_estimator(partial(Small, **options), example(), inputs=["f", "q", "load"], outputs=["u", "total"])


@pytest.mark.parametrize(
    ("make", "group"),
    [
        (lambda n: ml.shapes.rectangle(n=(n, n), cells="mixed"), "En"),
        (lambda n: ml.shapes.rectangle(n=(n, n), order=2), "SE2"),
        (lambda n: ml.shapes.box(n=(n, 2, 2)), "SE3"),
        (lambda n: ml.shapes.box(n=(n, 2, 2), cells="hexahedron"), "Rn"),
    ],
    ids=["mixed", "second order", "tetrahedra", "hexahedra"],
)
def test_kinds_of_meshes(make, group):
    meshes = [with_fields(uneven(make(n)), float(n)) for n in (3, 4)]
    model = Small(["f", "q", "load"], ["u", "total"], group=group).fit(meshes, **QUIET)
    prediction = model.predict(with_fields(make(5)))
    assert prediction.point_data["u"].shape == (prediction.n_points,)
    assert prediction.global_data["total"].shape == (2,)


def test_a_distance_is_read_where_there_is_one_and_computed_elsewhere():
    meshes = plates()
    model = Small(["load"], ["u"]).fit(meshes, **QUIET)
    computed = model.shape_of(meshes[0]).point_data["geometry"]
    assert_close(computed[meshes[0].boundary_points], torch.zeros(len(meshes[0].boundary_points), 1), atol=1e-6, rtol=0)
    given = meshes[0].with_point_data(signed_distance=computed[:, 0])
    assert_same_fields(
        model.predict(given),
        model.predict(meshes[0]).with_point_data(signed_distance=computed[:, 0]),
        1e-6,
        1e-6,
        "given",
    )
    other = model.predict(meshes[0].with_point_data(signed_distance=2 * computed[:, 0])).point_data["u"]
    assert (other - model.predict(meshes[0]).point_data["u"]).abs().max() > 1e-5


def test_a_cloud_with_the_distance_is_predicted_like_its_mesh():
    meshes = plates()
    model = Small(["load"], ["u"]).fit(meshes, **QUIET)
    distance = model.shape_of(meshes[0]).point_data["geometry"][:, 0]
    cloud = ml.Mesh(meshes[0].points, point_data={"signed_distance": distance}, global_data={"load": torch.tensor(1.0)})
    assert model.predict(cloud).point_data["u"].shape == (cloud.n_points,)
    with pytest.raises(ml.MeshError, match="no boundary to measure"):
        model.predict(cloud.without_data().with_global_data(load=1.0))


def test_distances_to_named_sets():
    meshes = plates()
    model = Small(["load"], ["u"], boundary_sets=["hole_*", "left"]).fit(meshes, **QUIET)
    table = model.shape_of(meshes[0]).point_data["geometry"]
    assert table.shape == (meshes[0].n_points, 2)
    left = tagged_points(meshes[0], "left")
    assert table[left, 1].abs().max() < 1e-6
    assert table[left, 0].min() > 0.1
    with pytest.raises(ml.FieldError, match="no set of any training mesh matches 'hol_"):
        Small(["load"], ["u"], boundary_sets=["hol_*"]).fit(meshes, **QUIET)


def test_distances_to_sets_of_points_edges_and_faces_together():
    """Groups of a CAD model hold corners and curves under names that one pattern may match."""
    mesh = ml.shapes.square(n=4)
    sets = {**mesh.cell_sets, "pin": {"vertex": torch.tensor([0])}, "body": {"triangle": torch.arange(32)}}
    mesh = ml.Mesh(mesh.points, {**mesh.cells, "vertex": torch.tensor([[12]])}, cell_sets=sets)
    both, left, pin = (signed_distance(mesh, None, [name])[:, 0] for name in ("[lp]*", "left", "pin"))
    assert_close(left, mesh.points[:, 0])
    assert_close(pin, (mesh.points - mesh.points[12]).norm(dim=1))
    assert_close(both, torch.minimum(left, pin))
    with pytest.raises(ml.FieldError, match=r"'body' \(32 triangle\).*no part of its boundary"):
        signed_distance(mesh, None, ["body"])


def test_deformations_need_the_same_nodes():
    base = ml.shapes.square(n=4)
    meshes = [with_fields(base.replace(points=base.points * torch.tensor([1.0 + 0.1 * i, 1.0]))) for i in range(3)]
    model = Small([], ["u"], geometry="deformation").fit(meshes, **QUIET)
    assert model.predict(meshes[0]).point_data["u"].isfinite().all()
    middle = model.shape_of(meshes[1]).point_data["geometry"]
    assert middle.abs().max() < 1e-6  # the second mesh is the mean
    with pytest.raises(ml.MeshError, match="same nodes"):
        model.predict(with_fields(ml.shapes.square(n=5)))
    with pytest.raises(ml.MeshError, match="same nodes"):
        Small([], ["u"], geometry="deformation").fit(example(), **QUIET)


def test_other_places_of_the_same_shape():
    meshes = plates()
    model = Small(["load", "f"], ["u"]).fit(meshes, **QUIET)
    mesh = meshes[0]
    same = model.predict_at(mesh, mesh.without_data()).point_data["u"]
    assert_close(same, model.predict(mesh).point_data["u"], rtol=1e-3, atol=1e-4)
    finer = ml.refine(mesh.without_data())
    on_finer = model.predict_at(mesh, finer)
    assert on_finer.cell_counts == finer.cell_counts
    cloud = model.predict_at(mesh, finer.points)
    assert_close(cloud.point_data["u"], on_finer.point_data["u"])
    with pytest.raises(ml.MeshError, match="3 dimensions"):
        model.predict_at(mesh, torch.rand(3, 3))
    with pytest.raises(ml.ParameterError, match="the shape with the inputs, is one Mesh, not Tensor"):
        model.predict_at(mesh.points, mesh)
    with pytest.warns(ml.ExtrapolationWarning, match="farthest point to predict at reaches"):
        model.predict_at(mesh, mesh.points + 100.0)


@pytest.mark.parametrize("group", ["Rn", "SE2", "En"])
def test_predictions_commute_with_motions(group):
    """Fields of a moved mesh are those of the mesh, for motions of the group; others change them."""
    model = Small(["load"], ["u"], group=group).fit(plates(), **QUIET)
    mesh = plates()[0].double()
    turn, shift = RigidMotion.random(2, seed=1, shift=5.0).rotation, torch.tensor([3.0, -2.0]).double()
    before = model.predict(mesh).point_data["u"]
    moved, turned = (mesh.replace(points=x) for x in (mesh.points + shift, mesh.points @ turn.T + shift))
    changes = [float((model.predict(m).point_data["u"] - before).abs().max() / before.std()) for m in (moved, turned)]
    assert changes[0] < 1e-3
    assert changes[1] < 1e-3 if group != "Rn" else changes[1] > 1e-2


def test_validation_is_held_out_of_both_stages():
    """Spoiled geometry among the validation meshes changes neither encoder nor normalisers."""
    meshes, other = plates(), plates()[0]
    strange = other.replace(points=1.2 * other.points)
    models = [Small(["load"], ["u"]).fit(meshes, validation=[v], **QUIET) for v in (other, strange)]
    states = [model.encoder_.normalizers_.state_dict() for model in models]
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name])
    assert models[0].encoder_.length_ == models[1].encoder_.length_
    assert models[0].history_[0]["val_loss"] != models[1].history_[0]["val_loss"]
    held = Small(["load"], ["u"]).fit(meshes, validation=0.4, **QUIET)
    assert held.history_[0]["val_loss"] is not None


def test_validation_is_checked_before_the_first_stage(monkeypatch):
    monkeypatch.setattr(Autodecoder, "forward", lambda *_: pytest.fail("the first stage began"))
    for bad, error in ((ml.shapes.square(n=3), "has no field"), (ml.shapes.box(n=2), "is 3-dimensional")):
        with pytest.raises(ml.MeshlearnError, match=f"validation mesh 0 {error}"):
            Small(["load"], ["u"]).fit(plates(), validation=[bad], **QUIET)


def test_joint_training_moves_the_encoder():
    meshes = plates()
    fits = {kind: Small(["load"], ["u"], training=kind).fit(meshes, **QUIET) for kind in ("two-stage", "joint")}
    alone, joint = fits["two-stage"].encoder_.module_, fits["joint"].module_.encoder
    assert fits["two-stage"].module_.encoder is None
    assert any(not torch.equal(a, b) for a, b in zip(alone.parameters(), joint.parameters(), strict=True))


def test_a_failed_fit_leaves_the_model_as_it_was():
    model = Small(["load"], ["u"]).fit(plates(), **QUIET)
    before = model.predict(plates()[0])
    with pytest.raises(ml.FieldError, match="no field 'load'"):
        model.fit([mesh.without_data().with_point_data(u=mesh.point_data["u"]) for mesh in plates()], **QUIET)
    assert_same_fields(model.predict(plates()[0]), before, 0.0, 0.0, "before and after a failed fit")


def test_ctrl_c_in_the_first_stage_ends_the_fit(monkeypatch, tmp_path):
    """A decoder on an encoder that was interrupted would be trained, saved and taken for a finished one."""
    model = Small(["load"], ["u"]).fit(plates(), **QUIET)
    before, forward = model.predict(plates()[0]), Autodecoder.forward

    def interrupted(self, *args):
        monkeypatch.setattr(Autodecoder, "forward", forward)
        os.kill(os.getpid(), signal.SIGINT)
        return forward(self, *args)

    monkeypatch.setattr(Autodecoder, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt, match="before the stage that learns the outputs"):
        model.fit(plates(), epochs=9, progress=False, checkpoint=tmp_path / "run")
    assert not list((tmp_path / "run").glob("*.json"))
    assert_same_fields(model.predict(plates()[0]), before, 0.0, 0.0, "before and after an interrupted fit")


@pytest.mark.parametrize("at", [None, "points", {}, [[1.0, 2.0], [3.0]], 3])
def test_what_is_no_place_is_told(at):
    model = Small(["load"], ["u"]).fit(plates(), **QUIET)
    latents = model.encoder_.fit_latents(model.shape_of(plates()[0]))
    for call in (lambda: model.predict_at(plates()[0], at), lambda: model.encoder_.decode(latents, at)):
        with pytest.raises(ml.MeshError, match="points"):
            call()


def test_several_meshes_where_one_is_meant_are_told():
    model, meshes = Small(["load"], ["u"]).fit(plates(), **QUIET), plates()
    series = ml.Trajectory(meshes[0], [0.0, 1.0], {"u": torch.zeros(2, meshes[0].n_points)})
    coder = model.encoder_
    latents = coder.fit_latents(model.shape_of(meshes[0]))
    several = {"one after the other": meshes, r"frame\(i\)": series, "unbatch": ml.MeshBatch.from_meshes(meshes)}
    for hint, at in several.items():
        for call in (
            lambda at=at: model.predict_at(meshes[0], at),
            lambda at=at: model.predict_at(at, meshes[0]),
            lambda at=at: model.shape_of(at),
            lambda at=at: coder.decode(latents, at),
            lambda at=at: coder.truncation_error(at, 1),
        ):
            with pytest.raises(ml.ParameterError, match=hint):
                call()
    with pytest.raises(ml.ParameterError, match="frame"):
        coder.fit_latents(series)
    with pytest.raises(ml.NotFittedError, match="shape_of"):
        Small().shape_of(meshes[0])


def test_outputs_are_no_fields_of_the_shape():
    for geometry in (["u"], "u", ["f", "u"]):
        with pytest.raises(ml.ParameterError, match="are outputs too"):
            Small(["load"], ["u"], geometry=geometry).fit(plates(), **QUIET)


def test_modulated_networks_have_no_other_group():
    with pytest.raises(ml.ParameterError, match="translations only"):
        Small(["load"], ["u"], group="SE2", backbone="film").fit(plates(), **QUIET)


def test_cells_are_not_decoded():
    with pytest.raises(ml.FieldError, match="live on cells"):
        Small(["load"], ["q"]).fit(plates(), **QUIET)


def test_misspelt_options_are_told():
    with pytest.raises(ml.ParameterError, match="did you mean 'epochs'"):
        Small(["load"], ["u"]).fit(plates(), epoch=1)


BAD = [
    {"geometry": []},
    {"geometry": ["deformation", "f"]},
    {"geometry": 3},
    {"boundary_sets": "left"},
    {"backbone": "mlp"},
    {"group": "O3"},
    {"n_latents": 0},
    {"latent_dim": "a"},
    {"placement": "corners"},
    {"nearest": 0},
    {"inner_steps": 0},
    {"meta": None},
    {"hidden": 7},
    {"blocks": -1},
    {"frequencies": (1.0,)},
    {"encoder_hidden": 0},
    {"encoder_epochs": 0},
    {"encoder_share": 1.0},
    {"layers": 0},
    {"training": "three-stage"},
    {"points_per_step": 0},
    {"loss": "l3"},
]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_arguments_that_no_pipeline_has(bad):
    with pytest.raises(ml.ParameterError, match=next(iter(bad))):
        Small(["load"], ["u"], **bad).fit(plates(), **QUIET)


@pytest.mark.slow
def test_it_learns_from_the_shape():
    """Poisson on unseen star-shaped domains, far better than the mean; from a signed distance."""
    meshes = ml.sim.make_stars(20, size=0.25, contrast=0.0)
    train, test = meshes[:16], meshes[16:]
    model = ml.Enf2Enf(["source", "conductivity"], ["u", "max_u"], hidden=16, encoder_hidden=16)
    model.fit(train, epochs=20, learning_rate=3e-3, progress=False)
    mean = ml.MeanField([], ["u", "max_u"]).fit(train).score(test)
    error = model.score(test)
    assert error["u"] < 0.5 * mean["u"], f"relative error {error}, of the mean field {mean}"
    assert error["max_u"] < 0.5 * mean["max_u"], f"relative error {error}, of the mean field {mean}"
