"""What is tried in the time that there is, what is not, and how that is told."""

import time

import numpy as np
import pytest
import torch
from section_bodies import peanut, surface_of

import meshlearn as ml
from meshlearn.io.sections import parallel_planes, random_planes
from meshlearn.models.cross_sections import choice


def sections(planes=parallel_planes, n=6):
    mesh = surface_of(peanut, 30)
    return ml.CrossSections.from_mesh(mesh, planes(mesh, n))


@pytest.fixture
def slow_bases(monkeypatch):
    """Smooth bases take a second on every plane left out, and several to make in the end."""
    quick = choice.score_plane

    def slow(body, plane, names, centres, seed, clock):
        found = quick(body, plane, names, centres, seed, clock)
        if "rbf" in names:
            time.sleep(1.0)
            clock.update(dict.fromkeys(names, (1.0, 1e-06)))
        return found

    monkeypatch.setattr(choice, "score_plane", slow)


@pytest.mark.usefixtures("slow_bases")
def test_bases_for_which_there_is_no_time_are_not_made_and_that_is_told():
    start = time.perf_counter()
    model = ml.CrossSectionReconstructor(time_budget=3.0, centres=300).fit(sections())
    assert time.perf_counter() - start < 4.5
    assert set(model.base_scores_) == {"linear", "cubic"}
    assert model.base_ in model.base_scores_
    assert {"rbf", "hermite", "mean"} <= set(model.skipped_)
    assert all(why.startswith("no time: about") for why in model.skipped_.values())
    assert model.network_scores_ == {}
    assert model.report(resolution=24)["skipped"] == model.skipped_


def test_without_a_budget_everything_is_tried():
    model = ml.CrossSectionReconstructor(time_budget=None, centres=300, network=False).fit(sections(random_planes, 5))
    assert set(model.base_scores_) == {"distance", "rbf", "hermite", "mean"}
    assert all(np.isfinite(score) for score in model.base_scores_.values())
    assert model.skipped_ == {"network": "not asked for"}


def test_few_planes_leave_nothing_to_compare(tmp_path):
    model = ml.CrossSectionReconstructor(time_budget=None, centres=300).fit(sections(n=2))
    assert model.base_ == "linear"
    assert model.base_scores_ == model.network_scores_ == {}
    assert set(model.skipped_.values()) == {"there are too few planes to leave some out"}
    assert ml.load(model.save(tmp_path / "model")).skipped_ == model.skipped_


@pytest.mark.parametrize(
    ("planes", "base", "told"),
    [(random_planes, "linear", "not parallel have"), (parallel_planes, "distance", "parallel planes have")],
)
def test_bases_that_planes_do_not_have_are_refused_before_any_work(planes, base, told, monkeypatch):
    from meshlearn.models.cross_sections.body import Body

    monkeypatch.setattr(Body, "of", None)  # nothing is made of the sections
    with pytest.raises(ml.ParameterError, match=told):
        ml.CrossSectionReconstructor(base=base).fit(sections(planes))


def test_seconds_are_not_part_of_what_a_checkpoint_belongs_to(tmp_path):
    given, options = sections(), {"base": "linear", "network": False}
    ml.CrossSectionReconstructor(time_budget=5.0, **options).fit(given, checkpoint=tmp_path / "fit")
    with pytest.warns(ml.FitWarning, match="is finished"):
        ml.CrossSectionReconstructor(time_budget=9.0, **options).fit(given, checkpoint=tmp_path / "fit", resume=True)


def test_shares_of_the_network_differ_by_the_network_alone():
    from meshlearn.models.cross_sections.body import Body, Frame
    from meshlearn.models.cross_sections.field import Field

    given = sections(random_planes, 5)
    field = Field(Body.of(given, Frame.of(given)), "distance")
    nothing = torch.zeros(1, 49, 49, 49)
    points = torch.rand(2000, 3, generator=torch.manual_seed(0)) * 2.4 - 1.2
    torch.testing.assert_close(choice.mixed(field, nothing, 0.5)(points), field(points), rtol=0, atol=1e-5)
