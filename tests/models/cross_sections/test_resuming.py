"""Fits that are interrupted and go on, step by step, to the same result."""

import pytest
import torch
from section_bodies import peanut, surface_of

import meshlearn as ml
from meshlearn.io.sections import parallel_planes
from meshlearn.models.cross_sections import choice, learning, training

SMALL = {"time_budget": None, "hidden": 8, "layers": 2, "iterations": 1, "steps": 12, "centres": 300}


def sections():
    mesh = surface_of(peanut, 30)
    return ml.CrossSections.from_mesh(mesh, parallel_planes(mesh, 6))


def model(**changes):
    return ml.CrossSectionReconstructor(**{**SMALL, **changes})


class Stopped(Exception):
    """What an interrupt does, without one."""


def stop_after(monkeypatch, module, name, calls):
    """The function works so many times, then it stops the fit."""
    whole, count = getattr(module, name), 0

    def counted(*arguments, **options):
        nonlocal count
        count += 1
        if count > calls:
            raise Stopped
        return whole(*arguments, **options)

    monkeypatch.setattr(module, name, counted)


@pytest.mark.parametrize(
    ("module", "name", "calls"),
    [
        pytest.param(choice, "score_plane", 4, marks=pytest.mark.slow),
        (learning, "make_prior", 0),
        (training, "_loss", 4 + 7),
    ],
    ids=["base", "prior", "network"],
)
def test_a_fit_goes_on_to_the_same_result(tmp_path, monkeypatch, module, name, calls):
    given, points = sections(), torch.rand(400, 3, generator=torch.manual_seed(0)) * 2 - 1
    monkeypatch.setattr(choice, "best_share", lambda scores: 0.5)  # so that the network is trained and used
    monkeypatch.setattr(training, "KEEP_EVERY", 3)
    options = {} if name == "score_plane" else {"base": "hermite"}
    whole = model(**options).fit(given)
    with monkeypatch.context() as patch:
        stop_after(patch, module, name, calls)
        with pytest.raises(Stopped):
            model(**options).fit(given, checkpoint=tmp_path / "fit")
    with pytest.raises(ml.CheckpointError, match="model"):  # not a model yet
        ml.load(tmp_path / "fit")
    done = []
    again = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *a, **k: (done.append(1), again(*a, **k))[1])
    resumed = model(**options).fit(given, checkpoint=tmp_path / "fit", resume=True)
    assert len(done) > 0
    if name == "_loss":
        assert len(done) == 12 - 6  # the seventh step was not kept
    torch.testing.assert_close(resumed.distance(points), whole.distance(points), rtol=0, atol=0)
    assert resumed.base_scores_ == whole.base_scores_
    loaded = ml.load(tmp_path / "fit")
    torch.testing.assert_close(loaded.distance(points), whole.distance(points), rtol=1e-5, atol=1e-6)
    with pytest.warns(ml.FitWarning, match="finished"):
        model(**options).fit(given, checkpoint=tmp_path / "fit", resume=True)


def test_folders_of_other_fits_are_refused(tmp_path):
    given = sections()
    plain = {"network": False, "base": "linear"}
    with pytest.raises(ml.CheckpointError, match="no checkpoint"):
        model(**plain).fit(given, checkpoint=tmp_path / "a", resume=True)
    with pytest.raises(ml.ParameterError, match="needs the folder"):
        model(**plain).fit(given, resume="auto")
    model(**plain).fit(given, checkpoint=tmp_path / "a", resume="auto")
    with pytest.raises(ml.CheckpointError, match="overwrite"):
        model(**plain).fit(given, checkpoint=tmp_path / "a")
    with pytest.raises(ml.CheckpointError, match="other sections or arguments"):
        model(**plain).fit(given[:4], checkpoint=tmp_path / "a", resume=True)
    model(**plain).fit(given).save(tmp_path / "b")
    with pytest.raises(ml.CheckpointError, match="saved model"):
        model(**plain).fit(given, checkpoint=tmp_path / "b", resume=True)
