"""Spaces count their dofs as scikit-fem does, know the parts of the mesh by name, and refuse what cannot be."""

import numpy as np
import pytest
import skfem
import torch
from space_cases import PAIRS, SECOND, plain, uneven

import meshlearn as ml
from meshlearn.fem import FESpace, inner


@pytest.mark.parametrize(("element", "kind"), PAIRS, ids=lambda x: x)
def test_numbering_is_that_of_scikit_fem(element, kind):
    space = FESpace(uneven(kind, element=element), element)
    basis = skfem.Basis(space.skmesh, space.element, intorder=1)
    assert space.n_dofs == basis.N
    assert np.array_equal(space.element_dofs.numpy().T, basis.element_dofs)
    if kind in ("triangle", "quad", "tetra", "hexahedron"):
        assert space.dofs("boundary").tolist() == sorted(basis.get_dofs().flatten().tolist())
        assert space.dofs("left").tolist() == sorted(basis.get_dofs("left").flatten().tolist())


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron", *SECOND, "wedge"])
def test_names_of_boundaries_are_places(kind):
    space = FESpace(uneven(kind), "P1" if kind == "wedge" else "P2")
    points = space.dof_points
    assert torch.equal(space.dofs("left"), torch.nonzero(points[:, 0] == 0)[:, 0])
    assert torch.equal(space.dofs(["left", "right"]), torch.nonzero((points[:, 0] == 0) | (points[:, 0] == 1))[:, 0])
    assert torch.equal(space.dofs("left"), space.dofs(lambda x: x[0] == 0))
    assert len(space.dofs("boundary")) == int(((points == 0) | (points == 1)).any(1).sum())


@pytest.mark.parametrize("kind", ["triangle", "tetra", "triangle6", "tetra10"])
def test_point_sets_bring_the_facets_between_them(kind):
    mesh = uneven(kind)
    left = torch.nonzero(mesh.points[:, 0] == 0)[:, 0]
    mesh = ml.Mesh(mesh.points, {kind: mesh.cells[kind]}, point_sets={"clamped": left, "one": left[:1]})
    for element in ("P1", "P2", "P2^d", "RT0"):
        space = FESpace(mesh, element)
        assert torch.equal(space.dofs("clamped"), space.dofs(lambda x: x[0] == 0)), element
    assert len(FESpace(mesh, "P1").dofs("one")) == 1


def test_components_and_parts_are_told_apart():
    space = FESpace(uneven("triangle"), "P2^d")
    both = [space.dofs("left", component=k) for k in (0, 1)]
    assert torch.equal(torch.cat(both).sort().values, space.dofs("left"))
    clamp = space.dirichlet("left", lambda x: 1 + x[1], component=1)
    assert torch.equal(clamp.constrained, both[1])
    assert torch.equal(clamp.g[both[1]], 1 + space.dof_points[both[1], 1])
    at_points = space.dirichlet("left", 1 + space.mesh.points[:, 1], component=1)
    assert torch.allclose(at_points.g, clamp.g, rtol=1e-14)
    assert space.dirichlet("left", 2, component=0).g.sum() == 2 * len(both[0])
    with pytest.raises(ml.ParameterError, match="component 0"):
        space.dirichlet("left", "u", component=0)
    pair = FESpace(space.mesh, ("P2^d", "P1"))
    velocity, pressure = pair.split(pair.interpolate((lambda x: [x[0], x[1]], lambda x: 3 * x[0])))
    assert torch.equal(velocity, space.interpolate(lambda x: [x[0], x[1]]))
    assert torch.equal(pressure, FESpace(space.mesh, "P1").interpolate(lambda x: 3 * x[0]))


def test_later_parts_win_where_they_meet():
    space = FESpace(plain("triangle", 4), "P1")
    made = space.dirichlet({"left": 1.0, "top": 2.0}).expand(torch.zeros(16, dtype=torch.float64))
    corner = int(space.dofs(lambda x: (x[0] == 0) & (x[1] == 1)))
    assert made[corner] == 2.0
    assert made[space.dofs("left")].sum() == 4 * 1.0 + 2.0


def test_prescribed_values_come_back_to_the_last_bit():
    space = FESpace(uneven("tetra"), "P2")
    dofs = space.dofs("left")
    values = torch.rand(len(dofs), dtype=torch.float64)
    u = ml.fem.solve(
        space.assemble(lambda u, v, x: u * v), space.assemble(lambda v, x: v), space.dirichlet("left", values)
    )
    assert torch.equal(u[dofs], values)


def test_normal_components_are_prescribed_for_raviart_thomas():
    space = FESpace(uneven("triangle", 3), "RT0")
    clamp = space.dirichlet("left", lambda x: torch.stack([1 + x[1], 99 * x[0]]))
    u = ml.fem.solve(space.assemble(lambda u, v, x: inner(u, v)), torch.zeros(space.n_dofs).double(), clamp)
    flux = space.assemble(lambda x: x.u[0], u=space.function(u), on="left")
    assert abs(flux - 1.5) < 1e-12


def test_a_basis_of_scikit_fem_becomes_a_space():
    basis = skfem.Basis(skfem.MeshTri().refined(2).with_defaults(), skfem.ElementTriP2())
    space = FESpace(basis)
    assert np.array_equal(space.element_dofs.numpy().T, basis.element_dofs)
    assert len(space.dofs("left")) == 9
    assert abs(space.integrate(torch.ones(space.n_dofs).double()) - 1) < 1e-14
    curved = FESpace(skfem.Basis(skfem.MeshTri2.init_circle(2), skfem.ElementTriP2()))
    assert abs(curved.assemble(lambda x: 1.0, order=6) - np.pi) < 1e-3


def test_points_of_single_precision_still_integrate_in_double():
    space = FESpace(ml.shapes.square(n=3), "P1")
    assert space.mesh.dtype == torch.float32
    assert space.dof_points.dtype == space.interpolate(1.0).dtype == torch.float64


TRIANGLES = plain("triangle").cells["triangle"]
POINTS = plain("triangle").points
TURNED = TRIANGLES.clone()
TURNED[0] = TURNED[0].flip(0)


def triangles(points, cells):
    return ml.Mesh(torch.as_tensor(points, dtype=torch.float64), {"triangle": torch.as_tensor(cells)})


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: ml.shapes.square(n=2, cells="mixed"), ml.TopologyError, "one kind of cell"),
        (lambda: ml.shapes.sphere(refine=1), ml.TopologyError, "as many coordinates"),
        (lambda: ml.shapes.box(n=2, cells="pyramid"), ml.TopologyError, "one kind of cell"),
        (lambda: triangles(POINTS, TURNED), ml.MeshError, "1 cells that are turned inside out"),
        (lambda: triangles([[0, 0], [1, 0], [2, 0], [0, 1]], [[0, 1, 2], [0, 1, 3]]), ml.MeshError, "without measure"),
        (lambda: triangles(POINTS.index_fill(0, torch.tensor([4]), torch.nan), TRIANGLES), ml.MeshError, "not finite"),
        (lambda: triangles(torch.cat([POINTS, POINTS[:1] + 9]), TRIANGLES), ml.MeshError, "belong to no cell"),
        (lambda: triangles(torch.zeros(0, 2), torch.zeros(0, 3, dtype=torch.int64)), ml.TopologyError, "one kind"),
        (lambda: ml.Mesh(torch.rand(4, 2)), ml.TopologyError, "one kind"),
    ],
)
def test_meshes_that_carry_no_elements_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        FESpace(make(), "P1")


def test_unused_points_can_be_left_out():
    mesh = triangles(torch.cat([POINTS[:1] + 9, POINTS]), TRIANGLES + 1)
    space = FESpace(mesh.without_unused_points(), "P1")
    assert space.n_dofs == len(POINTS)


def test_clockwise_triangles_are_a_way_of_numbering():
    flipped = FESpace(triangles(POINTS, TRIANGLES.flip(1)), "RT0")
    A = flipped.assemble(lambda u, v, x: inner(u, v) + ml.fem.div(u) * ml.fem.div(v))
    B = skfem.BilinearForm(lambda u, v, w: skfem.helpers.dot(u, v) + u.div * v.div).assemble(flipped.basis())
    assert abs(A.to_scipy() - B).max() < 1e-13
    assert abs(flipped.assemble(lambda x: x.normal[0] * x[0], on="boundary") - 1) < 1e-13


@pytest.mark.parametrize(
    ("kind", "element", "words"),
    [
        ("quad", "CR", "on quad cells: P0"),
        ("triangle", "Q1", "not known"),
        ("triangle", 3, "no finite element"),
        ("triangle", (), "no finite element"),
        ("quad", skfem.ElementTriP1(), "mesh has quad cells"),
        ("triangle", "P1^x", "followed by"),
        ("triangle", (("P1", "P0"), "P1"), "not supported"),
        ("hexahedron", "N1", "does not exist"),
    ],
)
def test_wrong_elements_are_refused(kind, element, words):
    with pytest.raises(ml.ParameterError, match=words):
        FESpace(plain(kind), element)


@pytest.mark.parametrize("components", [0, -1])
def test_numbers_of_components_are_positive(components):
    with pytest.raises(ml.ParameterError, match="components"):
        FESpace(plain("triangle"), "P1", components=components)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float16, torch.complex128])
def test_only_single_and_double_precision(dtype):
    with pytest.raises(ml.ParameterError, match="dtype"):
        FESpace(plain("triangle"), "P1", dtype=dtype)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda s: s.dirichlet("inlet", 0.0), ml.FieldError, "no boundary or point set named 'inlet'"),
        (lambda s: s.assemble(lambda v, x: v, on="inlet"), ml.FieldError, "no boundary named 'inlet'"),
        (lambda s: s.dofs(torch.tensor([99])), ml.ParameterError, "point numbers lie in"),
        (lambda s: s.dofs(ml.fem.Dofs([99])), ml.ParameterError, "dof numbers lie in"),
        (lambda s: s.dofs(torch.ones(3, dtype=torch.bool)), ml.ParameterError, "mask"),
        (lambda s: s.dofs(lambda x: x[0]), ml.ParameterError, "mask"),
        (lambda s: s.dofs("boundary", component=0), ml.ParameterError, "component=0"),
        (lambda s: s.dirichlet("boundary", torch.nan), ml.ParameterError, "finite"),
        (lambda s: s.dirichlet("boundary", torch.rand(3)), ml.FieldError, "shape"),
        (lambda s: s.with_element(("P1", "P0")).dirichlet("boundary", 1.0), ml.ParameterError, "which part"),
        (lambda s: s.with_element(("P1", "P0")).interpolate(1.0), ml.ParameterError, "tuple"),
        (lambda s: s.split(torch.zeros(3)), ml.FieldError, "shape"),
        (lambda s: s.norm(torch.zeros(3)), ml.FieldError, "shape"),
    ],
)
def test_wrong_places_and_values_are_refused(call, error, words):
    with pytest.raises(error, match=words):
        call(FESpace(plain("triangle"), "P1"))


def test_the_pure_neumann_problem_says_what_to_do():
    space = FESpace(plain("triangle"), "P1")
    A = space.assemble(lambda u, v, x: ml.fem.dot(ml.fem.grad(u), ml.fem.grad(v)))
    with pytest.raises(ml.SingularMatrixError, match="nullspace='constant'"):
        ml.fem.solve(A, space.assemble(lambda v, x: v))


def test_cells_turned_both_ways_are_cured_by_orienting_the_mesh():
    mesh = plain("triangle")
    table = mesh.cells["triangle"].clone()
    table[::3] = table[::3].flip(1)
    turned = mesh.replace(cells={**mesh.cells, "triangle": table})
    with pytest.raises(ml.MeshError, match=r"mesh\.oriented\(\)"):
        FESpace(turned, "P1")
    space = FESpace(turned.oriented(), "P1")
    assert abs(space.integrate(torch.ones(space.n_dofs).double()) - 1) < 1e-14
