"""Constants as null space, in spaces where they are not the vector of ones."""

import pytest
import torch
from space_cases import plain

import meshlearn as ml
from meshlearn.fem import FESpace, dot, grad, solve


@pytest.mark.parametrize("element", ["P2", "Hermite", "Argyris", "BFS"])
def test_a_neumann_problem_is_solved_up_to_the_function_1(element):
    space = FESpace(plain("quad" if element == "BFS" else "triangle", 4), element)

    def exact(x):
        return x[0] ** 3 - 1.5 * x[0] ** 2

    A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)))
    b = space.assemble(lambda v, x: (3 - 6 * x[0]) * v)
    u = solve(A, b, nullspace="constant")
    shift = space.integrate(u - space.interpolate(exact))
    assert space.norm(u - shift * space.interpolate(1.0), minus=exact) < (2e-3 if element == "P2" else 1e-10)


def test_spaces_of_vectors_say_that_ones_are_no_constant():
    space = FESpace(plain("triangle", 3), ("P1", "P1"))
    A = space.assemble(lambda u, v, x: dot(grad(u[0]), grad(v[0])) + u[1] * v[1])
    with pytest.raises(ml.SingularMatrixError, match="'constant' is the vector of ones"):
        solve(A, torch.zeros(space.n_dofs, dtype=torch.float64), nullspace="constant")
