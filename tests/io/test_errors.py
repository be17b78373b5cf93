"""No bad input ends the process, loads in part, or leaves something behind."""

import contextlib
import gzip
import os
import struct

import pytest
import torch
from io_meshes import load_manifest

import meshlearn as ml
from meshlearn.io import registry


@pytest.fixture
def plate(tmp_path):
    path = tmp_path / "plate.vtu"
    ml.write(ml.shapes.square(n=3), path)
    return path


def test_missing_file_suggests_near_names(plate):
    with pytest.raises(ml.MeshReadError, match=r"plaet\.vtu: no such file(.|\n)*plate\.vtu"):
        ml.read(plate.with_name("plaet.vtu"))


def test_missing_folder(tmp_path):
    with pytest.raises(ml.MeshReadError, match=r"folder .*nowhere does not exist"):
        ml.read(tmp_path / "nowhere" / "a.vtu")


def test_folder(plate):
    with pytest.raises(ml.MeshReadError, match=r"this is a folder(.|\n)*read_many"):
        ml.read(plate.parent)


def test_empty_file(tmp_path):
    for f in registry.supported_formats():
        for suffix in f.suffixes:
            path = tmp_path / f"empty{suffix}"
            path.touch()
            with pytest.raises(ml.MeshReadError, match="empty"):
                ml.read(path)


def test_unknown_suffix_lists_what_is_supported(tmp_path):
    (tmp_path / "notes.doc").write_text("hello")
    with pytest.raises(ml.MeshReadError, match=r"\.doc(.|\n)*\.vtu"):
        ml.read(tmp_path / "notes.doc")


def test_content_decides_over_the_suffix(plate):
    wrong = plate.rename(plate.with_name("plate.stl"))
    assert ml.read(wrong).n_cells == 18
    upper = wrong.rename(wrong.with_name("PLATE.VTU"))
    assert ml.read(upper).n_cells == 18


def test_compressed_file(plate):
    packed = plate.with_name("plate.vtu.gz")
    packed.write_bytes(gzip.compress(plate.read_bytes()))
    with pytest.raises(ml.MeshReadError, match=r"gzip(.|\n)*gunzip"):
        ml.read(packed)


@pytest.mark.filterwarnings("ignore::meshlearn.errors.MeshReadWarning")
def test_damage_of_every_kind_is_a_named_error(shared_data, tmp_path):
    """Cut, zeroed and overwritten files either still load or raise MeshReadError with the file's name."""
    refused = 0
    for row in load_manifest(shared_data / "io"):
        source = shared_data / "io" / row["file"]
        data = source.read_bytes()
        if len(data) > 60_000:
            continue
        half = len(data) // 2
        for k, broken in enumerate((data[:half], data[: len(data) // 5], data[:half] + bytes(64) + data[half + 64 :])):
            path = tmp_path / f"{k}_{source.name}"
            path.write_bytes(broken)
            try:
                ml.read(path)
            except ml.MeshReadError as error:
                refused += path.name in str(error) or pytest.fail(f"{path.name} is not named: {error}")
    assert refused > 120


def test_garbage_under_every_suffix(tmp_path):
    junk = struct.pack("<64I", *range(1, 65)) * 20
    for f in registry.supported_formats():
        for suffix in f.suffixes:
            path = tmp_path / f"junk{suffix}"
            path.write_bytes(junk)
            with pytest.raises(ml.MeshReadError, match="junk"):
                ml.read(path)


def test_no_pickle_is_loaded(tmp_path):
    import numpy as np

    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "boom"),))

    np.savez(tmp_path / "bomb.npz", points=np.zeros((3, 2)), extra=np.array([Bomb()], object))
    with pytest.warns(ml.MeshReadWarning, match="Python objects"):
        mesh = ml.read(tmp_path / "bomb.npz")
    assert mesh.n_points == 3
    assert not (tmp_path / "boom").exists()


def test_optional_package_is_missed_late(tmp_path, monkeypatch):
    import builtins

    path = tmp_path / "a.med"
    ml.write(ml.shapes.square(n=2), path)
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "h5py":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ml.MissingDependencyError, match=r"pip install 'meshlearn\[formats\]'"):
        ml.read(path)


def test_writing_elsewhere_is_refused(plate, tmp_path):
    mesh = ml.shapes.square(n=2)
    with pytest.raises(ml.MeshWriteError, match="does not exist"):
        ml.write(mesh, tmp_path / "nowhere" / "a.vtu")
    with pytest.raises(ml.MeshWriteError, match="this is a folder"):
        ml.write(mesh, tmp_path, format="vtu")
    with pytest.raises(ml.MeshWriteError, match=r"suffix '\.doc'(.|\n)*\.vtu"):
        ml.write(mesh, tmp_path / "a.doc")
    with pytest.raises(ml.MeshWriteError, match="can be read, not written"):
        ml.write(mesh, tmp_path / "a.pvtu")
    with pytest.raises(ml.MeshWriteError, match="options"):
        ml.write(mesh, tmp_path / "a.vtu", colour="red")
    assert [entry.name for entry in tmp_path.iterdir()] == ["plate.vtu"]


def test_unwritable_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ml.MeshWriteError, match="not writable"):
        ml.write(ml.shapes.square(n=2), tmp_path / "a.vtu")


def test_a_failed_write_keeps_the_old_file(plate, monkeypatch):
    before = plate.read_bytes()
    from meshlearn.io.formats import vtu

    def fails(mesh, path, **options):
        path.write_bytes(b"half a f")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(vtu, "write", fails)
    with pytest.raises(ml.MeshWriteError, match="No space left"):
        ml.write(ml.shapes.square(n=2), plate)
    assert plate.read_bytes() == before
    assert [entry.name for entry in plate.parent.iterdir()] == ["plate.vtu"]


def test_losses_are_named(tmp_path, mixed):
    with pytest.warns(ml.MeshWriteWarning, match=r"point data 'u', 'v'.*cell sets 'bottom', 'left'"):
        ml.write(mixed, tmp_path / "a.off")
    with pytest.raises(ml.MeshWriteError, match=r"cannot hold 1 hexahedron(.|\n)*boundary_mesh"):
        ml.write(ml.shapes.box(n=(1, 1, 1), cells="hexahedron"), tmp_path / "a.stl")


def test_edited_vtk_files_keep_their_arrays_and_say_what_no_longer_fits(tmp_path, mixed):
    """Another program drops a cell but carries our tags along."""
    import pyvista

    grid = mixed.to_pyvista().extract_cells([0, 1])
    grid.save(tmp_path / "cut.vtu")
    grid = pyvista.read(tmp_path / "cut.vtu")
    if "meshlearn" not in grid.field_data:
        pytest.skip("this VTK does not carry field data along")
    with pytest.warns(ml.MeshReadWarning, match="no longer fit"):
        mesh = ml.read(tmp_path / "cut.vtu")
    assert mesh.cell_counts == {"triangle": 2}
    own = {
        tuple(point): float(value) for point, value in zip(mixed.points.tolist(), mixed.point_data["u"], strict=True)
    }
    for point, value in zip(mesh.points.tolist(), mesh.point_data["u"].tolist(), strict=True):
        assert value == own[tuple(point[:2])]


def test_pyramids_without_a_cell_type_in_vtk(tmp_path):
    pyramid = ml.second_order(ml.shapes.box(n=(1, 1, 1), cells="pyramid"), full=True)
    assert "pyramid14" in pyramid.cells
    for suffix in (".vtu", ".vtk"):
        with pytest.raises(ml.MeshWriteError, match=r"no cell type for pyramid14(.|\n)*safetensors(.|\n)*pyramid13"):
            ml.write(pyramid, tmp_path / f"a{suffix}")


def test_med_fields_elsewhere_and_types_are_named(tmp_path):
    import h5py

    mesh = ml.shapes.square(n=2).double().with_point_data(count=torch.arange(9))
    with pytest.warns(ml.MeshWriteWarning, match="the type int64 of point data 'count'"):
        ml.write(mesh, tmp_path / "a.med")
    with h5py.File(tmp_path / "a.med", "r+") as file:
        step = next(iter(file["CHA/count"].values()))
        step.copy("NOE", "MAI.POG")
    with pytest.warns(ml.MeshReadWarning, match="field 'count' on MAI.POG"):
        ml.read(tmp_path / "a.med")


@pytest.mark.parametrize("elements", ["", "# nothing but a comment\n", None])
def test_tetgen_files_without_a_line_of_counts_end(tmp_path, elements):
    """meshio looks for the counts behind the end of the file, for ever."""
    (tmp_path / "a.node").write_text("# points\n4 3 0 0\n1 0 0 0\n2 1 0 0\n3 0 1 0\n4 0 0 1\n")
    if elements is not None:
        (tmp_path / "a.ele").write_text(elements)
    with pytest.raises(ml.MeshReadError, match=r"a\.node: .*a\.ele"):
        ml.read(tmp_path / "a.node")


@pytest.mark.parametrize(("suffix", "form"), [(".tec", "tecplot"), (".mdpa", "mdpa")])
def test_cut_files_that_meshio_waits_for_end(tmp_path, suffix, form):
    meshio = pytest.importorskip("meshio")
    path = tmp_path / f"a{suffix}"
    points = torch.eye(4)[:, :3].double().numpy()
    meshio.Mesh(points, [("tetra", [[0, 1, 2, 3]])]).write(path, file_format=form)
    assert ml.read(path).n_cells == 1
    data = path.read_bytes()
    for share in range(1, 10):
        path.write_bytes(data[: len(data) * share // 10])
        with contextlib.suppress(ml.MeshReadError):  # what is cut behind the cells can be read
            ml.read(path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.npz", b"\x80\x04pickled", "no archive of numpy arrays"),
        ("b.npz", b"\x93NUMPY\x01\x00", r"one array \(\.npy\)"),
        ("a.obj", b"v 0 0 0\nv a b c\n", "the line 'v a b c' holds no numbers"),
        ("b.obj", b"v 0 0 0\nf 1 x 3\n", "the line 'f 1 x 3' holds no numbers"),
        ("a.glb", b"nothing of the kind", "no glb file"),
        ("a.gltf", b"{ not json", "no gltf file"),
        ("a.inp", b"*NODE\n1, a, b\n", "cause: could not convert"),
    ],
)
def test_damage_is_told_in_words_for_people(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ml.MeshReadError, match=said) as caught:
        ml.read(tmp_path / name)
    assert "ValueError" not in str(caught.value)
    assert "allow_pickle" not in str(caught.value)
