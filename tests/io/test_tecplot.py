"""Tecplot's text files are known by their content; what is not read is refused by name."""

import pytest

import meshlearn as ml

HEAD = 'TITLE = "heat"\nVARIABLES = "X", "Y", "T"\n'
ZONE = 'ZONE T="a", N=3, E=1, DATAPACKING=POINT, ZONETYPE=FETRIANGLE{}\n0 0 {}\n1 0 2\n0 1 3\n1 2 3\n'


@pytest.mark.parametrize("name", ["a.dat", "a.tec", "a.plt", "a.txt"])
def test_recognised_by_content(tmp_path, name):
    (tmp_path / name).write_text("# made by hand\n" + HEAD + ZONE.format("", 1))
    mesh = ml.read(tmp_path / name)
    assert mesh.cells["triangle"].tolist() == [[0, 1, 2]]
    assert mesh.point_data["T"].tolist() == [1, 2, 3]
    if name != "a.plt":  # not a suffix of a format that is read
        assert len(ml.read_many(tmp_path)) == 1


def test_further_zones_are_named(tmp_path):
    (tmp_path / "a.dat").write_text(
        HEAD + ZONE.format(", STRANDID=1, SOLUTIONTIME=0.5", 1) + ZONE.format(", STRANDID=1, SOLUTIONTIME=1.5", 5)
    )
    with pytest.warns(ml.MeshReadWarning, match="1 of 2 zones: the first is read"):
        assert ml.read(tmp_path / "a.dat").point_data["T"].tolist() == [1, 2, 3]


def test_ordered_zones_and_binary_files_are_refused_by_name(tmp_path):
    (tmp_path / "a.dat").write_text(HEAD + "ZONE I=2, J=2, F=POINT\n0 0 1\n1 0 2\n0 1 3\n1 1 4\n")
    with pytest.raises(ml.MeshReadError, match=r"Tecplot file of a kind that is not read(.|\n)*finite-element zones"):
        ml.read(tmp_path / "a.dat")
    (tmp_path / "a.plt").write_bytes(b"#!TDV112" + bytes(100))
    with pytest.raises(ml.MeshReadError, match="binary Tecplot file"):
        ml.read(tmp_path / "a.plt")


def test_a_title_is_also_a_card_of_nastran(tmp_path):
    (tmp_path / "a.dat").write_text("TITLE = beam\nBEGIN BULK\nGRID,1,,0.,0.,0.\nENDDATA\n")
    assert ml.read(tmp_path / "a.dat").n_points == 1
