"""What cannot be solved is told by its reason: unbalanced data, vanishing tangents, wrong arguments."""

import warnings

import pytest
import torch

import meshlearn as ml
from meshlearn import fem
from meshlearn.fem import FESpace, SolveInfo, div, dot, grad, inner, solve

DOUBLE = torch.float64


def _poisson(n=6):
    space = FESpace(ml.shapes.square(n=n, dtype=DOUBLE), "P1")
    return space, space.assemble(lambda u, v, x: dot(grad(u), grad(v)))


@pytest.mark.parametrize("method", ["direct", "cg", "minres", "gmres", "auto"])
def test_data_that_do_not_balance_are_an_error(method):
    space, A = _poisson()
    b = space.assemble(lambda v, x: v)
    with pytest.raises(ml.SingularMatrixError, match="must add up to zero"):
        solve(A, b, nullspace="constant", method=method)
    info = SolveInfo()
    u = solve(A, b, nullspace="constant", method=method, incompatible="project", info=info)
    assert info.incompatibility == pytest.approx((b.sum() / b.norm() / len(b) ** 0.5).item(), rel=1e-6)
    torch.testing.assert_close(A @ u, b - b.mean(), atol=1e-8, rtol=0)
    balanced = space.assemble(lambda v, x: (1 + 1e-5 - 2 * x[0]) * v)  # as good as quadrature may leave it
    solve(A, balanced, nullspace="constant", method=method, info=info)
    assert 0 < info.incompatibility < 1e-3


def test_the_worst_column_counts_and_only_two_answers_are_known():
    space, A = _poisson()
    good, bad = space.assemble(lambda v, x: (1 - 2 * x[0]) * v), space.assemble(lambda v, x: v)
    with pytest.raises(ml.SingularMatrixError, match="must add up to zero"):
        solve(A, torch.stack([1e6 * good, bad], 1), nullspace="constant")
    with pytest.raises(ml.ParameterError, match="error, project"):
        solve(A, good, nullspace="constant", incompatible="ignore")


def test_newton_with_a_null_space():
    space, _ = _poisson()
    law = lambda v, x: (1 + dot(grad(x.u), grad(x.u))) * dot(grad(x.u), grad(v)) - x.f * (1 - 2 * x[0]) * v  # noqa: E731
    f = torch.tensor(3.0, dtype=DOUBLE, requires_grad=True)
    u = fem.solve_nonlinear(space, law, f=f, options={"nullspace": "constant"})
    assert abs(u.sum().item()) < 1e-10
    (slope,) = torch.autograd.grad(u[0], f)
    assert slope.abs() > 1e-3
    with pytest.raises(ml.SingularMatrixError, match="must add up to zero"):
        fem.solve_nonlinear(space, lambda v, x: law(v, x) - v, f=3.0, options={"nullspace": "constant"})


def test_tangents_that_vanish_at_the_first_guess():
    space, _ = _poisson()
    fixed = space.dirichlet("boundary", 0.0)
    plaplace = lambda v, x: dot(grad(x.u), grad(x.u)) * dot(grad(x.u), grad(v)) - v  # noqa: E731
    with pytest.raises(ml.SingularMatrixError, match=r"(?s)at the initial guess.*initial="):
        fem.solve_nonlinear(space, plaplace, fixed)
    bump = space.interpolate(lambda x: x[0] * (1 - x[0]) * x[1] * (1 - x[1]))
    u = fem.solve_nonlinear(space, plaplace, fixed, initial=bump)
    assert u.max() > 0.1
    rough = lambda v, x: torch.sqrt(dot(grad(x.u), grad(x.u))) * dot(grad(x.u), grad(v)) - v  # noqa: E731
    with pytest.raises(ml.FieldError, match=r"(?s)not finite at the initial guess.*sqrt.*initial="):
        fem.solve_nonlinear(space, rough, fixed)


def test_an_enclosed_flow_names_its_pressure():
    space = FESpace(ml.shapes.square(n=3, dtype=DOUBLE), ("P2^d", "P1"))

    def stokes(trial, test, x):
        (u, p), (v, q) = trial, test
        return inner(grad(u), grad(v)) - p * div(v) - q * div(u)

    walls = space.dirichlet("boundary", 0.0, component=0)
    with pytest.raises(ml.SingularMatrixError, match="pressure"):
        solve(space.assemble(stokes), torch.zeros(space.n_dofs, dtype=DOUBLE), walls)


def test_arguments_of_other_types():
    space, A = _poisson(2)
    b = space.assemble(lambda v, x: v)
    with pytest.raises(ml.ParameterError, match=r"space\.dirichlet\(\{'left': 0\.0\}\)"):
        solve(A, b, {"left": 0.0})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ml.ParameterError, match="complex"):
            solve(A, b.to(torch.complex128))


def test_arguments_that_solve_does_not_take_are_named():
    space, A = _poisson()
    b = space.assemble(lambda v, x: v)
    left, right = space.dirichlet("left"), space.dirichlet("right")
    for slip, words in (
        (lambda: solve(A, b, left, tol=1e-3), "no argument 'tol': did you mean 'tolerance'"),
        (lambda: solve(A, b, left, toleranze=1e-3), "did you mean 'tolerance'"),
        (lambda: solve(A, b, left, right), "join them, .*left & right"),
        (lambda: solve(A, b, [left, right]), "join them, left & right"),
        (lambda: solve(A, b), "nullspace='rigid' for free elasticity"),
    ):
        with pytest.raises((ml.ParameterError, ml.SingularMatrixError), match=words):
            slip()
