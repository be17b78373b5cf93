"""read_many, its cache, MeshDataset and split."""

from pathlib import Path

import pytest
import torch
from io_meshes import assert_same

import meshlearn as ml
from meshlearn.io import cache as cache_module
from meshlearn.io.finding import natural


@pytest.fixture
def folder(tmp_path):
    for k in (1, 2, 10, 3):
        ml.write(ml.shapes.square(n=k).with_global_data(k=torch.tensor(k)), tmp_path / f"run_{k}.vtk", binary=False)
    return tmp_path


def numbers(meshes):
    return [int(mesh.global_data["k"]) for mesh in meshes]


def test_reading_is_lazy_ordered_and_sliced(folder):
    meshes = ml.read_many(folder / "*.vtk")
    (folder / "run_10.vtk").write_text("broken")  # not read yet
    assert len(meshes) == 4
    assert numbers(meshes[:3]) == [1, 2, 3]
    assert numbers(meshes[i] for i in (2, 0)) == [3, 1]
    assert "4 files" in repr(meshes)
    with pytest.raises(ml.MeshReadError, match=r"run_10\.vtk"):
        meshes[-1]
    with pytest.raises(IndexError):
        meshes[4]


def test_folder_list_and_nothing(folder):
    assert numbers(ml.read_many(folder)) == [1, 2, 3, 10]
    assert numbers(ml.read_many([folder / "run_3.vtk", str(folder / "run_1.vtk")])) == [3, 1]
    with pytest.raises(ml.MeshReadError, match=r"no file matches .*\.vtu"):
        ml.read_many(folder / "*.vtu")
    with pytest.raises(ml.MeshReadError, match="empty list"):
        ml.read_many([])


def test_parallel_reading_equals_the_loop(folder):
    loop, parallel = list(ml.read_many(folder / "*.vtk")), ml.read_many(folder / "*.vtk", workers=3)
    for a, b in zip(loop, parallel, strict=True):
        assert_same(a, b)


def test_one_bad_file_of_many(folder):
    (folder / "run_2.vtk").write_text(
        "# vtk DataFile Version 3.0\nx\nASCII\nDATASET UNSTRUCTURED_GRID\nPOINTS 5 float\n0"
    )
    with pytest.raises(ml.MeshReadError, match=r"run_2\.vtk"):
        ml.read_many(folder / "*.vtk", workers=2)
    with pytest.warns(ml.MeshReadWarning, match=r"1 of 4 files was skipped(.|\n)*run_2\.vtk"):
        kept = ml.read_many(folder / "*.vtk", errors="skip")
    assert numbers(kept) == [1, 3, 10]
    with pytest.raises(ml.ParameterError, match="errors='ignore'"):
        ml.read_many(folder / "*.vtk", errors="ignore")


def test_cache_is_keyed_on_content(folder, monkeypatch):
    store = folder / "cache"
    first = list(ml.read_many(folder / "*.vtk", cache=store))
    assert len(list(store.glob("*.safetensors"))) == 4

    def forbidden(path, **options):
        assert path.name.endswith(".mesh.safetensors"), f"{path} was parsed again"
        return ml.read(path, **options)

    monkeypatch.setattr(cache_module, "read", forbidden)
    (folder / "run_1.vtk").rename(folder / "run_01.vtk")  # another name, the same content
    again = list(ml.read_many(folder / "*.vtk", cache=store))
    for a, b in zip(first, again, strict=True):
        assert_same(a, b)
    assert again[0].source.endswith("run_01.vtk")
    monkeypatch.undo()
    ml.write(ml.shapes.square(n=5).with_global_data(k=torch.tensor(5)), folder / "run_01.vtk")
    assert numbers(ml.read_many(folder / "*.vtk", cache=store)) == [5, 2, 3, 10]


def test_damaged_cache_entries_are_read_anew(folder):
    store = folder / "cache"
    list(ml.read_many(folder / "*.vtk", cache=store))
    for k, entry in enumerate(sorted(store.iterdir())):
        entry.write_bytes(entry.read_bytes()[: 40 * k])
    assert numbers(ml.read_many(folder / "*.vtk", cache=store)) == [1, 2, 3, 10]


def test_default_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("MESHLEARN_CACHE", str(tmp_path / "here"))
    assert ml.MeshDataset(["a.vtu"], cache=True).cache == tmp_path / "here"


def test_split_is_disjoint_complete_and_repeatable(folder):
    meshes = ml.read_many(folder / "*.vtk")
    train, test = ml.split(meshes, test=0.25, seed=3)
    assert isinstance(train, ml.MeshDataset)
    assert sorted(train.paths + test.paths) == sorted(meshes.paths)
    assert (len(train), len(test)) == (3, 1)
    assert ml.split(meshes, test=0.25, seed=3)[1].paths == test.paths
    assert {tuple(ml.split(meshes, test=1, seed=s)[1].paths) for s in range(20)} != {tuple(test.paths)}
    assert [len(part) for part in ml.split(list(range(10)), test=3)] == [7, 3]
    assert [len(part) for part in ml.split([0, 1], test=0.01)] == [1, 1]


@pytest.mark.parametrize("test", [0, 1.0, -0.1, 10, True])
def test_split_refuses(test):
    with pytest.raises(ml.ParameterError, match="test="):
        ml.split(list(range(10)), test=test)
    with pytest.raises(ml.ParameterError, match="at least 2"):
        ml.split([1])


def test_numbers_count():
    names = ["a_10", "a_9", "b", "a_1x"]
    assert sorted(names, key=lambda name: natural(Path(name))) == [
        "a_1x",
        "a_9",
        "a_10",
        "b",
    ]


def test_reading_text_in_threads_leaves_the_warning_filters_alone(tmp_path, monkeypatch):
    import warnings

    def forbidden(*args, **options):
        raise AssertionError("warning filters belong to the process, not to a thread")

    mesh = ml.shapes.square(n=4)
    for k in range(4):
        ml.write(mesh, tmp_path / f"a{k}.vtu", encoding="ascii")
        ml.write(mesh, tmp_path / f"b{k}.vtk", binary=False)
        ml.write(mesh, tmp_path / f"c{k}.msh", binary=False)
        ml.write(mesh, tmp_path / f"d{k}.mesh.safetensors")
    before = list(warnings.filters)
    with monkeypatch.context() as patch:
        patch.setattr(warnings, "catch_warnings", forbidden)
        meshes = ml.read_many(tmp_path, workers=4)
    assert [read.n_cells for read in meshes] == [32] * 16
    assert list(warnings.filters) == before


def test_a_folder_leaves_notes_and_logs_alone(folder):
    (folder / "LICENSE.txt").write_text("Apache-2.0\n\nYou may use this.\n")
    (folder / "README.md").write_text("# Runs\n")
    (folder / "requirements.txt").write_text("torch==2.0\n")
    assert numbers(ml.read_many(folder)) == [1, 2, 3, 10]
    (folder / "history.csv").write_text("epoch,loss\n0,1.0\n1,0.5\n")
    (folder / "settings.xml").write_text("<settings><mesh size='3'/></settings>")
    with pytest.warns(ml.MeshReadWarning, match=r"left out history\.csv, settings\.xml(.|\n)*a pattern"):
        meshes = ml.read_many(folder)
    assert numbers(meshes) == [1, 2, 3, 10]
    with pytest.raises(ml.MeshReadError, match="no column is named x, y or z"):  # a pattern takes what it matches
        _ = ml.read_many(folder / "*.csv")[0]


def test_a_folder_of_point_tables_is_read(tmp_path):
    for k in range(2):
        (tmp_path / f"cloud_{k}.csv").write_text('"x","y","T"\n0,0,1\n1,0,2\n')
    (tmp_path / "bulk.dat").write_text("BEGIN BULK\nGRID,1,,0.,0.,0.\nGRID,2,,1.,0.,0.\nGRID,3,,0.,1.,0.\nENDDATA\n")
    assert [mesh.n_points for mesh in ml.read_many(tmp_path)] == [3, 2, 2]


def test_a_folder_with_nothing_but_notes(tmp_path):
    (tmp_path / "log.txt").write_text("step 1\n")
    with pytest.raises(ml.MeshReadError, match=r"no mesh file \(of 1 entry\)(.|\n)*left out log\.txt"):
        ml.read_many(tmp_path)
    with pytest.raises(ml.MeshReadError, match="empty path"):
        ml.read_many("")


def test_counts_in_messages_are_english(folder):
    assert "1 file:" in repr(ml.read_many([folder / "run_1.vtk"]))
    (folder / "alone").mkdir()
    ml.write(ml.shapes.square(n=1), folder / "alone" / "plate.vtu")
    with pytest.raises(ml.MeshReadError, match="holds 1 other entry"):
        ml.read(folder / "alone" / "xyz.abc")
    with pytest.raises(ml.MeshReadError, match="holds 1 mesh file:"):
        ml.read(folder / "alone")
