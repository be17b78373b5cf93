"""Looking fields up by name, and the errors a user meets when a field is not what it should be."""

import pytest
import torch

import meshlearn as ml
from meshlearn.errors import FieldError
from meshlearn.train.fields import FieldSet, FieldSpec, resolve_fields, resolve_one

from .tiny import Tiny, heat, quick, wave, waves


def replaced(mesh, **fields):
    return mesh.replace(point_data={**mesh.point_data, **fields})


def spoiled(change, index=2, source="runs/p3.vtu"):
    """Five meshes, one of which is changed."""
    meshes = waves(5)
    meshes[index] = change(meshes[index]).replace(source=source)
    return meshes


def test_specs_know_location_and_shape():
    fields = resolve_fields(wave(), ["f", "a", "q"], ["v"])
    assert fields.inputs == (FieldSpec("f", "point"), FieldSpec("a", "global"), FieldSpec("q", "cell"))
    assert fields.outputs == (FieldSpec("v", "point", (2,)),)
    assert FieldSet.from_json(fields.to_json()) == fields
    assert fields.hidden_names == ("v",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.replace(point_data={"u": m.point_data["u"]}), ["has no field 'f'", "'u'", "cell_data", "'total'"]),
        (lambda m: replaced(m, f=m.point_data["f"] * torch.nan), ["'f'", "NaN"]),
        (lambda m: replaced(m, u=m.point_data["u"] / 0.0), ["'u'", "infinite"]),
        (lambda m: replaced(m, u=m.point_data["v"]), ["'u'", "(2,)", "()"]),
        (lambda m: m.with_global_data(f=torch.tensor(1.0)), ["ambiguous", "point_data and global_data"]),
        (lambda m: m.replace(point_data={"u": m.point_data["u"]}).with_global_data(f=1.0), ["'f'", "global_data"]),
        (lambda m: m.with_global_data(a=torch.tensor(torch.inf)), ["'a'", "infinite"]),
    ],
)
def test_one_bad_mesh_of_many_is_named_before_training(change, words):
    model = Tiny()
    with pytest.raises(ml.FieldError) as error:
        quick(model, spoiled(change))
    for word in [*words, "mesh 2", "runs/p3.vtu"]:
        assert word in str(error.value), (word, str(error.value))
    assert not model.is_fitted


def test_a_failed_second_fit_leaves_the_fitted_model_alone():
    model = quick(Tiny(), waves(2))
    before = model.predict(wave()).point_data["u"]
    with pytest.raises(ml.FieldError):
        quick(model, spoiled(lambda m: m.replace(point_data={})))
    assert torch.equal(model.predict(wave()).point_data["u"], before)


def test_bad_meshes_are_named_by_predict_and_score():
    model = quick(Tiny(), waves(2))
    with pytest.raises(ml.FieldError, match="mesh 2"):
        model.predict(spoiled(lambda m: m.replace(point_data={})))
    with pytest.raises(ml.FieldError, match="'u'"):
        model.score(spoiled(lambda m: m.replace(point_data={"f": m.point_data["f"]})))
    with pytest.raises(ml.FieldError, match=r"the mesh \(x.vtu\)"):
        model.predict(wave().replace(point_data={}, source="x.vtu"))


def test_a_bad_frame_is_named():
    series = heat()
    u = series.point_data["u"].clone()
    u[3] = torch.nan
    with pytest.raises(ml.FieldError, match="frame 3"):
        quick(Tiny(inputs=["u"], outputs=["u"]), series.replace(point_data={**series.point_data, "u": u}))


def test_mixed_dimensions():
    solid = ml.shapes.box(n=(2, 2, 2), cells="tetra")
    x = solid.points[:, 0]
    solid = solid.with_point_data(f=x, u=x).with_global_data(a=1.0)
    with pytest.raises(ml.MeshError, match="3-dimensional"):
        quick(Tiny(), [wave(), solid])
    with pytest.raises(ml.MeshError, match="3-dimensional"):
        quick(Tiny(), waves(2)).predict(solid)


def test_integer_and_boolean_inputs():
    meshes = [replaced(m, f=torch.arange(m.n_points), b=m.points[:, 0] > 0.5) for m in waves(3)]
    model = quick(Tiny(inputs=["f", "b", "a"]), meshes)
    assert model.predict(meshes[0]).point_data["u"].dtype == torch.float32


def test_complex_fields_are_refused():
    meshes = [replaced(m, f=m.point_data["f"] + 1j) for m in waves(2)]
    with pytest.raises(ml.FieldError, match="complex"):
        quick(Tiny(), meshes)


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ("f", ["u"], "string"),
        (["f"], "u", "string"),
        (["f"], [], "empty"),
        (["f", "f"], ["u"], "more than once"),
        (["f", 3], ["u"], "name of a field"),
    ],
)
def test_impossible_names(inputs, outputs, message):
    with pytest.raises(ml.ParameterError, match=message):
        quick(Tiny(inputs=inputs, outputs=outputs), waves(2))


def test_no_inputs_is_fine():
    assert "u" in quick(Tiny(inputs=[]), waves(2)).score(waves(2))


def test_a_cell_field_must_cover_the_domain():
    mesh = wave(n=(4, 4), cells="mixed")
    q = dict(mesh.cell_data["q"])
    q.pop("quad")
    partial = mesh.replace(cell_data={"q": q})
    with pytest.raises(ml.FieldError, match="quad"):
        quick(Tiny(outputs=["q"]), partial)


def test_no_points_and_non_finite_points():
    with pytest.raises(ml.MeshError, match="no points"):
        resolve_fields(ml.Mesh(torch.zeros(0, 2)), [], ["u"])


def test_duplicated_points_and_degenerate_cells_are_no_obstacle():
    mesh = wave()
    points = mesh.points.clone()
    points[1] = points[0]
    with pytest.warns(ml.FitWarning, match="1 point in the place of another"):
        assert quick(Tiny(), [mesh.replace(points=points), wave()]).history_


def test_one_dimensional_meshes():
    x = torch.linspace(0, 1, 10)[:, None]
    line = ml.Mesh(x, {"line": torch.stack([torch.arange(9), torch.arange(1, 10)], dim=1)})
    line = line.with_point_data(f=x[:, 0], u=x[:, 0].square()).with_global_data(a=1.0)
    assert quick(Tiny(), line).predict(line).point_data["u"].shape == (10,)


def test_values_and_restore_are_inverse():
    mesh = wave()
    for name in ("u", "v", "q", "total"):
        spec = resolve_fields(mesh, [], [name]).outputs[0]
        again = FieldSet((), (spec,), 2).attach(mesh, {spec: spec.restore(spec.values(mesh))})
        assert torch.equal(spec.values(again), spec.values(mesh))


def test_a_slip_in_the_name_of_a_field_is_told():
    with pytest.raises(FieldError, match="has no field 'Load': did you mean 'load'"):
        resolve_one(ml.shapes.square(n=2).with_global_data(load=1.0), "Load")
