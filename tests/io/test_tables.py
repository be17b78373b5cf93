"""Tables of points: which columns are coordinates is said by their names, never guessed."""

import numpy as np
import pytest

import meshlearn as ml


def table(folder, text, name="a.csv"):
    (folder / name).write_text(text)
    return ml.read(folder / name)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
def test_names_in_a_comment_as_numpy_writes_them(tmp_path, delimiter):
    xyt = np.array([[0.0, 0.5, 300.0], [1.0, 0.25, 310.0]])
    for name in ("a.csv", "a.txt"):
        np.savetxt(tmp_path / name, xyt, delimiter=delimiter, header=delimiter.join("xyT"))
        cloud = ml.read(tmp_path / name)
        assert cloud.points.tolist() == xyt[:, :2].tolist()
        assert cloud.point_data["T"].tolist() == [300, 310]
        assert not cloud.report


@pytest.mark.parametrize(
    "header",
    ["x [m],y [m],T [K]", "X (mm),Y (mm),T [K]", "x / m,y / m,T [K]", "x-coordinate,y-coordinate,T [K]",
     "Points:0,Points:1,T [K]", '"x","y","T [K]"', "# x [m],y [m],T [K]"],
)  # fmt: skip
def test_units_and_other_spellings(tmp_path, header):
    cloud = table(tmp_path, header + "\n0,1,2\n3,4,5\n")
    assert cloud.points.tolist() == [[0, 1], [3, 4]]
    assert {name: values.tolist() for name, values in cloud.point_data.items()} == {"T [K]": [2, 5]}


def test_units_between_blanks(tmp_path):
    cloud = table(tmp_path, "# x [m] y [m] T [K]\n0 1 2\n", "a.txt")
    assert (cloud.dim, list(cloud.point_data)) == (2, ["T [K]"])


def test_beside_the_axis_itself_a_name_with_a_unit_is_a_field(tmp_path):
    assert list(table(tmp_path, "x,y,x [mm]\n0,1,2\n").point_data) == ["x [mm]"]


def test_names_without_axes_are_refused(tmp_path):
    with pytest.raises(ml.MeshReadError, match=r"no column is named x, y or z.*the names are epoch, loss"):
        table(tmp_path, "epoch,loss\n0,1\n")


def test_two_columns_of_one_name_are_refused(tmp_path):
    with pytest.raises(ml.MeshReadError, match="two columns are named 'T'"):
        table(tmp_path, "x,y,T,T\n0,1,2,3\n")


def test_without_names_the_report_says_what_was_taken(tmp_path):
    cloud = table(tmp_path, "# made by hand\n0,1,2,3\n")
    assert (cloud.dim, list(cloud.point_data)) == (3, ["column_3"])
    assert cloud.report == ("the columns have no names: the first 3 are the coordinates",)


def test_an_index_column_without_a_name_gets_one(tmp_path):
    cloud = table(tmp_path, ",x,y,T\n0,0,1,2\n1,3,4,5\n")
    assert cloud.point_data["index"].tolist() == [0, 1]
    assert "'index'" in cloud.report[0]


def test_a_scan_with_its_number_of_points(tmp_path):
    scan = table(tmp_path, "2\n0 0 0 -1200 10 20 30\n1 2 3 -900 11 21 31\n", "a.pts")
    assert scan.points.tolist() == [[0, 0, 0], [1, 2, 3]]
    assert list(scan.point_data) == ["intensity", "red", "green", "blue"]
    with pytest.raises(ml.MeshReadError, match="3 points are announced, 2 lines are present"):
        table(tmp_path, "3\n0 0 0 -1200 10 20 30\n1 2 3 -900 11 21 31\n", "b.pts")


def test_components_beside_an_array_of_their_name_stay_columns(tmp_path):
    assert list(table(tmp_path, "x,u,u:0,u:1\n0,1,2,3\n").point_data) == ["u", "u:0", "u:1"]


def test_a_folder_takes_tables_with_units(tmp_path):
    table(tmp_path, "x [m],y [m],T\n0,1,2\n")
    assert len(ml.read_many(tmp_path)) == 1
