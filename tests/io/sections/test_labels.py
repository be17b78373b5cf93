"""What becomes a label, and what is no evidence: layers, hidden shapes, masks, empty files."""

import numpy as np
import pytest

import meshlearn as ml

INKSCAPE = 'xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape"'
SQUARE = '<rect width="2" height="2"/>'


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


def svg(tmp_path, body, **options):
    text = f'<svg xmlns="http://www.w3.org/2000/svg" {INKSCAPE}>{body}</svg>'
    return ml.CrossSections.read(write(tmp_path, "a.svg", text), **options)


def square(z=0.0, side=2.0):
    return [[0.0, 0.0, z], [side, 0.0, z], [side, side, z], [0.0, side, z]]


@pytest.mark.parametrize(
    "hidden",
    [
        '<rect width="1" height="1" style="fill:red; display:none"/>',
        '<g display="none"><g><rect width="1" height="1"/></g></g>',
        '<g visibility="hidden"><rect width="1" height="1"/></g>',
        '<rect width="1" height="1" style="visibility: collapse"/>',
        '<style>.off, #x {display:none !important}</style><g class="a off"><rect width="1" height="1"/></g>',
        '<style>/* .b{} */ rect#x{visibility:hidden}</style><rect id="x" width="1" height="1"/>',
    ],
)
def test_hidden_shapes_are_no_contours(tmp_path, hidden):
    with pytest.warns(ml.MeshReadWarning, match="1 hidden shapes left out"):
        assert svg(tmp_path, SQUARE + hidden)[0].areas == pytest.approx({1: 4.0})


def test_shapes_in_a_hidden_group_can_be_shown(tmp_path):
    body = f'<g visibility="hidden"><g visibility="visible">{SQUARE}</g></g><style>.q{{fill:red}}</style>'
    assert svg(tmp_path, body)[0].areas == pytest.approx({1: 4.0})


def layer(name, body):
    return f'<g inkscape:groupmode="layer" inkscape:label="{name}">{body}</g>'


def test_layers_of_a_drawing_are_labels_of_their_own(tmp_path):
    body = layer("bone", SQUARE) + layer("marrow", '<rect width="1" height="1"/>')
    with pytest.warns(ml.MeshReadWarning, match=r"labels=\{'bone': 1, 'marrow': 2\}"):
        sections = svg(tmp_path, body)
    assert sections[0].areas == pytest.approx({1: 4.0, 2: 1.0})
    assert sections.label_names == {1: "bone", 2: "marrow"}
    assert svg(tmp_path, body, labels={"bone": 7, "marrow": 7})[0].areas == pytest.approx({7: 3.0})
    with pytest.warns(ml.MeshReadWarning, match="'bone', which labels= does not name, left out"):
        alone = svg(tmp_path, body, labels={"marrow": 1})
    assert alone[0].areas == pytest.approx({1: 1.0})
    with pytest.raises(ml.ParameterError, match="label 1 is 'bone' in the one and 'marrow'"):
        sections + alone
    with pytest.raises(ml.ParameterError, match="from 1 on"):
        svg(tmp_path, body, labels={"bone": 0})


def dxf(tmp_path, layers, tables="", **options):
    lines = ["0", "SECTION", "2", "TABLES", *tables.split(), "0", "ENDSEC", "0", "SECTION", "2", "ENTITIES"]
    for name, side in layers:
        lines += ["0", "LWPOLYLINE", "8", name, "90", "4", "70", "1"]
        for x, y in ((0, 0), (side, 0), (side, side), (0, side)):
            lines += ["10", str(x), "20", str(y)]
    return ml.CrossSections.read(write(tmp_path, "a.dxf", "\n".join([*lines, "0", "ENDSEC", "0", "EOF"])), **options)


def test_layers_of_dxf_are_labels_or_off(tmp_path):
    with pytest.warns(ml.MeshReadWarning, match="every layer became a label"):
        found = dxf(tmp_path, [("organ_b", 1), ("organ_a", 4)])
    assert found[0].areas == pytest.approx({1: 16.0, 2: 1.0})
    with pytest.warns(ml.MeshReadWarning, match="every layer became a label"):
        assert dxf(tmp_path, [("1", 4), ("core", 1)])[0].areas == pytest.approx({1: 16.0, 2: 1.0})
    assert dxf(tmp_path, [("body", 3)]).label_names == {1: "body"}
    assert dxf(tmp_path, [("0", 3), ("0", 1)], label=5)[0].areas == pytest.approx({5: 8.0})
    for state in ("62 -7", "62 7 70 1"):
        with pytest.warns(ml.MeshReadWarning, match="1 hidden entities left out"):
            shown = dxf(tmp_path, [("0", 3), ("help", 1)], f"0 TABLE 2 LAYER 0 LAYER 2 help {state} 0 ENDTAB")
        assert shown[0].areas == pytest.approx({1: 9.0})


def test_drawings_without_a_contour_are_no_empty_planes(tmp_path):
    for body, told in (
        ("", "no contour"),
        ('<line x2="3"/><text>a</text>', "'line' elements"),
        (f'<g display="none">{SQUARE}</g>', "hidden"),
    ):
        with pytest.raises(ml.MeshReadError, match=told):
            svg(tmp_path, body)
    assert not svg(tmp_path, "", plane=2.0, empty=True)[0].rings
    with pytest.raises(ml.MeshReadError, match="no contour"):
        dxf(tmp_path, [])
    spline = write(tmp_path, "s.dxf", "0\nSECTION\n2\nENTITIES\n0\nSPLINE\n8\n0\n0\nENDSEC\n0\nEOF\n")
    with pytest.raises(ml.MeshReadError, match="1 SPLINE entities"):
        ml.CrossSections.read(spline)
    for text, told in (("x,y\n", "no contour"), ("plane,x,y,z\n", "no row")):
        with pytest.raises(ml.MeshReadError, match=told):
            ml.CrossSections.read(write(tmp_path, "a.csv", text))
    for name in ("a.csl", "a.svg", "a.dxf", "a.csv", "a.nrrd"):
        with pytest.raises(ml.MeshReadError, match="is empty"):
            ml.CrossSections.read(write(tmp_path, name, ""))


@pytest.mark.parametrize("rings", [[square(5.0), square(5.0, 1.0)], []])
def test_written_drawings_come_back_where_they_were(tmp_path, rings):
    plane = ((10.0, 20.0, 5.0), (1.0, 2.0, 2.0))
    turned = ml.CrossSections.from_contours([rings]) if rings else ml.CrossSections.from_contours([[]], planes=[plane])
    turned = turned.moved(np.linalg.qr(np.arange(9.0).reshape(3, 3) + np.eye(3))[0], (1.0, 2.0, 3.0))
    again = ml.CrossSections.read(turned.write(tmp_path / "a.svg"))
    np.testing.assert_allclose(again.points, turned.points, atol=1e-12)
    np.testing.assert_allclose(again[0].normal, turned[0].normal, atol=1e-12)
    np.testing.assert_allclose(again[0].height(turned[0].origin[None]), 0.0, atol=1e-12)
    with pytest.raises(ml.MeshReadError, match="data-axes"):
        ml.CrossSections.read(write(tmp_path, "b.svg", '<svg data-origin="0 0 0" data-axes="1 0 0 1 0 0"/>'))


def table(*rows):
    return "plane,contour,label,x,y,z\n" + "".join(
        f"0,{k},{label},{x},{y},{z}\n" for k, label, side in rows for x, y, z in square(0.0, side)
    )


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([(0, 0, 3), (1, 1, 1)], "line 2: the label is '0'"),
        ([(0, 1, 3), (1, "", 1)], "line 6: the label is missing"),
        ([(0, -2, 3)], "'-2'"),
        ([(0, 1.7, 3)], "'1.7'; labels are whole numbers"),
    ],
)
def test_labels_of_tables_are_whole_numbers_from_one_on(tmp_path, rows, told):
    with pytest.raises(ml.MeshReadError, match=told):
        ml.CrossSections.read(write(tmp_path, "a.csv", table(*rows)))


def test_tables_name_the_cell_that_is_no_number(tmp_path):
    for row, told in (("0,0,1,5", "line 2: y is missing"), ("0,0,1,1,b,2", "line 2: y is 'b', which is no number")):
        with pytest.raises(ml.MeshReadError, match=told):
            ml.CrossSections.read(write(tmp_path, "a.csv", f"plane,contour,label,x,y,z\n{row}\n"))
    assert ml.CrossSections.read(write(tmp_path, "b.csv", table((0, "", 2))), label=4).labels == (4,)


def test_masks_have_label_one_and_labels_must_be_there():
    volume = np.zeros((6, 6, 5), np.uint8)
    volume[1:4, 1:4, 1:4], volume[4, 4, 2] = 1, 3
    mask = ml.CrossSections.from_volume(volume > 0)
    assert mask.labels == (1,)
    assert type(mask.labels[0]) is int
    for labels, told in (
        ([9], r"\[9\] is no label of the volume; it has 1, 3"),
        ([0, 1], "0 is the outside"),
        ([], "1, 3"),
    ):
        with pytest.raises(ml.ParameterError, match=told):
            ml.CrossSections.from_volume(volume, labels=labels)
    for slices in ([], slice(9, None)):
        with pytest.raises(ml.ParameterError, match="names no"):
            ml.CrossSections.from_volume(volume, slices=slices)
    with pytest.raises(ml.ParameterError, match="has no label"):
        ml.CrossSections.from_volume(0 * volume, slices="labelled")
    with pytest.warns(ml.MeshReadWarning, match="1 of 2 labels lie between the chosen slices and are lost: 3"):
        ml.CrossSections.from_volume(volume, slices=slice(1, None, 2))


def test_one_vertex_off_its_plane_does_not_turn_it(tmp_path):
    torus = ml.shapes.torus()
    sections = ml.CrossSections.from_mesh(torus, [((0, 0, z), (0, 0, 1)) for z in (-0.1, 0.1)])
    lines = sections.write(tmp_path / "a.csl").read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("1 ")) + 1
    x, y, z = lines[at].split()
    lines[at] = f"{x} {y} {float(z) + 0.4}"
    with pytest.warns(ml.MeshReadWarning, match="plane 0: 1 of .* vertices are up to 0.4 off"):
        found = ml.CrossSections.read(write(tmp_path, "b.csl", "\n".join(lines)))
    assert found.is_parallel
    in_order = lambda points: points[np.lexsort(points.round(6).T)]  # noqa: E731
    np.testing.assert_allclose(in_order(found.points), in_order(sections.points), atol=1e-9)


def test_planes_and_rings_are_counted_and_nested_as_told():
    with pytest.raises(ml.ParameterError, match="plane 0: a list of rings is expected, this is a ring"):
        ml.CrossSections.from_contours([square(), square(1.0)])
    sections = ml.CrossSections.from_contours([[square()], [square(1.0)]])
    with pytest.raises(IndexError, match="there is no plane 5: planes count from 0, and there are 2"):
        sections[5]
