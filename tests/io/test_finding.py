"""What patterns, folders and lists of both stand for."""

import os

import pytest
import torch

import meshlearn as ml


@pytest.fixture
def runs(tmp_path):
    for name in ("a/run_1", "a/run_2", "a/run_10", "b/run_1"):
        path = tmp_path / f"{name}.vtu"
        path.parent.mkdir(exist_ok=True)
        ml.write(ml.shapes.square(n=2), path)
    return tmp_path


def names(dataset, folder):
    return [str(path.relative_to(folder)) for path in dataset.paths]


def test_patterns_and_folders_in_a_list(runs):
    found = ml.read_many([f"{runs}/a/*.vtu", runs / "b", runs / "a" / "run_2.vtu"])
    assert names(found, runs) == ["a/run_1.vtu", "a/run_2.vtu", "a/run_10.vtu", "b/run_1.vtu", "a/run_2.vtu"]
    overlapping = ml.read_many([f"{runs}/a/*_1*.vtu", f"{runs}/*/run_1.vtu"])
    assert names(overlapping, runs) == ["a/run_1.vtu", "a/run_10.vtu", "b/run_1.vtu"]  # each once


def test_a_missing_file_of_a_list_is_an_error_at_once(runs):
    listed = [runs / "a" / "run_1.vtu", runs / "a" / "run_3.vtu"]
    with pytest.raises(ml.MeshReadError, match=r"run_3\.vtu: no such file(.|\n)*did you mean run_"):
        ml.read_many(listed)
    with pytest.raises(ml.MeshReadError, match=r"no file matches .*c/\*\.vtu"):
        ml.read_many([f"{runs}/c/*.vtu"])
    with pytest.warns(ml.MeshReadWarning, match="1 of 2 files was skipped"):
        assert len(ml.read_many(listed, errors="skip")) == 1


def test_frames_that_a_list_of_files_names_are_not_counted_again(tmp_path):
    mesh = ml.shapes.square(n=2)
    for k in range(3):
        ml.write(mesh.with_point_data(u=torch.full((9,), float(k))), tmp_path / f"step_{k}.vtu")
    ml.write(mesh, tmp_path / "alone.vtu")
    frames = "".join(f'<DataSet timestep="{k}" file="step_{k}.vtu"/>' for k in range(3))
    text = f'<VTKFile type="Collection"><Collection>{frames}</Collection></VTKFile>'
    (tmp_path / "series.pvd").write_text(text)
    with pytest.warns(ml.MeshReadWarning, match=r"series\.pvd counts as one; left out step_0\.vtu, step_1\.vtu"):
        found = ml.read_many(tmp_path)
    assert names(found, tmp_path) == ["alone.vtu", "series.pvd"]
    assert len(found[1]) == 3
    assert len(ml.read_many(tmp_path / "*.vtu")) == 4  # a pattern takes what it matches
    (tmp_path / "series.pvd").write_text("")
    assert len(ml.read_many(tmp_path)) == 5  # names nothing; reading it is the error


def test_a_folder_is_refused_with_a_call_that_works(tmp_path):
    inner = tmp_path / "heat" / "train"
    inner.mkdir(parents=True)
    ml.write(ml.shapes.square(n=2), inner / "a.mesh.safetensors")
    (tmp_path / "heat" / "scores.csv").write_text("model,score\nridge,1\n")
    with pytest.raises(ml.MeshReadError, match="folders inside") as caught:
        ml.read(tmp_path / "heat")
    call = str(caught.value).split("ml.read_many(")[1].split(")")[0].strip('"')
    assert len(ml.read_many(call)) == 1
    with pytest.raises(ml.MeshReadError, match=r"holds 1 mesh file: ml\.read_many\(\".*train\"\)"):
        ml.read(inner)


def test_names_that_are_not_alike_are_not_suggested(tmp_path):
    ml.write(ml.shapes.square(n=2), tmp_path / "box2.vtk")
    with pytest.raises(ml.MeshReadError, match="holds 1 other entry"):
        ml.read(tmp_path / "nope.vtu")
    for slip in ("box2.vtu", "bx2.vtk", "BOX2.vtk"):
        with pytest.raises(ml.MeshReadError, match=r"did you mean box2\.vtk"):
            ml.read(tmp_path / slip)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_a_pipe_is_refused_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.vtu")
    for read in (ml.read, ml.read_many):
        with pytest.raises(ml.MeshReadError, match="no file but a pipe"):
            _ = read(tmp_path / "a.vtu")
    with pytest.raises(ml.MeshReadError, match="no mesh file"):
        ml.read_many(tmp_path)


def test_a_model_in_the_data_folder_is_left_out(tmp_path):
    from safetensors.torch import save_file

    for k in range(2):
        ml.write(ml.shapes.square(n=2), tmp_path / f"run_{k}.vtu")
    ml.write(ml.shapes.square(n=2), tmp_path / "run_2.safetensors")
    save_file({"weight": torch.zeros(3)}, tmp_path / "model-0123456789abcdef.safetensors")
    save_file({"weight": torch.zeros(3)}, tmp_path / "training-0123456789abcdef.safetensors")
    (tmp_path / "model.json").write_text("{}")
    with pytest.warns(
        ml.MeshReadWarning, match=r"left out model-.*training-.*a saved model or a checkpoint(.|\n)*ml.load"
    ):
        meshes = ml.read_many(tmp_path)
    assert [mesh.n_cells for mesh in meshes] == [8, 8, 8]
    for path in tmp_path.glob("run_*"):
        path.unlink()
    with pytest.raises(ml.MeshReadError, match=r"holds no mesh file(.|\n)*a saved model or a checkpoint(.|\n)*ml.load"):
        ml.read_many(tmp_path)
    with pytest.raises(ml.MeshReadError, match=r"not a mesh(.|\n)*ml\.load"):
        ml.read(tmp_path / "model-0123456789abcdef.safetensors")
    with pytest.raises(ml.MeshReadError, match=r"this is a folder(.|\n)*a saved model(.|\n)*ml\.load"):
        ml.read(tmp_path)
