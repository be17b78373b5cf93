"""Wrong arguments are told, and what is right in numpy is right."""

import numpy as np
import pytest
import torch

import meshlearn as ml


def rectangles(count=6):
    meshes = []
    for k in range(count):
        mesh = ml.shapes.rectangle(1 + 0.1 * k, 1.0, n=4).double()
        meshes.append(mesh.with_point_data(u=mesh.points[:, 0]).with_global_data(E=torch.tensor(float(k % 4)).double()))
    return meshes


@pytest.fixture(scope="module")
def small():
    return ml.MMGP(["E"], ["u"], restarts=1).fit(rectangles())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"landmarks": 5}, "landmarks=5"),
        ({"landmarks": "tip"}, "landmarks='tip'"),
        ({"landmarks": [3]}, "landmarks holds 3"),
        ({"morphing_options": {"tags": "left"}}, "tags='left'"),
        ({"morphing_options": {"strict": 5}}, "strict=5"),
        ({"morphing": "elastic", "morphing_options": {"iterations": "x"}}, "iterations='x'"),
        ({"modes": np.float64(2.0)}, "modes"),
        ({"seed": "x"}, "seed='x'"),
        ({"modes": 0}, "modes=0: nothing but the mean"),
        ({"shape_modes": np.int64(0)}, "shape_modes=0: nothing but the mean"),
    ],
)
def test_wrong_arguments_are_told_at_once(arguments, words):
    with pytest.raises(ml.ParameterError, match=words):
        ml.MMGP(["E"], ["u"], **arguments).fit(rectangles())


def test_landmarks_that_a_mesh_lacks_are_told_with_its_name():
    meshes = [mesh.replace(point_sets={"tip": torch.tensor([0])}) for mesh in rectangles()]
    model = ml.MMGP(["E"], ["u"], landmarks=["tip"], restarts=1).fit(meshes)
    assert model.morphing_ == "identity"  # where none are needed
    with pytest.raises(ml.ParameterError, match=r"mesh 3: landmark 'tip'"):
        ml.MMGP(["E"], ["u"], landmarks=["tip"]).fit([*meshes[:3], rectangles()[3], *meshes[4:]])


def test_numpy_numbers_are_numbers(tmp_path):
    chosen = {"modes": np.int64(2), "restarts": np.int32(1), "seed": np.int64(3), "inducing": np.int64(50)}
    model = ml.MMGP(["E"], ["u"], **chosen).fit(rectangles())
    again = ml.load(model.save(tmp_path / "model"))
    assert again.get_params()["modes"] == 2
    mesh = rectangles()[2]
    assert torch.equal(again.predict(mesh).point_data["u"], model.predict(mesh).point_data["u"])


def test_wrong_arguments_of_a_fitted_model_are_told(small):
    mesh = rectangles()[0]
    with pytest.raises(ml.ParameterError, match="return_std='no'"):
        small.predict(mesh, return_std="no")
    with pytest.raises(ml.ParameterError, match="seed='x'"):
        small.sample(mesh, 1, seed="x")
    with pytest.raises(ml.ParameterError, match="n=0"):
        small.sample(mesh, 0)
    with pytest.raises(ml.FieldError, match="wrt="):
        small.derivative(mesh, ["E"])
    with pytest.raises(ml.ParameterError, match="folder=None"):
        small.save(None)
    for call in (small.novelty, lambda m: small.sample(m, 2), lambda m: small.derivative(m, "E")):
        with pytest.raises(ml.ParameterError, match="one Mesh, not a list"):
            call([mesh])


def test_parameters_survive_files(small, tmp_path):
    again = ml.load(small.save(tmp_path / "model"))
    assert again.get_params() == small.get_params()
    assert repr(again) == repr(small)
