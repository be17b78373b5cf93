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
        ("Hdiv", None, "has no divergence"),
        ("Hdiv", lambda x: x[0], "has no divergence"),
        ("H1", torch.zeros(9), "values of points or cells have no grad"),
        ("H1", {"val": lambda x: x[0]}, "its parts are called value, grad, div, curl"),
        ("H1", {"value": lambda x: x[0]}, "needs grad"),
    ],
)
def test_norms_that_do_not_exist_are_refused(kind, minus, words):
    space = FESpace(plain("triangle"), "P1")
    with pytest.raises(ml.ParameterError, match=words):
        space.norm(torch.zeros(space.n_dofs), kind, minus)


def _wave(x):
    return torch.sin(2 * x[0]) * torch.exp(x[1])


def test_derivatives_of_plain_functions_are_theirs():
    """As good as those written by hand, in every norm, for functions, lists and numbers."""
    mesh, box = uneven("triangle", 3), uneven("tetra", 2)
    steep = lambda x: torch.stack([2 * torch.cos(2 * x[0]) * torch.exp(x[1]), _wave(x)])  # noqa: E731
    flow = lambda x: [x[1] ** 2, x[0] * x[1]]  # noqa: E731
    turning = lambda x: [x[1], x[2] * x[0], x[0]]  # noqa: E731
    cases = [
        (FESpace(mesh, "P2"), "H1", _wave, {"value": _wave, "grad": steep}),
        (FESpace(mesh, "P2"), "H1-semi", _wave, {"grad": steep}),
        (FESpace(mesh, "RT0"), "Hdiv", flow, {"value": flow, "div": lambda x: x[0]}),
        (FESpace(mesh, "P2^d"), "Hdiv", flow, {"value": flow, "div": lambda x: x[0]}),
        (FESpace(mesh, "N1"), "Hcurl", flow, {"value": flow, "curl": lambda x: -x[1]}),
        (FESpace(box, "N1"), "Hcurl", turning, {"value": turning, "curl": lambda x: [-x[0], -1.0, x[2] - 1]}),
        (FESpace(box, "N1"), "Hcurl", [1.0, 2.0, 3.0], {"value": [1.0, 2.0, 3.0], "curl": [0.0, 0.0, 0.0]}),
    ]
    for space, kind, minus, parts in cases:
        dofs = torch.rand(space.n_dofs, dtype=torch.float64)
        made, wanted = space.norm(dofs, kind, minus=minus), space.norm(dofs, kind, minus=parts)
        assert not made.requires_grad
        assert abs(made - wanted) < 1e-12 * wanted, (space, kind)
    p2, dofs = FESpace(mesh, "P2"), torch.rand(FESpace(mesh, "P2").n_dofs, dtype=torch.float64)
    for half in (0.5, torch.tensor(0.5)):
        assert abs(p2.norm(dofs, "H1", minus=half) - p2.norm(dofs - 0.5, "H1")) < 1e-12


def test_the_error_in_h1_falls_one_order_slower():
    errors = []
    for n in (4, 8):
        space = FESpace(plain("triangle", n), "P2")
        errors.append(space.norm(space.interpolate(_wave), "H1", minus=_wave).item())
    assert abs(math.log2(errors[0] / errors[1]) - 2) < 0.1


def test_norms_have_gradients_in_what_is_subtracted_and_in_the_points():
    mesh = uneven("triangle", 2)
    dofs = torch.rand(mesh.n_points, dtype=torch.float64)
    k = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    points = mesh.points.clone().requires_grad_()

    def distance(k, points):
        return FESpace(mesh.replace(points=points), "P1").norm(dofs, "H1", minus=lambda x: torch.sin(k * x[0]))

    assert torch.autograd.gradcheck(distance, (k, points), fast_mode=True)


def test_functions_that_cannot_be_subtracted_are_refused():
    space = FESpace(plain("triangle"), "P2")
    dofs = torch.zeros(space.n_dofs)
    for kind in ("L2", "H1"):
        with pytest.raises(ml.FieldError, match=r"has components \(\), that of minus has \(2,\)"):
            space.norm(dofs, kind, minus=lambda x: [x[0], x[1]])
    with pytest.raises(ml.FieldError, match="autograd cannot tell how"):
        space.norm(dofs, "H1", minus=lambda x: _wave(x).detach())
    vectors = FESpace(space.mesh, "P2^d")
    with pytest.raises(ml.FieldError, match=r"has components \(2,\), that of minus has \(\)"):
        vectors.norm(torch.zeros(vectors.n_dofs), minus=1.0)
    assert vectors.norm(torch.zeros(vectors.n_dofs), "H1", minus=0.0) == 0
