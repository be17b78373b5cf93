"""Data sets of particles: reproducible, whole, and told when they cannot be."""

import pytest
import torch

import meshlearn as ml
from meshlearn.cli.app import run

SMALL = {"cells": 12, "duration": 0.3, "frames": 4}


@pytest.mark.parametrize("kind", ["elastic", "metal", "water", "sand"])
@pytest.mark.parametrize("dim", [2, 3])
def test_scenes_move_within_their_box_and_never_gain_energy(kind, dim):
    for film in ml.sim.make_mpm(2, kind=kind, dim=dim, seed=3, **SMALL):
        facts, series = film.mesh.global_data, film.global_data
        assert film.moving_points.dtype == torch.float32
        cell = 1 / SMALL["cells"]
        assert film.moving_points.min() > -cell / 2
        assert film.moving_points.max() < 1 + cell / 2
        height = film.moving_points[:, :, -1] @ film.mesh.point_data["mass"]
        energy = series["kinetic_energy"] + series["stored_energy"] - facts["gravity"][-1] * height
        assert energy.max() < 1.02 * energy[0]
        assert (film.moving_points[-1] - film.moving_points[0]).abs().max() > 0.01


def test_mpm_files_hold_what_was_made_and_larger_sets_begin_with_smaller_ones(tmp_path):
    made = ml.sim.make_mpm(2, tmp_path, seed=5, kind="water", **SMALL)
    longer = ml.sim.make_mpm(3, seed=5, kind="water", **SMALL)
    for i, film in enumerate(made):
        read = ml.read(tmp_path / f"mpm_water_{i:04d}.mesh.safetensors")
        for other in (read, longer[i]):
            assert torch.equal(other.moving_points, film.moving_points)
            assert torch.equal(other.global_data["momentum"], film.global_data["momentum"])
            assert other.mesh.global_data["width"] == film.mesh.global_data["width"]
    with pytest.raises(ml.ParameterError, match="two data sets would be mixed"):
        ml.sim.make_mpm(1, tmp_path, kind="water", **SMALL)


def test_impossible_scenes_are_told():
    for options, word in (
        ({"kind": "elestic"}, "did you mean 'elastic'"),
        ({"dim": 4}, "dim is 2 or 3"),
        ({"cells": 4}, "at least 8"),
        ({"yung": 1e4}, "did you mean 'young'"),
        ({"kind": "sand", "friction": 70}, "from 1 to 59"),
        ({"shapes": "ball"}, "In 2-D there are"),
        ({"kind": "water", "shapes": "disc"}, "always a column"),
    ):
        with pytest.raises(ml.ParameterError, match=word):
            ml.sim.make_mpm(1, **options)


def test_the_command_makes_particles_and_still_makes_plates(tmp_path, capsys):
    folder = tmp_path / "drops"
    options = ["--n", "1", "--kind", "sand", "--cells", "10", "--duration", "0.1", "--frames", "2"]
    assert run(["make-data", "mpm", str(folder), *options, "--set", "friction=[25, 35]"]) == 0
    assert "wrote 1 trajectories" in capsys.readouterr().out
    film = ml.read(folder / "mpm_sand_0000.mesh.safetensors")
    assert 25 <= film.mesh.global_data["friction"] <= 35
    assert run(["make-data", "mpm", str(tmp_path / "x"), "--set", "frction=3", "--kind", "sand"]) == 2
    assert "did you mean 'friction'" in capsys.readouterr().err
    for words in (
        ["make-data", "--n", "1", "--size", "9", str(tmp_path)],
        ["make-data", "plates", str(tmp_path), "-n1"],
    ):
        assert run(words) == 0
    assert "wrote 1 plates" in capsys.readouterr().out
    for words in (["make-data", "--help"], ["make-data", "mpm", "--help"]):
        assert run(words) == 0
        assert "meshlearn make-data mpm" in capsys.readouterr().out
