"""Fields of any unit: very large and very small numbers are learned as any other, or refused by name."""

import pytest
import torch

import meshlearn as ml
from meshlearn.train.normalizer import Normalizer

from .tiny import Tiny, quick, waves


def scaled(unit, names=("f", "u"), dtype=torch.float32):
    return [m.with_point_data(**{name: m.point_data[name] * unit for name in names}) for m in waves(4, dtype=dtype)]


@pytest.mark.parametrize("unit", [1e-30, 1e-20, 1e20, 1e30])
def test_the_unit_of_a_field_does_not_matter(unit):
    options = {"epochs": 15, "learning_rate": 1e-2}
    plain, other = quick(Tiny(), waves(4), **options), quick(Tiny(), scaled(unit), **options)
    assert other.score(scaled(unit))["u"] == pytest.approx(plain.score(waves(4))["u"], rel=1e-2)


@pytest.mark.parametrize("unit", [1e-20, 1e20])
@pytest.mark.parametrize("loss", ["relative", "mse"])
def test_mesh_graph_net_in_any_unit(unit, loss):
    models = [ml.MeshGraphNet(["f"], ["u"], hidden=8, steps=1, levels=1, loss=loss) for _ in range(2)]
    plain, other = (
        quick(model, meshes, epochs=2) for model, meshes in zip(models, (waves(3), scaled(unit)[:3]), strict=True)
    )
    for a, b in zip(plain.history_, other.history_, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=0.1)


@pytest.mark.parametrize("kind", [ml.MeanField, ml.NearestNeighbor, ml.RidgeRegression])
@pytest.mark.parametrize("unit", [1e-20, 1e20])
def test_baselines_in_any_unit(kind, unit):
    plain = kind(["f"], ["u"]).fit(waves(4)).score(waves(4))["u"]
    assert kind(["f"], ["u"]).fit(scaled(unit)).score(scaled(unit))["u"] == pytest.approx(plain, rel=1e-2, abs=1e-5)


@pytest.mark.parametrize("unit", [1e-45, 1e37, 1e100])
@pytest.mark.parametrize("name", ["f", "u"])
def test_fields_beyond_float32_are_named_and_learned_in_float64(unit, name):
    meshes = waves(3, dtype=torch.float64)
    meshes[1] = scaled(unit, (name,), torch.float64)[1].replace(source="far.vtu")
    with pytest.raises(ml.FieldError, match=rf"(?s)'{name}' on mesh 1 \(far.vtu\).*float32.*precision='64'"):
        quick(Tiny(), meshes)
    model = quick(Tiny(), meshes, precision="64")
    assert all(torch.isfinite(model.predict(mesh).point_data["u"]).all() for mesh in meshes)


def test_an_input_beyond_float32_is_named_when_predicting():
    model = quick(Tiny(), waves(2, dtype=torch.float64))
    with pytest.raises(ml.FieldError, match=r"'f' on the mesh .*1e"):
        model.predict(scaled(1e60, ("f",), torch.float64)[0])


@pytest.mark.parametrize("unit", [1e-30, 1e-20, 1.0, 1e20, 1e30])
def test_normalisers_take_their_statistics_in_float64(unit):
    x = torch.randn(200, 2) + 3.0
    normalizer = Normalizer(2).fit(unit * x)
    torch.testing.assert_close(normalizer(unit * x), Normalizer(2).fit(x)(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(normalizer.inverse(normalizer(unit * x)), unit * x, rtol=1e-5, atol=1e-5 * unit)


def test_a_diverging_fit_names_the_field_and_how_it_was_normalised():
    class Spoil(ml.train.Callback):
        def on_step_end(self, context):
            with torch.no_grad():
                context.model.module_.heads["point"].weight.fill_(torch.inf)

    with pytest.raises(ml.ConvergenceError) as caught:
        quick(Tiny(outputs=["u", "total"]), waves(2), batch_points=1, callbacks=[Spoil()])
    text = str(caught.value)
    assert "'u' (point): values up to" in text
    assert "'total' (global)" in text
    assert "training mean" in text
    assert "NaN or infinite in" in text


def stretched(factor, dtype):
    return [mesh.to(dtype).replace(points=mesh.points.to(dtype) * factor) for mesh in waves(3)]


@pytest.mark.parametrize(
    ("factor", "dtype"),
    [(1e20, torch.float32), (1e-25, torch.float32), (1e100, torch.float64), (1e-120, torch.float64)],
)
@pytest.mark.parametrize("model", [Tiny(), ml.RidgeRegression(["f"], ["u"]), ml.MeanField([], ["u"])])
def test_coordinates_that_cannot_be_computed_with_are_refused(model, factor, dtype):
    with pytest.raises(ml.MeshError, match=r"mesh 0 has (coordinates up to|an extent of) .*float\d\d"):
        quick(model, stretched(factor, dtype)) if isinstance(model, Tiny) else model.fit(stretched(factor, dtype))


def test_coordinates_beyond_the_precision_of_a_network_are_refused():
    meshes = stretched(1e40, torch.float64)
    with pytest.raises(ml.MeshError, match=r"mesh 0 has coordinates up to 1e\+40.*float32"):
        quick(Tiny(), meshes)
    quick(Tiny(), meshes, precision="64")


@pytest.mark.parametrize(("factor", "dtype"), [(1e15, torch.float32), (1e-15, torch.float32), (1e30, torch.float64)])
def test_other_coordinates_do_not_matter(factor, dtype):
    plain, other = (
        ml.RidgeRegression(["f"], ["u"]).fit(meshes).score(meshes)["u"]
        for meshes in (waves(3), stretched(factor, dtype))
    )
    assert other == pytest.approx(plain, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("model", [Tiny(), ml.RidgeRegression(["f"], ["u"]), ml.NearestNeighbor(["f"], ["u"])])
def test_meshes_that_require_gradients_are_learned_without_a_word(model):
    torch.set_warn_always(True)  # torch's own warnings too, which come once in a process otherwise
    try:
        meshes = [
            mesh.replace(
                points=mesh.points.clone().requires_grad_(),
                point_data={name: values.clone().requires_grad_() for name, values in mesh.point_data.items()},
            )
            for mesh in waves(3)
        ]
        fitted = quick(model, meshes, epochs=1) if isinstance(model, Tiny) else model.fit(meshes)
        assert fitted.score(meshes)["u"] >= 0.0
    finally:
        torch.set_warn_always(False)


def test_a_prediction_that_is_not_finite_is_not_said_to_be_the_truth():
    model = quick(Tiny(), waves(2))
    with torch.no_grad():
        model.module_.heads["point"].weight.fill_(torch.nan)
    with pytest.raises(ml.FieldError, match=r"'u' has NaN .* on the prediction of mesh 0"):
        model.score(waves(2))
