"""Gmsh files whose elements are in several physical groups, and files with node numbers used twice."""

import pytest
import torch

import meshlearn as ml

SQUARE = """$MeshFormat
2.2 0 8
$EndMeshFormat
$PhysicalNames
3
1 9 "edge"
2 1 "left"
2 2 "all"
$EndPhysicalNames
$Nodes
4
1 0 0 0
2 1 0 0
3 1 1 0
4 0 1 0
$EndNodes
$Elements
5
1 1 2 9 1 1 2
2 2 2 1 1 1 2 3
3 2 2 2 1 1 2 3
4 1 2 9 1 2 3
5 2 2 2 2 1 3 4
$EndElements
"""


def test_an_element_of_two_groups_is_one_cell_of_two_sets(tmp_path):
    path = tmp_path / "square.msh"
    path.write_text(SQUARE)
    mesh = ml.read(path)
    assert mesh.cells["triangle"].tolist() == [[0, 1, 2], [0, 2, 3]]
    assert mesh.cells["line"].tolist() == [[0, 1], [1, 2]]
    assert float(mesh.measure()) == 1.0
    assert mesh.cell_sets["all"]["triangle"].tolist() == [0, 1]
    assert mesh.cell_sets["left"]["triangle"].tolist() == [0]
    assert mesh.cell_data["gmsh:physical"]["triangle"].tolist() == [1, 2]
    assert any("repeats" in line for line in mesh.report)


def test_cells_on_two_entities_stay_two(tmp_path):
    path = tmp_path / "square.msh"
    path.write_text(SQUARE.replace("3 2 2 2 1 1 2 3", "3 2 2 2 7 1 2 3"))
    assert len(ml.read(path).cells["triangle"]) == 3


@pytest.mark.parametrize("binary", [0, 1])
def test_version_2_agrees_with_version_4(tmp_path, binary):
    gmsh = pytest.importorskip("gmsh")
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        surface = gmsh.model.occ.addRectangle(0, 0, 0, 2, 1)
        gmsh.model.occ.synchronize()
        gmsh.model.addPhysicalGroup(2, [surface], name="domain")
        gmsh.model.addPhysicalGroup(2, [surface], name="all")
        gmsh.model.addPhysicalGroup(1, [1, 2], name="wall")
        gmsh.model.addPhysicalGroup(1, [2, 3], name="outlet")
        gmsh.model.mesh.generate(2)
        gmsh.option.setNumber("Mesh.Binary", binary)
        for version in (2.2, 4.1):
            gmsh.option.setNumber("Mesh.MshFileVersion", version)
            gmsh.write(str(tmp_path / f"{version}.msh"))
    finally:
        gmsh.finalize()
    old, new = ml.read(tmp_path / "2.2.msh"), ml.read(tmp_path / "4.1.msh")
    assert old.cell_counts == new.cell_counts
    torch.testing.assert_close(old.measure(), new.measure())
    for name, by_kind in new.cell_sets.items():
        assert {kind: len(rows) for kind, rows in old.cell_sets[name].items()} == {
            k: len(r) for k, r in by_kind.items()
        }


def test_a_node_number_used_twice_is_an_error(tmp_path):
    path = tmp_path / "twice.msh"
    path.write_text(SQUARE.replace("\n4 0 1 0\n", "\n3 0 1 0\n"))
    with pytest.raises(ml.MeshReadError, match="node 3 is defined twice"):
        ml.read(path)
