"""A space and the mesh it was made on: points that change behind its back are noticed."""

import pathlib
import re

import pytest
import skfem
import torch
from space_cases import plain

import meshlearn as ml
from meshlearn.fem import FESpace, dot, grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_changed_in_place_are_refused_and_a_new_mesh_has_them(dtype):
    mesh = ml.shapes.square(n=4, dtype=dtype)
    space = FESpace(mesh, "P1")
    before = space.assemble(lambda x: 1.0)
    mesh.points.mul_(2.0)
    with pytest.raises(ml.MeshError, match="changed in place after this space was made"):
        space.assemble(lambda u, v, x: dot(grad(u), grad(v)))
    with pytest.raises(ml.MeshError, match=r"mesh\.replace\(points="):
        space.evaluate(torch.zeros(space.n_dofs), torch.rand(3, 2))
    with pytest.raises(ml.MeshError, match="in place"):
        _ = space.dof_points
    with pytest.raises(ml.MeshError, match="in place"):
        FESpace(mesh, "P1")
    after = FESpace(mesh.replace(points=mesh.points), "P1")
    torch.testing.assert_close(after.assemble(lambda x: 1.0), 4 * before)
    assert after.skmesh.p.max() == 2.0


def test_steps_of_an_optimiser_do_not_reach_spaces_of_other_points():
    mesh = ml.shapes.square(n=2, dtype=torch.float64)
    points = mesh.points.clone().requires_grad_()
    optimizer = torch.optim.SGD([points], lr=0.01)
    sizes = []
    for _ in range(3):
        space = FESpace(mesh.replace(points=points), "P1")
        area = space.assemble(lambda x: 1.0 + 0 * x[0])
        optimizer.zero_grad()
        area.backward()
        optimizer.step()
        sizes.append(area.item())
        with pytest.raises(ml.MeshError, match="in place"):
            space.assemble(lambda v, x: v)
    assert sizes[0] == pytest.approx(1.0)
    assert sizes[2] < sizes[1] < sizes[0]
    FESpace(mesh, "P1").assemble(lambda v, x: v)


def test_inference_mode_and_data_that_only_change_gradients():
    with torch.inference_mode():
        mesh = ml.shapes.square(n=2, dtype=torch.float64)
        assert FESpace(mesh, "P1").assemble(lambda x: 1.0).item() == pytest.approx(1.0)
    mesh = ml.shapes.square(n=2, dtype=torch.float64)
    space = FESpace(mesh, "P1")
    mesh.points.requires_grad_()
    assert space.assemble(lambda x: 1.0).item() == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["line", "triangle", "quad", "tetra", "hexahedron", "triangle6"])
def test_cells_that_are_there_twice_are_refused(kind):
    mesh = plain(kind, 3)
    table = mesh.cells[kind]
    with pytest.raises(ml.MeshError, match=rf"2 {kind} cells that are there twice.*overlap"):
        FESpace(mesh.replace(cells={kind: torch.cat([table, table[:2]])}, cell_sets={}), "P1")
    alone = mesh.replace(cells={kind: table[:1]}, cell_sets={}).without_unused_points()
    FESpace(alone, "P1")
    with pytest.raises(ml.MeshError, match=rf"1 {kind} cells that are there twice"):
        FESpace(alone.replace(cells={kind: alone.cells[kind].repeat(2, 1)}), "P1")


def test_facets_of_three_cells_are_refused():
    """A third triangle on the diagonal of a square covers a part of it again."""
    points = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1], [0.6, 0.4]], dtype=torch.float64)
    cells = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 4, 2]])
    with pytest.raises(ml.MeshError, match="1 facets of more than two cells"):
        FESpace(ml.Mesh(points, {"triangle": cells}), "P1")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("part.msh", r"ml.read\('part.msh'\)"),
        (pathlib.Path("part.msh"), r"ml.read\('part.msh'\)"),
        (skfem.MeshTri(), "ml.Mesh.from_skfem"),
        (3, "this is a int"),
    ],
)
def test_what_is_no_mesh_says_how_to_make_one(given, words):
    with pytest.raises(ml.ParameterError, match=words):
        FESpace(given, "P1")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("p1", "P1"), ("CG2^d", "P2^d"), ("DG0", "P0"), ("dg1", "P1DG"), ("Q2", "P2"), ("argyris", "Argyris"),
     ("Hermit", "Hermite"), ("NED1", "N1"), ("rt0", "RT0"), ("Lagrange 3", "P3")],
)  # fmt: skip
def test_elements_of_other_libraries_and_cases_are_recognised(name, meant):
    with pytest.raises(ml.ParameterError, match=rf"did you mean '{re.escape(meant)}'\?"):
        FESpace(plain("triangle"), name)
    with pytest.raises(ml.ParameterError, match=r"'foo' is not known\.\n"):
        FESpace(plain("triangle"), "foo")


@pytest.mark.parametrize("kind", ["line", "triangle", "quad", "tetra", "hexahedron"])
def test_copied_cells_with_points_of_their_own_are_refused(kind):
    """The usual result of joining meshes that overlap; points may coincide as long as cells do not: cracks."""
    mesh = plain(kind, 3)
    table = mesh.cells[kind]
    part = ml.Mesh(mesh.points, {kind: table[:2].flip(0)}).without_unused_points()
    joined = ml.Mesh(
        torch.cat([mesh.points, part.points]), {kind: torch.cat([table, part.cells[kind] + mesh.n_points])}
    )
    with pytest.raises(ml.MeshError, match=rf"2 {kind} cells in the place of others, with points of their own"):
        FESpace(joined, "P1")
    apart = ml.Mesh(mesh.points[table.reshape(-1)], {kind: torch.arange(table.numel()).reshape(table.shape)})
    assert FESpace(apart, "P1").assemble(lambda x: 1.0).item() == pytest.approx(
        FESpace(mesh, "P1").assemble(lambda x: 1.0).item()
    )


def test_cells_a_billion_times_smaller_than_others_are_no_copies():
    x = torch.cat([torch.zeros(1, dtype=torch.float64), 10.0 ** torch.arange(-11, 1, dtype=torch.float64)])
    n = torch.arange(len(x) - 1)
    space = FESpace(ml.Mesh(x[:, None], {"line": torch.stack([n, n + 1], 1)}), "P1")
    assert space.assemble(lambda x: 1.0).item() == pytest.approx(1.0)
