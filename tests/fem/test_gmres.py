"""GMRES solves what conjugate gradients cannot: any matrix, with an adjoint on the transposed one."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

import meshlearn as ml
from meshlearn import fem
from meshlearn.fem import FESpace, SolveInfo, dot, grad, solve
from meshlearn.fem.gmres import gmres
from meshlearn.fem.stacked import StackedOperator

DOUBLE = torch.float64


class Flow:
    """Convection and diffusion on the unit square: not symmetric."""

    def __init__(self, n=8, wind=20.0, element="P1"):
        self.space = FESpace(ml.shapes.square(n=n, dtype=DOUBLE), element)
        self.wind = torch.tensor([wind, -0.5 * wind], dtype=DOUBLE)
        self.load = self.space.assemble(lambda v, x: (1 + x[0]) * v)
        self.walls = self.space.dirichlet("left", 1.0)

    def matrix(self, k):
        wind = self.wind
        form = lambda u, v, x: x.k * dot(grad(u), grad(v)) + dot(wind, grad(u)) * v + u * v  # noqa: E731
        return self.space.assemble(form, k=k)


@pytest.mark.parametrize("preconditioner", [None, "jacobi", "amg", "ilu"])
def test_gmres_equals_the_direct_solver_in_values_and_gradients(preconditioner):
    flow = Flow()
    k = (0.5 + torch.rand(flow.space.mesh.n_cells, dtype=DOUBLE)).requires_grad_()
    b = flow.load.clone().requires_grad_()
    info = SolveInfo()
    options = {"method": "gmres", "preconditioner": preconditioner, "tolerance": 1e-12, "info": info}
    u = solve(flow.matrix(k), b, flow.walls, **options)
    wanted = solve(flow.matrix(k), b, flow.walls, method="direct")
    torch.testing.assert_close(u, wanted, rtol=1e-9, atol=1e-11)
    target = torch.cos(torch.arange(len(u)).double())
    for mine, exact in zip(
        torch.autograd.grad(target @ u, (k, b)), torch.autograd.grad(target @ wanted, (k, b)), strict=True
    ):
        torch.testing.assert_close(mine, exact, rtol=1e-8, atol=1e-11)
    assert info.method == "gmres"
    assert min(info.iterations, info.adjoint_iterations) > 1
    assert info.residuals[-1] <= 1e-12


def test_incomplete_factors_need_fewest_steps_where_the_wind_blows():
    flow, steps = Flow(n=24, wind=200.0), {}
    A = flow.matrix(torch.ones(flow.space.mesh.n_cells, dtype=DOUBLE))
    for preconditioner in (None, "ilu"):
        info = SolveInfo()
        solve(A, flow.load, flow.walls, method="gmres", preconditioner=preconditioner, info=info)
        steps[preconditioner] = info.iterations
    assert 4 * steps["ilu"] < steps[None]
    with pytest.raises(ml.ParameterError, match="method='gmres'"):
        solve(A, flow.load, flow.walls, method="cg")


def test_multigrid_of_the_symmetric_part_needs_as_many_steps_on_finer_meshes():
    steps = []
    for n in (12, 24, 48):
        flow, info = Flow(n=n, wind=5.0), SolveInfo()
        A = flow.matrix(torch.ones(flow.space.mesh.n_cells, dtype=DOUBLE))
        solve(A, flow.load, flow.walls, method="gmres", preconditioner="amg", info=info)
        steps.append(info.iterations)
    assert steps[-1] < 1.5 * steps[0] + 2, steps


def test_second_derivatives():
    flow = Flow(n=2, wind=3.0)
    k = (0.5 + torch.rand(flow.space.mesh.n_cells, dtype=DOUBLE)).requires_grad_()
    b = torch.rand(flow.space.n_dofs, 2, dtype=DOUBLE, requires_grad=True)
    run = lambda k, b: solve(flow.matrix(k), b, flow.walls, method="gmres", tolerance=1e-14)  # noqa: E731
    assert gradcheck(run, (k, b), fast_mode=True)
    assert gradgradcheck(run, (k, b), fast_mode=True)


def test_columns_and_stacks_are_solved_at_once():
    flow = Flow(n=5)
    k = 0.5 + torch.rand(3, flow.space.mesh.n_cells, dtype=DOUBLE)
    stack = flow.matrix(k)
    assert isinstance(stack, StackedOperator)
    both = solve(stack, flow.load, flow.walls, method="gmres", tolerance=1e-12)
    torch.testing.assert_close(both[1], solve(flow.matrix(k[1]), flow.load, flow.walls), rtol=1e-9, atol=1e-11)
    sides = torch.stack([flow.load, 0 * flow.load, torch.rand_like(flow.load)], 1)
    walls = flow.walls.homogeneous()
    found = solve(flow.matrix(k[0]), sides, walls, method="gmres", tolerance=1e-12)
    torch.testing.assert_close(found, solve(flow.matrix(k[0]), sides, walls), rtol=1e-9, atol=1e-11)
    assert bool((found[:, 1] == 0).all())


def test_a_null_space_of_a_matrix_that_is_not_symmetric():
    space = FESpace(ml.shapes.square(n=6, dtype=DOUBLE), "P1")
    around = space.periodic("left", "right") & space.periodic("bottom", "top")
    wind = torch.tensor([3.0, 1.0], dtype=DOUBLE)
    A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)) + dot(wind, grad(u)) * v)
    b = space.assemble(lambda v, x: torch.sin(2 * torch.pi * x[0]) * v)
    for preconditioner in (None, "jacobi"):
        options = {"nullspace": "constant", "tolerance": 1e-12}
        u = solve(A, b, around, method="gmres", preconditioner=preconditioner, **options)
        torch.testing.assert_close(u, solve(A, b, around, method="direct", **options), rtol=1e-8, atol=1e-10)


def test_restarts_go_on_from_what_there_is_and_stagnation_is_an_error():
    generator = torch.Generator().manual_seed(0)
    A = 4 * torch.eye(60, dtype=DOUBLE) + torch.randn(60, 60, dtype=DOUBLE, generator=generator) / 8
    b = torch.randn(60, 2, dtype=DOUBLE, generator=generator)
    x, report = gmres(lambda v: A @ v, b, restart=4, tolerance=1e-11)
    assert report.iterations > 4
    assert bool(((A @ x - b).norm(dim=0) <= 1e-11 * b.norm(dim=0)).all())
    assert all(a >= b * (1 - 1e-9) for a, b in zip(report.residuals[:4], report.residuals[1:4], strict=False))
    shift = torch.eye(60, dtype=DOUBLE).roll(1, 0)  # nothing is gained before all 60 directions are there
    with pytest.raises(ml.ConvergenceError, match="stagnates") as caught:
        gmres(lambda v: shift @ v, b[:, :1].new_tensor([1.0] + 59 * [0.0])[:, None], restart=10)
    assert len(caught.value.residuals) > 10
    with pytest.raises(ml.ConvergenceError, match="in 5 iterations"):
        gmres(lambda v: A @ v, b, max_iterations=5)


def test_newton_steps_by_gmres():
    flow = Flow(n=8)
    wind = flow.wind
    law = lambda v, x: (1 + x.u**2) * dot(grad(x.u), grad(v)) + dot(wind, grad(x.u)) * v - 5 * v  # noqa: E731
    fixed = flow.space.dirichlet("boundary", 0.0)
    wanted = fem.solve_nonlinear(flow.space, law, fixed)
    found = fem.solve_nonlinear(flow.space, law, fixed, options={"method": "gmres", "preconditioner": "ilu"})
    torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("preconditioner", [None, "jacobi", "amg", "ilu"])
@pytest.mark.parametrize("held", [False, True], ids=["no Dirichlet data", "one of two bodies is held"])
def test_rounding_of_a_huge_solution_is_not_taken_for_convergence(preconditioner, held):
    """A singular matrix and a right-hand side outside of its range: u grows until its rounding covers the residual."""
    one = ml.shapes.square(n=4, dtype=DOUBLE)
    points = torch.cat([one.points, one.points + torch.tensor([3.0, 0.0], dtype=DOUBLE)])
    cells = {"triangle": torch.cat([one.cells["triangle"], one.cells["triangle"] + one.n_points])}
    space = FESpace(ml.Mesh(points, cells), "P1")
    A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)))
    hold = space.dirichlet(lambda x: x[0] == 0.0, 0.0) if held else None
    for method in ("gmres", "minres", "cg"):
        with pytest.raises(ml.ConvergenceError):
            solve(A, space.assemble(lambda v, x: v), hold, method=method, preconditioner=preconditioner)
