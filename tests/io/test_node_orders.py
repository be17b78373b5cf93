"""Where every format puts the nodes of a hexahedron with 27 nodes and the base of a wedge, in words of its manual."""

import numpy as np
import pytest
import torch

import meshlearn as ml

CORNERS = ["000", "200", "220", "020", "002", "202", "222", "022"]  # halves of the sides of the unit cube
EDGES = ["100", "210", "120", "010", "102", "212", "122", "012", "001", "201", "221", "021"]
# the base is listed the other way round, and the faces begin at its first side
MED = ["000", "020", "220", "200", "002", "022", "222", "202", "010", "120", "210", "100", "012", "122", "212", "102",
       "001", "021", "221", "201", "110", "011", "121", "211", "101", "112", "111"]  # fmt: skip
# the centre, then the faces 1-2-3-4, 5-8-7-6, 1-5-6-2, 2-6-7-3, 3-7-8-4, 4-8-5-1
ABAQUS = [*CORNERS, *EDGES, "111", "110", "112", "101", "211", "121", "011"]


def places(names):
    return torch.tensor([[int(digit) / 2 for digit in name] for name in names], dtype=torch.float64)


@pytest.fixture
def cube():
    """One cell with 27 nodes, and its points in no order."""
    ours = [*CORNERS, *EDGES, "011", "211", "101", "121", "110", "112", "111"]
    mixed = torch.randperm(27, generator=torch.Generator().manual_seed(0))
    points = torch.empty(27, 3, dtype=torch.float64)
    points[mixed] = places(ours)
    mesh = ml.Mesh(points, {"hexahedron27": mixed[None]})
    assert float(mesh.measure()) == pytest.approx(1.0)
    return mesh


def test_hexahedra_of_med_stand_where_med_wants_them(cube, tmp_path):
    h5py = pytest.importorskip("h5py")
    ml.write(cube, tmp_path / "a.med")
    with h5py.File(tmp_path / "a.med") as file:
        step = next(iter(file["ENS_MAA/mesh"].values()))
        nodes = step["MAI/H27/NOD"][()].reshape(27, 1)[:, 0] - 1
    assert torch.equal(cube.points[torch.from_numpy(nodes)], places(MED))
    assert torch.equal(ml.read(tmp_path / "a.med").cells["hexahedron27"], cube.cells["hexahedron27"])


def test_hexahedra_of_abaqus_stand_where_abaqus_wants_them(cube, tmp_path):
    ml.write(cube, tmp_path / "a.inp")
    text = (tmp_path / "a.inp").read_text().split("TYPE=C3D27\n")[1].split("*")[0]
    nodes = np.array([int(word) for word in text.replace("\n", " ").split(",")])[1:] - 1
    assert torch.equal(cube.points[torch.from_numpy(nodes)], places(ABAQUS))
    assert torch.equal(ml.read(tmp_path / "a.inp").cells["hexahedron27"], cube.cells["hexahedron27"])


@pytest.mark.parametrize("base", [[0, 2, 1, 3, 5, 4], [0, 1, 2, 3, 4, 5]])
def test_wedges_of_su2_are_upright_in_either_order(tmp_path, base):
    corners = ["000", "200", "020", "002", "202", "022"]
    points = places(corners).tolist()
    lines = [f"NDIME= 3\nNELEM= 1\n13 {' '.join(map(str, base))} 0\nNPOIN= 6\n"]
    lines += [f"{x} {y} {z} {k}\n" for k, (x, y, z) in enumerate(points)]
    (tmp_path / "a.su2").write_text("".join([*lines, "NMARK= 0\n"]))
    mesh = ml.read(tmp_path / "a.su2")
    assert mesh.cells["wedge"].tolist() == [[0, 1, 2, 3, 4, 5]]
    assert ml.check_mesh(mesh) == []
    ml.write(mesh, tmp_path / "b.su2")
    assert "13 0 2 1 3 5 4" in (tmp_path / "b.su2").read_text()
    assert torch.equal(ml.read(tmp_path / "b.su2").cells["wedge"], mesh.cells["wedge"])
