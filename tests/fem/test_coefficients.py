"""Coefficients mean the same however they are given, and what fits nothing is refused by name."""

import numpy as np
import pytest
import torch
from space_cases import plain, uneven

import meshlearn as ml
from meshlearn.fem import Batch, FESpace, dot, grad, inner


@pytest.fixture(scope="module")
def space():
    mesh = uneven("triangle", 3)
    return FESpace(mesh.with_point_data(f=mesh.points[:, 0]).with_cell_data(c=torch.arange(mesh.n_cells)), "P2")


def load(space, f):
    return space.assemble(lambda v, x: x.f * v, f=f)


def test_a_linear_field_in_every_spelling(space):
    wanted = space.assemble(lambda v, x: x[0] * v)
    p1 = FESpace(space.mesh, "P1")
    values = space.mesh.points[:, 0]
    for f in (values, values.numpy(), "f", lambda x: x[0], p1.function(values), space.function(space.interpolate("f"))):
        assert torch.allclose(load(space, f), wanted, rtol=1e-12, atol=1e-15)


def test_values_on_cells_in_every_spelling(space):
    values = torch.arange(space.mesh.n_cells)
    wanted = load(space, FESpace(space.mesh, "P0").function(values.double()))
    for f in (values, values.numpy(), values.float(), "c"):
        assert torch.allclose(load(space, f), wanted, rtol=1e-13)


def test_numbers_and_lists_of_components(space):
    one = space.assemble(lambda v, x: v)
    for f in (2, 2.0, np.float64(2), torch.tensor(2.0), lambda x: 2.0, lambda x: torch.tensor(2.0)):
        assert torch.equal(load(space, f), 2 * one)
    exact = space.assemble(lambda v, x: 0.1 * grad(v)[0] + 0.3 * grad(v)[1])
    for b in ([0.1, 0.3], (0.1, 0.3), lambda x: [0.1, 0.3], lambda x: torch.tensor([0.1, 0.3], dtype=torch.float64)):
        assert (space.assemble(lambda v, x: dot(x.b, grad(v)), b=b) - exact).abs().max() < 1e-16


def test_vectors_and_matrices_on_cells_and_points(space):
    n = space.mesh.n_cells
    D = torch.rand(n, 2, 2, dtype=torch.float64)
    A = space.assemble(lambda u, v, x: dot(dot(x.D, grad(u)), grad(v)), D=D)
    parts = sum(
        space.assemble(lambda u, v, x, i=i, j=j: x.k * grad(u)[j] * grad(v)[i], k=D[:, i, j]).values
        for i in (0, 1)
        for j in (0, 1)
    )
    assert torch.allclose(A.values, parts, rtol=1e-12, atol=1e-15)
    b = space.assemble(lambda v, x: dot(x.w, grad(v)), w=space.mesh.points)
    assert torch.allclose(b, space.assemble(lambda v, x: dot(x.points, grad(v))), rtol=1e-12, atol=1e-15)


def test_a_batch_of_numbers(space):
    made = space.assemble(lambda x: x.k * x[0], k=Batch(torch.tensor([1.0, 2.0, 3.0])))
    assert torch.allclose(made, made[0] * torch.tensor([1.0, 2.0, 3.0]).double())


def test_a_batch_says_that_it_is_one():
    mesh = plain("triangle", 1)  # 2 cells: a batch of two looks like values on the cells
    space = FESpace(mesh, "P1")
    k = torch.rand(2, 2, dtype=torch.float64)
    assert space.assemble(lambda x: x.k, k=Batch(k)).shape == (2,)


def test_composite_functions_come_as_tuples():
    mesh = uneven("triangle", 3)
    pair = FESpace(mesh, ("P2^d", "P1"))
    known = pair.interpolate((lambda x: [x[0], 2 * x[1]], lambda x: x[0]))
    total = FESpace(mesh, "P1").assemble(lambda x: ml.fem.trace(grad(x.w[0])) + grad(x.w[1])[0], w=pair.function(known))
    assert abs(total - 4) < 1e-12


def test_not_a_number_is_found_by_the_solver(space):
    k = torch.ones(space.mesh.n_cells, dtype=torch.float64)
    k[3] = torch.nan
    A = space.assemble(lambda u, v, x: x.k * dot(grad(u), grad(v)), k=k)
    with pytest.raises(ml.FieldError, match="not finite"):
        ml.fem.solve(A, load(space, 1.0), space.dirichlet("boundary", 0.0))


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"f": torch.rand(7)}, ml.FieldError, r"coefficient 'f' has shape \(7,\)"),
        ({"f": torch.rand(3, 7)}, ml.FieldError, r"has shape \(3, 7\)"),
        ({"f": None}, ml.FieldError, "NoneType"),
        ({"f": 1j}, ml.FieldError, "complex"),
        ({"f": torch.ones(18, dtype=torch.complex64)}, ml.FieldError, "Tensor"),
        ({"f": []}, ml.FieldError, "expected a number"),
        ({"f": "pressure"}, ml.FieldError, "no field 'pressure'"),
        ({"f": torch.rand(0, 18)}, ml.FieldError, "batches"),
        ({"f": torch.rand(3, 18), "g": torch.rand(2, 18)}, ml.FieldError, "'f': 3, 'g': 2"),
        ({"f": 1.0, "size": 2.0}, ml.ParameterError, "taken"),
        ({"f": 1.0, "normal": 2.0}, ml.ParameterError, "taken"),
        ({"g": 1.0}, ml.ParameterError, r"uses x.f, which was not given.*\n.*g"),
    ],
)
def test_what_fits_nothing_is_refused(space, given, error, words):
    with pytest.raises(error, match=words):
        space.assemble(lambda v, x: x.f * v, **given)


def test_as_many_cells_as_points_leave_the_meaning_open():
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.3, 0.3], [0.4, 0.2]], dtype=torch.float64)
    cells = torch.tensor([[0, 1, 4], [1, 2, 3], [0, 4, 3], [0, 3, 2], [1, 3, 4]])
    space = FESpace(ml.Mesh(points, {"triangle": cells}), "P2")
    assert space.mesh.n_cells == space.mesh.n_points
    with pytest.raises(ml.FieldError, match="as many cells as points"):
        load(space, torch.ones(5))


def test_functions_of_another_mesh_do_not_fit(space):
    other = FESpace(plain("triangle", 5), "P2")
    with pytest.raises(ml.FieldError, match="dofs of shape"):
        load(space, space.function(torch.zeros(other.n_dofs)))


def test_projection_and_interpolation_take_the_same(space):
    for value in ("f", 1.0, lambda x: x[0] ** 2, space.mesh.points[:, 1]):
        a, b = space.interpolate(value), space.project(value)
        assert torch.allclose(a, b, atol=1e-10)
    vector = FESpace(space.mesh, "P1^d")
    assert torch.allclose(vector.interpolate(space.mesh.points), vector.project(space.mesh.points), atol=1e-10)
    assert (
        abs(vector.assemble(lambda x: inner(x.f, x.f), f=vector.function(vector.interpolate([1.0, 2.0]))) - 5) < 1e-12
    )


def test_functions_on_another_mesh_are_refused(space):
    mesh = space.mesh
    turned = mesh.replace(points=mesh.points.flip(1) * torch.tensor([1.0, -1.0]))  # as many cells, points and dofs
    swapped = mesh.replace(cells={**mesh.cells, "triangle": mesh.cells["triangle"].flip(0)})
    for other, words in (
        (turned, "points lie elsewhere"),
        (swapped, "another mesh"),
        (plain("triangle", 4), "another"),
    ):
        strange = FESpace(other, "P2")
        f = strange.function(torch.ones(strange.n_dofs, dtype=torch.float64))
        for call in (
            lambda f=f: load(space, f),
            lambda f=f: space.interpolate(f),
            lambda f=f: space.project(f),
            lambda f=f: space.norm(torch.zeros(space.n_dofs), minus=f),
            lambda f=f: space.dirichlet("boundary", f),
        ):
            with pytest.raises(ml.FieldError, match=words):
                call()


def test_functions_of_other_elements_and_copies_of_the_mesh_are_taken(space):
    wanted = space.assemble(lambda v, x: x[0] * v)
    mesh = space.mesh
    for other in (mesh, mesh.replace(points=mesh.points.clone()), mesh.float()):
        for element in ("P1", "P2", "P3", "P1DG"):
            f = FESpace(other, element).interpolate(lambda x: x[0])
            made = load(space, FESpace(other, element).function(f))
            assert torch.allclose(made, wanted, rtol=1e-5, atol=1e-8)
