import pytest
import torch
from multigrid_cases import checkerboard, dirichlet, elasticity, square
from torch.testing import assert_close

import meshlearn as ml
from meshlearn.errors import ParameterError
from meshlearn.fem.gauss_seidel import GaussSeidel
from meshlearn.fem.learned_smoothers import LearnedDiagonal, LearnedPolynomial
from meshlearn.fem.smoothers import Chebyshev, Jacobi, Smoother
from meshlearn.fem.spectrum import largest_eigenvalue, row_sums
from meshlearn.ops import SparseOperator

MAKE = {
    "jacobi": Jacobi,
    "chebyshev": lambda: Chebyshev(degree=4),
    "forward": GaussSeidel,
    "sor": lambda: GaussSeidel(omega=1.4),
    "symmetric": lambda: GaussSeidel(sweep="symmetric"),
    "diagonal": LearnedDiagonal,
    "polynomial": lambda: LearnedPolynomial(degree=4),
}


@pytest.fixture(scope="module", params=["squares", "checkerboard", "elasticity"])
def A(request):
    if request.param == "elasticity":
        return elasticity(square(4))[0]
    mesh = ml.shapes.disc(size=0.25, dtype=torch.float64)
    return dirichlet(square(6)) if request.param == "squares" else dirichlet(mesh, checkerboard)


def matrix_of(smoother, A, adjoint=False):
    """S as a dense matrix."""
    act = smoother.adjoint if adjoint else smoother
    with torch.no_grad():
        return act(A, smoother.setup(A), torch.eye(A.n_rows, dtype=A.dtype))


@pytest.mark.parametrize("name", MAKE)
def test_adjoint_is_the_transpose(name, A):
    smoother = MAKE[name]()
    assert_close(matrix_of(smoother, A, adjoint=True), matrix_of(smoother, A).T, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", MAKE)
def test_one_step_shrinks_every_error_in_the_energy_norm(name, A):
    root = torch.linalg.cholesky(A.to_dense()).T  # |e|_A = |root e|
    S, n = matrix_of(MAKE[name](), A), A.n_rows
    error = root @ (torch.eye(n, dtype=A.dtype) - S @ A.to_dense()) @ torch.linalg.inv(root)
    assert float(torch.linalg.matrix_norm(error, 2)) < 1.0


@pytest.mark.parametrize("make", [LearnedDiagonal, LearnedPolynomial], ids=["diagonal", "polynomial"])
@pytest.mark.parametrize("seed", range(5))
def test_learned_smoothers_stay_positive_and_convergent_for_any_parameters(make, seed, A):
    torch.manual_seed(seed)
    smoother = make()
    for parameter in smoother.parameters():
        torch.nn.init.normal_(parameter, std=3.0)
    S = matrix_of(smoother, A)
    assert_close(S, S.T, rtol=1e-6, atol=1e-12)
    root = torch.linalg.cholesky(A.to_dense())
    spectrum = torch.linalg.eigvalsh(root.T @ S @ root)
    assert float(spectrum[0]) > 0
    assert float(spectrum[-1]) < 2


def test_chebyshev_has_the_residual_polynomial_of_the_fourth_kind():
    """For a diagonal matrix scaled by its own diagonal S A = I - q(A / D) acts entry by entry; here D = 1, A has 2 x 2
    blocks with eigenvalues 1 - s, 1 + s and rho = 1 + s."""
    degree, s = 5, 0.9
    A = SparseOperator.from_dense(torch.tensor([[1.0, s], [s, 1.0]], dtype=torch.float64))
    found = torch.linalg.eigvalsh(torch.eye(2) - matrix_of(Chebyshev(degree), A) @ A.to_dense())
    angle = torch.acos(1 - 2 * torch.tensor([1 - s, 1 + s], dtype=torch.float64) / largest_eigenvalue(A))
    kind4 = torch.sin((degree + 0.5) * angle) / torch.sin(angle / 2) / (2 * degree + 1)
    assert_close(found, kind4.sort()[0], rtol=0, atol=1e-9)


def test_untrained_learned_smoothers_are_the_classical_ones():
    """On the five-point matrix the row sums of inner rows are twice the diagonal, the largest eigenvalue nearly so."""
    A = SparseOperator.from_dense(torch.tensor([[1.0, 1.0], [1.0, 1.0]], dtype=torch.float64) + 1e-3 * torch.eye(2))
    assert_close(matrix_of(LearnedPolynomial(3), A), matrix_of(Chebyshev(3), A), rtol=2e-3, atol=1e-6)
    assert_close(matrix_of(LearnedDiagonal(), A), matrix_of(Jacobi(4 / 3), A), rtol=2e-3, atol=1e-6)


def test_gauss_seidel_solves_the_triangle(A):
    lower = torch.tril(A.to_dense(), -1) + torch.diag(A.diagonal() / 1.4)
    assert_close(matrix_of(GaussSeidel(omega=1.4), A), torch.linalg.inv(lower), rtol=1e-9, atol=1e-12)


def test_the_eigenvalue_estimate_is_an_upper_bound_but_not_far(A):
    scale = A.diagonal().rsqrt()
    exact = float(torch.linalg.eigvalsh(scale[:, None] * A.to_dense() * scale)[-1])
    assert exact <= largest_eigenvalue(A) <= 1.12 * exact
    assert largest_eigenvalue(A) <= float((row_sums(A) / A.diagonal()).max()) + 1e-12


@pytest.mark.parametrize("name", ["forward", "symmetric", "polynomial"])
def test_gradients_through_the_residual(name):
    A = dirichlet(square(4))
    smoother = MAKE[name]()
    constants = smoother.setup(A)
    r = torch.randn(A.n_rows, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda r: smoother(A, constants, r), r)


@pytest.mark.parametrize("make", [LearnedDiagonal, LearnedPolynomial], ids=["diagonal", "polynomial"])
def test_gradients_to_the_parameters(make):
    A = dirichlet(ml.shapes.disc(size=0.6, dtype=torch.float64))
    smoother = make().double()
    r = torch.randn(A.n_rows, dtype=torch.float64)
    parameters = tuple(smoother.parameters())

    def act(*values):
        names = dict(zip((name for name, _ in smoother.named_parameters()), values, strict=True))
        return torch.func.functional_call(smoother, names, (A, smoother.setup(A), r))

    assert torch.autograd.gradcheck(act, parameters)


def test_errors_name_what_is_wrong():
    A = dirichlet(square(4))
    for make in (lambda: Jacobi(2.0), lambda: GaussSeidel(omega=0.0), lambda: GaussSeidel(sweep="backward")):
        with pytest.raises(ParameterError, match=r"weight=2|omega=0|sweep='backward'"):
            make()
    for make in (lambda: Chebyshev(0), lambda: LearnedPolynomial(0), lambda: LearnedDiagonal(0)):
        with pytest.raises(ParameterError, match="=0: expected 1 or more"):
            make()
    with pytest.raises(ParameterError, match="no gradients to the matrix"):
        GaussSeidel().setup(A.with_values(A.values.clone().requires_grad_()))
    with pytest.raises(ParameterError, match="diagonal entry of row 0"):
        Jacobi().setup(A.with_values(-A.values))
    with pytest.raises(NotImplementedError, match="no setup"):
        Smoother().setup(A)
