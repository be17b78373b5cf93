"""A text file that is cut off is an error, or at least a warning where its format has no end mark."""

import warnings

import pytest

import meshlearn as ml

NASTRAN = "BEGIN BULK\n" + "".join(f"GRID,{k},,{k % 2}.,{k // 2}.,0.\n" for k in range(4)) + "CQUAD4,1,1,0,1,3,2\n"
ABAQUS = "*NODE\n1, 0., 0., 0.\n2, 1., 0., 0.\n3, 0., 1., 0.\n"
TRIANGLE = "*ELEMENT, TYPE=S3\n1, 1, 2, 3\n"
SU2 = (
    "NDIME= 2\nNELEM= 1\n5 0 1 2\nNPOIN= 3\n0 0\n1 0\n0 1\n"
    "NMARK= 2\nMARKER_TAG= a\nMARKER_ELEMS= 1\n3 0 1\nMARKER_TAG= b\nMARKER_ELEMS= 1\n3 1 2\n"
)
PLAIN = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"
OBJ = PLAIN + "vt 0 0\n"


def _file(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def test_bulk_data_need_their_end(tmp_path):
    assert ml.read(_file(tmp_path, "whole.bdf", NASTRAN + "ENDDATA\n")).n_cells == 1
    with pytest.raises(ml.MeshReadError, match="ENDDATA"):
        ml.read(_file(tmp_path, "cut.bdf", NASTRAN))


def test_bulk_data_without_begin_and_end_are_read_with_a_warning(tmp_path):
    with pytest.warns(ml.MeshReadWarning, match="no ENDDATA"):
        assert ml.read(_file(tmp_path, "part.bdf", NASTRAN.removeprefix("BEGIN BULK\n"))).n_cells == 1


@pytest.mark.parametrize("last", ["4, 2.\n", "4, 2., 1.", "4,\n", "4"])
def test_abaqus_node_without_its_coordinates(tmp_path, last):
    with pytest.raises(ml.MeshReadError, match="cut off"):
        ml.read(_file(tmp_path, "cut.inp", ABAQUS + last))


def test_abaqus_blank_coordinates_are_zero(tmp_path):
    path = _file(tmp_path, "blank.inp", ABAQUS + "4, , 2., ,\n*ELEMENT, TYPE=C3D4\n1, 1, 2, 3, 4\n")
    assert ml.read(path).points[3].tolist() == [0.0, 2.0, 0.0]


@pytest.mark.parametrize("last", ["*ELEMENT, TYPE=S3\n1, 1, 2, 3", TRIANGLE + "*ELSET, ELSET=a\n1"])
def test_abaqus_number_without_line_end_is_doubtful(tmp_path, last):
    with pytest.warns(ml.MeshReadWarning, match="may be cut off"):
        assert ml.read(_file(tmp_path, "cut.inp", ABAQUS + last)).n_cells == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [("cut.inp", ABAQUS + "4, 0., 0., 0.1"), ("cut.obj", PLAIN + "v 0 1 2"), ("cut.bdf", "GRID,1,,0.,0.,0.\n")],
)
def test_points_without_elements_and_without_an_end_are_no_point_cloud(tmp_path, name, text):
    with pytest.raises(ml.MeshReadError, match=r"no (elements|faces)(.|\n)*cut off(.|\n)*all there is"):
        ml.read(_file(tmp_path, name, text))
    end = "\nENDDATA\n" if name == "cut.bdf" else "\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ml.MeshReadWarning)
        assert ml.read(_file(tmp_path, name, text + end)).n_cells == 0


def test_abaqus_nodes_alone_are_doubtful(tmp_path):
    """Cut between two lines; or meant to be included by another file."""
    with pytest.warns(ml.MeshReadWarning, match=r"no elements \(\*ELEMENT\), the file may be cut off"):
        assert ml.read(_file(tmp_path, "cut.inp", ABAQUS)).n_points == 3


def test_obj_points_alone_are_doubtful(tmp_path):
    with pytest.warns(ml.MeshReadWarning, match="there are no faces, the file may be cut off"):
        assert ml.read(_file(tmp_path, "cut.obj", PLAIN)).n_points == 4


@pytest.mark.parametrize("suffix", [".inp", ".obj", ".frd", ".mesh"])
def test_files_of_ours_cut_anywhere_never_pass_in_silence(tmp_path, suffix):
    path = tmp_path / f"whole{suffix}"
    mesh = ml.shapes.square(n=2)
    ml.write(mesh.replace(cells={"triangle": mesh.cells["triangle"]}, cell_sets={}), path)
    assert ml.read(path).n_cells == 8
    data = path.read_bytes().rstrip()
    for end in range(1, len(data), 3):
        cut = _file(tmp_path, f"cut{suffix}", data[:end].decode())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                ml.read(cut)
            except ml.MeshReadError:
                continue
        assert any("cut off" in str(warning.message) for warning in caught), end


@pytest.mark.parametrize("suffix", [".inp", ".obj"])
def test_point_clouds_of_ours_are_whole_and_may_be_continued(tmp_path, suffix):
    path = tmp_path / f"cloud{suffix}"
    ml.write(ml.Mesh([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), path)
    assert ml.read(path).n_points == 2
    path.write_text(path.read_text() + {".inp": "*MATERIAL, NAME=steel\n", ".obj": "# edited\n"}[suffix])
    assert ml.read(path).n_points == 2


@pytest.mark.parametrize("text", ["f 1/1 2/1 3/", "f 1/1 2/1 3", "f 1 2", "v 0 1"])
def test_obj_line_with_a_part_missing(tmp_path, text):
    with pytest.raises(ml.MeshReadError):
        ml.read(_file(tmp_path, "cut.obj", OBJ + "f 1/1 2/1 3/1\n" + text))


def test_obj_face_shorter_than_the_one_before_it(tmp_path):
    with pytest.warns(ml.MeshReadWarning, match="may be cut off"):
        ml.read(_file(tmp_path, "cut.obj", PLAIN + "f 1 2 3 4\nf 1 2 3"))
    assert ml.read(_file(tmp_path, "whole.obj", PLAIN + "f 1 2 3 4\nf 1 2 3\n")).n_cells == 2


def test_su2_cut_at_every_line(tmp_path):
    assert sorted(ml.read(_file(tmp_path, "whole.su2", SU2)).cell_sets) == ["a", "b"]
    lines = SU2.splitlines(keepends=True)
    for n_lines in range(1, len(lines)):
        if lines[n_lines].startswith("NMARK"):
            continue  # a mesh without markers is complete
        with pytest.raises(ml.MeshReadError):
            ml.read(_file(tmp_path, "cut.su2", "".join(lines[:n_lines])))
