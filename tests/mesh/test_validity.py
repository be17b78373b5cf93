"""Every defect is named, and sound meshes have none."""

import pytest
import torch

import meshlearn as ml
from meshlearn.mesh.validity import check_mesh

S = ml.shapes


def kinds(mesh):
    return [issue.kind for issue in check_mesh(mesh)]


def test_values_that_are_not_finite():
    mesh = S.square(n=2)
    points = mesh.points.clone()
    points[4, 0] = float("nan")
    field = torch.zeros(9, 2)
    field[3, 1] = float("inf")
    mesh = mesh.replace(points=points, point_data={"u": field}).with_cell_data(c=torch.full((8,), float("nan")))
    found = {issue.kind: issue for issue in check_mesh(mesh)}
    assert found["non-finite points"].examples == (4,)
    messages = [issue.message for issue in check_mesh(mesh) if issue.kind == "non-finite values"]
    assert any("'u'" in m and "1 of 9" in m for m in messages)
    assert any("'c'" in m and "8 of 8" in m for m in messages)
    assert "inverted cells" not in found


def test_points_twice_or_unused():
    mesh = S.square(n=1, boundary=False)
    extra = torch.cat([mesh.points, mesh.points[:1], torch.tensor([[7.0, 7.0]])])
    cells = mesh.cells["triangle"].clone()
    cells[1, 0] = 4
    found = {i.kind: i for i in check_mesh(ml.Mesh(extra, {"triangle": cells}))}
    assert set(found) == {"duplicate points", "unused points"}
    assert found["duplicate points"].examples == (4,)
    assert found["unused points"].examples == (5,)


def test_cells_flat_inverted_or_twice():
    points = [[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    cells = [[0, 1, 2], [0, 3, 1], [1, 4, 3], [4, 3, 1]]
    found = {issue.kind: issue for issue in check_mesh(ml.Mesh(points, {"triangle": cells}))}
    assert found["degenerate cells"].examples == (0,)
    assert found["inverted cells"].examples == (1,)
    assert found["duplicate cells"].examples == (3,)


def test_a_mesh_that_is_clockwise_throughout_is_only_warned_about():
    mesh = S.square(n=2, boundary=False)
    (issue,) = check_mesh(mesh.replace(cells={"triangle": mesh.cells["triangle"].flip(1)}))
    assert (issue.kind, issue.severity, issue.count) == ("inverted cells", "warning", 8)
    assert "oriented()" in issue.message


def test_winding_and_manifolds():
    sphere = S.sphere(refine=1)
    cells = sphere.cells["triangle"].clone()
    cells[0] = cells[0].flip(0)
    issue = next(i for i in check_mesh(sphere.replace(cells={"triangle": cells})) if i.kind == "inconsistent winding")
    assert issue.severity == "error"
    beside = sphere.topology.cell_adjacency
    assert issue.count == len(issue.examples)
    assert 0 in issue.examples  # the first cell of each pair of neighbours that disagree: 0 is in all three
    assert set(issue.examples) <= {0, *beside.index[beside.ptr[0] : beside.ptr[1]].tolist()}
    assert "3 pairs" in issue.message
    fan = ml.Mesh(
        [[0.0, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0], [-1, 0, 0]], {"triangle": [[0, 1, 2], [0, 1, 3], [0, 1, 4]]}
    )
    assert "non-manifold facets" in kinds(fan)
    bow = ml.Mesh([[0.0, 0], [1, 0], [0, 1], [-1, 0], [0, -1]], {"triangle": [[0, 1, 2], [0, 3, 4]]})
    assert "non-manifold points" in kinds(bow)


def test_components_open_surfaces_and_soups():
    two = S.sphere(refine=1)
    both = ml.Mesh(torch.cat([two.points, two.points + 3]), {"triangle": torch.cat([two.cells["triangle"], two.cells["triangle"] + two.n_points])})  # fmt: skip # noqa: E501
    assert kinds(both) == ["several components"]
    opened = two.replace(cells={"triangle": two.cells["triangle"][1:]})
    assert kinds(opened) == ["open surface"]
    assert "3 edges" in check_mesh(opened)[0].message
    # the same sphere as a soup: its corners written out triangle by triangle, as STL does
    soup = ml.Mesh(two.points[two.cells["triangle"].reshape(-1)], {"triangle": torch.arange(240).reshape(-1, 3)})
    assert kinds(soup) == ["duplicate points"]


def test_types_that_cannot_be_checked_are_said():
    mesh = ml.Mesh(torch.rand(5, 2), {"polygon": [[0, 1, 2, 3, 4]]})
    assert kinds(mesh) == ["unchecked cells"]
    solid = ml.Mesh(torch.rand(4, 2), {"tetra": [[0, 1, 2, 3]]})
    assert kinds(solid) == ["missing coordinates"]


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("soup.stl", "several components"),
        ("shared.STL", "non-manifold facets"),
        ("multibody.stl", "inconsistent winding"),
        ("joined_tetrahedra.obj", "duplicate cells"),
        ("not_convex.obj", "duplicate points"),
        ("nancolor.obj", "non-finite values"),
        ("nan_point.vtk", "non-finite points"),
        ("inverted_tets.vtk", "inverted cells"),
    ],
)
@pytest.mark.filterwarnings("ignore::meshlearn.errors.MeshReadWarning")
def test_broken_files_have_their_defect_named(shared_data, file, kind):
    issues = check_mesh(ml.read(shared_data / "io" / "broken" / file))
    assert kind in [issue.kind for issue in issues]
    if file == "inverted_tets.vtk":
        assert next(i for i in issues if i.kind == kind).count == 6


def test_points_without_cells_are_said_to_be_a_cloud():
    (issue,) = check_mesh(ml.Mesh([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    assert (issue.kind, issue.severity, issue.count) == ("no cells", "note", 3)
