"""Data sets of elastic bodies: reproducible, conserving, and told when they cannot be."""

import pytest
import torch

import meshlearn as ml
from meshlearn.cli.app import run

SMALL = {"cells": 4, "duration": 0.3, "frames": 3}


@pytest.mark.parametrize("kind", ["thrown", "beam"])
@pytest.mark.parametrize("dim", [2, 3])
def test_bodies_keep_their_energy_and_stay_where_they_should(kind, dim):
    for film in ml.sim.make_bodies(2, kind=kind, dim=dim, seed=2, **SMALL):
        facts, series = film.mesh.global_data, film.global_data
        height = film.moving_points[:, :, -1] @ film.mesh.point_data["mass"]
        energy = series["kinetic_energy"] + series["stored_energy"] - facts["gravity"][-1] * height
        assert (energy / energy[0] - 1).abs().max() < 0.02
        if kind == "thrown":
            assert film.moving_points.min() > -0.05
            assert film.moving_points.max() < 1.05
        else:
            left = film.mesh.points[:, 0] == 0
            assert torch.equal(film.moving_points[-1][left], film.mesh.points[left])
        assert (film.moving_points[-1] - film.moving_points[0]).abs().max() > 0.01


def test_body_files_hold_what_was_made_and_larger_sets_begin_with_smaller_ones(tmp_path):
    made = ml.sim.make_bodies(2, tmp_path, seed=5, **SMALL)
    longer = ml.sim.make_bodies(3, seed=5, **SMALL)
    for i, film in enumerate(made):
        read = ml.read(tmp_path / f"body_thrown_{i:04d}.mesh.safetensors")
        for other in (read, longer[i]):
            assert torch.equal(other.moving_points, film.moving_points)
            assert torch.equal(other.cell_data["volume_ratio"]["triangle"], film.cell_data["volume_ratio"]["triangle"])


def test_impossible_bodies_are_told():
    for options, word in (
        ({"kind": "throwm"}, "did you mean 'thrown'"),
        ({"dim": 1}, "dim is 2 or 3"),
        ({"cells": 1}, "at least 2"),
        ({"kind": "beam", "speed": 1.0}, "It has young, poisson, blow, twist"),
        ({"kind": "beam", "shapes": "disc"}, "always a beam"),
        ({"shapes": ["disk"]}, "did you mean 'disc'"),
    ):
        with pytest.raises(ml.ParameterError, match=word):
            ml.sim.make_bodies(1, **options)


def test_the_command_makes_bodies(tmp_path, capsys):
    options = ["--n", "1", "--kind", "beam", "--cells", "3", "--duration", "0.1", "--frames", "2"]
    assert run(["make-data", "bodies", str(tmp_path), *options, "--set", "young=1e5"]) == 0
    assert "wrote 1 trajectories" in capsys.readouterr().out
    assert ml.read(tmp_path / "body_beam_0000.mesh.safetensors").mesh.global_data["young"] == 1e5
