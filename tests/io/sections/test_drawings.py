"""Sections from drawings and tables: .svg, .dxf, .csv."""

import numpy as np
import pytest

import meshlearn as ml


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


def svg(body):
    return f'<svg xmlns="http://www.w3.org/2000/svg">{body}</svg>'


@pytest.mark.parametrize(
    ("body", "area"),
    [
        ('<rect x="1" y="1" width="4" height="2"/>', 8.0),
        ('<rect width="6" height="4" rx="1"/>', 20.0 + np.pi),
        ('<rect width="6" height="4" rx="9" ry="2"/>', 6 * np.pi),
        ('<rect width="1in" height="12PT"/>', 96.0 * 16.0),
        ('<polygon points="0,0 4,0 4,3"/>', 6.0),
        ('<path d="M0 0H4V4H0ZM1 1h2v2h-2z"/>', 12.0),
        ('<path d="M0,0 l4,0 0,4 -4,0 Z"/>', 16.0),
        ('<circle cx="3" cy="1" r="2"/>', 4 * np.pi),
        ('<path d="M-2 0A2 2 0 0 1 2 0A2 2 0 0 1 -2 0Z"/>', 4 * np.pi),
        ('<path d="M-2 0A2 2 0 012 0 2 2 0 01-2 0Z"/>', 4 * np.pi),
        ('<path d="M2 0a2 2 0 11-4 0 2,2,0,1,1,4,0z"/>', 4 * np.pi),
        ('<path d="M0 0C0 0 4 0 4 0S4 4 4 4L0 4Z"/>', 16.0),
        ('<path d="M0 0Q2 0 4 0T8 0L8 1L0 1Z"/>', 8.0),
        ('<g transform="translate(9 2) rotate(30) scale(2)"><rect width="1" height="3"/></g>', 12.0),
    ],
)
def test_areas_of_svg_shapes(tmp_path, body, area):
    sections = ml.CrossSections.read(write(tmp_path, "a.svg", svg(body)), plane=((0, 0, 2), (0, 0, 1)))
    assert sum(sections[0].areas.values()) == pytest.approx(area, rel=2e-3)
    np.testing.assert_allclose(sections.points[:, 2], 2.0)


def test_svg_labels_come_from_attributes_and_groups(tmp_path):
    body = '<g data-label="2"><rect width="1" height="1"/></g><rect x="4" width="2" height="1"/>'
    sections = ml.CrossSections.read(write(tmp_path, "a.svg", svg(body)), label=3)
    assert sections[0].areas == pytest.approx({2: 1.0, 3: 2.0})


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('<path d="M0 0L1 0L1 1"/>', "open"),
        ('<polyline points="0,0 1,0 1,1"/>', "open"),
        ('<path d="M0 0L1 0 1"/>', "numbers"),
        ('<path d="M0 0 K 3"/>', "no command"),
        ('<path d="M0 0A2 2 0 3 1 2 0Z"/>', "two flags"),
        ('<path d="3M0 0L1 0L1 1Z"/>', "starts with '3'"),
        ('<polygon points="0,0 1"/>', "odd"),
        ('<rect width="40%" height="1"/>', "width='40%' of a rect"),
        ('<rect width="1" height="1" data-label="0"/>', "data-label='0'"),
        ('<g data-label="bone"><rect width="1" height="1"/></g>', "data-label='bone'"),
        ('<svg x="3"><rect width="1" height="1"/></svg>', "coordinates of their own"),
        ('<rect width="1" height="1" transform="twist(3)"/>', "twist"),
    ],
)
def test_svg_that_bounds_no_region_is_refused(tmp_path, body, told):
    with pytest.raises(ml.MeshReadError, match=told):
        ml.CrossSections.read(write(tmp_path, "a.svg", svg(body)))


def test_svg_round_trip_on_its_plane(tmp_path):
    torus = ml.shapes.torus()
    sections = ml.CrossSections.from_mesh(torus, [((0, 0, 0.1), (0, 0, 1))])
    again = ml.CrossSections.read(sections.write(tmp_path / "t.svg"), plane=(sections[0].origin, (0, 0, 1)))
    np.testing.assert_allclose(again.points, sections.points, atol=1e-12)


def dxf(*entities):
    lines = ["0", "SECTION", "2", "ENTITIES"]
    for entity in entities:
        lines += [str(word) for word in entity]
    return "\n".join([*lines, "0", "ENDSEC", "0", "EOF"]) + "\n"


def polyline(points, closed=1, layer="0", bulges=None):
    words = [0, "LWPOLYLINE", 8, layer, 90, len(points), 70, closed]
    for k, (x, y) in enumerate(points):
        words += [10, x, 20, y] + ([42, bulges[k]] if bulges else [])
    return words


def line(a, b):
    return [0, "LINE", 8, "0", 10, a[0], 20, a[1], 11, b[0], 21, b[1]]


@pytest.mark.parametrize(
    ("entities", "area"),
    [
        ([polyline([(0, 0), (2, 0), (2, 2), (0, 2)])], 4.0),
        ([polyline([(0, 0), (2, 0), (2, 2), (0, 2), (0, 0)], closed=0)], 4.0),
        ([polyline([(-1, 0), (1, 0)], bulges=[1.0, 1.0])], np.pi),
        ([[0, "CIRCLE", 8, "0", 10, 5, 20, 5, 40, 2]], 4 * np.pi),
        ([[0, "ELLIPSE", 8, "0", 10, 0, 20, 0, 11, 2, 21, 0, 40, 0.5, 41, 0, 42, 2 * np.pi]], 2 * np.pi),
        ([line((0, 0), (1, 0)), line((1, 1), (1, 0)), line((0, 0), (1, 1))], 0.5),
        ([line((-1, 0), (1, 0)), [0, "ARC", 8, "0", 10, 0, 20, 0, 40, 1, 50, 0, 51, 180]], np.pi / 2),
        ([[0, "POLYLINE", 8, 0, 70, 1, 10, 0, 20, 0, 30, 0], *([0, "VERTEX", 8, 0, 10, x, 20, y]
          for x, y in ((0, 0), (3, 0), (3, 3))), [0, "SEQEND"]], 4.5),
    ],
)  # fmt: skip
def test_areas_of_dxf_entities(tmp_path, entities, area):
    sections = ml.CrossSections.read(write(tmp_path, "a.dxf", dxf(*entities)), plane=3.0)
    assert sum(sections[0].areas.values()) == pytest.approx(area, rel=3e-3)
    np.testing.assert_allclose(sections.points[:, 2], 3.0)


def test_dxf_layers_are_labels_and_open_lines_are_refused(tmp_path):
    square = [(0, 0), (2, 0), (2, 2), (0, 2)]
    sections = ml.CrossSections.read(write(tmp_path, "a.dxf", dxf(polyline(square, layer="4"))))
    assert sections.labels == (4,)
    with pytest.raises(ml.MeshReadError, match="open"):
        ml.CrossSections.read(write(tmp_path, "b.dxf", dxf(polyline(square, closed=0))))
    with pytest.raises(ml.MeshReadError, match="group code"):
        ml.CrossSections.read(write(tmp_path, "c.dxf", "hello\nworld\n"))


def test_tables_of_planes_in_space_and_of_one_drawing(tmp_path):
    rows = ["plane,ring,label,x,y,z"]
    rows += [f"{z},0,2,{x},{y},{z}" for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]
    sections = ml.CrossSections.read(write(tmp_path, "a.csv", "\n".join(rows)))
    assert len(sections) == 2
    assert sections.labels == (2,)
    flat = ml.CrossSections.read(write(tmp_path, "b.csv", "x;y\n0;0\n1;0\n1;1\n"), plane=((5, 0, 0), (1, 0, 0)))
    np.testing.assert_allclose(flat.points[:, 0], 5.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plane,x,y,z\n0,0,0,0\n0,1,0,0\n", "open contour"),
        ("plane,x,y,z\n0,0,0,0\n0,1,0,0\n0,1,a,0\n", "line 4"),
        ("plane,x,y,z\n0,0,0,0\n0,1,0,0\n0,1,1,0\n0,0,1,1\n", "do not lie in a plane"),
        ("a,b\n1,2\n", "name the columns"),
        ("", "empty"),
    ],
)
def test_bad_tables_are_refused(tmp_path, text, told):
    with pytest.raises(ml.MeshReadError, match=told):
        ml.CrossSections.read(write(tmp_path, "a.csv", text))


def test_what_cannot_be_read_back_is_not_written(tmp_path):
    with pytest.raises(ml.MeshWriteError, match="without a plane"):
        ml.CrossSections([]).write(tmp_path / "a.csl")
    with pytest.raises(ml.MeshWriteError, match="written as"):
        ml.CrossSections([]).write(tmp_path / "a.nii.gz")
    assert not list(tmp_path.iterdir())


def test_unknown_suffixes_options_and_files_are_told(tmp_path):
    with pytest.raises(ml.MeshReadError, match="no such file"):
        ml.CrossSections.read(tmp_path / "none.csl")
    with pytest.raises(ml.MeshReadError, match="are read from"):
        ml.CrossSections.read(write(tmp_path, "a.txt", ""))
    with pytest.raises(ml.ParameterError, match="no option"):
        ml.CrossSections.read(write(tmp_path, "a.csl", ""), plane=3)
