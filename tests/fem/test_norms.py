"""Norms of functions whose norms are known."""

import math

import pytest
import torch
from space_cases import plain, uneven

import meshlearn as ml
from meshlearn.fem import FESpace


@pytest.mark.parametrize("kind", ["triangle", "quad"])
def test_norms_of_a_polynomial(kind):
    space = FESpace(uneven(kind, 3), "P2" if kind == "triangle" else "P1")
    dofs = space.interpolate(lambda x: x[0] - 2 * x[1])
    assert abs(space.norm(dofs) - math.sqrt(1 / 3 - 1 + 4 / 3)) < 1e-13
    assert abs(space.norm(dofs, "H1-semi") - math.sqrt(5)) < 1e-12
    assert abs(space.norm(dofs, "H1") - math.sqrt(5 + 2 / 3)) < 1e-12


def test_norms_of_vector_fields():
    mesh = uneven("tetra", 2)
    rt0, n1 = FESpace(mesh, "RT0"), FESpace(mesh, "N1")
    flow, turn = rt0.interpolate(lambda x: x.points), n1.interpolate(lambda x: [-x[1], x[0], 0 * x[0]])
    assert abs(rt0.norm(flow, "Hdiv") - math.sqrt(1 + 9)) < 1e-12
    assert abs(n1.norm(turn, "Hcurl") - math.sqrt(2 / 3 + 4)) < 1e-12


def test_distances_from_functions_of_every_kind():
    mesh = uneven("triangle", 3)
    p1, p2 = FESpace(mesh, "P1"), FESpace(mesh, "P2")
    dofs = p1.interpolate(lambda x: x[0])
    same = p2.interpolate(lambda x: x[0])
    slope = lambda x: torch.stack([1 + 0 * x[0], 0 * x[0]])  # noqa: E731
    assert p1.norm(dofs, minus=lambda x: x[0]) < 1e-14
    assert p1.norm(dofs, "H1", minus=p2.function(same)) < 1e-13
    assert p1.norm(dofs, "H1", minus={"value": lambda x: x[0], "grad": slope}) < 1e-13
    assert abs(p1.norm(dofs, minus=0.0) - p1.norm(dofs)) < 1e-13


def test_a_batch_of_functions_has_as_many_norms():
    space = FESpace(plain("triangle", 3), "P1")
    dofs = torch.rand(4, space.n_dofs, dtype=torch.float64, requires_grad=True)
    made = space.norm(dofs, "H1")
    assert torch.allclose(made, torch.stack([space.norm(u, "H1") for u in dofs]))
    assert torch.autograd.gradcheck(lambda u: space.norm(u, "H1"), (dofs,), fast_mode=True)


@pytest.mark.parametrize(
    ("kind", "minus", "words"),
    [
        ("sup", None, "choose one of"),
        ("Hdiv", None, "square matrix"),
        ("H1", lambda x: x[0], "plain function has no grad"),
        ("H1", {"value": lambda x: x[0]}, "needs grad"),
    ],
)
def test_norms_that_do_not_exist_are_refused(kind, minus, words):
    space = FESpace(plain("triangle"), "P1")
    with pytest.raises(ml.ParameterError, match=words):
        space.norm(torch.zeros(space.n_dofs), kind, minus)
