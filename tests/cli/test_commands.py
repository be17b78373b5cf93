"""Every command on real files: what it prints, what it writes, and its exit code."""

import json
import subprocess
import sys
import warnings

import pytest
import torch

import meshlearn as ml
from meshlearn.cli.app import run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "runs"
    assert run(["make-data", str(folder), "--n", "5", "--size", "9", "--holes", "1"]) == 0
    return folder


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / "broken.vtu"
    path.write_text("this is no mesh")
    return path


def test_help_needs_no_torch_and_is_quick():
    code = (
        "import sys, time; start = time.perf_counter(); from meshlearn.cli.app import run; "
        "assert run(['--help']) == 0; "
        "assert not {'torch', 'numpy', 'matplotlib'} & set(sys.modules), 'heavy import'; "
        "assert time.perf_counter() - start < 2"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in ("info", "check", "plot", "convert", "make-data", "fit", "predict", "score", "demo"):
        assert command in done.stdout


@pytest.mark.parametrize(
    "command", ["info", "check", "plot", "convert", "make-data", "fit", "predict", "score", "demo"]
)
def test_every_command_explains_itself(command, capsys):
    assert run([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Example" in text
    assert f"meshlearn {command}" in text


def test_version(capsys):
    assert run(["--version"]) == 0
    assert ml.__version__ in capsys.readouterr().out


def test_make_data_is_reproducible(runs, tmp_path, capsys):
    assert run(["make-data", str(tmp_path / "again"), "-n", "2", "--size", "9", "--holes", "1"]) == 0
    assert "wrote 2 plates" in capsys.readouterr().out
    for name in ("plate_0000.vtu", "plate_0001.vtu"):
        assert (tmp_path / "again" / name).read_bytes() == (runs / name).read_bytes()


def test_info_tells_points_fields_and_extent(runs, capsys):
    assert run(["info", str(runs / "plate_0000.vtu")]) == 0
    text = capsys.readouterr().out
    for word in ("points in 2-D", "von_mises", "hole_0", "extent", "area", "1 part", "quality"):
        assert word in text


def test_info_on_many_kinds(tmp_path, capsys):
    meshes = {
        "solid.vtu": ml.shapes.box(n=(2, 2, 2), cells="hexahedron"),
        "surface.stl": ml.shapes.sphere(refine=1),
        "mixed.vtu": ml.shapes.square(n=4, cells="mixed", order=2),
        "cloud.vtu": ml.Mesh(torch.rand(5, 3)),
    }
    for name, mesh in meshes.items():
        ml.write(mesh, tmp_path / name)
    assert run(["info", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "watertight" in text
    assert text.count("extent") == 4


def test_convert_keeps_everything(runs, tmp_path, capsys):
    source, target = runs / "plate_0000.vtu", tmp_path / "plate.msh"
    assert run(["convert", str(source), str(target)]) == 0
    assert "plate.msh" in capsys.readouterr().out
    first, second = ml.read(source), ml.read(target)
    assert ml.meshes_equal(first.replace(source=None), second.replace(source=None, report=()))


def test_plot_writes_a_picture(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["plot", str(runs / "plate_0000.vtu"), "--field", "displacement", "--component", "0"]) == 0
    assert (tmp_path / "plate_0000_displacement.png").stat().st_size > 5000
    assert run(["plot", str(runs / "plate_0000.vtu"), "--tags", "-o", "tags.svg", "--clim", "-1,1"]) == 0
    assert (tmp_path / "tags.svg").read_text().startswith("<?xml")


def test_check_accepts_sound_files_and_refuses_defects(runs, tmp_path, capsys):
    assert run(["check", str(runs)]) == 0
    points = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    inverted = ml.Mesh(points, {"triangle": [[0, 1, 2], [1, 2, 3]]}, point_data={"u": [0.0, 1.0, float("nan"), 2.0]})
    ml.write(inverted, tmp_path / "bad.vtu")
    capsys.readouterr()
    assert run(["check", str(tmp_path / "bad.vtu")]) == 1
    text = capsys.readouterr().out
    assert "inside out" in text
    assert "not finite" in text


def test_fit_predict_score(runs, tmp_path, capsys):
    model, predictions = tmp_path / "model", tmp_path / "predictions"
    common = ["--inputs", "load,hole_distance", "--outputs", "displacement", "-o", str(model)]
    small = ["--epochs", "2", "--set", "hidden=8", "--set", "steps=1", "--set", "progress=false"]
    assert run(["fit", str(runs / "*.vtu"), *common, *small, "--seed", "1"]) == 0
    assert (model / "training_curves.png").is_file()
    capsys.readouterr()
    assert run(["predict", str(model), str(runs / "plate_000[01].vtu"), "-o", str(predictions)]) == 0
    assert sorted(path.name for path in predictions.iterdir()) == ["plate_0000.vtu", "plate_0001.vtu"]
    found, true = ml.read(predictions / "plate_0000.vtu"), ml.read(runs / "plate_0000.vtu")
    assert not torch.equal(found.point_data["displacement"], true.point_data["displacement"])
    assert torch.equal(found.point_data["von_mises"], true.point_data["von_mises"])
    capsys.readouterr()
    assert run(["score", str(model), str(runs), "--json", "--each"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["n_meshes"] == 5
    estimator = ml.load(model)
    expected = estimator.score(ml.read_many(runs))["displacement"]
    assert scores["mean"]["displacement"] == pytest.approx(expected, rel=1e-4)
    assert run(["score", str(model), str(runs)]) == 0
    assert "displacement" in capsys.readouterr().out


def test_scores_where_the_truth_is_zero_are_null(tmp_path, capsys):
    mesh = ml.shapes.square(n=2)
    for name, factor in (("a", 1.0), ("b", 0.0)):
        ml.write(mesh.with_point_data(u=mesh.points[:, 0] * factor + factor), tmp_path / f"{name}.vtu")
    model, pattern = str(tmp_path / "m"), str(tmp_path / "*.vtu")
    assert run(["fit", pattern, "--inputs", "", "--outputs", "u", "--model", "MeanField", "-o", model]) == 0
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run(["score", model, pattern, "--json", "--each"]) == 0
    told = capsys.readouterr()
    scores = json.loads(told.out)
    assert [row["u"] is None for row in scores["files"].values()] == [False, True]
    assert scores["mean"]["u"] == scores["files"][str(tmp_path / "a.vtu")]["u"]
    assert "zero everywhere" in told.err


def test_other_models_may_be_named(runs, tmp_path):
    arguments = [
        "--inputs",
        "load",
        "--outputs",
        "displacement",
        "--model",
        "RidgeRegression",
        "-o",
        str(tmp_path / "m"),
    ]
    assert run(["fit", str(runs), *arguments]) == 0
    assert type(ml.load(tmp_path / "m")).__name__ == "RidgeRegression"


def fit(*more):
    return ["fit", "RUNS", "--inputs", "load", "--outputs", "displacement", *more]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["info", "nowhere.vtu"], 1, "no such file"),
        (["info", "BROKEN"], 1, "broken.vtu"),
        (["info", "TMP/*.msh"], 1, "no file matches"),
        (["convert", "BROKEN", "TMP/out.vtu"], 1, "broken.vtu"),
        (["convert", "RUNS/plate_0000.vtu", "TMP/out.xyzzy"], 2, "xyzzy"),
        (["plot", "RUNS/plate_0000.vtu", "--field", "w"], 1, "no field 'w'"),
        (["plot", "RUNS/plate_0000.vtu", "--clim", "low"], 2, "two numbers"),
        (["plot", "RUNS/plate_0000.vtu", "-o", "TMP/p.xyzzy"], 2, ".png"),
        (["plot", "RUNS/plate_0000.vtu", "-f", "displacement", "--component", "7"], 2, "no component 7"),
        (["plot", "RUNS/plate_0000.vtu", "--frame", "5"], 2, "leave --frame out"),
        (["score", "TMP", "RUNS"], 1, "model"),
        (["fit", "--settings", "Oracle"], 2, "the models are"),
        (fit("--model", "Oracle"), 2, "the models are"),
        (fit("--set", "depth=3"), 2, "no setting 'depth'"),
        (fit("--set", "hiden=3"), 2, "did you mean 'hidden'"),
        (fit("--model", "Enf2End"), 2, "did you mean 'Enf2Enf'"),
        (fit("--model", "EquivariantNeuralField"), 2, "is fitted in Python"),
        (fit("--set", "hidden"), 2, "name=value"),
        (["fit", "RUNS", "--inputs", "load", "--outputs", "wind"], 1, "no field 'wind'"),
        (["fit", "RUNS"], 2, "--outputs"),
        (["make-data", "TMP/x", "--holes", "many"], 2, "range"),
        (["make-data", "TMP/x", "--n", "0"], 2, "--n"),
        (["make-data", "TMP/x", "--size", "-3"], 2, "size"),
        (["make-data", "TMP/x", "--size", "0"], 2, "size"),
        (["make-data", "TMP/x", "--holes", "-2--1"], 2, "holes"),
        (["make-data", "RUNS", "--n", "2"], 2, "empty folder"),
        (["make-data", "BROKEN/x"], 1, "cannot be made"),
        (["fly"], 2, "fly"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors_are_short_and_have_the_right_exit_code(arguments, code, words, runs, broken, tmp_path, capsys):
    places = {"RUNS": str(runs), "BROKEN": str(broken), "TMP": str(tmp_path)}
    arguments = [
        a if not a.startswith(tuple(places)) else places[a.split("/")[0]] + a[len(a.split("/")[0]) :] for a in arguments
    ]
    assert run(arguments) == code
    text = capsys.readouterr().err
    assert words in text.replace("\n", " ")
    assert "Traceback" not in text


def test_debug_shows_the_traceback(broken):
    with pytest.raises(ml.MeshReadError):
        run(["info", str(broken), "--debug"])


def test_an_unexpected_error_is_told_without_a_traceback(monkeypatch, runs, capsys):
    def fail(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr(ml, "read", fail)
    assert run(["info", str(runs)]) == 1
    text = capsys.readouterr().err
    assert "a bug" in text
    assert "--debug" in text


def test_predictions_never_overwrite_their_source(runs, tmp_path, capsys):
    arguments = ["--inputs", "load", "--outputs", "displacement", "--model", "MeanField", "-o", str(tmp_path / "m")]
    assert run(["fit", str(runs), *arguments]) == 0
    before = (runs / "plate_0000.vtu").read_bytes()
    assert run(["predict", str(tmp_path / "m"), str(runs / "plate_0000.vtu"), "-o", str(runs)]) == 2
    assert "overwritten" in capsys.readouterr().err
    assert (runs / "plate_0000.vtu").read_bytes() == before


def test_predict_takes_a_suffix_with_or_without_its_dot(runs, tmp_path, capsys):
    model, source = str(tmp_path / "m"), str(runs / "plate_0003.vtu")
    arguments = ["--inputs", "load", "--outputs", "displacement", "--model", "MeanField", "-o", model]
    assert run(["fit", str(runs), *arguments]) == 0
    for suffix, folder in (("vtk", tmp_path / "a"), (".vtk", tmp_path / "b")):
        assert run(["predict", model, source, "--suffix", suffix, "-o", str(folder)]) == 0
        assert [path.name for path in folder.iterdir()] == ["plate_0003.vtk"]
    for suffix in ("xyzzy", ".xyzzy", ""):
        assert run(["predict", model, source, "--suffix", suffix, "-o", str(tmp_path / "c")]) == 2
    assert not (tmp_path / "c").exists()
    capsys.readouterr()
    assert run(["predict", model, source, "--std", "-o", str(tmp_path / "c")]) == 2
    text = capsys.readouterr().err
    assert "leave --std out" in text
    assert "return_std" not in text


@pytest.mark.parametrize("command", ["info", "check"])
def test_an_unreadable_file_does_not_hide_the_others(command, runs, broken, tmp_path, capsys):
    first, last = str(runs / "plate_0000.vtu"), str(runs / "plate_0001.vtu")
    assert run([command, first, str(broken), last]) == 1
    told = capsys.readouterr()
    assert first in told.out
    assert last in told.out
    assert "3 files" in told.out
    assert "1 could not be read" in told.out
    assert str(broken) in told.err


def test_plot_takes_frames_of_a_time_series(tmp_path, capsys):
    mesh = ml.shapes.square(n=2)
    times = torch.tensor([0.0, 1.0])
    series = ml.Trajectory(mesh, times, point_data={"u": torch.rand(2, mesh.n_points)})
    ml.write(series, tmp_path / "s.pvd")
    arguments = ["plot", str(tmp_path / "s.pvd"), "-f", "u", "-o", str(tmp_path / "s.png")]
    assert run([*arguments, "--frame", "1"]) == 0
    assert run([*arguments, "--frame", "5"]) == 2
    assert "frames 0 to 1" in capsys.readouterr().err


def test_convert_tells_every_note_once(tmp_path, capsys):
    lines = ["$MeshFormat", "2.2 0 8", "$EndMeshFormat", "$Nodes", "3", "1 0 0 0", "2 1 0 0", "3 0 1 0", "$EndNodes"]
    lines += ["$Elements", "1", "1 2 2 0 7 1 2 3", "$EndElements", "$Foo", "1", "$EndFoo", ""]
    (tmp_path / "x.msh").write_text("\n".join(lines))
    assert run(["convert", str(tmp_path / "x.msh"), str(tmp_path / "s.pvd")]) == 0
    told = capsys.readouterr()
    assert (told.out + told.err).count("section $Foo") == 1
    assert (told.out + told.err).count("all z are 0") == 1


def test_predict_goes_on_after_a_bad_file(runs, broken, tmp_path, capsys):
    meshes = ml.read_many(runs, progress=False)
    ml.MeanField([], ["von_mises"]).fit(meshes).save(tmp_path / "model")
    command = ["predict", str(tmp_path / "model"), "-o", str(tmp_path / "p")]
    assert run([*command, str(broken), str(runs / "plate_0000.vtu")]) == 1
    told = capsys.readouterr()
    assert "broken.vtu" in told.err
    assert "2 files, 1 could not be predicted" in told.out
    assert [path.name for path in (tmp_path / "p").iterdir()] == ["plate_0000.vtu"]


def test_one_step_of_a_series_is_converted(tmp_path, capsys):
    mesh = ml.shapes.square(n=2)
    u = torch.arange(3.0)[:, None].expand(3, mesh.n_points)
    ml.write(ml.Trajectory(mesh, [0.0, 1.0, 2.0], {"u": u}), tmp_path / "a.pvd")
    command = ["convert", str(tmp_path / "a.pvd"), str(tmp_path / "b.vtu")]
    assert run(command) == 2
    assert "--step" in capsys.readouterr().err
    for step, value in (("1", 1.0), ("-1", 2.0)):
        assert run([*command, "--step", step]) == 0
        assert ml.read(tmp_path / "b.vtu").point_data["u"].unique().tolist() == [value]
    assert run([*command, "--step", "3"]) == 2
    assert run(["convert", str(tmp_path / "b.vtu"), str(tmp_path / "c.vtu"), "--step", "0"]) == 2
    assert "leave --step out" in capsys.readouterr().err


def test_it_is_a_module_too():
    done = subprocess.run([sys.executable, "-m", "meshlearn", "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("meshlearn ")
