"""Derivatives to second order through assembly and solve agree with finite differences."""

import pytest
import torch
from space_cases import uneven
from torch.autograd import gradcheck, gradgradcheck

import meshlearn as ml
from meshlearn.fem import FESpace, curl, div, dot, grad, inner, solve, sym

FORMS = {
    "P1": lambda u, v, x: x.k * dot(grad(u), grad(v)) + x[0] * u * v,
    "P2": lambda u, v, x: x.k * dot(grad(u), grad(v)) + x[0] ** 2 * u * v,
    "P1^d": lambda u, v, x: x.k * inner(sym(grad(u)), sym(grad(v))) + div(u) * div(v),
    "RT0": lambda u, v, x: x.k * dot(u, v) + div(u) * div(v),
    "N1": lambda u, v, x: inner(curl(u), curl(v)) + x.k * x[1] * dot(u, v),
}
CASES = [
    (element, kind)
    for element in FORMS
    for kind in ("triangle", "quad", "tetra", "hexahedron", "triangle6", "quad9")
    if (element, kind) not in (("N1", "hexahedron"), ("P2", "hexahedron"))
]


def check(function, *inputs):
    assert gradcheck(function, inputs, atol=1e-6, fast_mode=True)
    assert gradgradcheck(function, inputs, atol=1e-5, fast_mode=True)


@pytest.mark.parametrize(("element", "kind"), CASES, ids=lambda x: x)
def test_matrices_in_points_and_coefficients(element, kind):
    mesh = uneven(kind, n=1)
    n_cells = mesh.n_cells
    k = (0.5 + torch.rand(n_cells, dtype=torch.float64)).requires_grad_()

    def values(points, k):
        moved = mesh.replace(points=points)
        return FESpace(moved, element).assemble(FORMS[element], k=k).values

    check(values, mesh.points.clone().requires_grad_(), k)


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "triangle6"])
def test_boundary_integrals_in_the_points(kind):
    mesh = uneven(kind, n=1)

    def flux(points):
        space = FESpace(mesh.replace(points=points), "P2")
        return space.assemble(lambda v, x: x[0] * x.normal[1] * v + dot(x.normal, grad(v)), on="boundary")

    check(flux, mesh.points.clone().requires_grad_())


@pytest.mark.parametrize("given", ["cells", "points", "function", "batch"])
def test_vectors_and_integrals_in_coefficients(given):
    mesh = uneven("triangle", n=2)
    space = FESpace(mesh, "P2")
    shape = {
        "cells": (mesh.n_cells,),
        "points": (mesh.n_points,),
        "function": (space.n_dofs,),
        "batch": (3, mesh.n_cells),
    }
    f = torch.rand(shape[given], dtype=torch.float64, requires_grad=True)
    wrap = space.function if given == "function" else lambda f: f
    check(lambda f: space.assemble(lambda v, x: x.f**2 * v, f=wrap(f)), f)
    check(lambda f: space.assemble(lambda x: x.f**3, f=wrap(f)), f)
    if given == "function":
        check(lambda f: space.assemble(lambda v, x: dot(grad(x.f), grad(v)) * x.f, f=wrap(f)), f)


@pytest.mark.parametrize(("element", "kind"), [("P1", "triangle"), ("P2", "quad"), ("P1^d", "triangle6")])
def test_solutions_in_coefficient_source_boundary_values_and_points(element, kind):
    mesh = uneven(kind, n=2)
    bare = FESpace(mesh, element)
    k = (0.5 + torch.rand(mesh.n_cells, dtype=torch.float64)).requires_grad_()
    f = torch.rand(bare.n_dofs, dtype=torch.float64, requires_grad=True)
    g = torch.rand(len(bare.dofs("boundary")), dtype=torch.float64, requires_grad=True)
    p = mesh.points.clone().requires_grad_()

    def solution(k, f, g, p):
        space = FESpace(mesh.replace(points=p), element)
        A = space.assemble(FORMS[element], k=k)
        b = space.assemble(lambda v, x: inner(x.f, v), f=space.function(f))
        return solve(A, b, space.dirichlet("boundary", g))

    check(solution, k, f, g, p)


def test_a_mixed_problem_in_its_coefficient():
    mesh = uneven("triangle", n=2)
    space = FESpace(mesh, ("RT0", "P0"))
    k = (0.5 + torch.rand(mesh.n_cells, dtype=torch.float64)).requires_grad_()

    def solution(k):
        A = space.assemble(lambda u, v, x: dot(u[0], v[0]) / x.k - u[1] * div(v[0]) - div(u[0]) * v[1], k=k)
        return solve(A, space.assemble(lambda v, x: -v[1]))

    check(solution, k)


def test_the_compliance_falls_by_the_energy_of_each_cell():
    """For -div(k grad u) = f and J = f u, sum_e k_e dJ/dk_e = -J."""
    space = FESpace(uneven("tetra", n=3), "P1")
    k = (0.5 + torch.rand(space.mesh.n_cells, dtype=torch.float64)).requires_grad_()
    A = space.assemble(lambda u, v, x: x.k * dot(grad(u), grad(v)), k=k)
    b = space.assemble(lambda v, x: (1 + x[0]) * v)
    compliance = b @ solve(A, b, space.dirichlet("boundary", 0.0))
    compliance.backward()
    assert abs((k.detach() * k.grad).sum() / compliance.detach() + 1) < 1e-10


def test_a_translation_of_the_mesh_changes_nothing():
    """The gradient in the points sums to zero, and to the volume's derivative under stretching."""
    mesh = uneven("tetra", n=2)
    points = mesh.points.clone().requires_grad_()
    space = FESpace(mesh.replace(points=points), "P1")
    A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)) + u * v)
    u = torch.rand(space.n_dofs, dtype=torch.float64)
    energy = u @ (A @ u)
    (slope,) = torch.autograd.grad(energy, points)
    assert slope.sum(0).abs().max() < 1e-12
    stretched = (slope * mesh.points).sum()  # d/ds at s = 1 of points scaled by s: gradients s^(d-2), masses s^d
    M, K = (space.assemble(form).values.detach() for form in (
        lambda u, v, x: u * v, lambda u, v, x: dot(grad(u), grad(v))
    ))  # fmt: skip
    mass, stiffness = (u @ (A.with_values(values) @ u) for values in (M, K))
    assert abs(stretched - (3 * mass + stiffness)) < 1e-10


def test_elements_without_a_reference_cell_refuse_moving_points():
    mesh = uneven("triangle")
    with pytest.raises(ml.ParameterError, match="no gradients"):
        FESpace(mesh.replace(points=mesh.points.clone().requires_grad_()), "Argyris")
