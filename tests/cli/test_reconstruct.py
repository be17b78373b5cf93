"""`meshlearn reconstruct` from files to files."""

import json

import numpy as np
import pytest

import meshlearn as ml
from meshlearn.cli.app import run
from meshlearn.io.sections import parallel_planes

QUICK = ["--base", "linear", "--no-network", "--resolution", "24"]


@pytest.fixture
def sphere(tmp_path):
    mesh = ml.shapes.sphere(refine=3)
    return ml.CrossSections.from_mesh(mesh, parallel_planes(mesh, 7)).write(tmp_path / "sphere.csl")


def test_sections_become_a_watertight_file_and_a_page(sphere, tmp_path, capsys):
    target, page = tmp_path / "shape.stl", tmp_path / "report.html"
    assert run(["reconstruct", str(sphere), "-o", str(target), "--report", str(page), *QUICK]) == 0
    shape = ml.read(target)
    assert shape.is_watertight
    assert float(shape.volume()) == pytest.approx(4 / 3 * np.pi, rel=0.06)
    text = page.read_text()
    assert "data:image/png;base64" in text
    assert "smallest Dice" in text
    assert "watertight" in text
    assert "label 1" in capsys.readouterr().out


def test_every_label_of_a_volume_gets_a_file(tmp_path):
    x, y, z = np.indices((20, 20, 16))
    labels = np.where((x - 10) ** 2 + (y - 10) ** 2 + (z - 8) ** 2 < 49, np.where(x < 10, 1, 3), 0)
    np.savez(tmp_path / "v.npz", labels=labels)
    target, numbers = tmp_path / "part.mesh.safetensors", tmp_path / "r.json"
    command = ["reconstruct", str(tmp_path / "v.npz"), "-o", str(target), "--every", "2", "--report", str(numbers)]
    assert run([*command, *QUICK]) == 0
    assert all(ml.read(tmp_path / f"part_{label}.mesh.safetensors").is_watertight for label in (1, 3))
    assert set(json.loads(numbers.read_text())["labels"]) == {"1", "3"}


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (["-o", "x.unknown"], 2, "x.unknown"),
        (["--label", "9"], 2, "--label 9"),
        (["--report", "r.txt"], 2, "--report"),
        (["--every", "2"], 2, "no option"),
    ],
)
def test_wrong_reconstruct_commands_are_told(sphere, more, code, told, capsys):
    assert run(["reconstruct", str(sphere), *more, *QUICK]) == code
    assert told in capsys.readouterr().err


def test_files_that_are_no_sections_are_data_errors(tmp_path, capsys):
    (tmp_path / "a.csl").write_text("CSLC\n3 2\n")
    assert run(["reconstruct", str(tmp_path / "a.csl"), *QUICK]) == 1
    assert "a.csl" in capsys.readouterr().err
