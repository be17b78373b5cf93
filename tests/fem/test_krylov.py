import pytest
import torch
from solve_cases import Square

import meshlearn as ml
from meshlearn.fem import krylov
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.krylov import cg, minres
from meshlearn.fem.solve import solve
from meshlearn.fem.system import SolveInfo

DOUBLE = torch.float64


def spd(n: int = 30) -> torch.Tensor:
    q = torch.linalg.qr(torch.rand(n, n, dtype=DOUBLE))[0]
    return q @ torch.diag(torch.logspace(0, 3, n, dtype=DOUBLE)) @ q.T


@pytest.mark.parametrize("iterate", [cg, minres])
def test_columns_are_solved_as_if_alone(iterate):
    A, b = spd(), torch.rand(30, 4, dtype=DOUBLE) * torch.tensor([1.0, 1e6, 1e-6, 0.0])
    x, report = iterate(lambda p: A @ p, b, tolerance=1e-11)
    assert torch.all(torch.linalg.vector_norm(A @ x - b, dim=0) <= 1e-11 * torch.linalg.vector_norm(b, dim=0))
    assert torch.equal(x[:, 3], torch.zeros(30, dtype=DOUBLE))
    assert report.residuals[-1] <= 1e-11
    for k in range(3):
        assert torch.allclose(iterate(lambda p: A @ p, b[:, k : k + 1], tolerance=1e-11)[0], x[:, k : k + 1], rtol=1e-7)


@pytest.mark.parametrize("iterate", [cg, minres])
def test_the_result_does_not_depend_on_how_often_the_host_looks(iterate, monkeypatch):
    A, b = spd(), torch.rand(30, 2, dtype=DOUBLE)
    first, report = iterate(lambda p: A @ p, b)
    plain = krylov._Watch.__init__

    def rarely(self, *args):
        plain(self, *args)
        self.every = 16

    monkeypatch.setattr(krylov._Watch, "__init__", rarely)
    second, again = iterate(lambda p: A @ p, b)
    assert torch.equal(first, second)
    assert again.iterations == report.iterations


def test_cg_ends_after_as_many_steps_as_there_are_eigenvalues():
    A = torch.diag(torch.tensor([1.0, 1, 1, 5, 5, 9, 9, 9], dtype=DOUBLE))
    assert cg(lambda p: A @ p, torch.rand(8, 1, dtype=DOUBLE), tolerance=1e-12)[1].iterations == 3


def test_an_exact_preconditioner_needs_one_step_and_an_exact_guess_none():
    A, b = spd(), torch.rand(30, 1, dtype=DOUBLE)
    exact = torch.linalg.solve(A, b)
    for iterate in (cg, minres):
        inverse = lambda r: torch.linalg.solve(A, r)  # noqa: E731
        assert iterate(lambda p: A @ p, b, inverse, tolerance=1e-9)[1].iterations == 1
        assert iterate(lambda p: A @ p, b, initial=exact)[1].iterations == 0


def test_minres_solves_indefinite_and_consistent_singular_systems():
    values = torch.linspace(-3, 4, 30, dtype=DOUBLE)
    q = torch.linalg.qr(torch.rand(30, 30, dtype=DOUBLE))[0]
    for shift in (0.0, float(values[13])):
        A = q @ torch.diag(values - shift) @ q.T
        b = A @ torch.rand(30, 1, dtype=DOUBLE)
        x, _ = minres(lambda p, A=A: A @ p, b, lambda r: 2 * r)
        assert float(torch.linalg.vector_norm(A @ x - b) / torch.linalg.vector_norm(b)) <= 1e-10


def test_failures_raise_with_the_history():
    A, b = spd(), torch.rand(30, 1, dtype=DOUBLE)
    with pytest.raises(ml.ConvergenceError, match="in 5 iterations") as caught:
        cg(lambda p: A @ p, b, max_iterations=5)
    assert len(caught.value.residuals) == 6
    assert caught.value.residuals[0] == 1
    with pytest.raises(ml.ConvergenceError, match="not positive definite"):
        cg(lambda p: -(A @ p), b)
    with pytest.raises(ml.ConvergenceError, match="not finite"):
        cg(lambda p: A @ p, b, lambda r: r * float("nan"))
    with pytest.raises(ml.ConvergenceError, match="MINRES"):
        minres(lambda p: torch.diag(torch.tensor([1.0, 0, 2], dtype=DOUBLE)) @ p, torch.ones(3, 1, dtype=DOUBLE))
    with pytest.raises(ml.ParameterError, match="tolerance"):
        cg(lambda p: A @ p, b, tolerance=0.0)


def test_preconditioners_by_name_cut_the_iterations():
    square = Square(5)
    c = AffineConstraint.dirichlet(square.n, square.boundary)
    exact, counts = solve(square.stiffness, square.load, c), {}
    for name in (None, "jacobi", "amg", "ilu"):
        info = SolveInfo()
        u = solve(square.stiffness, square.load, c, "cg", name, 1e-8, info=info)
        counts[name] = info.iterations
        assert torch.allclose(u, exact, atol=1e-8)
    assert counts[None] <= 60  # 58 for 961 unknowns and b = 1 on a square
    assert counts["amg"] <= 14
    assert counts["ilu"] <= 14


def test_a_callable_preconditioner_and_a_warm_start():
    square = Square(4)
    c, info = AffineConstraint.dirichlet(square.n, square.boundary, 1.0), SolveInfo()
    inverse = torch.linalg.inv(c.reduce(square.stiffness).to_dense())
    u = solve(square.stiffness, square.load, c, "cg", lambda r: inverse @ r, info=info)
    assert info.iterations <= 2
    solve(square.stiffness, square.load, c, "cg", initial=u, info=info)
    assert info.iterations <= 1
    both = torch.stack([square.load, 2 * square.load], dim=1)
    assert torch.allclose(solve(square.stiffness, both, c, "cg", lambda r: inverse @ r)[:, 0], u, atol=1e-10)
    with pytest.raises(ml.ParameterError, match="shape"):
        solve(square.stiffness, square.load, c, "cg", lambda r: r[:3])


def test_stored_zeros_between_components_are_no_connections():
    """A vector Laplacian is the scalar one twice: multigrid needs about as many iterations."""
    mesh, needed = ml.shapes.square(n=32, dtype=torch.float64), []
    for element, load in (("P1", lambda v, x: v), ("P1^d", lambda v, x: v[0] + 2 * v[1])):
        space, info = ml.fem.FESpace(mesh, element), ml.fem.SolveInfo()
        A = space.assemble(lambda u, v, x: ml.fem.inner(ml.fem.grad(u), ml.fem.grad(v)))
        b = space.assemble(load)
        solve(A, b, space.dirichlet("left"), method="cg", preconditioner="amg", info=info)
        needed.append(info.iterations)
    assert needed[1] <= needed[0] + 3 < 25
