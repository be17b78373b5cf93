"""The baselines are estimators, and each is exact where it should be."""

import pytest
import torch
from torch.testing import assert_close

import meshlearn as ml
from meshlearn.models.baselines import ridge
from meshlearn.models.baselines.descriptors import describe_mesh
from meshlearn.models.baselines.ridge import _best, polynomial
from meshlearn.testing import check_estimator
from meshlearn.train.fields import FieldSet, FieldSpec


@pytest.mark.parametrize("baseline", ["MeanField", "NearestNeighbor", "RidgeRegression"])
@pytest.mark.parametrize("outputs", [("u",), ("u", "q", "total")], ids=["points", "everywhere"])
def test_baselines_are_estimators(baseline, outputs):
    check_estimator(getattr(ml, baseline), outputs=outputs)


def squares(*sizes):
    meshes = [ml.shapes.square(n=n) for n in sizes]
    return [mesh.with_point_data(u=mesh.points[:, 0] ** 2 - mesh.points[:, 1]) for mesh in meshes]


def test_the_mean_is_weighted_by_measure():
    mesh = ml.Mesh([[0.0], [1.0], [3.0]], {"line": [[0, 1], [1, 2]]}).with_cell_data(q=torch.tensor([3.0, 6.0]))
    value = ml.MeanField([], ["q"]).fit([mesh]).predict(mesh).cell_data["q"]["line"]
    assert_close(value, torch.tensor([5.0, 5.0]))


def test_the_nearest_neighbour_remembers():
    meshes = [
        mesh.with_global_data(load=torch.tensor(float(i))).with_point_data(u=mesh.points[:, 0] * i)
        for i, mesh in enumerate(squares(4, 5, 6), start=1)
    ]
    model = ml.NearestNeighbor(["load"], ["u"]).fit(meshes)
    assert model.score(meshes)["u"] < 1e-5
    assert model.neighbor(meshes[2]) == 2
    other = ml.shapes.square(n=9).with_global_data(load=torch.tensor(1.9))
    assert_close(model.predict(other).point_data["u"], 2 * other.points[:, 0], rtol=1e-4, atol=1e-5)


def test_the_bounding_box_of_the_neighbour_is_laid_over_the_mesh():
    small = squares(5)[0].with_point_data(u=ml.shapes.square(n=5).points[:, 0])
    wide = ml.shapes.rectangle(4.0, 2.0, n=(8, 4))
    value = ml.NearestNeighbor([], ["u"]).fit([small]).predict(wide).point_data["u"]
    assert_close(value, wide.points[:, 0] / 4, rtol=1e-4, atol=1e-5)


def test_ridge_is_exact_on_polynomials_of_its_degree():
    train, test = squares(4, 5, 6, 7), squares(9)
    assert ml.RidgeRegression([], ["u"], degree=2).fit(train).score(test)["u"] < 1e-3
    assert ml.RidgeRegression([], ["u"], degree=1).fit(train).score(test)["u"] > 1e-2


@pytest.mark.parametrize(("values", "expected"), [([1.0, 10.0], [3.0, 300.0]), ([1.0], [1.0, 2.0])])
def test_frames_of_a_trajectory_stay_in_one_fold(monkeypatch, values, expected):
    """The third sum of a fold is that of u squared: 3 frames of a trajectory where u is constant."""
    mesh, seen = ml.shapes.square(n=2), []
    trajectories = [ml.Trajectory(mesh, range(3), {"u": torch.full((3, mesh.n_points), value)}) for value in values]

    def watched(folds, penalties):
        seen.extend(float(sums[2]) for sums in folds)
        return _best(folds, penalties)

    monkeypatch.setattr(ridge, "_best", watched)
    ml.RidgeRegression([], ["u"], degree=1).fit(trajectories)
    assert sorted(seen) == pytest.approx(expected)


def test_a_description_has_the_measure_of_the_mesh_and_of_its_boundary():
    fields = FieldSet((), (FieldSpec("u", "point"),), 2)
    shapes = ml.shapes
    sizes = [
        (shapes.rectangle(2.0, 3.0, n=n, cells=c), 6.0, 10.0) for n in ((2, 3), (5, 4)) for c in ("quad", "triangle")
    ]
    sizes += [(shapes.box(1.0, 2.0, 3.0, n=(2, 2, 2)), 6.0, 22.0), (shapes.box(n=2).boundary_mesh(), 6.0, 0.0)]
    sizes += [(ml.Mesh([[0.0], [1.0], [3.0]], {"line": [[0, 1], [1, 2]]}), 3.0, 2.0)]
    sizes += [(ml.Mesh(torch.rand(5, 2)), 0.0, 0.0)]
    for mesh, inside, rim in sizes:
        assert describe_mesh(mesh, fields)[mesh.dim :].tolist() == pytest.approx([inside, rim])


def test_number_of_monomials():
    assert polynomial(torch.rand(2, 4, dtype=torch.float64), 3).shape == (2, 35)


def test_too_many_terms_and_impossible_arguments():
    mesh = ml.shapes.square(n=3)
    mesh = mesh.with_point_data(u=mesh.points[:, 0], many=torch.rand(mesh.n_points, 60))
    with pytest.raises(ml.ParameterError, match="terms"):
        ml.RidgeRegression(["many"], ["u"]).fit([mesh])
    for options in ({"degree": 0}, {"penalties": ()}):
        with pytest.raises(ml.ParameterError):
            ml.RidgeRegression([], ["u"], **options).fit([mesh])


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e9])
def test_the_nearest_neighbor_does_not_depend_on_the_unit_of_length(unit):
    loads = 1 + 0.1 * torch.tensor([0, 1, 2, 3, 4, 5, 6, 0.2, 3.2, 1.2], dtype=torch.float64)
    meshes = [ml.shapes.square(n=5 + i % 3).double() for i in range(10)]  # their areas differ by rounding alone
    meshes = [
        mesh.replace(points=unit * mesh.points).with_global_data(a=a).with_point_data(T=a * mesh.points[:, 0])
        for a, mesh in zip(loads, meshes, strict=True)
    ]
    model = ml.NearestNeighbor(["a"], ["T"]).fit(meshes[:7])
    nearest = [int((loads[:7] - a).abs().argmin()) for a in loads]
    assert [model.neighbor(mesh) for mesh in meshes] == nearest
