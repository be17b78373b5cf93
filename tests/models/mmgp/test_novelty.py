"""Inputs unlike those of the training set: they are new, and bands widen."""

import pytest
import torch

import meshlearn as ml
from meshlearn.train.survey import FitWarning

TIMES = torch.linspace(0.0, 1.0, 9, dtype=torch.float64)


def field_mesh(a, b, ripple=0.0):
    """k is linear but for a ripple; u = k^2."""
    mesh = ml.shapes.rectangle(1.0, 1.0, n=(6, 6)).double()
    x, y = mesh.points.T
    k = a * x + b * y + ripple * torch.sin(9 * x) * torch.sin(9 * y)
    return mesh.with_point_data(k=k, u=k.square())


@pytest.fixture(scope="module")
def of_fields():
    g = torch.Generator().manual_seed(0)
    draws = torch.randn(24, 2, generator=g, dtype=torch.float64).tolist()
    return ml.MMGP(["k"], ["u"], restarts=1).fit([field_mesh(*draw) for draw in draws])


def test_input_fields_that_the_modes_do_not_describe_are_new(of_fields, tmp_path):
    known, new = field_mesh(0.5, 0.5), field_mesh(0.5, 0.5, 1.0)
    assert of_fields.novelty(known) < 1
    assert of_fields.novelty(field_mesh(0.5, 0.5, 1e-6)) < 1  # rounding is not new
    assert of_fields.novelty(new) > 50
    near, far = (of_fields.predict(m, return_std=True).point_data for m in (known, new))
    assert float(far["u_std"].mean()) > 50 * float(near["u_std"].mean())
    error = (far["u"] - new.point_data["u"]).abs()
    assert float((error <= 1.96 * far["u_std"]).double().mean()) > 0.5
    assert ml.load(of_fields.save(tmp_path / "model")).novelty(new) == of_fields.novelty(new)


def test_input_fields_are_ordinary_where_the_training_ones_are_rough():
    g = torch.Generator().manual_seed(1)
    meshes = []
    for _ in range(40):
        mesh = field_mesh(*torch.randn(2, generator=g).tolist())
        rough = 0.1 * torch.randn(mesh.n_points, generator=g, dtype=torch.float64)
        meshes.append(mesh.with_point_data(k=mesh.point_data["k"] + rough))
    model = ml.MMGP(["k"], ["u"], restarts=1, shape_modes=2).fit(meshes[:30])
    assert all(model.novelty(mesh) < 1.5 for mesh in meshes[30:])


def histories(count, ripple=0.0):
    mesh, found = ml.shapes.square(n=3).double(), []
    for k in range(count):
        load = torch.sin((2 + 2 * k / count) * TIMES) + ripple * torch.sin(20 * TIMES)
        u = load[:, None] * mesh.points[:, 0]
        found.append(ml.Trajectory(mesh, TIMES, point_data={"u": u}, global_data={"load": load}))
    return found


def test_load_histories_that_the_modes_do_not_describe_are_new():
    model = ml.MMGP(["load"], ["u"], series="modes", restarts=1).fit(histories(16))
    usual, odd = histories(3)[1], histories(3, 2.0)[1]
    assert model.novelty(usual) < 1 < 50 < model.novelty(odd)
    near, far = (float(model.predict(t, return_std=True).point_data["u_std"].mean()) for t in (usual, odd))
    assert far > 50 * near


def loaded(size, load):
    mesh = ml.shapes.rectangle(size, 1.0, n=(4, 4)).double()
    push = torch.tensor([load, 0.0], dtype=torch.float64)
    mesh = mesh.with_point_data(u=load * mesh.points[:, 0] ** 2, heat=torch.zeros(mesh.n_points).double())
    return mesh.with_global_data(push=push, const=torch.tensor(1.0).double())


def test_inputs_that_never_varied_are_told_and_new_where_they_do():
    g = torch.Generator().manual_seed(0)
    meshes = [loaded(*(1 + torch.rand(2, generator=g)).tolist()) for _ in range(12)]
    with pytest.warns(FitWarning, match="the inputs 'const', 'heat' are the same on all training samples"):
        model = ml.MMGP(["push", "const", "heat"], ["u"], restarts=1).fit(meshes)
    mesh = meshes[0]
    load = mesh.global_data["push"][0]
    odd = [
        mesh.with_global_data(const=torch.tensor(2.0).double()),
        mesh.with_global_data(push=torch.stack([load, load])),
        mesh.with_point_data(heat=torch.full((mesh.n_points,), 100.0).double()),
    ]
    near = float(model.predict(mesh, return_std=True).point_data["u_std"].mean())
    assert model.novelty(mesh) < 1
    assert model.novelty(mesh.with_global_data(const=torch.tensor(1 + 1e-7).double())) < 1
    for other in odd:
        assert 100 < model.novelty(other) <= 1001
        assert float(model.predict(other, return_std=True).point_data["u_std"].mean()) > 100 * near
    with pytest.warns(FitWarning, match="the input 'const' is the same"):
        ml.MMGP(["push", "const"], ["u"], restarts=1).fit(meshes)
