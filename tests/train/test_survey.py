"""Meshes with defects, truths among the inputs and patterns that match nothing: a fit says so."""

import warnings

import pytest
import torch

import meshlearn as ml
from meshlearn.train.survey import find_defects

from .tiny import Tiny, heat, quick, wave, waves


def spoiled(mesh, kind):
    """The mesh with one more cell or point that is wrong."""
    cells, points = mesh.cells["triangle"], mesh.points
    if kind == "cell without":
        extra = cells[:1].clone()
        extra[0, 2] = extra[0, 0]
        return ml.Mesh(points, {"triangle": torch.cat([cells, extra])})
    if kind == "points that belong":
        return ml.Mesh(torch.cat([points, torch.full((2, 2), 100.0) * torch.tensor([[1.0], [2.0]])]), mesh.cells)
    if kind == "in the place of another":
        moved = torch.cat([points, points[:1]])
        turned = torch.where(cells == 0, len(points), cells)
        turned[0] = cells[0]
        return ml.Mesh(moved, {"triangle": torch.cat([turned, cells[(cells == 0).any(1)]])})
    return ml.Mesh(points, {"triangle": cells[:0]})


KINDS = ["cell without", "points that belong", "in the place of another", "no cells"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_defect_is_found(kind):
    mesh = ml.shapes.square(n=3)
    assert find_defects(mesh) == []
    assert any(kind in line for line in find_defects(spoiled(mesh, kind)))


@pytest.mark.parametrize(
    "mesh",
    [
        ml.Mesh(torch.rand(7, 3)),
        ml.shapes.sphere(refine=1),
        ml.shapes.square(n=3, cells="mixed", order=2),
        ml.shapes.box(n=(2, 1, 1), cells="wedge"),
        ml.Mesh(torch.rand(4, 2), {"polygon": [[0, 1, 2, 3]]}),
    ],
    ids=["cloud", "surface", "second order", "solid", "polygon"],
)
def test_sound_meshes_of_all_kinds_have_none(mesh):
    assert find_defects(mesh) == []


@pytest.mark.parametrize("model", [Tiny, ml.MeanField, ml.NearestNeighbor, ml.RidgeRegression])
def test_one_warning_names_the_meshes_and_the_check(model):
    meshes = waves(6)
    for k in (1, 2, 4, 5):
        mesh = spoiled(meshes[k], "points that belong")
        meshes[k] = mesh.with_point_data(f=mesh.points[:, 0], u=mesh.points[:, 1]).with_global_data(a=1.0)
    fit = model(["f", "a"], ["u"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quick(fit, meshes) if model is Tiny else fit.fit(meshes)
    (text,) = [str(warning.message) for warning in caught if issubclass(warning.category, ml.FitWarning)]
    assert "4 of 6 meshes" in text
    assert "mesh 1: 2 points that belong to no cell" in text
    assert "… and 1 more" in text
    assert "check_mesh" in text


@pytest.mark.parametrize("model", [Tiny, ml.MeanField, ml.NearestNeighbor, ml.RidgeRegression])
def test_a_truth_among_the_inputs_is_refused(model):
    fit = model(["f", "u"], ["u"])
    with pytest.raises(ml.ParameterError, match="'u' is an input and an output"):
        quick(fit, waves(3)) if model is Tiny else fit.fit(waves(3))
    with pytest.raises(ml.ParameterError, match="mesh 1 is a single mesh"):
        quick(fit, [heat(), wave()]) if model is Tiny else fit.fit([heat(), wave()])


def test_a_stepping_model_cannot_be_scored_or_validated_on_a_still_mesh():
    model = quick(Tiny(["f", "u"], ["u"]), heat())
    assert model.predict(wave()).point_data["u"].shape == (wave().n_points,)
    with pytest.raises(ml.ParameterError, match="single mesh"):
        model.score(wave())
    with pytest.raises(ml.ParameterError, match="validation mesh 0"):
        quick(Tiny(["f", "u"], ["u"]), [heat()], validation=[wave()])


def test_a_plane_among_surfaces_is_told_how_to_read_it():
    sphere = ml.shapes.sphere(refine=1)
    sphere = sphere.with_point_data(u=sphere.points[:, 0])
    plane = ml.shapes.square(n=2).with_point_data(u=torch.zeros(9))
    with pytest.raises(ml.MeshError, match=r"ml\.read_many\(…, dim=3\)"):
        quick(Tiny([], ["u"]), [sphere, plane])


def test_resuming_a_finished_fit_says_that_nothing_is_trained(tmp_path):
    quick(Tiny(), waves(3), checkpoint=tmp_path)
    with pytest.warns(ml.FitWarning, match="nothing is trained"):
        quick(Tiny(), waves(3), checkpoint=tmp_path, resume="auto")


def test_whether_a_fit_was_interrupted_is_known():
    def interrupt(context):
        raise KeyboardInterrupt

    assert not quick(Tiny(), waves(2)).interrupted_
    with pytest.warns(ml.train.FitInterruptedWarning):
        assert quick(Tiny(), waves(2), callbacks=[interrupt]).interrupted_
