"""SPON as an estimator: properties of all estimators, exact boundary values, losses, errors."""

from functools import partial

import pytest
import torch
from spon_cases import meshes, poisson

import meshlearn as ml
from meshlearn.fem import FESpace
from meshlearn.models.spon import discretisation
from meshlearn.testing import assert_batch_equals_loop, assert_permutation_equivariant, check_estimator

SMALL = {"hidden": 8, "steps": 1, "parts": 2}


def slow(*case):
    return pytest.param(*case, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("options", "inputs", "outputs"),
    [
        ({"parts": 4, "dirichlet": {"boundary": 0.0}}, ("f", "a"), ("u",)),
        slow({"output_element": "P2", "loss": "H1"}, ("f", "q"), ("u", "v")),
        slow({"output_element": "RT0", "parts": 0}, ("f", "a"), ("v",)),
        slow({"output_element": "P0", "input_element": {"v": "N1"}}, ("v",), ("q",)),
    ],
)
def test_estimator(options, inputs, outputs):
    check_estimator(partial(ml.SPON, **{**SMALL, **options}), meshes(4), inputs, outputs)


@pytest.mark.parametrize(("element", "outputs"), [("P2", ["u", "v"]), ("RT0", ["v"]), ("P0", ["q"])])
def test_numbering_and_batches_do_not_matter(element, outputs):
    data = meshes(2)
    inputs = [name for name in ("f", "q", "a") if name not in outputs]
    model = fitted(data, inputs, outputs, output_element=element)
    assert_batch_equals_loop(model, data)
    assert_permutation_equivariant(model, data[0])


def fitted(data, *args, **options):
    return ml.SPON(*args, **{**SMALL, **options}).fit(data, epochs=1, progress=False)


@pytest.mark.parametrize("element", ["P1", "P2", "CR"])
def test_prescribed_dofs_hold_to_the_last_bit(element):
    mesh = ml.shapes.square(n=4, dtype=torch.float64)
    g = torch.sin(7 * mesh.points[:, 0]) / 3
    data = mesh.with_point_data(f=g.square(), u=torch.rand(mesh.n_points).double(), g=g)
    model = fitted(data, ["f"], ["u"], output_element=element, dirichlet={"boundary": "g", "left": 0.1})
    space = FESpace(mesh, element)
    dofs, left = model.predict_dofs(data)["u"], space.dofs("left")
    assert torch.equal(dofs[left], torch.full((len(left),), 0.1, dtype=torch.float64))
    p1 = FESpace(mesh, "P1")
    expected = space.interpolate(p1.function(p1.interpolate(g)))
    rest = space.dofs("boundary")
    rest = rest[~torch.isin(rest, left)]
    assert torch.equal(dofs[rest], expected[rest])
    assert not torch.equal(dofs, expected)


def test_components_and_outputs_have_their_own_conditions():
    data = meshes(2)
    conditions = {"v": {"left": [0.5, None], "ri*": 2.0}, "u": {"no_such_*": 1.0}}
    pred = fitted(data, ["f"], ["u", "v"], dirichlet=conditions).predict(data[0]).point_data["v"]
    space = FESpace(data[0], "P1")
    left, right = (space.dofs(name) for name in ("left", "right"))
    assert bool((pred[left, 0] == 0.5).all())
    assert not bool((pred[left, 1] == 0.5).any())
    assert bool((pred[right] == 2.0).all())


def test_normal_component_of_a_flux_is_prescribed():
    data = meshes(2, ("triangle",))
    model = fitted(data, ["f"], ["v"], output_element="RT0", dirichlet={"boundary": 0.0})
    space = FESpace(data[0], "RT0")
    dofs = model.predict_dofs(data[0])["v"]
    assert bool((dofs[space.dofs("boundary")] == 0).all())
    assert float(dofs.abs().max()) > 0


@pytest.mark.parametrize(("loss", "element"), [("L2", "P2"), ("H1", "P1"), ("L2", "RT0"), ("L2", "P0")])
def test_the_loss_is_the_relative_error_in_the_norm(loss, element):
    data = meshes(2, ("triangle",))
    name = "v" if element == "RT0" else "u"
    model = fitted(data, ["f"], [name], output_element=element, loss=loss, dirichlet={"left": 0.0})
    samples = [model.make_sample(mesh, mesh) for mesh in data]
    batch = model.normalizers_.normalise(model.collate(samples))
    batch = batch.to(dtype=torch.float32)
    found = model.sample_losses(model.network(model.module_, batch), batch).detach()
    for mesh, error in zip(data, found, strict=True):
        space = FESpace(mesh, element)
        p1 = FESpace(mesh, "P1^d" if element == "RT0" else "P1")
        truth = p1.function(p1.interpolate(mesh.point_data[name].double()))
        u = space.interpolate(truth)
        e = model.predict_dofs(mesh)[name] - u
        length = float(mesh.measure()) ** 0.5

        def norm(dofs, space=space, length=length):
            square = space.norm(dofs, "L2").square()
            return square + (length * space.norm(dofs, "H1-semi")).square() if loss == "H1" else square

        assert float(error) == pytest.approx(float((norm(e) / norm(u)).sqrt()), rel=2e-3)


def test_one_mesh_with_many_fields_is_discretised_once(monkeypatch):
    made = []
    build = discretisation.FESpace.__init__
    monkeypatch.setattr(
        discretisation.FESpace, "__init__", lambda self, *a, **k: made.append(a) or build(self, *a, **k)
    )
    data = poisson(ml.shapes.square(n=4), 12)
    made.clear()
    fitted(data, ["f"], ["u"], dirichlet={"boundary": 0.0}).predict(data)
    assert len(made) == 1


def test_what_is_kept_goes_with_the_mesh():
    import gc

    mesh = ml.shapes.square(n=3)
    gc.collect()
    before = len(discretisation._KNOWN)
    discretisation.discretise(mesh, "P1")
    assert len(discretisation._KNOWN) == before + 1
    del mesh
    gc.collect()
    assert len(discretisation._KNOWN) == before


def test_moved_and_scaled_meshes_look_alike():
    """Translations change nothing; edge features do not depend on the unit of length, nor on the mesh size."""
    mesh = ml.shapes.square(n=4, dtype=torch.float64)
    mesh = mesh.with_point_data(f=mesh.points[:, 0], u=mesh.points[:, 1])
    model = fitted(mesh, ["f"], ["u"])
    moved = mesh.replace(points=mesh.points + 3.0)
    torch.testing.assert_close(
        model.predict(moved).point_data["u"], model.predict(mesh).point_data["u"], rtol=1e-4, atol=1e-5
    )
    own, scaled, finer = (
        model.prepare(m.with_point_data(f=m.points[:, 0])).edge_features
        for m in (mesh, mesh.replace(points=1000 * mesh.points), ml.refine(mesh))
    )
    torch.testing.assert_close(own, scaled)
    inside = {tuple(row) for row in own.round(decimals=6).tolist()}
    assert len(inside & {tuple(row) for row in finer.round(decimals=6).tolist()}) >= len(inside) - 8


@pytest.mark.parametrize(
    ("options", "outputs", "error", "words"),
    [
        ({"output_element": "P9"}, ["u"], ml.ParameterError, "output_element='P9'"),
        ({"input_element": {"g": "P1"}}, ["u"], ml.ParameterError, "input_element names"),
        ({"output_element": "RT0"}, ["u"], ml.ParameterError, "2 components"),
        ({"dirichlet": {"boundary": "u"}}, ["u"], ml.ParameterError, "is an output"),
        ({"dirichlet": {"boundary": 0.0}}, ["u", "v"], ml.ParameterError, "which of the outputs"),
        ({"dirichlet": {"rim": 0.0}}, ["u"], ml.FieldError, "rim"),
        ({"dirichlet": {"left": [1.0, 2.0]}}, ["u"], ml.ParameterError, "not a number"),
        ({"dirichlet": {"left": "nothing"}}, ["u"], ml.FieldError, "nothing"),
        ({"dirichlet": 0.0}, ["u"], ml.ParameterError, "a dictionary"),
        ({"conserve": {"u": "f"}}, ["u"], ml.FieldError, "does not say"),
        ({"conserve": {"w": "f"}}, ["u"], ml.ParameterError, "outputs"),
        ({"loss": "mse"}, ["u"], ml.ParameterError, "loss="),
        ({"loss": "H1", "output_element": "P0"}, ["u"], ml.ParameterError, "derivatives"),
        ({"steps": 0}, ["u"], ml.ParameterError, "steps=0"),
        ({"parts": -1}, ["u"], ml.ParameterError, "parts=-1"),
        ({}, ["total"], ml.ParameterError, "numbers of the whole mesh"),
    ],
)
def test_what_cannot_be_is_said(options, outputs, error, words):
    data = meshes(2)
    with pytest.raises(error, match=words):
        fitted(data, ["f"], outputs, **options).predict(data)


def test_meshes_without_a_space_are_refused():
    cloud = ml.Mesh(torch.rand(9, 2), point_data={"f": torch.rand(9), "u": torch.rand(9)})
    with pytest.raises(ml.TopologyError, match="point cloud"):
        fitted(cloud, ["f"], ["u"])
    mixed = ml.shapes.rectangle(n=(3, 3), cells="mixed")
    mixed = mixed.with_point_data(f=mixed.points[:, 0], u=mixed.points[:, 0])
    with pytest.raises(ml.TopologyError, match="one kind of cell"):
        fitted(mixed, ["f"], ["u"])
    second = ml.second_order(ml.shapes.square(n=2))
    second = second.with_point_data(f=second.points[:, 0], u=second.points[:, 0])
    with pytest.raises(ml.TopologyError, match="first-order"):
        fitted(second, ["f"], ["u"])


@pytest.mark.slow
def test_learns_poisson():
    mesh = ml.refine(ml.shapes.square(n=2), 2)
    train, test = poisson(mesh, 80, seed=1), poisson(mesh, 10, seed=2)
    model = ml.SPON(["f"], ["u"], hidden=24, steps=2, parts=12, dirichlet={"boundary": 0.0})
    model.fit(train, epochs=30, learning_rate=4e-3, progress=False)
    assert model.score(test)["u"] < 0.2
