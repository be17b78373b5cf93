"""Mixed topologies of XDMF, and the dimension of a mesh on a line."""

import numpy as np
import pytest
import torch

import meshlearn as ml
from meshlearn.io.builder import MeshBuilder
from meshlearn.io.formats.xdmf_topology import read_mixed


def _read(values, base=0):
    builder = MeshBuilder("mixed.xdmf", "XDMF")
    blocks = read_mixed(np.array(values, np.int64), base, builder)
    return {kind: table.tolist() for kind, table in builder.cells().items()}, [rows.tolist() for _, rows in blocks]


def test_every_way_of_naming_a_cell():
    cells = [[5, 0, 1, 4, 3], [2, 2, 0, 1], [4, 1, 2, 5], [3, 5, 0, 1, 2, 5, 3], [1, 1, 4], [3, 3, 0, 1, 4]]
    cells += [[2, 3, 0, 1, 2], [4, 4, 5, 3], [2, 2, 1, 2]]
    tables, rows = _read([number for cell in cells for number in cell])
    assert tables == {
        "quad": [[0, 1, 4, 3]],
        "line": [[0, 1], [1, 2]],
        "triangle": [[1, 2, 5], [4, 5, 3]],
        "polygon": [[0, 1, 2, 5, 3], [0, 1, 4, -1, -1]],
        "vertex": [[4]],
        "poly_line": [[0, 1, 2]],
    }
    assert rows == [[0], [1, 8], [2, 7], [3, 5], [4], [6]]


def test_numbers_from_one():
    tables, _ = _read([4, 1, 2, 3, 3, 4, 1, 2, 3, 4, 3, 3, 2, 3, 4], base=1)
    assert tables == {"triangle": [[0, 1, 2]], "polygon": [[0, 1, 2, 3], [1, 2, 3, -1]]}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([4, 0, 1], "cut off"),
        ([4, 0, 1, 2, 3], "cut off"),
        ([3, 4, 0, 1], "cut off"),
        ([99, 0], "type 99"),
        ([-7], "-7"),
    ],
)
def test_topologies_that_do_not_add_up(values, words):
    with pytest.raises(ml.MeshReadError, match=words):
        _read(values)


def test_alternating_cells_keep_their_places():
    tables = read_mixed(np.tile([4, 0, 1, 2, 5, 0, 1, 2, 3], 10_000), 0, MeshBuilder("mixed.xdmf", "XDMF"))
    assert [block.kind for block, _ in tables] == ["triangle", "quad"]
    assert all(np.array_equal(rows, np.arange(k, 20_000, 2)) for k, (_, rows) in enumerate(tables))


def test_a_mesh_on_a_line_stays_on_it(tmp_path):
    mesh = ml.Mesh(torch.tensor([[0.0], [0.5], [2.0]], dtype=torch.float64), {"line": [[0, 1], [1, 2]]})
    back = ml.read(ml.write(mesh, tmp_path / "line.xdmf"))
    assert ml.meshes_equal(mesh, back)
    series = ml.Trajectory(mesh, [0.0, 1.0], point_data={"u": torch.ones(2, 3)})
    assert ml.read(ml.write(series, tmp_path / "series.xdmf")).mesh.dim == 1
