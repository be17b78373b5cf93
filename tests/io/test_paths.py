"""What is given as a path is checked before the file system sees it; suffixes that are listed can be read."""

import builtins

import pytest

import meshlearn as ml
from meshlearn.errors import MissingDependencyError
from meshlearn.io import registry
from meshlearn.io.paths import checked_path


def test_a_name_that_is_too_long(tmp_path):
    path = tmp_path / ("a" * 300 + ".vtu")
    with pytest.raises(ml.MeshReadError, match="too long"):
        ml.read(path)
    with pytest.raises(ml.MeshWriteError, match="too long"):
        ml.write(ml.shapes.square(n=2), path)


@pytest.mark.parametrize("given", [None, 3, b"a.vtu", ["a.vtu", "b.vtu"], "", "a\x00.vtu"])
def test_what_is_no_path(given):
    for error in (ml.MeshReadError, ml.MeshWriteError):
        with pytest.raises(error):
            checked_path(given, error)


def test_a_list_points_to_read_many():
    with pytest.raises(ml.MeshReadError, match=r"a list of 2(.|\n)*read_many"):
        checked_path(["a.vtu", "b.vtu"], ml.MeshReadError)


def test_a_package_that_is_missing_is_no_damage(tmp_path, monkeypatch):
    path = tmp_path / "box.3mf"
    path.write_bytes(b"PK\x03\x04 not looked at")
    found = builtins.__import__

    def without(name, *rest, **more):
        if name == "trimesh":
            raise ModuleNotFoundError("No module named 'trimesh'", name="trimesh")
        return found(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match="pip install trimesh"):
        ml.read(path)


def test_suffixes_of_meshio_can_be_read():
    meshio = pytest.importorskip("meshio")
    from meshio._helpers import extension_to_filetypes, reader_map

    assert meshio.__version__
    for suffix in registry.by_name("meshio").suffixes:
        assert any(name in reader_map for name in extension_to_filetypes[suffix]), suffix
