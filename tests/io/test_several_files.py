"""Formats of several files are written whole or not at all, and touch no file that is not theirs."""

import pytest
import torch

import meshlearn as ml


def movie(n_times: int, value: float) -> ml.Trajectory:
    mesh = ml.shapes.square(n=2)
    return ml.Trajectory(mesh, torch.arange(n_times).double(), {"u": torch.full((n_times, mesh.n_points), value)})


def names(folder) -> list[str]:
    return sorted(str(entry.relative_to(folder)) for entry in folder.rglob("*") if entry.is_file())


@pytest.mark.parametrize("suffix", [".pvd", ".xdmf"])
def test_writing_again_leaves_nothing_of_the_old_version(tmp_path, suffix):
    path = tmp_path / f"a--b{suffix}"
    counts = []
    for n_times, value in ((3, 1.0), (2, 2.0), (2, 3.0)):
        ml.write(movie(n_times, value), path)
        back = ml.read(path)
        assert (len(back), float(back.point_data["u"].min())) == (n_times, value)
        counts.append(len(names(tmp_path)))
    assert counts == ([4, 3, 3] if suffix == ".pvd" else [2, 2, 2])


@pytest.mark.parametrize("suffix", [".pvd", ".xdmf"])
def test_a_failure_keeps_the_old_version(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"a{suffix}"
    ml.write(movie(3, 1.0), path)
    before = names(tmp_path)
    if suffix == ".pvd":
        from meshlearn.io.formats import vtu as module

        name = "write"
    else:
        from meshlearn.io.formats import xdmf_write as module

        name = "_fields"
    original, calls = getattr(module, name), []

    def fails_late(*args, **options):
        calls.append(1)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return original(*args, **options)

    monkeypatch.setattr(module, name, fails_late)
    with pytest.raises(ml.MeshWriteError, match="No space left"):
        ml.write(movie(3, 2.0), path)
    monkeypatch.undo()
    assert names(tmp_path) == before
    assert float(ml.read(path).point_data["u"].max()) == 1.0


def test_files_of_others_stay(tmp_path):
    (tmp_path / "u.h5").write_text("somebody's numbers")
    (tmp_path / "u_steps").mkdir()
    (tmp_path / "u_steps" / "u_00000.vtu").write_text("somebody's frame")
    for value in (1.0, 2.0):
        for suffix in (".xdmf", ".pvd"):
            ml.write(movie(2, value), tmp_path / f"u{suffix}")
            assert float(ml.read(tmp_path / f"u{suffix}").point_data["u"].min()) == value
    assert (tmp_path / "u.h5").read_text() == "somebody's numbers"
    assert (tmp_path / "u_steps" / "u_00000.vtu").read_text() == "somebody's frame"
