"""PLY keeps what it has types and names for, and says what becomes something else."""

import pytest
import torch
from io_meshes import assert_same

import meshlearn as ml

SQUARE = ml.Mesh(
    torch.tensor([[0.1, 0], [1, 0], [1, 1], [0, 1], [2, 0]], dtype=torch.float64),
    {"triangle": [[1, 4, 2]], "quad": [[0, 1, 2, 3]]},
)


@pytest.mark.parametrize("binary", [True, False])
def test_types_that_ply_has_come_back(tmp_path, binary):
    types = (torch.int8, torch.uint8, torch.int16, torch.int32, torch.float32, torch.float64)
    mesh = SQUARE.with_point_data(**{str(t)[6:]: torch.arange(5).to(t) for t in types})
    mesh = mesh.with_cell_data(**{str(t)[6:]: torch.arange(2).to(t) for t in types})
    read = ml.read(ml.write(mesh, tmp_path / "a.ply", binary=binary))
    assert_same(read.replace(report=(), source=None), mesh)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize(
    ("values", "said"),
    [
        (torch.arange(5), r"the type int64 of point data 'u' \(now int32\)"),
        (torch.arange(5) == 1, r"the type bool of point data 'u' \(now uint8\)"),
        (torch.arange(5).half(), "the type float16 of point data 'u'"),
        (torch.arange(5).to(torch.uint16), "the type uint16 of point data 'u'"),
        (torch.arange(5).to(torch.uint32), "the type uint32 of point data 'u'"),
        (torch.ones(5, 2), r"the shape \(2,\) of point data 'u' \(now 'u_0', 'u_1'\)"),
    ],
)
def test_what_changes_is_said(tmp_path, values, said, binary):
    with pytest.warns(ml.MeshWriteWarning, match=said):
        path = ml.write(SQUARE.with_point_data(u=values), tmp_path / "a.ply", binary=binary)
    read = ml.read(path)
    found = torch.stack(list(read.point_data.values()), dim=-1).squeeze(-1)
    torch.testing.assert_close(found.double(), values.double())


def test_fields_named_like_coordinates_do_not_replace_them(tmp_path):
    fields = {"x": torch.zeros(5), "two words": torch.ones(5), "two_words": torch.full((5,), 2.0)}
    with pytest.warns(ml.MeshWriteWarning, match="the name of point data 'x' \\(now 'x_'\\)"):
        path = ml.write(SQUARE.with_point_data(**fields), tmp_path / "a.ply")
    read = ml.read(path)
    assert torch.equal(read.points, SQUARE.points)
    assert [float(values[0]) for values in read.point_data.values()] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("binary", [True, False])
def test_polygons_of_many_corners(tmp_path, binary):
    angles = torch.linspace(0, 6, 300, dtype=torch.float64)
    circle = ml.Mesh(torch.stack([angles.cos(), angles.sin()], 1), {"polygon": torch.arange(300)[None]})
    read = ml.read(ml.write(circle, tmp_path / "a.ply", binary=binary))
    assert_same(read.replace(report=(), source=None), circle)


def test_whole_numbers_beyond_32_bits_are_left_out_by_name(tmp_path):
    for value in (2**31, -(2**31) - 1, -(2**63)):
        with pytest.warns(ml.MeshWriteWarning, match="'u': whole numbers beyond 32 bits"):
            path = ml.write(SQUARE.with_point_data(u=torch.full((5,), value)), tmp_path / "a.ply")
        assert not ml.read(path).point_data
