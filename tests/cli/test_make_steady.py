"""`make-data` of steady kinds: one table, the data sets of `ml.sim`, and errors that tell."""

import inspect

import pytest

import meshlearn as ml
from meshlearn.cli.app import run
from meshlearn.cli.steady import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_data_set_and_explains_itself(kind, capsys):
    assert {"n", "folder", "seed", "progress"} <= set(inspect.signature(getattr(ml.sim, f"make_{kind}")).parameters)
    assert run(["make-data", kind, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"meshlearn make-data {kind} runs" in text
    assert KINDS[kind].split()[0] in text


def test_meshes_on_the_command_line_are_those_of_the_function(tmp_path, capsys):
    arguments = ["make-data", "peaks", str(tmp_path / "peaks"), "--n", "1", "--seed", "3", "--set", "resolution=6"]
    assert run(arguments) == 0
    assert "wrote 1 meshes" in capsys.readouterr().out
    (made,) = ml.sim.make_peaks(1, seed=3, resolution=6)
    assert ml.read(tmp_path / "peaks" / "peaks_0000.vtu").point_data["u"].tolist() == made.point_data["u"].tolist()
    assert run(["make-data", "stars", str(tmp_path / "stars"), "--n", "1", "--set", "humps=3"]) != 0
    assert "no argument 'humps'" in capsys.readouterr().err
