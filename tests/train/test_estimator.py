"""scikit-learn's conventions, prediction, scores and model folders."""

import copy
import json
import math
import pickle

import pytest
import torch

import meshlearn as ml
from meshlearn.errors import CheckpointWarning, ScoreWarning

from .tiny import Tiny, assert_same_weights, quick, wave, waves, weights


@pytest.fixture(scope="module")
def model():
    return quick(Tiny(inputs=["f", "a"], outputs=["u", "v"]), waves(3))


def test_constructor_stores_and_params_round_trip():
    model = Tiny(width=7)
    assert model.get_params() == {"inputs": ("f", "a"), "outputs": ("u",), "width": 7, "dropout": 0.0, "loss": "mse"}
    assert model.set_params(width=9, dropout=0.5) is model
    assert (model.width, model.dropout) == (9, 0.5)
    assert repr(model) == "Tiny(width=9, dropout=0.5)"


def test_unknown_parameter_changes_nothing():
    model = Tiny()
    with pytest.raises(ml.ParameterError, match="depth"):
        model.set_params(width=3, depth=2)
    assert model.width == 16


def test_sklearn_can_clone():
    from sklearn.base import clone

    fitted = quick(Tiny(width=5), waves(2))
    copy = clone(fitted, safe=False) if not hasattr(fitted, "__sklearn_tags__") else clone(fitted)
    assert copy.get_params() == fitted.get_params()


@pytest.mark.parametrize("action", ["predict", "score", "save", "to"])
def test_not_fitted(action, tmp_path):
    arguments = {"predict": wave(), "score": [wave()], "save": tmp_path, "to": "cpu"}
    with pytest.raises(ml.NotFittedError, match=action):
        getattr(Tiny(), action)(arguments[action])


def test_predict_returns_what_it_was_given(model):
    mesh = wave()
    assert isinstance(model.predict(mesh), ml.Mesh)
    meshes = waves(3)
    assert [m.n_points for m in model.predict(meshes)] == [m.n_points for m in meshes]
    assert isinstance(model.predict(tuple(meshes)), list)
    assert len(model.predict(m for m in meshes)) == 3
    batch = model.predict(ml.MeshBatch.from_meshes(meshes))
    assert isinstance(batch, ml.MeshBatch)
    assert batch.meshes[0].point_data["v"].shape == (meshes[0].n_points, 2)


def test_prediction_keeps_the_rest_of_the_mesh(model):
    mesh = wave()
    pred = model.predict(mesh)
    assert set(pred.point_data) == set(mesh.point_data)
    assert torch.equal(pred.point_data["f"], mesh.point_data["f"])
    assert pred.cell_sets.keys() == mesh.cell_sets.keys()
    assert not torch.equal(pred.point_data["u"], mesh.point_data["u"])
    assert torch.equal(mesh.point_data["u"], wave().point_data["u"])


def test_the_truth_cannot_leak(model):
    mesh = wave()
    nonsense = mesh.with_point_data(u=torch.full_like(mesh.point_data["u"], torch.nan))
    without = mesh.replace(point_data={"f": mesh.point_data["f"]})
    for other in (nonsense, without):
        assert torch.equal(model.predict(other).point_data["u"], model.predict(mesh).point_data["u"])


def test_the_mesh_a_model_prepares_has_no_output():
    seen = []

    class Nosy(Tiny):
        def prepare(self, mesh):
            seen.append(set(mesh.point_data))
            return super().prepare(mesh)

    quick(Nosy(), waves(2)).predict(wave())
    assert seen == [{"f", "v"}] * 3


def test_the_normalisers_move_with_the_network():
    model = quick(Tiny(), waves(2))
    assert model.to("meta") is model
    assert {value.device.type for value in weights(model).values()} == {"meta"}


def test_big_lists_are_cut_into_batches(model, monkeypatch):
    from meshlearn.train import batching, network

    whole = [m.point_data["u"] for m in model.predict(waves(6))]
    monkeypatch.setattr(network, "prediction_budget", lambda device: batching.Budget(30, 10_000))
    for expected, mesh in zip(whole, model.predict(waves(6)), strict=True):
        torch.testing.assert_close(mesh.point_data["u"], expected, rtol=1e-5, atol=1e-6)


def test_no_uncertainty_is_an_error(model):
    with pytest.raises(ml.ParameterError, match="return_std"):
        model.predict(wave(), return_std=True)


@pytest.mark.parametrize("nothing", [[], (), ml.shapes])
def test_things_that_are_not_meshes(model, nothing):
    with pytest.raises((ml.ParameterError, ml.MeshError)):
        model.predict(nothing)
    with pytest.raises((ml.ParameterError, ml.MeshError)):
        quick(Tiny(), nothing)


def test_a_path_among_the_meshes(model):
    with pytest.raises(ml.MeshError, match="entry 1"):
        model.predict([wave(), "plate.vtu"])
    with pytest.raises(ml.ParameterError, match="read"):
        model.predict("plate.vtu")


def test_score_is_the_measure_weighted_relative_error_averaged_over_meshes(model):
    meshes = waves(2)
    expected = []
    for mesh in meshes:
        w = mesh.point_measures()
        p, t = model.predict(mesh).point_data["v"], mesh.point_data["v"]
        expected.append(((w[:, None] * (p - t) ** 2).sum() / (w[:, None] * t**2).sum()).sqrt())
    assert model.score(meshes)["v"] == pytest.approx(float(torch.stack(expected).mean()), rel=1e-5)


def test_score_of_global_fields_is_the_relative_error():
    model = quick(Tiny(outputs=["total"]), waves(3))
    mesh = wave()
    p = float(model.predict(mesh).global_data["total"])
    assert model.score(mesh)["total"] == pytest.approx(abs(p - 2.0) / 2.0, rel=1e-5)


# -- folders -------------------------------------------------------------------------------------------------------


def test_save_and_load_predict_the_same(model, tmp_path):
    assert model.save(tmp_path / "deep" / "model") == tmp_path / "deep" / "model"
    again = ml.load(tmp_path / "deep" / "model")
    assert isinstance(again, Tiny)
    assert again.get_params() == {**model.get_params(), "inputs": ["f", "a"], "outputs": ["u", "v"]}
    assert_same_weights(model, again)
    assert again.history_ == model.history_
    assert torch.equal(again.predict(wave()).point_data["u"], model.predict(wave()).point_data["u"])


def test_loading_leaves_the_global_generator_alone(model, tmp_path):
    model.save(tmp_path)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    ml.load(tmp_path)
    assert torch.equal(torch.rand(2), expected)


def test_a_double_model_stays_double(tmp_path):
    model = quick(Tiny(), waves(2), precision="64")
    model.save(tmp_path)
    assert ml.load(tmp_path).dtype == torch.float64


def test_the_folder_holds_data_only(model, tmp_path):
    model.save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    meta = json.loads((tmp_path / "model.json").read_text())
    assert (meta["schema"], meta["estimator"], meta["meshlearn"]) == (2, "Tiny", ml.__version__)


def spoil(folder, change):
    path = folder / "model.json"
    meta = json.loads(path.read_text())
    change(meta)
    path.write_text(json.dumps(meta))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(estimator="os.system"), "not registered"),
        (lambda m: m.update(schema=99), "newer"),
        (lambda m: m.update(schema=0), "never was"),
        (lambda m: m["tensors"]["model"].pop("sha256"), "'sha256' of the 'model' tensors is None"),
        (lambda m: m["tensors"]["model"].update(sha256="ab" * 32), "SHA-256"),
        (lambda m: m.pop("fields"), "fields"),
        (lambda m: m["params"].update(colour=3), "colour"),
        (lambda m: m["tensors"]["model"].update(file="../../etc/passwd"), "not a name"),
        (lambda m: m["tensors"]["model"].update(file="model-0123456789abcdef.safetensors"), "missing"),
        (lambda m: m["tensors"]["model"].update(bytes=3), "damaged"),
        (lambda m: m["tensors"]["model"].pop("bytes"), "'bytes' of the 'model' tensors is None"),
        (lambda m: m["tensors"]["model"].update(bytes="9"), "'bytes'"),
        (lambda m: m.update(fields={}), "'fields' cannot be used .*inputs"),
        (lambda m: m["fields"].update(dim=7), "'fields' .*dim=7"),
        (lambda m: m["fields"]["outputs"][0].update(shape=["x"]), "'fields' .*shape"),
        (lambda m: m["fields"]["outputs"][0].update(shape=[-2]), "'fields' .*shape"),
        (lambda m: m["fields"]["outputs"][0].update(shape=[5]), "size mismatch"),
        (lambda m: m["fields"]["outputs"][0].update(location="nowhere"), "'fields' .*nowhere"),
        (lambda m: m["params"].update(width="wide"), "'state'"),
        (lambda m: m.update(state={}), "'state' .*dtype"),
        (lambda m: m["state"].update(dtype="load"), "'state' .*load"),
        (lambda m: m["state"].update(sizes=3), "'state'"),
        (lambda m: m["state"].update(history=[1]), "'state'"),
        (lambda m: (m.pop("meshlearn"), m["params"].update(colour=3)), "colour"),
    ],
)
def test_strange_folders_are_refused(model, tmp_path, change, message):
    model.save(tmp_path)
    spoil(tmp_path, change)
    with pytest.raises(ml.CheckpointError, match=message) as caught:
        ml.load(tmp_path)
    if "cannot be used" in str(caught.value):
        assert str(tmp_path) in str(caught.value)


def test_missing_empty_truncated_and_foreign(model, tmp_path):
    with pytest.raises(ml.CheckpointError, match="no such folder"):
        ml.load(tmp_path / "nowhere")
    with pytest.raises(ml.CheckpointError, match=r"no model\.json in it; it is empty"):
        ml.load(tmp_path)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(ml.CheckpointError, match="cannot be read"):
        ml.load(tmp_path)
    (tmp_path / "model.json").write_text("[1]")
    with pytest.raises(ml.CheckpointError, match="not written by meshlearn"):
        ml.load(tmp_path)
    model.save(tmp_path)
    file = next(tmp_path.glob("*.safetensors"))
    file.write_bytes(b"\xff" * file.stat().st_size)
    with pytest.raises(ml.CheckpointError, match="is damaged"):
        ml.load(tmp_path)


@pytest.mark.parametrize("place", [0.0, 0.5, 0.999])
def test_one_flipped_bit_is_noticed(model, tmp_path, place):
    model.save(tmp_path)
    file = next(tmp_path.glob("*.safetensors"))
    data = bytearray(file.read_bytes())
    data[int(place * len(data))] ^= 1
    file.write_bytes(data)
    with pytest.raises(ml.CheckpointError, match=f"{file.name} is damaged: its SHA-256"):
        ml.load(tmp_path)


def test_folders_of_the_first_schema_load_and_say_that_they_cannot_be_checked(model, tmp_path):
    def older(meta):
        meta["schema"] = 1
        del meta["tensors"]["model"]["sha256"]

    model.save(tmp_path)
    spoil(tmp_path, older)
    with pytest.warns(CheckpointWarning, match="no checksums"):
        again = ml.load(tmp_path)
    assert_same_weights(model, again)


def test_meshes_whose_truth_is_zero_are_left_out_of_the_score_and_named(model):
    meshes = waves(3)
    zero = meshes[0].with_point_data(u=meshes[0].point_data["u"] * 0).replace(source="unloaded.vtu")
    with pytest.warns(ScoreWarning, match=r"1 of 3 meshes \(mesh 0 \(unloaded.vtu\)\).*left out"):
        found = model.score([zero, *meshes[1:]])
    assert found["u"] == pytest.approx(model.score(meshes[1:])["u"], rel=1e-4)
    with pytest.warns(ScoreWarning, match="the score is NaN"):
        assert math.isnan(model.score(zero)["u"])


def test_only_registered_classes_are_built(tmp_path):
    class Unknown(Tiny):
        pass

    quick(Unknown(), waves(2)).save(tmp_path)
    with pytest.raises(ml.CheckpointError, match="Unknown"):
        ml.load(tmp_path)
    ml.register_estimator(Unknown)
    assert isinstance(ml.load(tmp_path), Unknown)


def test_names_of_registered_classes_are_unique():
    with pytest.raises(ml.ParameterError, match="registered already"):

        @ml.register_estimator
        class NetworkEstimator(Tiny):
            pass


def test_code_cannot_be_saved(tmp_path):
    model = quick(Tiny(), waves(2))
    model.width = lambda: 3
    with pytest.raises(ml.CheckpointError, match="width"):
        model.save(tmp_path)
    assert not (tmp_path / "model.json").exists()


# -- changed parameters ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [Tiny, lambda: ml.RidgeRegression(["f"], ["u"], degree=1)], ids=["Tiny", "Ridge"])
def test_a_model_whose_parameters_were_changed_does_not_predict(make, tmp_path):
    name, value = ("width", 8) if make is Tiny else ("degree", 2)
    model = quick(make(), waves(2)) if make is Tiny else make().fit(waves(2))
    before = getattr(model, name)
    model.set_params(**{name: value})
    for action in (lambda: model.predict(wave()), lambda: model.score(wave()), lambda: model.save(tmp_path / "m")):
        with pytest.raises(ml.ParameterError, match=f"changed {name}={value} after"):
            action()
    model.set_params(**{name: before}).predict(wave())
    model.set_params(**{name: value})
    quick(model, waves(2)) if make is Tiny else model.fit(waves(2))
    model.predict(wave())
    model.save(tmp_path / "m")


def test_a_warm_start_takes_changed_parameters_over():
    model = quick(Tiny(), waves(2))
    model.set_params(loss="mae")
    quick(model, waves(2), warm_start=True).predict(wave())
    with pytest.raises(ml.NotFittedError, match="warm_start"):
        quick(Tiny(), waves(2), warm_start=True)


def test_clones_are_unfitted_and_equal():
    from sklearn.base import clone

    model = quick(Tiny(width=7), waves(2))
    again = clone(model)
    assert again.get_params() == {**model.get_params()}
    assert not again.is_fitted
    assert_same_weights(model, quick(again, waves(2)))


def test_two_fits_of_one_model_are_equal():
    model = quick(Tiny(dropout=0.2), waves(3))
    first = {name: value.clone() for name, value in weights(model).items()}
    quick(model, waves(3))
    assert all(torch.equal(value, first[name]) for name, value in weights(model).items())


def test_copies_and_pickles_predict_the_same(model):
    expected = model.predict(wave()).point_data["u"]
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(again.predict(wave()).point_data["u"], expected)


# -- odd meshes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ml.MeanField, ml.NearestNeighbor, ml.RidgeRegression, Tiny])
def test_fields_on_cells_need_cells(kind):
    model = kind(["f"], ["q"])
    model = quick(model, waves(2)) if kind is Tiny else model.fit(waves(2))
    mesh = wave()
    cloud = ml.Mesh(mesh.points, point_data=mesh.point_data)
    with pytest.raises(ml.FieldError, match="point cloud, but the model has fields on cells"):
        model.predict(cloud)


def test_a_field_without_numbers_is_refused():
    mesh = wave().with_point_data(z=torch.zeros(wave().n_points, 0))
    with pytest.raises(ml.FieldError, match="'z' on mesh 0 has values of shape"):
        quick(Tiny(inputs=["z"]), mesh)


def test_a_bad_validation_mesh_is_called_one(model):
    bad = wave().replace(point_data={}, source="v.vtu")
    with pytest.raises(ml.FieldError, match=r"^validation mesh 0 \(v.vtu\) has no field"):
        quick(Tiny(), waves(2), validation=[bad])


@pytest.mark.parametrize("kind", [ml.MeanField, ml.NearestNeighbor, ml.RidgeRegression, ml.MeshGraphNet])
def test_lines_clouds_and_single_points(kind):
    def line(n):
        points = torch.linspace(0, 1, n)[:, None]
        cells = torch.stack([torch.arange(n - 1), torch.arange(1, n)], dim=1)
        return ml.Mesh(points, {"line": cells} if n > 1 else {}, point_data={"f": points[:, 0], "u": points[:, 0] + 1})

    options = {"epochs": 1, "progress": False} if kind is ml.MeshGraphNet else {}
    shapes = [line(10), line(3), line(1), line(4).replace(cells={})]
    model = kind(["f"], ["u"]).fit(shapes, **options)
    for mesh in (*shapes, line(2)):
        assert torch.isfinite(model.predict(mesh).point_data["u"]).all()


@pytest.mark.parametrize(
    ("call", "guess"),
    [
        (lambda: ml.MeshGraphNet(["f"], ["u"], hiden=3), "MeshGraphNet has no argument 'hiden': did you mean 'hidden'"),
        (lambda: ml.MeshGraphNet([], ["u"]).fit([], lr=1), r"MeshGraphNet.fit .*'lr': did you mean 'learning_rate'"),
        (
            lambda: ml.MeanField([], ["u"]).fit([], epochs=1),
            r"MeanField.fit has no argument 'epochs'\.\n  It takes meshes",
        ),
    ],
)
def test_misspelt_arguments_are_told_with_the_right_name(call, guess):
    with pytest.raises(ml.ParameterError, match=guess) as caught:
        call()
    assert isinstance(caught.value, TypeError)
