"""Contour files .csl: what occurs in files, what is wrong with them, and the round trip."""

import warnings

import numpy as np
import pytest

import meshlearn as ml
from meshlearn.io.sections import parallel_planes, random_planes

SQUARE = "0 0 {z}\n4 0 {z}\n4 4 {z}\n0 4 {z}\n"
HOLE = "1 1 {z}\n3 1 {z}\n3 3 {z}\n1 3 {z}\n"
ISLAND = "1.5 1.5 {z}\n2.5 1.5 {z}\n2.5 2.5 {z}\n1.5 2.5 {z}\n"


def read(tmp_path, text, quiet=True):
    path = tmp_path / "a.csl"
    path.write_text(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if quiet else "error", ml.MeshReadWarning)
        return ml.CrossSections.read(path)


def plane(points, contours, header="0 0 1 -1", number=1, z="1.0"):
    points = points.format(z=z)
    return f"{number} {points.count(chr(10))} {len(contours)} {header}\n{points}" + "\n".join(contours) + "\n"


def test_islands_in_holes_are_inside_however_they_are_written(tmp_path):
    whole = SQUARE + HOLE + ISLAND
    for contours in (
        ["4 1 0 1 2 3", "4h0 1 7 6 5 4", "4 1 8 9 10 11"],
        ["4h1 1 4 5 6 7", "4 1 3 2 1 0", "4h1 1 8 9 10 11"],  # parents later, clockwise, an island called a hole
        ["4 1 0 1 2 3", "4h0 2 4 5 6 7", "4h0 2 8 9 10 11"],  # holes with a label of their own
    ):
        sections = read(tmp_path, "CSLC\n1 3\n" + plane(whole, contours), quiet=False)
        at = np.array([[0.5, 0.5, 1.0], [1.2, 1.2, 1.0], [2.0, 2.0, 1.0], [5.0, 5.0, 1.0]])
        assert sections[0].label_at(sections[0].project(at)).tolist() == [1, 0, 1, 0]
        assert sections[0].areas == {1: pytest.approx(13.0)}
        assert sections.labels == (1,)


def test_blank_lines_trailing_blanks_exponents_and_empty_planes(tmp_path):
    text = "\n CSLC  \n\n 2 2 \n\n" + plane(SQUARE, ["4 1 0 1 2 3  "], z="1e0").replace("\n", " \n\n  ")
    sections = read(tmp_path, text + "\n2 0 0 0 0 1 -2\n\n", quiet=False)
    assert [len(p.rings) for p in sections] == [1, 0]
    assert sections[1].origin @ sections[1].normal == pytest.approx(2.0)


def test_normals_of_any_length_place_the_plane(tmp_path):
    empty = "2 0 0 0 0 -5 10\n"
    sections = read(tmp_path, "CSLC\n2 2\n" + plane(SQUARE, ["4 1 0 1 2 3"], "0 0 -3 3") + empty, quiet=False)
    np.testing.assert_allclose(sections[0].normal, [0, 0, -1])
    assert sections[1].origin[2] == pytest.approx(2.0)


def test_the_opposite_sign_of_d_is_told_and_empty_planes_follow(tmp_path):
    text = "CSLC\n2 2\n" + plane(SQUARE, ["4 1 0 1 2 3"], "0 0 1 1") + "2 0 0 0 0 1 2\n"
    with pytest.warns(ml.MeshReadWarning, match="opposite sign"):
        sections = read_warned(tmp_path, text)
    np.testing.assert_allclose(sections.points[:, 2], 1.0)
    assert sections[1].origin[2] == pytest.approx(2.0)


def read_warned(tmp_path, text):
    path = tmp_path / "a.csl"
    path.write_text(text)
    return ml.CrossSections.read(path)


def test_vertices_win_over_a_plane_that_disagrees(tmp_path):
    with pytest.warns(ml.MeshReadWarning, match="fitted"):
        sections = read_warned(tmp_path, "CSLC\n1 2\n" + plane(SQUARE, ["4 1 0 1 2 3"], "0 0 -1 -7"))
    np.testing.assert_allclose(sections[0].normal, [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(sections.points[:, 2], 1.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("CSLC\n2 2\n" + plane(SQUARE, ["4 1 0 1 2 3"]), "the file ends"),
        ("CSLC\n1 2\n" + plane(SQUARE, ["4 1 0 1 2 3"]) * 2, "count of planes"),
        ("CSLC\n1 2\n" + plane(SQUARE, ["4 1 0 1 2 3"]).replace("1 4 1", "1 5 1"), "counts"),
        ("CSLC\n1 2\n" + plane(SQUARE, ["4 1 0 1 2 3"]).replace("1 4 1", "1 3 1"), "counts"),
        ("CSLC\n1 2\n" + plane(SQUARE, ["4 1 0 1 2 3"]).replace("1 4 1", "1 4 2"), "the file ends"),
        ("CSLC\n1 2\n" + plane(SQUARE, ["4 1 0 1 2 4"]), "vertex 4"),
        ("CSLC\n1 2\n" + plane(SQUARE, ["2 1 0 1"]), "open"),
        ("CSLC\n1 2\n" + plane(SQUARE, ["4 1 0 1 1 0"]), "open"),
        ("CSLC\n1 2\n" + plane(SQUARE, ["4 0 0 1 2 3"]), "label 0"),
        ("CSLC\n1 2\n" + plane(SQUARE, ["4 1 0 1 2 3"], "0 0 0 1"), "normal 0 0 0"),
        ("CSLC\n1 2\n" + plane(SQUARE, ["4 1 0 1 2 3"]).replace("4 0 1.0", "4 0 nan"), "not finite"),
        ("CSLC\n0 2\n", "0 planes"),
        ("solid", "no .csl file"),
        ("", "the file is empty"),
    ],
)
def test_damaged_csl_files_are_refused_with_the_place(tmp_path, text, told):
    with pytest.raises(ml.MeshReadError, match=told) as error:
        read(tmp_path, text)
    assert "a.csl" in str(error.value)


def test_contours_that_cross_themselves_are_told(tmp_path):
    with pytest.warns(ml.MeshReadWarning, match="cross at 1 place"):
        sections = read_warned(tmp_path, "CSLC\n1 2\n" + plane(SQUARE, ["4 1 0 2 1 3"]))
    assert sections.report


def test_round_trip_keeps_planes_labels_and_regions(tmp_path):
    torus = ml.shapes.torus()
    planes = [*parallel_planes(torus, 5), *random_planes(torus, 4, seed=3), ((0, 0, 9), (1, 2, 3))]
    sections = ml.CrossSections.from_mesh(torus.double(), planes)
    for suffix in ("csl", "csv"):
        again = ml.CrossSections.read(sections.write(tmp_path / f"t.{suffix}"))
        assert len(again) == len(sections)
        for a, b in zip(sections, again, strict=True):
            np.testing.assert_allclose(b.normal, a.normal, atol=1e-9)
            assert b.areas == pytest.approx(a.areas, rel=1e-8)
            assert abs((b.origin - a.origin) @ a.normal) < 1e-9


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e5])
def test_round_trip_in_any_unit(tmp_path, scale):
    sphere = ml.shapes.sphere(refine=2)
    sections = ml.CrossSections.from_mesh(sphere, parallel_planes(sphere, 4)).moved(scale=scale)
    again = ml.CrossSections.read(sections.write(tmp_path / "s.csl"))
    np.testing.assert_allclose(again.bounding_box(), sections.bounding_box(), rtol=1e-6, atol=1e-9 * scale)
