"""`meshlearn fit`: what it refuses before the work, what an interrupt leaves, and what its help tells."""

import inspect
import os
import re
import signal
import warnings
from functools import wraps

import pytest

import meshlearn as ml
from meshlearn.cli.app import run
from meshlearn.cli.settings import KINDS, settings_of

TINY = ["--set", "hidden=8", "--set", "steps=1", "--set", "levels=1", "--set", "progress=false"]


@pytest.fixture
def fit(tmp_path):
    (tmp_path / "runs").mkdir()
    for n in (2, 3, 4):
        mesh = ml.shapes.square(n=n)
        ml.write(mesh.with_point_data(u=mesh.points[:, 0]), tmp_path / "runs" / f"{n}.vtu")

    def call(*more, output=tmp_path / "m"):
        fixed = ["fit", str(tmp_path / "runs"), "--inputs", "", "--outputs", "u", "-o", str(output)]
        return run([*fixed, *TINY, *map(str, more)])

    return call


@pytest.fixture
def no_training(monkeypatch):
    @wraps(ml.MeshGraphNet.fit)
    def train(*_, **__):
        raise AssertionError("the training began")

    monkeypatch.setattr(ml.MeshGraphNet, "fit", train)


@pytest.fixture
def ctrl_c(monkeypatch):
    """Ctrl-C during the second step of every fit."""
    losses = ml.MeshGraphNet.sample_losses
    count = 0

    def press(self, outputs, batch):
        nonlocal count
        count += 1
        if count == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return losses(self, outputs, batch)

    monkeypatch.setattr(ml.MeshGraphNet, "sample_losses", press)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_that_cannot_be_written_is_found_before_the_training(fit, no_training, tmp_path, capsys):
    (tmp_path / "file").write_text("no folder")
    assert fit(output=tmp_path / "file" / "m") == 1
    assert "cannot write" in capsys.readouterr().err


def test_an_existing_model_is_kept_unless_told_otherwise(fit, tmp_path, capsys):
    assert fit("--epochs", 1) == 0
    before = content(tmp_path / "m")
    assert fit("--epochs", 2) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert content(tmp_path / "m") == before
    assert fit("--epochs", 2, "--overwrite") == 0
    assert len(ml.load(tmp_path / "m").history_) == 2


def test_a_failed_fit_leaves_no_empty_folder(fit, tmp_path):
    assert fit("--set", "levels=99", output=tmp_path / "new" / "m") == 2
    assert not (tmp_path / "new").exists()


def test_ctrl_c_writes_a_new_model_and_exits_with_130(fit, ctrl_c, tmp_path, capsys):
    assert fit("--epochs", 9, "--set", "batch_points=1") == 130
    told = capsys.readouterr()
    assert "interrupted" in told.err
    assert "resume=True" not in told.err
    assert ml.load(tmp_path / "m").is_fitted


def test_ctrl_c_never_replaces_a_finished_model(fit, tmp_path, capsys, request):
    assert fit("--epochs", 1) == 0
    before = content(tmp_path / "m")
    request.getfixturevalue("ctrl_c")
    assert fit("--epochs", 9, "--overwrite", "--set", "batch_points=1") == 130
    assert content(tmp_path / "m") == before
    assert "is as it was" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["m", "c"])
def test_an_interrupted_checkpoint_can_be_resumed_as_the_message_says(fit, ctrl_c, tmp_path, capsys, place):
    options = ["--epochs", 3, "--set", "batch_points=1", "--set", f"checkpoint={tmp_path / place}"]
    assert fit(*options) == 130
    assert "--set resume=true" in capsys.readouterr().err
    assert fit(*options) == 2, "a new fit would overwrite it"
    assert "--set resume=true" in capsys.readouterr().err
    assert fit(*options, "--set", "resume=true") == 0
    assert len(ml.load(tmp_path / "m").history_) == 3


def test_resume_needs_a_checkpoint_and_says_when_there_is_nothing_to_do(fit, tmp_path, capsys):
    options = ["--epochs", 1, "--set", f"checkpoint={tmp_path / 'm'}"]
    assert fit(*options, "--set", "resume=true") == 2
    assert "--set resume=auto" in capsys.readouterr().err
    assert fit(*options, "--set", "resume=auto") == 0
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert fit(*options, "--set", "resume=auto") == 0
    assert "nothing is trained" in capsys.readouterr().err


def test_models_of_the_command_learn_fields_on_meshes():
    for name in KINDS:
        arguments = inspect.signature(getattr(ml, name).__init__).parameters
        assert {"inputs", "outputs"} <= set(arguments), f"{name} is not for `meshlearn fit`: see cli/settings.py"
        assert "meshes" in inspect.signature(getattr(ml, name).fit).parameters


def plain(text):
    return " ".join(re.sub(r"[│╭╮╰╯─]|\x1b\[[0-9;]*m", " ", text).split())


def test_help_names_the_models_and_how_settings_are_written(capsys):
    assert run(["fit", "--help"]) == 0
    text = plain(capsys.readouterr().out)
    for name in KINDS:
        assert name in text
    assert 'boundary_sets=["left", "hole_*"]' in text
    assert "resume=true" in text


@pytest.mark.parametrize("name", ["MeshGraphNet", "RidgeRegression", "MeanField"])
def test_settings_are_listed_with_their_defaults(name, capsys):
    assert run(["fit", "--settings", name]) == 0
    text = capsys.readouterr().out
    of_model, of_fit = settings_of(getattr(ml, name))
    for key in (*of_model, *of_fit):
        assert f"  {key}=" in text
    assert ("learning_rate=0.001" in text) == (name == "MeshGraphNet")


def test_a_model_of_the_shape_alone_needs_no_inputs(tmp_path, capsys):
    mesh = ml.shapes.square(n=2)
    ml.write(mesh.with_point_data(u=mesh.points[:, 0]), tmp_path / "a.vtu")
    assert (
        run(["fit", str(tmp_path / "a.vtu"), "--outputs", "u", "-o", str(tmp_path / "m"), "--model", "MeanField"]) == 0
    )
    assert "MeanField: 1 mesh, shape -> u" in capsys.readouterr().out


def test_ctrl_c_before_the_first_step_is_told(fit, monkeypatch, tmp_path, capsys):
    def press(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ml.MeshGraphNet, "prepare", press)
    assert fit() == 130
    assert "interrupted" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("name", [name for name in KINDS if issubclass(getattr(ml, name), ml.NetworkEstimator)])
def test_every_network_takes_the_settings_of_a_training(name):
    _, training = settings_of(getattr(ml, name))
    assert {"epochs", "validation", "learning_rate"} <= set(training)
