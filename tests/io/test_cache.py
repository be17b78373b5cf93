"""Entries of the cache stand for everything that a file's reader looked at, and for what it said."""

import pytest

import meshlearn as ml
from meshlearn.io.referred import referred_files


def stamp(mesh: ml.Mesh, value: float) -> ml.Mesh:
    return mesh.with_point_data(u=mesh.points[:, 0] * 0 + value)


def first_u(path, store) -> float:
    found = ml.read_many([path], cache=store)[0]
    return float(found.point_data["u"].flatten()[0])


def test_an_edited_include_file_is_read_anew(tmp_path):
    (tmp_path / "nodes.txt").write_text("*NODE\n1, 0., 0.\n2, 1., 0.\n3, 0., 1.\n")
    (tmp_path / "mid.txt").write_text("*INCLUDE, INPUT=nodes.txt\n")
    (tmp_path / "a.inp").write_text("*HEADING\n*Include, input=mid.txt\n*ELEMENT, TYPE=CPS3\n1, 1, 2, 3\n")
    assert [file.name for file in referred_files(tmp_path / "a.inp")] == ["a.inp", "mid.txt", "nodes.txt"]
    assert ml.read_many([tmp_path / "a.inp"], cache=tmp_path / "store")[0].points[1, 0] == 1.0
    (tmp_path / "nodes.txt").write_text("*NODE\n1, 0., 0.\n2, 9., 0.\n3, 0., 1.\n")
    assert ml.read_many([tmp_path / "a.inp"], cache=tmp_path / "store")[0].points[1, 0] == 9.0


def test_changed_numbers_of_xdmf_under_another_stem_are_read_anew(tmp_path):
    mesh = ml.shapes.square(n=2)
    for value in (1.0, 2.0):
        for old in tmp_path.glob("*.*"):
            old.unlink()
        ml.write(stamp(mesh, value), tmp_path / "a.xdmf")
        (tmp_path / "a.h5").rename(tmp_path / "numbers & more.h5")
        text = (tmp_path / "a.xdmf").read_text().replace("a.h5:", "numbers &amp; more.h5:")
        (tmp_path / "a.xdmf").write_text(text)
        assert first_u(tmp_path / "a.xdmf", tmp_path / "store") == value


def test_changed_frames_of_a_list_are_read_anew(tmp_path):
    mesh = ml.shapes.square(n=2)
    ml.write(stamp(mesh, 1.0), tmp_path / "frame.vtu")
    (tmp_path / "a.pvd").write_text(
        '<VTKFile type="Collection"><Collection><DataSet timestep="0" file="frame.vtu"/></Collection></VTKFile>'
    )
    assert first_u(tmp_path / "a.pvd", tmp_path / "store") == 1.0
    ml.write(stamp(mesh, 2.0), tmp_path / "frame.vtu")
    assert first_u(tmp_path / "a.pvd", tmp_path / "store") == 2.0


def test_the_version_is_part_of_the_key(tmp_path, monkeypatch):
    from meshlearn.io.cache import content_key

    ml.write(ml.shapes.square(n=2), tmp_path / "a.vtu")
    before = content_key(tmp_path / "a.vtu", "auto")
    assert content_key(tmp_path / "a.vtu", "auto") == before
    monkeypatch.setattr(ml, "__version__", "99.0")
    assert content_key(tmp_path / "a.vtu", "auto") != before


def test_warnings_are_repeated(tmp_path):
    (tmp_path / "a.inp").write_text(
        "*NODE\n1, 0., 0.\n2, 1., 0.\n3, 0., 1.\n*ELEMENT, TYPE=CPS3\n1, 1, 2, 3\n*ELEMENT, TYPE=U12\n2, 1, 2\n"
    )
    reports = []
    for _ in range(2):
        with pytest.warns(ml.MeshReadWarning, match=r"a\.inp: elements of type 'U12'"):
            reports.append(ml.read_many([tmp_path / "a.inp"], cache=tmp_path / "store")[0].report)
    assert reports[0] == reports[1] != ()
    assert len(list((tmp_path / "store").iterdir())) == 2


@pytest.mark.parametrize("place", [-5, 30, "text"])
def test_a_flipped_bit_is_noticed(tmp_path, place):
    ml.write(stamp(ml.shapes.square(n=2), 1.5), tmp_path / "a.vtu")
    assert first_u(tmp_path / "a.vtu", tmp_path / "store") == 1.5
    (entry,) = (tmp_path / "store").glob("*.safetensors")
    damaged = bytearray(entry.read_bytes())
    if place == "text":
        place = damaged.index(b"point_data")
    damaged[place] ^= 0x40
    entry.write_bytes(damaged)
    original = ml.read(tmp_path / "a.vtu")
    for _ in range(2):
        assert ml.meshes_equal(ml.read_many([tmp_path / "a.vtu"], cache=tmp_path / "store")[0], original)
    assert entry.read_bytes() != damaged  # mended


def test_entries_do_not_depend_on_the_name_of_the_file(tmp_path):
    mesh = ml.shapes.square(n=2)
    for name in ("a.vtu", "b.vtu"):
        ml.write(mesh, tmp_path / name)
        assert ml.read_many([tmp_path / name], cache=tmp_path / "store")[0].source == str(tmp_path / name)
    assert len(list((tmp_path / "store").glob("*.safetensors"))) == 1


def test_a_cache_among_the_data_is_not_data(tmp_path):
    for k in range(3):
        ml.write(stamp(ml.shapes.square(n=2), k), tmp_path / f"run_{k}.mesh.safetensors")
    assert len([*ml.read_many(tmp_path, cache=tmp_path)]) == 3
    with pytest.warns(ml.MeshReadWarning, match=r"left out .*the cache of read_many keeps them here"):
        again = ml.read_many(tmp_path, cache=tmp_path)
    assert [path.name for path in again.paths] == [f"run_{k}.mesh.safetensors" for k in range(3)]
    assert len(ml.read_many(tmp_path / "*.safetensors", cache=tmp_path)) == 3
    for path in tmp_path.glob("run_*"):
        path.unlink()
    with pytest.raises(ml.MeshReadError, match=r"holds no mesh file(.|\n)*the cache of read_many"):
        ml.read_many(tmp_path)
