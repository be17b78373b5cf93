"""Names of cells and messages of a mesh's checks."""

import pytest
import torch

import meshlearn as ml

TRIANGLE = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("slip", "meant"), [("trangle", "triangle"), ("Triangle", "triangle"), ("tetra_10", "tetra10"), ("quads", "quad")]
)
def test_a_slip_in_a_cell_type_is_refused_with_the_name_that_was_meant(slip, meant):
    with pytest.raises(ml.MeshError, match=f"did you mean '{meant}'"):
        ml.Mesh(TRIANGLE, {slip: [[0, 1, 2]]})


@pytest.mark.parametrize(
    "kind", ["blob", "convex_point_set", "vtk_99", "lagrange_triangle", "hexagonal_prism", "line4"]
)
def test_other_kinds_are_kept(kind):
    nodes = torch.tensor([[0, 1, 2, 0]])
    assert torch.equal(ml.Mesh(TRIANGLE, {kind: nodes}).cells[kind], nodes)


def test_every_kind_of_the_file_formats_is_kept():
    from meshlearn.io.celltypes import NODES, VTK

    for kind in {*NODES, *VTK.values()}:
        assert kind in ml.Mesh(TRIANGLE, {kind: torch.zeros(0, NODES.get(kind, 3), dtype=torch.int64)}).cells


def test_a_mesh_without_a_file_is_said_to_be_made_in_memory():
    with pytest.raises(ml.FieldError, match="mesh: made in memory"):
        ml.Mesh(TRIANGLE, point_data={"u": [1.0]})


def test_arrays_and_lists_are_brought_to_the_device_of_the_points_and_tensors_are_not():
    mesh = ml.Mesh(torch.rand(3, 2, device="meta"), point_data={"u": [1.0, 2.0, 3.0]}, global_data={"load": 2.0})
    assert mesh.point_data["u"].device.type == mesh.global_data["load"].device.type == "meta"
    with pytest.raises(ml.FieldError, match="is on cpu, the points are on meta"):
        mesh.with_point_data(v=torch.zeros(3))
