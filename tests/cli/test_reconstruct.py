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
        (["-o", "none/x.stl"], 2, "the folder none does not exist"),
        (["--report", "none/r.json"], 2, "the folder none does not exist"),
        (["--resolution", "4"], 2, "--resolution 4"),
        (["--resume"], 2, "--checkpoint"),
        (["--every", "2"], 2, "no option"),
    ],
)
def test_wrong_reconstruct_commands_are_told(sphere, more, code, told, capsys, monkeypatch):
    monkeypatch.setattr(ml.CrossSectionReconstructor, "fit", None)  # told before any work
    assert run(["reconstruct", str(sphere), *QUICK, *more]) == code
    assert told in capsys.readouterr().err


def test_files_that_are_no_sections_are_data_errors(tmp_path, capsys):
    (tmp_path / "a.csl").write_text("CSLC\n3 2\n")
    assert run(["reconstruct", str(tmp_path / "a.csl"), *QUICK]) == 1
    assert "a.csl" in capsys.readouterr().err


@pytest.mark.filterwarnings("default:the fit in")
def test_a_fit_is_kept_and_gone_on_with(sphere, tmp_path, capsys):
    command = ["reconstruct", str(sphere), "-o", str(tmp_path / "a.stl"), "--checkpoint", str(tmp_path / "run"), *QUICK]
    assert run(command) == 0
    assert "network: not tried, not asked for" in capsys.readouterr().out
    assert ml.load(tmp_path / "run").base_ == "linear"
    assert run(command) == 1  # the folder holds a fit already
    assert "--resume goes on" in capsys.readouterr().err
    assert run([*command, "--resume"]) == 0
    assert "is finished" in capsys.readouterr().err


def test_what_was_tried_is_told_apart_from_what_was_not():
    from types import SimpleNamespace

    from meshlearn.cli.reconstruct import _choice

    given = {"base_": "rbf", "base_scores_": {"rbf": 0.9}, "network_share_": 0.0}
    tried = _choice(SimpleNamespace(**given, skipped_={"hermite": "no time: about 9 s needed, 2 s left"}))
    assert "network: tried, and not used" in tried
    assert "not tried: hermite: no time" in tried
    assert "network: not tried, not asked for" in _choice(
        SimpleNamespace(**given, skipped_={"network": "not asked for"})
    )
