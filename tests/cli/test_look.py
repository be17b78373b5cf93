"""`info`, `check`, `plot` and `convert` tell what is there, all of it, and which part was looked at."""

import warnings

import pytest
import torch
from PIL import Image

import meshlearn as ml
from meshlearn.cli.app import run


@pytest.fixture
def series(tmp_path):
    mesh = ml.shapes.square(n=2)
    u = torch.rand(4, mesh.n_points)
    u[1:3, 0] = torch.nan
    ml.write(ml.Trajectory(mesh, torch.tensor([0.0, 0.5, 1.0, 1.5]), {"u": u}), tmp_path / "s.pvd")
    return tmp_path / "s.pvd"


@pytest.mark.parametrize("command", ["info", "check"])
def test_a_missing_file_does_not_hide_the_others(command, tmp_path, capsys):
    ml.write(ml.shapes.square(n=2), tmp_path / "a.vtu")
    assert run([command, str(tmp_path / "nope.vtu"), str(tmp_path / "a.vtu")]) == 1
    told = capsys.readouterr()
    assert "a.vtu" in told.out
    assert "2 files" in told.out
    assert "nope.vtu" in told.err


def test_info_tells_of_values_that_are_not_finite(tmp_path, capsys):
    mesh = ml.shapes.square(n=2)
    points, u = mesh.points.clone(), torch.zeros(9)
    points[3, 1], u[:2] = torch.nan, torch.inf
    ml.write(mesh.replace(points=points, point_data={"u": u}), tmp_path / "a.vtu")
    assert run(["info", str(tmp_path / "a.vtu")]) == 0
    text = capsys.readouterr().out
    assert "coordinates of 1 of 9 points" in text
    assert "2 values of 'u'" in text


def test_check_looks_at_all_frames_and_names_them(series, capsys):
    assert run(["check", str(series)]) == 1
    text = capsys.readouterr().out
    assert "4 frames" in text
    assert "not finite" in text
    assert "[frames 1-2]" in text


def test_plot_says_which_frame_it_drew(series, tmp_path, capsys):
    assert run(["plot", str(series), "-o", str(tmp_path / "p.png")]) == 0
    assert "frame 3 of 0 to 3, time 1.5" in capsys.readouterr().out
    assert run(["plot", str(series), "-o", str(tmp_path / "p.png"), "--frame", "1"]) == 0
    assert "frame 1 of 0 to 3, time 0.5" in capsys.readouterr().out


def test_plot_makes_a_film_of_a_series(series, tmp_path, capsys):
    film = tmp_path / "p.gif"
    assert run(["plot", str(series), "-f", "u", "-o", str(film)]) == 0
    assert "p.gif (4 times)" in capsys.readouterr().out
    with Image.open(film) as image:
        assert image.n_frames == 4
    ml.write(ml.shapes.square(n=2), tmp_path / "a.vtu")
    assert run(["plot", str(tmp_path / "a.vtu"), "-o", str(film)]) == 2
    assert "holds one mesh" in capsys.readouterr().err
    assert run(["plot", str(series), "-o", str(film), "--frame", "1"]) == 2
    assert "asks for one of them" in capsys.readouterr().err


def test_convert_shows_what_was_written(tmp_path, capsys):
    mesh = ml.shapes.square(n=2, cells="quad")
    mesh = ml.Mesh(torch.cat([mesh.points, torch.rand(9, 1)], 1), {"quad": mesh.cells["quad"]})
    ml.write(mesh, tmp_path / "a.vtu")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run(["convert", str(tmp_path / "a.vtu"), str(tmp_path / "a.stl")]) == 0
    text = capsys.readouterr().out
    assert "8 triangle" in text
    assert "quad" not in text
