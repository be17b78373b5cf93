"""Constants as null space, in spaces where they are not the vector of ones."""

import pytest
import torch
from space_cases import plain

import meshlearn as ml
from meshlearn.fem import AffineConstraint, FESpace, dot, grad, inner, solve


@pytest.mark.parametrize("element", ["P2", "MINI", "Hermite", "Argyris", "BFS"])
def test_a_neumann_problem_is_solved_up_to_the_function_1(element):
    space = FESpace(plain("quad" if element == "BFS" else "triangle", 4), element)

    def exact(x):
        return x[0] ** 3 - 1.5 * x[0] ** 2

    A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)))
    b = space.assemble(lambda v, x: (3 - 6 * x[0]) * v)
    u = solve(A, b, nullspace="constant")
    shift = space.integrate(u - space.interpolate(exact))
    assert space.norm(u - shift * space.interpolate(1.0), minus=exact) < {"P2": 2e-3, "MINI": 2e-2}.get(element, 1e-10)


@pytest.mark.parametrize("element", ["P1^d", "MINI^d", "P1^3"])
def test_vectors_have_a_constant_for_each_component(element):
    space = FESpace(plain("triangle", 3), element)
    count = space.blocks[0].components
    A = space.assemble(lambda u, v, x: inner(grad(u), grad(v)))
    b = space.assemble(lambda v, x: (x[0] - 0.5) * v[0] + (x[1] - 0.5) * v[count - 1])
    u = solve(A, b, nullspace="constant")
    assert (A @ u - b).abs().max() < 1e-13
    motions = torch.stack([space.interpolate(axis) for axis in torch.eye(count).tolist()], 1)
    assert (motions.T @ u).abs().max() < 1e-12


@pytest.mark.parametrize("element", ["P2", "MINI", "Argyris"])
def test_a_mean_value_fixes_the_constant(element):
    space = FESpace(plain("triangle", 3), element)
    A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)))
    b = space.assemble(lambda v, x: (x[0] - 0.5) * v)
    u = solve(A, b, AffineConstraint.mean_zero(space.assemble(lambda v, x: v)))
    assert space.integrate(u).abs() < 1e-12
    assert (A @ u - b).abs().max() < 1e-10


def test_spaces_of_several_parts_are_given_their_null_vectors():
    space = FESpace(plain("triangle", 3), ("P1", "P1"))
    A = space.assemble(lambda u, v, x: dot(grad(u[0]), grad(v[0])) + u[1] * v[1])
    with pytest.raises(ml.SingularMatrixError, match="spaces of several parts null vectors are given as dofs"):
        solve(A, torch.zeros(space.n_dofs, dtype=torch.float64), nullspace="constant")
    b = space.assemble(lambda v, x: (x[0] - 0.5) * v[0])
    u = solve(A, b, nullspace=space.interpolate((1.0, 0.0)))
    assert (A @ u - b).abs().max() < 1e-13
