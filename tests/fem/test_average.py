"""Mean values among the constraints: their weights move with the points of the mesh, and derivatives count that."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

import meshlearn as ml
from meshlearn.fem import AffineConstraint, FESpace, dot, grad, solve, solve_nonlinear
from meshlearn.ops import SparseOperator

DOUBLE = torch.float64
MESH = ml.shapes.square(n=2, dtype=DOUBLE)


def others(kind: str) -> AffineConstraint:
    if kind == "dirichlet":
        return AffineConstraint.dirichlet(9, torch.tensor([0, 3]), torch.tensor([0.2, -0.1], dtype=DOUBLE))
    if kind == "periodic":
        return AffineConstraint.periodic(9, torch.tensor([2, 5]), torch.tensor([0, 3]))
    return AffineConstraint.none(9)


@pytest.mark.parametrize("kind", ["none", "dirichlet", "periodic"])
@pytest.mark.parametrize("reaction", [0.0, 1.0], ids=["singular", "regular"])
def test_derivatives_with_respect_to_the_weights(kind, reaction):
    space = FESpace(MESH, "P1")
    A = space.assemble(lambda u, v, x: (1 + x[0]) * dot(grad(u), grad(v)) + x.r * u * v, r=reaction)
    w = space.assemble(lambda v, x: (1 + x[1]) * v).requires_grad_()
    b = space.assemble(lambda v, x: torch.sin(3 * x[0]) * v).requires_grad_()

    def run(w, b):
        return solve(A, b, others(kind) & AffineConstraint.mean_zero(w, 0.3))

    u = run(w, b)
    assert abs(float((w @ u).detach()) - 0.3) < 1e-14
    assert torch.equal(u, solve(A, b.detach(), others(kind) & AffineConstraint.mean_zero(w.detach(), 0.3)))
    if kind == "dirichlet":
        assert u[[0, 3]].tolist() == [0.2, -0.1]
    assert gradcheck(run, (w, b))
    assert gradgradcheck(run, (w, b))


def test_the_pressure_of_an_enclosed_flow_follows_the_points():
    """Without the motion of the weights the pressure at a point is off by a fifth."""
    inner = (~MESH.topology.is_boundary)[:, None]
    direction = torch.tensor([0.3, -0.2], dtype=DOUBLE) * inner

    def pressure(step):
        space = FESpace(MESH.replace(points=MESH.points + step * direction), ("P2^d", "P1"))
        A = space.assemble(
            lambda u, v, x: ml.fem.inner(grad(u[0]), grad(v[0])) - u[1] * ml.fem.div(v[0]) - v[1] * ml.fem.div(u[0])
        )
        mean = AffineConstraint.mean_zero(space.assemble(lambda v, x: (1 + x[0]) * v[1]))
        walls = space.dirichlet("boundary", 0.0, component=0)
        u = solve(A, space.assemble(lambda v, x: x[0] * x[1] * v[0][0]), walls & mean)
        return space.split(u)[1][0]

    step = torch.zeros((), dtype=DOUBLE, requires_grad=True)
    (slope,) = torch.autograd.grad(pressure(step), step)
    with torch.no_grad():
        difference = (pressure(torch.tensor(1e-5)) - pressure(torch.tensor(-1e-5))) / 2e-5
    assert float(slope) == pytest.approx(float(difference), rel=1e-6)


def test_newton_follows_the_weights():
    space = FESpace(MESH, "P1")
    w = space.assemble(lambda v, x: (1 + x[1]) * v).requires_grad_()
    law = lambda v, x: (1 + x.u**2) * dot(grad(x.u), grad(v)) - torch.sin(3 * x[0]) * v  # noqa: E731

    def run(w):
        mean = others("dirichlet") & AffineConstraint.mean_zero(w, 0.3)
        return solve_nonlinear(space, law, mean, options={"tolerance": 1e-13})

    target = torch.cos(torch.arange(9.0, dtype=DOUBLE))
    (slope,) = torch.autograd.grad(target @ run(w), w)
    with torch.no_grad():
        along = torch.linspace(0.5, 1.0, 9, dtype=DOUBLE)
        difference = target @ (run(w + 1e-5 * along) - run(w - 1e-5 * along)) / 2e-5
    assert float(slope @ along) == pytest.approx(float(difference), rel=1e-6)


def test_weights_without_a_derivative_are_refused():
    w = torch.linspace(1, 2, 9, dtype=DOUBLE, requires_grad=True)
    with pytest.raises(ml.ParameterError, match="two mean values"):
        AffineConstraint.mean_zero(w) & AffineConstraint.mean_zero(w * torch.linspace(0, 1, 9, dtype=DOUBLE))
    row = SparseOperator.from_coo(torch.tensor([0, 0]), torch.tensor([5, 6]), w[:2], (1, 9))
    with pytest.raises(ml.ParameterError, match="C requires a gradient"):
        AffineConstraint.linear(row, 0.0)
    with pytest.raises(ml.ParameterError, match="weights require a gradient"):
        AffineConstraint.periodic(9, torch.tensor([0]), torch.tensor([1]), w[:1])


def test_rows_of_linear_constraints_are_sparse_operators():
    with pytest.raises(ml.ParameterError, match="from_dense"):
        AffineConstraint.linear(torch.ones(1, 9), 0.0)
