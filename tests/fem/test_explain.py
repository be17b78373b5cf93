"""Slips inside forms and functions of the place are answered in words about forms."""

import math

import numpy as np
import pytest
import torch
from space_cases import plain

import meshlearn as ml
from meshlearn.fem import FESpace, dot, grad

SPACE = FESpace(plain("triangle", 3), "P1")
PER_CELL = torch.rand(SPACE.mesh.n_cells, dtype=torch.float64)
PER_POINT = torch.rand(SPACE.mesh.n_points, dtype=torch.float64)


@pytest.mark.parametrize("values", [PER_CELL, PER_POINT, PER_CELL.numpy()])
@pytest.mark.parametrize("element", ["P1", "P2"])
def test_tensors_from_outside_are_named(values, element):
    space = FESpace(SPACE.mesh, element)
    for form in (
        lambda u, v, x: values * dot(grad(u), grad(v)),
        lambda v, x: values * x[0] * v,
        lambda v, x: x[0] * values * v,
    ):
        with pytest.raises(ml.ParameterError, match=r"(?s)assemble\(form, k=k\).*From outside: values \(\d+,\)"):
            space.assemble(form)


@pytest.mark.parametrize("call", ["interpolate", "project", "norm", "assemble", "dirichlet"])
@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: math.sin(x[0]), "torch.sin"),
        (lambda x: float(x[0]), "no float"),
        (lambda x: 1.0 if x[0] > 0.5 else 0.0, "torch.where"),
        (lambda x: max(x[0], x[1]), "torch.minimum"),
        (lambda x: x[2], r"x\[2\] does not exist: the mesh has 2 coordinates"),
        (lambda x: PER_CELL * x[0], "(?s)given by name.*From outside: PER_CELL"),
    ],
)
def test_functions_of_the_place(call, function, words):
    calls = {
        "interpolate": lambda: SPACE.interpolate(function),
        "project": lambda: SPACE.project(function),
        "norm": lambda: SPACE.norm(PER_POINT, minus=function),
        "assemble": lambda: SPACE.assemble(lambda v, x: function(x) * v),
        "dirichlet": lambda: SPACE.dirichlet("left", function),
    }
    with pytest.raises(ml.ParameterError, match=words):
        calls[call]()


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (lambda x: x[0] == 0 and x[1] == 0, "&"),
        (lambda x: x[2] == 0, "as many as the mesh has dimensions"),
        (lambda x: math.isclose(x[0], 0), "tensors"),
    ],
)
def test_functions_that_select(where, words):
    with pytest.raises(ml.ParameterError, match=words):
        SPACE.dirichlet(where, 0.0)


def test_components_that_do_not_exist():
    space = FESpace(SPACE.mesh, "P1^d")
    with pytest.raises(ml.ParameterError, match=r"v\[2\] does not exist: v has components \(2,\)"):
        space.assemble(lambda v, x: v[2])


def test_the_place_is_a_sequence_of_coordinates():
    for form in (lambda x: x[-1], lambda x: sum(x) - x[0], lambda x: list(x)[1], lambda x: x[1:][0] * len(x) / 2):
        assert SPACE.assemble(form).item() == pytest.approx(0.5)


def test_other_errors_are_left_as_they_are():
    def broken(v, x):
        raise RuntimeError("out of milk")

    with pytest.raises(RuntimeError, match=r"^out of milk$"):
        SPACE.assemble(broken)
    with pytest.raises(NameError, match="unknown"):
        SPACE.assemble(lambda v, x: unknown * v)


def test_arrays_of_numpy_go_where_tensors_go():
    dofs = PER_POINT
    points = torch.rand(5, 2, dtype=torch.float64)
    array = dofs.numpy().copy()
    array.flags.writeable = False
    assert torch.equal(SPACE.evaluate(array, points.numpy()), SPACE.evaluate(dofs, points))
    assert torch.equal(SPACE.norm(array), SPACE.norm(dofs))
    assert torch.equal(SPACE.integrate(array), SPACE.integrate(dofs))
    assert torch.equal(FESpace(SPACE.mesh, "P2").interpolate(np.arange(49.0)), torch.arange(49.0).double())
    assert torch.equal(SPACE.interpolate(array), dofs)
    A = SPACE.assemble(lambda u, v, x: u * v)
    assert torch.equal(ml.fem.solve(A, array), ml.fem.solve(A, dofs))
    pair = FESpace(SPACE.mesh, ("P1", "P0"))
    assert [len(part) for part in pair.split(np.zeros(pair.n_dofs))] == [16, 18]
    with pytest.raises(ml.FieldError, match="array of <U1"):
        SPACE.integrate(np.array(["a"] * 16))


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (lambda u, v, x: torch.einsum("i,i->", grad(u), grad(v)), r"(?s)einsum.*dot\(a, b\)"),
        (lambda v, x: torch.cat([x[0], 1]) * v, "(?s)as element 1.*take tensors only"),
        (lambda v, x: torch.rand_like(x[0]) * v, "the form is random"),
        (lambda v, x: torch.dropout(x[0] + 1, 0.5, True) * v, r"network.eval\(\)"),
        (lambda u, v, x: v / u, "^the form is not linear in u: "),
    ],
)
def test_slips_that_used_to_pass_for_others(form, words):
    with pytest.raises(ml.ParameterError, match=words):
        SPACE.assemble(form)
    good = SPACE.assemble(lambda u, v, x: torch.einsum("i...,i...->...", grad(u), grad(v)))
    assert torch.allclose(good.values, SPACE.assemble(lambda u, v, x: dot(grad(u), grad(v))).values)


@pytest.mark.parametrize("name", ["T", "requires_grad", "shape"])
def test_the_place_is_no_tensor(name):
    space = FESpace(ml.shapes.square(n=2, dtype=torch.float64), "P1")
    for call in (
        lambda: space.assemble(lambda v, x: getattr(x, name) * v),
        lambda: space.dirichlet("left", lambda x: getattr(x, name)),
    ):
        with pytest.raises(ml.ParameterError, match=rf"x\.{name}: x is the place and no tensor"):
            call()
    assert space.assemble(lambda v, x: x.T * v, T=2.0).sum().item() == pytest.approx(2.0)


def test_the_place_as_values_is_the_vector_of_its_coordinates():
    mesh = ml.shapes.square(n=2, dtype=torch.float64)
    space = FESpace(mesh, "P1^d")
    assert torch.equal(space.interpolate(lambda x: x), mesh.points.reshape(-1))
    assert torch.equal(space.dirichlet("left", lambda x: x).g, space.dirichlet("left", lambda x: [x[0], x[1]]).g)
    with pytest.raises(ml.FieldError, match=r"components \(2,\) does not fit"):
        FESpace(mesh, "P1").dirichlet("left", lambda x: x)
