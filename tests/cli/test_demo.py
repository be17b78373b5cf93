"""The demo: its verdict is strict, its folder is complete, its groups never share a plate."""

import json

import pytest

import meshlearn as ml
from meshlearn.cli.demo import report
from meshlearn.cli.demo.run import run
from meshlearn.cli.demo.settings import FULL, OUTPUTS, QUICK, Group, Settings


def table(network, other):
    return {
        "mean field": {"test": dict.fromkeys(OUTPUTS, other)},
        "MeshGraphNet": {"test": {**dict.fromkeys(OUTPUTS, 0.1), OUTPUTS[-1]: network}},
    }


def test_the_network_must_be_better_everywhere():
    assert report.verdict(table(0.1, 0.2))
    assert not report.verdict(table(0.3, 0.2)), "one field lost"
    assert not report.verdict(table(0.2, 0.2)), "a tie is not a win"
    assert not report.verdict(table(float("nan"), 0.2))


@pytest.mark.parametrize("settings", [FULL, QUICK])
def test_groups_differ_in_seed_and_kind(settings):
    shifts = [group.shift for group in settings.groups.values()]
    assert len(set(shifts)) == len(shifts)
    assert all(0 <= shift < 4 for shift in shifts), "or the groups of two demo seeds would overlap"
    train, holes, fine = (settings.groups[name].options for name in ("train", "test_holes", "test_fine"))
    assert min(holes["holes"]) > max(train["holes"])
    assert max(fine["size"]) < min(train["size"])


@pytest.mark.slow
def test_a_small_demo_leaves_everything(tmp_path, capsys):
    def groups(n, shift):
        return Group("small", n, shift, {"size": 9.0, "holes": 1})

    settings = Settings(
        {"train": groups(8, 0), "test_same": groups(2, 1)},
        seconds=2.0,
        model={"hidden": 8, "steps": 1},
        training={"epochs": 3},
    )
    code = run(tmp_path / "demo", settings=settings)
    folder = tmp_path / "demo"
    results = json.loads((folder / "results.json").read_text())
    assert code == (0 if results["network_beats_every_baseline"] else 1)
    models = {"mean field", "nearest neighbour", "ridge regression", "MeshGraphNet"}
    assert set(results["relative_l2"]) == models
    assert all(model in (folder / "results.md").read_text() for model in models)
    expected = {"test_same_displacement", "test_same_von_mises", "training_curves", "scores_test_same"}
    assert {path.stem for path in (folder / "pictures").iterdir()} == expected
    found = ml.read(folder / "predictions" / "test_same" / "plate_0000.vtu")
    truth = ml.read(folder / "data" / "test_same" / "plate_0000.vtu")
    assert {"von_mises", "von_mises_true", "von_mises_error"} <= set(found.point_data)
    assert (found.point_data["von_mises_true"] == truth.point_data["von_mises"]).all()
    again = ml.load(folder / "model").score([truth])
    assert again.keys() == set(OUTPUTS)
    assert "relative L2" in capsys.readouterr().out
