from itertools import pairwise

import pytest
import torch
from solve_cases import Square
from torch.autograd import gradcheck, gradgradcheck

import meshlearn as ml
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.newton import NewtonInfo, newton
from meshlearn.ops import SparseOperator

DOUBLE = torch.float64


class Cubic:
    """K(kappa) u + u^3 lumped = f on the unit square."""

    def __init__(self, refine: int):
        self.square = Square(refine)
        pattern = self.square.pattern
        self.diagonal = pattern.adjacency.receivers == pattern.index
        self.weights = self.square.load

    def residual(self, kappa, f):
        return lambda u: self.square.conducting(kappa) @ u + self.weights * u**3 - f

    def jacobian(self, kappa):
        def tangent(u):
            K = self.square.conducting(kappa)
            own = (3 * self.weights * u**2)[K.adjacency.receivers]
            return K.with_values(K.values + torch.where(self.diagonal, own, torch.zeros_like(own)))

        return tangent


def run(problem, kappa, f, g, **options):
    dofs = problem.square.boundary[:4]
    c = AffineConstraint.dirichlet(problem.square.n, dofs, g)
    start = torch.zeros(problem.square.n, dtype=DOUBLE)
    return newton(problem.residual(kappa, f), problem.jacobian(kappa), start, c, 1e-13, **options)


def data(problem):
    kappa = torch.rand(problem.square.mesh.nelements, dtype=DOUBLE) + 0.5
    return kappa, 5 * torch.rand(problem.square.n, dtype=DOUBLE), torch.rand(4, dtype=DOUBLE)


def test_convergence_is_quadratic_and_boundary_values_are_exact():
    problem = Cubic(3)
    kappa, f, g = data(problem)
    info = NewtonInfo()
    u = run(problem, kappa, f, g, info=info)
    assert torch.equal(u[problem.square.boundary[:4]], g)
    r = problem.residual(kappa, f)(u)
    free = AffineConstraint.dirichlet(problem.square.n, problem.square.boundary[:4]).independent
    assert float(r[free].abs().max()) < 1e-12
    assert info.iterations <= 8
    small = [x for x in info.residuals if 1e-7 < x < 1e-1]
    for before, after in pairwise(small):
        assert after < 100 * before**2


@pytest.mark.parametrize("derivatives", [1, 2])
def test_implicit_derivatives(derivatives):
    problem = Cubic(1)
    inputs = tuple(t.requires_grad_() for t in data(problem))
    function = lambda *args: run(problem, *args, derivatives=derivatives)  # noqa: E731
    assert gradcheck(function, inputs)
    if derivatives == 2:
        assert gradgradcheck(function, inputs)


def test_a_second_derivative_that_was_not_asked_for_is_refused():
    problem = Cubic(1)
    kappa, f, g = data(problem)
    (first,) = torch.autograd.grad(run(problem, kappa, f.requires_grad_(), g).square().sum(), f, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate"):
        first.sum().backward()


def test_the_iteration_leaves_no_graph():
    problem = Cubic(2)
    kappa, f, g = data(problem)
    calls = []

    def counting(u, plain=problem.residual(kappa.requires_grad_(), f)):
        calls.append(torch.is_grad_enabled())
        return plain(u)

    c = AffineConstraint.dirichlet(problem.square.n, problem.square.boundary[:4], g)
    newton(counting, problem.jacobian(kappa), torch.zeros(problem.square.n, dtype=DOUBLE), c)
    assert sum(calls) == 1
    assert len(calls) > 3


def scalar(slope):
    return lambda u: SparseOperator.from_coo(torch.tensor([0]), torch.tensor([0]), slope(u), (1, 1))


def test_the_line_search_rescues_a_start_from_which_full_steps_diverge():
    start = torch.tensor([3.0], dtype=DOUBLE)
    slope = scalar(lambda u: 1 / (1 + u**2))
    with pytest.raises(ml.MeshlearnError):
        newton(torch.atan, slope, start, line_search=False, max_iterations=20)
    info = NewtonInfo()
    assert abs(float(newton(torch.atan, slope, start, info=info))) < 1e-9
    assert min(info.step_lengths) < 1


def test_failures_raise_with_the_history():
    start = torch.tensor([1.0], dtype=DOUBLE)
    with pytest.raises(ml.ConvergenceError, match="in 3 steps") as caught:
        newton(lambda u: u**3, scalar(lambda u: 3 * u**2), start, max_iterations=3)
    assert len(caught.value.residuals) == 4
    with pytest.raises(ml.ConvergenceError):
        newton(lambda u: u**2 + 1, scalar(lambda u: 2 * u), start - 0.3)
    with pytest.raises(ml.ConvergenceError, match="no step"):
        newton(lambda u: u - 3, scalar(lambda u: -torch.ones_like(u)), start)
    with pytest.raises(ml.ConvergenceError, match="initial guess"):
        newton(lambda u: u / 0, scalar(lambda u: u), start)
    with pytest.raises(ml.SingularMatrixError):
        newton(lambda u: u - 3, scalar(lambda u: 0 * u), start)


def test_a_warm_start_at_the_solution_is_accepted():
    root = newton(lambda u: u**2 - 2, scalar(lambda u: 2 * u), torch.tensor([1.0], dtype=DOUBLE))
    info = NewtonInfo()
    again = newton(lambda u: u**2 - 2, scalar(lambda u: 2 * u), root, info=info)
    assert abs(float(again) - 2**0.5) < 1e-15
    assert info.iterations <= 2


@pytest.mark.parametrize("n", [30, 1000])
def test_the_iteration_ends_where_rounding_begins(n):
    """A bar of n springs: rounding of u moves the residual by eps n |f|, and no step makes it smaller than that."""
    rows = torch.arange(n)
    pairs = [(rows, rows, 2.0), (rows[1:], rows[:-1], -1.0), (rows[:-1], rows[1:], -1.0)]
    row, column, value = (torch.cat(part) for part in zip(*((r, c, r * 0 + v) for r, c, v in pairs), strict=True))
    K = SparseOperator.from_coo(row, column, n**2 * value.double(), (n, n))
    f = torch.randn(n, dtype=DOUBLE)
    cubic = K.with_values((K.adjacency.receivers == K.index).double())
    info = NewtonInfo()

    def tangent(u):
        return K.with_values(K.values + 3 * cubic.values * (u**2).index_select(0, K.adjacency.receivers))

    u = newton(lambda u: K @ u + u**3 - f, tangent, torch.zeros(n, dtype=DOUBLE), tolerance=0.0, info=info)
    assert info.iterations <= 8
    assert min(info.step_lengths) == 1
    assert float((K @ u + u**3 - f).norm()) < 1e-15 * n**2 * float(u.norm()) * 4
