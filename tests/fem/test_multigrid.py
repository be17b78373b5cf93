import pytest
import torch
from multigrid_cases import (
    checkerboard,
    dirichlet,
    elasticity,
    interior,
    iterations,
    pcg,
    square,
    stiffness,
    unit_square,
)
from torch.testing import assert_close

import meshlearn as ml
from meshlearn.errors import ParameterError
from meshlearn.fem import dot, grad
from meshlearn.fem.gauss_seidel import GaussSeidel
from meshlearn.fem.hierarchy import Hierarchy
from meshlearn.fem.learned_smoothers import LearnedDiagonal, LearnedPolynomial
from meshlearn.fem.multigrid import SMOOTHERS, VCycle
from meshlearn.fem.smoothers import Chebyshev
from meshlearn.fem.system import SolveInfo
from meshlearn.mesh.refinement import refine

ALL = sorted(SMOOTHERS)


def nested(levels, coarse=None, kappa=None):
    """Dirichlet problem on `levels` refinements; the coarsest mesh has inner points."""
    made = Hierarchy.refined(coarse or refine(unit_square()), levels)
    fine = made.meshes[0]
    return made.restricted(interior(fine)).with_matrix(dirichlet(fine, kappa))


@pytest.fixture(scope="module")
def poisson():
    """Interior unknowns 225, 961, 3969, 16129."""
    return [nested(levels) for levels in (3, 4, 5, 6)]


@pytest.fixture(scope="module")
def small():
    mesh = ml.shapes.disc(size=0.3, dtype=torch.float64)
    return Hierarchy.from_matrix(dirichlet(mesh, checkerboard), backend="own", max_coarse=10)


def asymptotic(vcycle, steps=25):
    """Factor per cycle of the slowest error."""
    A = vcycle.hierarchy.matrices[0]
    e = torch.randn(A.n_rows, dtype=A.dtype)
    with torch.no_grad():
        for _ in range(steps):
            e = e - vcycle(A @ e)
            e = e / e.norm()
        return float(vcycle.contraction(e, 3))


# -- numbers ---------------------------------------------------------------------------------------------------------


def test_gauss_seidel_cycles_need_nine_or_ten_iterations_at_any_size(poisson):
    assert [levels.sizes[0] for levels in poisson] == [225, 961, 3969, 16129]
    assert [iterations(VCycle(levels, "gauss-seidel")) for levels in poisson] == [9, 10, 10, 10]


@pytest.mark.parametrize(("smoother", "most"), [("jacobi", 13), ("chebyshev", 7), ("learned-polynomial", 7)])
def test_iterations_do_not_grow_with_the_mesh(poisson, smoother, most):
    counts = [iterations(VCycle(levels, smoother)) for levels in poisson]
    assert max(counts) <= most
    assert max(counts) - min(counts) <= 2
    assert pcg(poisson[2].matrices[0], torch.ones(3969, dtype=torch.float64)) > 110  # without a preconditioner


@pytest.mark.parametrize("smoother", ["gauss-seidel", "jacobi", "chebyshev"])
def test_contraction_does_not_depend_on_the_level(poisson, smoother):
    factors = [asymptotic(VCycle(levels, smoother)) for levels in poisson[:3]]
    assert max(factors) < (0.48 if smoother == "jacobi" else 0.45)
    assert max(factors) - min(factors) < 0.05


@pytest.mark.parametrize("backend", ["own", "pyamg"])
def test_smoothed_aggregation_with_symmetric_sweeps(poisson, backend):
    if backend == "pyamg":
        pytest.importorskip("pyamg", reason="pip install 'meshlearn[amg]'")
    counts = []
    for levels in poisson:
        algebraic = Hierarchy.from_matrix(levels.matrices[0], backend=backend, max_coarse=10)
        counts.append(iterations(VCycle(algebraic, GaussSeidel(sweep="symmetric"))))
    assert all(abs(a - b) <= 1 for a, b in zip(counts, (8, 10, 12, 14), strict=True)), counts


@pytest.mark.parametrize("coarse", ["quad", "tetra", "hexahedron", "line"])
def test_other_cells(coarse):
    meshes = {
        "quad": lambda: square(2, cells="quad"),
        "tetra": lambda: ml.shapes.cylinder(dtype=torch.float64),
        "hexahedron": lambda: ml.shapes.box(n=2, cells="hexahedron", dtype=torch.float64),
        "line": lambda: ml.shapes.interval(n=2, dtype=torch.float64),
    }
    made = Hierarchy.refined(meshes[coarse](), 3 if coarse in ("quad", "line") else 2)
    fine = made.meshes[0]
    levels = made.restricted(interior(fine)).with_matrix(dirichlet(fine))
    assert iterations(VCycle(levels, "gauss-seidel")) <= 11


@pytest.mark.parametrize("smoother", ALL)
def test_unstructured_meshes_with_jumps_through_aggregation(smoother):
    mesh = ml.shapes.plate_with_holes([(0.3, 0.3, 0.1), (0.7, 0.6, 0.15)], size=0.04, dtype=torch.float64)
    A = dirichlet(mesh, checkerboard)
    plain = pcg(A, torch.ones(A.n_rows, dtype=A.dtype))
    assert iterations(VCycle(Hierarchy.from_matrix(A, backend="own", max_coarse=20), smoother)) < plain / 4


def test_elasticity_with_rigid_motions():
    A, rigid = elasticity(square(24))
    options = {"block_size": 2, "backend": "own", "max_coarse": 60}
    knowing = Hierarchy.from_matrix(A, near_nullspace=rigid, **options)
    b = torch.ones(A.n_rows, dtype=A.dtype)
    counts = [pcg(A, b, VCycle(levels)) for levels in (knowing, Hierarchy.from_matrix(A, **options))]
    assert counts[0] <= 18 < counts[1]
    assert counts[0] < pcg(A, b) / 5


# -- a symmetric positive definite linear map ------------------------------------------------------------------------


def dense(vcycle):
    with torch.no_grad():
        return vcycle(torch.eye(vcycle.hierarchy.sizes[0], dtype=torch.float64))


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("smoother", ALL)
def test_it_is_symmetric_positive_definite_and_convergent(small, smoother, steps):
    vcycle = VCycle(small, smoother, pre=steps, post=steps)
    B = dense(vcycle)
    assert_close(B, B.T, rtol=1e-6, atol=1e-12)
    root = torch.linalg.cholesky(small.matrices[0].to_dense())
    spectrum = torch.linalg.eigvalsh(root.T @ B @ root)
    assert float(spectrum[0]) > 0
    assert float(spectrum[-1]) < 1 + 1e-6, "the error operator of a symmetric cycle is positive semidefinite"


def test_cycles_with_unequal_steps_say_that_they_are_not_symmetric(small):
    vcycle = VCycle(small, "jacobi", pre=2, post=0)
    assert not vcycle.symmetric
    B = dense(vcycle)
    assert float((B - B.T).abs().max()) > 1e-3 * float(B.abs().max())


@pytest.mark.parametrize("smoother", ["learned-diagonal", "learned-polynomial"])
@pytest.mark.parametrize("seed", range(3))
def test_learned_cycles_stay_definite_for_any_parameters(small, smoother, seed):
    torch.manual_seed(seed)
    vcycle = VCycle(small, smoother)
    for parameter in vcycle.parameters():
        torch.nn.init.normal_(parameter, std=3.0)
    root = torch.linalg.cholesky(small.matrices[0].to_dense())
    spectrum = torch.linalg.eigvalsh(root.T @ dense(vcycle) @ root)
    assert float(spectrum[0]) > 0
    assert float(spectrum[-1]) < 1 + 1e-6


@pytest.mark.parametrize("smoother", ALL)
def test_it_is_linear_and_takes_many_right_hand_sides(small, smoother):
    vcycle = VCycle(small, smoother)
    r = torch.randn(small.sizes[0], 3, dtype=torch.float64)
    together = vcycle(r)
    assert_close(together, torch.stack([vcycle(column) for column in r.T], 1), rtol=1e-9, atol=1e-12)
    assert_close(vcycle(r[:, 0] - 2 * r[:, 1]), together[:, 0] - 2 * together[:, 1], rtol=1e-9, atol=1e-12)


def test_one_level_is_the_exact_solve():
    A = dirichlet(square(5))
    levels = Hierarchy.from_matrix(A, backend="own")
    assert levels.n_levels == 1
    x = torch.randn(A.n_rows, dtype=A.dtype)
    assert_close(VCycle(levels)(A @ x), x)


def test_pure_neumann_problems_work_on_the_complement_of_the_constants():
    mesh = square(16)
    A = stiffness(mesh)
    b = mesh.points[:, 0] - 0.5
    b = b - b.mean()
    for levels in (
        Hierarchy.from_matrix(A, backend="own", max_coarse=10),
        Hierarchy.from_meshes([square(4), square(8), mesh], matrix=A),
    ):
        assert pcg(A, b, VCycle(levels)) <= 12


# -- gradients and learning ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoother", ["learned-diagonal", "learned-polynomial"])
def test_gradients_to_residual_and_parameters(smoother):
    levels = nested(1)
    vcycle = VCycle(levels, smoother).double()
    for parameter in vcycle.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    names = [name for name, _ in vcycle.named_parameters()]
    r = torch.randn(levels.sizes[0], dtype=torch.float64, requires_grad=True)

    def act(r, *parameters):
        return torch.func.functional_call(vcycle, dict(zip(names, parameters, strict=True)), (r,))

    assert torch.autograd.gradcheck(act, (r, *vcycle.parameters()))


@pytest.mark.parametrize("smoother", ["jacobi", "chebyshev", "gauss-seidel"])
def test_gradient_to_the_residual_is_the_cycle_itself(small, smoother):
    """A symmetric map is its own transpose."""
    vcycle = VCycle(small, smoother)
    r, g = torch.randn(2, small.sizes[0], dtype=torch.float64)
    (found,) = torch.autograd.grad(vcycle(r.requires_grad_()) @ g, r)
    assert_close(found, vcycle(g), rtol=1e-9, atol=1e-12)


def test_gradients_to_the_values_of_the_matrix():
    """The learned smoothers are scaled by row sums: every dependence on A is in the graph."""
    levels, r = nested(1), torch.randn(9, dtype=torch.float64)
    A = levels.matrices[0]
    smoother = LearnedPolynomial(2)
    values = A.values + 0.01  # off the kinks of |a_ij|

    def act(v):
        return VCycle(levels.with_matrix(A.with_values(v)), smoother)(r)

    assert torch.autograd.gradcheck(act, values.requires_grad_(), atol=1e-4)


def train(smoother, hierarchies, steps=40, rate=0.06):
    cycles = [VCycle(levels, smoother) for levels in hierarchies]
    optimizer = torch.optim.Adam(smoother.parameters(), rate)
    for _ in range(steps):
        errors = [torch.randn(cycle.hierarchy.sizes[0], 4, dtype=torch.float64) for cycle in cycles]
        loss = sum(cycle.contraction(e, 4) for cycle, e in zip(cycles, errors, strict=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("smoother", [LearnedDiagonal(), LearnedPolynomial(1)], ids=["diagonal", "polynomial"])
def test_training_on_small_problems_saves_iterations_on_large_ones(smoother):
    double = {"dtype": torch.float64}
    problems = [
        (lambda n: square(10 * n), None),
        (lambda n: ml.shapes.rectangle(8.0, 1.0, n=(12 * n, 12 * n), **double), None),
        (lambda n: ml.shapes.disc(size=0.15 / n, **double), checkerboard),
    ]

    def levels(n):
        return [Hierarchy.from_matrix(dirichlet(m(n), k), backend="own", max_coarse=20) for m, k in problems]

    large = [VCycle(one, smoother) for one in levels(3)]
    before = [iterations(cycle) for cycle in large]
    train(smoother, levels(1))
    after = [iterations(cycle) for cycle in large]
    assert all(a <= b for a, b in zip(after, before, strict=True)), (before, after)
    assert sum(after) <= sum(before) - 4, (before, after)


# -- the module ------------------------------------------------------------------------------------------------------


def test_other_levels_share_the_parameters(small, poisson):
    first = VCycle(small, LearnedPolynomial(2))
    second = first.with_hierarchy(poisson[0])
    assert first.smoother is second.smoother
    assert set(first.state_dict()) == {"smoother.logits"}
    third = VCycle(poisson[1], LearnedPolynomial(2))
    third.load_state_dict(first.state_dict())


def test_dtype_moves_with_the_module(poisson):
    vcycle = VCycle(poisson[0], "chebyshev").float()
    assert vcycle.hierarchy.matrices[-1].dtype == torch.float32
    r = torch.ones(225)
    assert vcycle(r).dtype == torch.float32
    assert_close(vcycle(r).double(), VCycle(poisson[0], "chebyshev")(r.double()), rtol=1e-4, atol=1e-6)


def test_single_precision_preconditions_double(poisson):
    levels = poisson[1]
    cheap = VCycle(levels, "chebyshev").float()
    b = torch.ones(961, dtype=torch.float64)
    assert cheap(b).dtype == torch.float64
    assert pcg(levels.matrices[0], b, cheap) <= 7


def test_with_spaces_constraints_and_the_solver():
    """-Laplace u = 1 on the unit square; integral of u from its series."""
    levels = Hierarchy.refined(square(2), 5)
    space = ml.fem.FESpace(levels.meshes[0], "P1")
    A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)))
    b = space.assemble(lambda v, x: 1.0 * v)
    clamp = space.dirichlet("boundary", 0.0)
    vcycle = VCycle(levels.restricted(clamp.free).with_matrix(clamp.reduce(A)))
    info = SolveInfo()
    u = ml.fem.solve(A, b, clamp, method="cg", preconditioner=vcycle, tolerance=1e-8, info=info)
    assert info.iterations <= 8
    assert abs(float(u @ b) - 0.0351442537) < 5e-5


@pytest.mark.gpu
@pytest.mark.parametrize("smoother", ["jacobi", "chebyshev", "learned-diagonal", "learned-polynomial"])
def test_cuda_equals_cpu(poisson, smoother):
    vcycle = VCycle(poisson[1], smoother)
    r = torch.randn(961, 2, dtype=torch.float64)
    expected = vcycle(r)
    assert_close(vcycle.cuda()(r.cuda()).cpu(), expected, rtol=1e-8, atol=1e-10)
    assert vcycle.hierarchy.matrices[0].device.type == "cuda"
    levels = Hierarchy.refined(square(3).to("cuda"), 2)
    assert_close(levels.prolongations[0].values.cpu(), Hierarchy.refined(square(3), 2).prolongations[0].values)


def test_errors_name_what_is_wrong(small, poisson):
    with pytest.raises(ParameterError, match="no matrices"):
        VCycle(Hierarchy.refined(unit_square(), 1))
    with pytest.raises(ParameterError, match="smoother='ilu'"):
        VCycle(small, "ilu")
    with pytest.raises(ParameterError, match="pre=0, post=0"):
        VCycle(small, pre=0, post=0)
    with pytest.raises(ParameterError, match=r"\(225, k\).*got \(7,\)"):
        VCycle(poisson[0])(torch.ones(7, dtype=torch.float64))
    A = dirichlet(square(6))
    shifted = A.with_values(A.values - 3.0 * (A.adjacency.receivers == A.index))
    with pytest.raises(ParameterError, match=r"eigenvalues from -"):
        VCycle(Hierarchy.from_matrix(shifted, backend="own"))
    dense = A.to_dense()
    slanted = ml.ops.SparseOperator.from_dense(dense + 0.1 * torch.diag(torch.ones(len(dense) - 1), 1).double())
    with pytest.raises(ParameterError, match="symmetric matrix"):
        VCycle(Hierarchy.from_matrix(slanted, backend="own"))
    with pytest.raises(ParameterError, match="more than 4000"):
        VCycle(Hierarchy(prolongations=(), matrices=(dirichlet(square(65)),)))
    with pytest.raises(ParameterError, match="steps=0"):
        VCycle(small, Chebyshev(2)).contraction(torch.ones(small.sizes[0], dtype=torch.float64), 0)
