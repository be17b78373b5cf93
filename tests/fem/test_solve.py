import time

import pytest
import torch
from solve_cases import Square
from torch.autograd import gradcheck, gradgradcheck

import meshlearn as ml
from meshlearn.fem import factor
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.solve import solve
from meshlearn.fem.stacked import StackedOperator
from meshlearn.fem.system import SolveInfo
from meshlearn.ops import SparseOperator

DOUBLE = torch.float64


@pytest.fixture(scope="module")
def square() -> Square:
    return Square(3)


def unsymmetric(n: int = 7) -> SparseOperator:
    dense = torch.rand(n, n, dtype=DOUBLE) * (torch.rand(n, n) > 0.4)
    return SparseOperator.from_dense(dense + n * torch.eye(n, dtype=DOUBLE))


def test_reference_value_of_the_torsion_problem():
    square = Square(6)
    u = solve(square.stiffness, square.load, AffineConstraint.dirichlet(square.n, square.boundary))
    assert abs(float(square.load @ u) - 0.0351442537) < 5e-5  # P1 at h = 1/64, from below


@pytest.mark.parametrize("columns", [(), (3,)])
def test_gradients_of_an_unsymmetric_solve_to_second_order(columns):
    A = unsymmetric()
    b = torch.rand(7, *columns, dtype=DOUBLE, requires_grad=True)
    g = torch.rand(2, *columns, dtype=DOUBLE, requires_grad=True)
    values = A.values.clone().requires_grad_()

    def run(values, b, g):
        return solve(A.with_values(values), b, AffineConstraint.dirichlet(7, torch.tensor([1, 4]), g), method="direct")

    assert torch.allclose(solve(A, b.detach()), torch.linalg.solve(A.to_dense(), b.detach()), atol=1e-13)
    assert gradcheck(run, (values, b, g))
    assert gradgradcheck(run, (values, b, g))


@pytest.mark.parametrize(("method", "preconditioner"), [("cg", "jacobi"), ("cg", "amg"), ("minres", None)])
def test_gradients_of_iterative_solves_to_second_order(method, preconditioner):
    square = Square(1)
    kappa = torch.rand(square.mesh.nelements, dtype=DOUBLE) + 0.5
    b = torch.rand(square.n, dtype=DOUBLE, requires_grad=True)
    g = torch.rand(3, dtype=DOUBLE, requires_grad=True)

    def run(kappa, b, g):
        c = AffineConstraint.dirichlet(square.n, square.boundary[:3], g)
        return solve(square.conducting(kappa), b, c, method, preconditioner, tolerance=1e-13)

    assert gradcheck(run, (kappa.requires_grad_(), b, g))
    assert gradgradcheck(run, (kappa, b, g))


@pytest.mark.parametrize("constraint", ["periodic", "linear", "mean", "mean of a regular matrix"])
def test_gradients_under_other_constraints(constraint):
    square = Square(1)
    n, cells = square.n, square.mesh.nelements
    reaction = square.mass.values.new_zeros(square.pattern.adjacency.n_edges)
    if constraint == "periodic":
        c = AffineConstraint.periodic(n, torch.tensor([0]), torch.tensor([3])) & AffineConstraint.dirichlet(
            n, torch.tensor([1]), 0.3
        )
    elif constraint == "linear":
        c = AffineConstraint.linear(SparseOperator.from_dense(torch.rand(2, n, dtype=DOUBLE)), 1.0)
    else:
        c = AffineConstraint.mean_zero(square.load, 2.0)
    if "regular" in constraint:
        reaction = (square.pattern.adjacency.receivers == square.pattern.index).double()
    kappa = (torch.rand(cells, dtype=DOUBLE) + 0.5).requires_grad_()
    b = torch.rand(n, dtype=DOUBLE, requires_grad=True)

    def run(kappa, b):
        A = square.conducting(kappa)
        return solve(A.with_values(A.values + reaction), b, c)

    u = run(kappa, b).detach()
    A = square.conducting(kappa.detach())
    dense, B = A.with_values(A.values + reaction).to_dense(), c.B.to_dense()
    reference = B @ torch.linalg.solve(B.T @ dense @ B, B.T @ (b.detach() - dense @ c.g.double())) + c.g
    assert torch.allclose(u, reference, atol=1e-11)
    assert gradcheck(run, (kappa, b))
    assert gradgradcheck(run, (kappa, b))


@pytest.mark.parametrize("method", ["direct", "cg", "minres", "gmres"])
def test_pure_neumann_problem_by_projection(square, method):
    kappa = (torch.rand(square.mesh.nelements, dtype=DOUBLE) + 0.5).requires_grad_()
    b = torch.rand(square.n, dtype=DOUBLE, requires_grad=True)
    info = SolveInfo()
    given = {"method": method, "nullspace": "constant", "tolerance": 1e-12, "info": info}
    with pytest.raises(ml.SingularMatrixError, match="incompatible='project'"):
        solve(square.conducting(kappa), b, **given)
    u = solve(square.conducting(kappa), b, **given, incompatible="project")
    inverse = torch.linalg.pinv(square.conducting(kappa).to_dense(), hermitian=True, rtol=1e-10)
    expected = inverse @ b
    assert torch.allclose(u, expected, atol=1e-9)
    assert info.incompatibility > 0.1  # a random load is not in the range, and the report says so
    target = torch.rand(square.n, dtype=DOUBLE)
    for mine, exact in zip(
        torch.autograd.grad((u - target).square().sum(), (kappa, b)),
        torch.autograd.grad((expected - target).square().sum(), (kappa, b)),
        strict=True,
    ):
        assert torch.allclose(mine, exact, rtol=1e-7, atol=1e-9)


def test_neumann_gradients_to_second_order():
    square = Square(1)
    kappa = (torch.rand(square.mesh.nelements, dtype=DOUBLE) + 0.5).requires_grad_()
    b = torch.rand(square.n, 2, dtype=DOUBLE, requires_grad=True)
    run = lambda kappa, b: solve(square.conducting(kappa), b, nullspace="constant", incompatible="project")  # noqa: E731
    assert gradcheck(run, (kappa, b))
    assert gradgradcheck(run, (kappa, b))


def test_compliance_satisfies_the_adjoint_identity(square):
    kappa = (torch.rand(square.mesh.nelements, dtype=DOUBLE) + 0.5).requires_grad_()
    c = AffineConstraint.dirichlet(square.n, square.boundary)
    for method in ("direct", "cg"):
        compliance = square.load @ solve(square.conducting(kappa), square.load, c, method=method, tolerance=1e-12)
        (gradient,) = torch.autograd.grad(compliance, kappa)
        assert abs(float((kappa * gradient).sum().detach() / compliance.detach()) + 1) < 1e-10


def test_batch_of_matrices_equals_a_loop(square):
    kappa = torch.rand(4, square.mesh.nelements, dtype=DOUBLE) + 0.5
    values = torch.stack([square.conducting(k).values for k in kappa]).requires_grad_()
    stack = StackedOperator(square.pattern.adjacency, values)
    b = torch.rand(4, square.n, dtype=DOUBLE)
    c = AffineConstraint.dirichlet(square.n, square.boundary, 0.5)
    together = solve(stack, b, c)
    (gradient,) = torch.autograd.grad(together.square().sum(), values)
    for k in range(4):
        own = values[k].detach().requires_grad_()
        one = solve(square.pattern.with_values(own), b[k], c)
        assert torch.equal(together[k], one)
        assert torch.equal(gradient[k], torch.autograd.grad(one.square().sum(), own)[0])
    assert solve(stack, square.load, c).shape == (4, square.n)


@pytest.mark.parametrize("mixed", [(torch.float32, DOUBLE), (DOUBLE, torch.float32), (torch.float32, torch.float32)])
def test_mixed_precision_is_computed_in_double(square, mixed):
    c = AffineConstraint.dirichlet(square.n, square.boundary)
    exact = solve(square.stiffness, square.load, c)
    u = solve(square.stiffness.to(mixed[0]), square.load.to(mixed[1]), c)
    assert u.dtype == torch.promote_types(*mixed)
    assert torch.allclose(u.double(), exact, rtol=1e-5, atol=1e-7)


def test_factors_are_kept_for_the_transpose_and_for_more_right_hand_sides(square):
    values = square.stiffness.values.clone().requires_grad_()
    A, c, info = (
        square.stiffness.with_values(values),
        AffineConstraint.dirichlet(square.n, square.boundary),
        SolveInfo(),
    )
    u = solve(A, square.load, c, info=info)
    (gradient,) = torch.autograd.grad(u.square().sum(), values, create_graph=True)
    gradient.square().sum().backward()
    solve(A, torch.rand(square.n, 5, dtype=DOUBLE), c, info=info)
    assert info.factorizations == 1
    assert info.adjoint_solves >= 3
    with torch.no_grad():
        values.mul_(2)  # written in place: the old factors are no longer right
    assert torch.allclose(solve(A, square.load, c, info=info), u / 2)
    assert info.factorizations == 2


def test_the_cache_forgets_matrices_that_are_gone(square):
    c = AffineConstraint.dirichlet(square.n, square.boundary)
    for _ in range(20):
        solve(square.stiffness.with_values(square.stiffness.values.clone()), square.load, c)
    assert len(factor.cache._entries) <= 16


def test_gradient_costs_at_most_1_3_forward_solves():
    square = Square(7)
    c = AffineConstraint.dirichlet(square.n, square.boundary)
    ratios = []
    for _ in range(3):
        values = square.stiffness.values.clone().requires_grad_()
        start = time.perf_counter()
        u = solve(square.stiffness.with_values(values), square.load, c)
        middle = time.perf_counter()
        u.square().sum().backward()
        ratios.append((time.perf_counter() - start) / (middle - start))
    assert min(ratios) <= 1.3, ratios


def test_a_singular_matrix_is_an_error_that_says_what_to_do(square):
    for A in (square.stiffness, Square(6).stiffness):
        with pytest.raises(ml.SingularMatrixError, match="nullspace='constant'"):
            solve(A, torch.ones(A.n_rows, dtype=DOUBLE), method="direct")
    with pytest.raises(ml.SingularMatrixError):
        solve(SparseOperator.from_dense(torch.tensor([[1.0, 2.0], [2.0, 4.0]])), torch.ones(2))
    with pytest.raises(ml.SingularMatrixError, match="not in the null space"):
        solve(square.mass, square.load, nullspace="constant")
    with pytest.raises(ml.ConvergenceError):
        solve(square.stiffness, square.load + 1, method="minres")


def test_badly_scaled_but_regular_systems_are_solved(square):
    scale = torch.logspace(-9, 9, square.n, dtype=DOUBLE)
    A = square.stiffness
    scaled = A.with_values(A.values * scale[A.adjacency.receivers] * scale[A.index])
    c = AffineConstraint.dirichlet(square.n, square.boundary)
    u = solve(scaled, square.load * scale, c)
    inner = c.independent
    assert torch.allclose(u[inner] * scale[inner], solve(A, square.load, c)[inner], rtol=1e-8)


def test_saddle_point_systems_take_partial_pivoting(square):
    n = square.n
    dense = torch.zeros(n + 1, n + 1, dtype=DOUBLE)
    dense[:n, :n] = square.stiffness.to_dense()
    dense[n, :n] = dense[:n, n] = square.load
    b = torch.rand(n + 1, dtype=DOUBLE)
    assert torch.allclose(solve(SparseOperator.from_dense(dense), b), torch.linalg.solve(dense, b), atol=1e-9)
    b = solve(SparseOperator.from_dense(dense), b, method="minres") - torch.linalg.solve(dense, b)
    assert float(b.abs().max()) < 1e-6


def test_automatic_choice_falls_back_where_cg_cannot(square, monkeypatch):
    from meshlearn.fem import system

    monkeypatch.setattr(system, "_SMALL", 0)
    monkeypatch.setattr(system, "_PLANAR", 0)
    c, info = AffineConstraint.dirichlet(square.n, square.boundary), SolveInfo()
    assert torch.allclose(
        solve(square.stiffness, square.load, c, info=info), solve(square.stiffness, square.load, c, "direct"), atol=1e-9
    )
    assert (info.method, info.preconditioner) == ("cg", "amg")
    # Helmholtz: positive diagonal, indefinite
    shifted = square.pattern.with_values(square.conducting(torch.ones(square.mesh.nelements, dtype=DOUBLE)).values)
    waves = SparseOperator.from_dense(shifted.to_dense() - 60 * square.mass.to_dense())
    exact = solve(waves, square.load, c, "direct")
    assert torch.allclose(solve(waves, square.load, c, info=info), exact, atol=1e-9)
    assert info.method == "direct"


def test_wrong_arguments_are_named(square):
    A, b = square.stiffness, square.load
    with pytest.raises(ml.FieldError, match="not finite"):
        solve(A, b.clone().fill_(float("nan")))
    with pytest.raises(ml.ParameterError, match="square"):
        solve(SparseOperator.from_dense(torch.rand(3, 4)), torch.rand(3))
    with pytest.raises(ml.ParameterError, match="right-hand side"):
        solve(A, b[:-1])
    with pytest.raises(ml.ParameterError, match="symmetric"):
        solve(unsymmetric(), torch.rand(7, dtype=DOUBLE), method="cg")
    with pytest.raises(ml.ParameterError, match="method"):
        solve(A, b, method="lu")
    with pytest.raises(ml.ParameterError, match="preconditioner"):
        solve(A, b, method="cg", preconditioner="nothing")
    with pytest.raises(ml.ParameterError, match="unknowns"):
        solve(A, b, AffineConstraint.none(3))


@pytest.mark.gpu
def test_cg_on_cuda_equals_the_direct_solver(square):
    c = AffineConstraint.dirichlet(square.n, square.boundary, 0.25)
    kappa = torch.rand(square.mesh.nelements, dtype=DOUBLE) + 0.5
    values = square.conducting(kappa).values
    results = []
    for device in ("cpu", "cuda"):
        v = values.to(device).detach().requires_grad_()
        A = SparseOperator.from_adjacency(square.pattern.adjacency.to(device), v)
        info = SolveInfo()
        u = solve(A, square.load.to(device), c.to(device), tolerance=1e-12, info=info)
        assert info.method == {"cpu": "direct", "cuda": "cg"}[device]
        results.append((u.detach().cpu(), torch.autograd.grad(u.square().sum(), v)[0].cpu()))
    for mine, other in zip(*results, strict=True):
        assert torch.allclose(mine, other, rtol=1e-8, atol=1e-10)


def test_nothing_to_solve_for_and_no_constraint_at_all(square):
    everywhere = AffineConstraint.dirichlet(square.n, torch.arange(square.n), 2.0)
    assert torch.equal(solve(square.stiffness, square.load, everywhere), torch.full_like(square.load, 2.0))
    nowhere = AffineConstraint.dirichlet(square.n, torch.zeros(0, dtype=torch.int64))
    assert torch.equal(solve(square.mass, square.load, nowhere), solve(square.mass, square.load))


def test_high_contrast_is_not_taken_for_singular(square):
    kappa = torch.where(torch.rand(square.mesh.nelements) < 0.3, 1e-10, 1.0).double()
    u = solve(square.conducting(kappa), square.load, AffineConstraint.dirichlet(square.n, square.boundary[:1]))
    assert torch.isfinite(u).all()
    residual = square.conducting(kappa) @ u - square.load
    assert float(residual[square.boundary[0] + 1 :].abs().max()) < 1e-9 * float(u.abs().max())


def test_own_multigrid_stands_in_for_pyamg(square, monkeypatch):
    monkeypatch.setattr("meshlearn.fem.preconditioner.find_spec", lambda name: None)
    fixed, info = AffineConstraint.dirichlet(square.n, square.boundary), SolveInfo()
    u = solve(square.stiffness, square.load, fixed, method="cg", preconditioner="amg", info=info)
    assert info.iterations < 20
    assert torch.allclose(u, solve(square.stiffness, square.load, fixed, method="direct"), atol=1e-9)


def test_right_hand_sides_of_one_matrix_are_columns():
    A = unsymmetric(7)
    rows = torch.rand(3, 7, dtype=DOUBLE)
    with pytest.raises(ml.ParameterError, match=r"\(3, 7\)\n.*b\.t\(\)"):
        solve(A, rows)
    columns = solve(A, rows.t())
    assert torch.allclose(columns, torch.stack([solve(A, row) for row in rows], 1), rtol=1e-12)
    square = torch.rand(7, 7, dtype=DOUBLE)  # could be either: still columns
    assert torch.allclose(A @ solve(A, square), square, rtol=1e-10, atol=1e-12)
    assert torch.equal(solve(A, rows[0].numpy()), solve(A, rows[0]))
