"""Names of cells and messages of a mesh's checks."""

import numpy as np
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
    ("names", "meant"),
    [
        ("tri tri3 tria3 triangle3 triangles TRI", "triangle"),
        ("tri6", "triangle6"),
        ("quad4 quadrilateral Quad4 quads", "quad"),
        ("tet tet4 tetra4 tetrahedron tetrahedra", "tetra"),
        ("tet10 TET10", "tetra10"),
        ("hex hex8 hexa hexa8 hexahedron8", "hexahedron"),
        ("hex20", "hexahedron20"),
        ("prism penta wedge6", "wedge"),
        ("edge edge2 line2 bar2 lines", "line"),
        ("edge3", "line3"),
        ("points node", "vertex"),
    ],
)
def test_names_of_other_programs_are_refused_with_ours(names, meant):
    """They would make the mesh a point cloud, in silence."""
    for name in names.split():
        with pytest.raises(ml.MeshError, match=f"{name}.* is no type of cell: did you mean '{meant}'"):
            ml.Mesh(TRIANGLE, {name: [[0, 1, 2]]})


@pytest.mark.parametrize("kind", ["foo", "blob", "vtk_99", "triangle2", "", 3])
def test_names_that_mean_nothing_are_refused_with_all_types(kind):
    with pytest.raises(ml.MeshError, match=r"is no type of cell: (known types: vertex, .*polygon|did you mean)"):
        ml.Mesh(TRIANGLE, {kind: [[0, 1, 2]]})


@pytest.mark.parametrize("kind", ["lagrange_triangle", "polygon", "pixel", "line4", "lagrange_quad4"])
def test_kinds_of_the_round_trip_are_kept(kind):
    nodes = torch.tensor([[0, 1, 2, 0]])
    assert torch.equal(ml.Mesh(TRIANGLE, {kind: nodes}).cells[kind], nodes)


def test_the_number_in_a_name_is_the_number_of_nodes():
    with pytest.raises(ml.MeshError, match=r"cells\['triangle10'\] must have shape \(n, 10\), got \(1, 3\)"):
        ml.Mesh(TRIANGLE, {"triangle10": [[0, 1, 2]]})


@pytest.mark.parametrize("cells", [np.array([[0, 1, 2]]), torch.tensor([[0, 1, 2]])])
def test_a_bare_table_of_cells_is_refused_with_the_dictionary_that_was_meant(cells):
    with pytest.raises(ml.MeshError, match=r'of shape \(1, 3\)(.|\n)*{"triangle": cells}'):
        ml.Mesh(TRIANGLE, cells)
    with pytest.raises(ml.FieldError, match=r"point_data must be a dictionary.*of shape \(1, 3\)"):
        ml.Mesh(TRIANGLE, point_data=cells)


def test_texts_are_no_field():
    with pytest.raises(ml.MeshError, match=r"point_data\['a'\] holds text \(.*x.*\)(.|\n)*return_inverse"):
        ml.Mesh(TRIANGLE, point_data={"a": ["x", "y", "z"]})
    with pytest.raises(ml.MeshError, match=r"global_data\['when'\] holds object values"):
        ml.Mesh(TRIANGLE, global_data={"when": [object()]})


def test_a_missing_field_is_an_error_that_lists_those_present():
    mesh = ml.Mesh(TRIANGLE, point_data={"temperature": [1, 2, 3], "u": [1, 2, 3]})
    with pytest.raises(
        ml.FieldError, match=r"no 'temp' here: .*'temperature', 'u'\. Did you mean 'temperature'"
    ) as caught:
        mesh.point_data["temp"]
    assert isinstance(caught.value, KeyError)
    assert "\n" not in str(caught.value)
    with pytest.raises(KeyError, match="there are none"):
        mesh.cells["triangle"]
    assert mesh.point_data.get("temp") is None


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
