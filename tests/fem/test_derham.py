"""The derivatives of finite-element functions as maps of dofs: exact, and zero to the last bit when composed."""

from itertools import pairwise

import pytest
import torch
from space_cases import plain, uneven

import meshlearn as ml
from meshlearn.fem import FESpace, curl, derivative, div, grad, inner

OPERATORS = {"grad": grad, "curl": curl, "div": div}
LINKS = {
    "triangle": [("P1", "N1", "grad"), ("P2", "N2", "grad"), ("N1", "P0", "curl"), ("P1", "RT0", "curl"),
                 ("P2", "BDM1", "curl"), ("RT0", "P0", "div"), ("BDM1", "P0", "div"), ("RT1", "P1DG", "div"),
                 ("N2", "P1DG", "curl")],
    "tetra": [("P1", "N1", "grad"), ("N1", "RT0", "curl"), ("RT0", "P0", "div")],
    "quad": [("P1", "N1", "grad"), ("P1", "RT0", "curl")],
}  # fmt: skip
CASES = [(kind, *link) for kind, links in LINKS.items() for link in links]


@pytest.mark.parametrize(("kind", "source", "target", "name"), CASES)
def test_the_image_is_the_derivative_itself(kind, source, target, name):
    mesh = uneven(kind, 3)
    a, b = FESpace(mesh, source), FESpace(mesh, target)
    dofs = torch.rand(a.n_dofs, dtype=torch.float64)
    image = derivative(a, b, name) @ dofs
    operator = OPERATORS[name]
    square = b.assemble(
        lambda x: inner(operator(x.u) - x.w.value, operator(x.u) - x.w.value),
        u=a.function(dofs), w=b.function(image), order=6,
    )  # fmt: skip
    size = b.assemble(lambda x: inner(x.w, x.w), w=b.function(image), order=6)
    assert square < 1e-24 * size


@pytest.mark.parametrize(
    ("kind", "chain"),
    [
        ("tetra", [("P1", "N1", "grad"), ("N1", "RT0", "curl"), ("RT0", "P0", "div")]),
        ("triangle", [("P1", "RT0", "curl"), ("RT0", "P0", "div")]),
        ("triangle", [("P1", "N1", "grad"), ("N1", "P0", "curl")]),
    ],
)
def test_two_derivatives_in_a_row_are_exactly_zero(kind, chain):
    mesh = uneven(kind, 4)
    maps = [derivative(FESpace(mesh, a), FESpace(mesh, b), name).to_scipy() for a, b, name in chain]
    for first, second in pairwise(maps):
        assert abs(second @ first).max() == 0.0


def test_the_sequence_is_exact_on_the_cube():
    """Euler: dim P1 - dim N1 + dim RT0 - dim P0 = 1, and every kernel is the image of the map before."""
    mesh = plain("tetra", 2)
    p1, n1, rt0, p0 = (FESpace(mesh, name) for name in ("P1", "N1", "RT0", "P0"))
    maps = [derivative(p1, n1, "grad"), derivative(n1, rt0, "curl"), derivative(rt0, p0, "div")]
    ranks = [int(torch.linalg.matrix_rank(D.to_dense())) for D in maps]
    assert p1.n_dofs - n1.n_dofs + rt0.n_dofs - p0.n_dofs == 1
    assert ranks == [p1.n_dofs - 1, n1.n_dofs - ranks[0], p0.n_dofs]


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_the_gradient_is_the_incidence_of_edges(kind):
    mesh = uneven(kind)
    D = derivative(FESpace(mesh, "P1"), FESpace(mesh, "N1"), "grad").to_dense()
    assert (D.abs().sum(1) == 2).all()
    assert (D.sum(1) == 0).all()


def test_the_laplacian_is_the_gradient_in_the_mass_of_edges():
    mesh = uneven("tetra", 3)
    p1, n1 = FESpace(mesh, "P1"), FESpace(mesh, "N1")
    D = derivative(p1, n1, "grad").to_scipy()
    M = n1.assemble(lambda u, v, x: inner(u, v)).to_scipy()
    K = p1.assemble(lambda u, v, x: inner(grad(u), grad(v))).to_scipy()
    assert abs(D.T @ M @ D - K).max() < 1e-13


def test_divergences_have_gradients_in_the_points():
    mesh = uneven("triangle")

    def values(points):
        moved = mesh.replace(points=points)
        return derivative(FESpace(moved, "RT0"), FESpace(moved, "P0"), "div").values

    assert torch.autograd.gradcheck(values, (mesh.points.clone().requires_grad_(),), fast_mode=True)


@pytest.mark.parametrize(
    ("kind", "source", "target", "name", "words"),
    [
        ("triangle", "P1", "P0", "grad", "no exact grad"),
        ("triangle", "P1", "N1", "rot", "no exact rot"),
        ("triangle", "P2", "N1", "grad", "not contained"),
        ("triangle", "RT1", "P0", "div", "not contained"),
        ("quad", "RT0", "P0", "div", "not affine|not in"),
        ("triangle", "P1^d", "N1", "grad", "no exact"),
        ("triangle", ("P1", "P1"), "N1", "grad", "part by part"),
    ],
)
def test_pairs_that_are_no_neighbours_are_refused(kind, source, target, name, words):
    mesh = uneven(kind)
    with pytest.raises(ml.ParameterError, match=words):
        derivative(FESpace(mesh, source), FESpace(mesh, target), name)


def test_spaces_of_different_meshes_are_refused():
    with pytest.raises(ml.ParameterError, match="different meshes"):
        derivative(FESpace(plain("triangle"), "P1"), FESpace(plain("triangle", 3), "N1"), "grad")
