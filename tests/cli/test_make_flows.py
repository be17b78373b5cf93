"""`make-data burgers` and `make-data cylinder` write trajectories, and tell what is wrong with their arguments."""

import meshlearn as ml
from meshlearn.cli.app import run


def test_fronts_and_flows_are_written(tmp_path, capsys):
    waves, flows = tmp_path / "waves", tmp_path / "flows"
    arguments = ["--n", "1", "--resolution", "5", "--frames", "2", "--set", "reference=1", "--set", "viscosity=0.02"]
    assert run(["make-data", "burgers", str(waves), *arguments]) == 0
    wave = ml.read(waves / "burgers_0000.mesh.safetensors")
    assert len(wave) == 3
    assert abs(float(wave.mesh.global_data["viscosity"]) - 0.02) < 1e-6
    small = ["--n", "1", "--size", "0.2", "--frames", "1", "--set", "start=0", "--set", "substeps=1"]
    assert run(["make-data", "cylinder", str(flows), *small]) == 0
    assert "lift" in ml.read(flows / "cylinder_0000.mesh.safetensors").global_data
    assert "wrote 1 trajectories" in capsys.readouterr().out
    assert run(["make-data", "burgers", str(waves), "--n", "1", "--set", "humps=0"]) != 0
    assert "humps is a whole number" in capsys.readouterr().err


def test_settings_that_a_data_set_does_not_know_are_told(tmp_path, capsys):
    cases = [
        (["burgers"], "frames=3", "frames is decided by the command"),
        (["burgers"], "hump=3", "did you mean 'humps'"),
        (["mpm"], "cells=16", "cells is decided by the command"),
        (["bodies"], "seed=3", "seed is decided by the command"),
        (["cylinder"], "progress=false", "progress is decided by the command"),
    ]
    for command, setting, words in cases:
        assert run(["make-data", *command, str(tmp_path / "none"), "--n", "1", "--set", setting]) == 2
        assert words in capsys.readouterr().err
        assert not (tmp_path / "none").exists()
