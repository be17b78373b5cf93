"""Newton on derived tangents: exact solutions, hyperelasticity, gradients by the implicit function theorem."""

import math

import pytest
import torch

import meshlearn as ml
from meshlearn import fem
from meshlearn.fem import det, dot, grad, identity, inner, inverse, transpose


def neo_hookean(v, x):
    """Compressible neo-Hookean solid under a body force."""
    F = identity(grad(x.u)) + grad(x.u)
    turned = transpose(inverse(F))
    return inner(x.mu * (F - turned) + x.lam * torch.log(det(F)) * turned, grad(v)) - x.load * v[1]


@pytest.mark.parametrize("element", ["P1", "P2"])
def test_rate_of_a_quasilinear_problem(element):
    errors = []
    for n in (8, 16):
        space = fem.FESpace(ml.shapes.square(n=n), element)

        def exact(x):
            return torch.sin(math.pi * x[0]) * torch.sin(math.pi * x[1])

        def law(v, x):
            s, c = torch.sin(math.pi * x.points), torch.cos(math.pi * x.points)
            u = s[0] * s[1]
            square = math.pi**2 * ((c[0] * s[1]) ** 2 + (s[0] * c[1]) ** 2)
            load = (1 + u**2) * 2 * math.pi**2 * u - 2 * u * square  # -div((1 + u^2) grad u)
            return (1 + x.u**2) * dot(grad(x.u), grad(v)) - load * v

        u = fem.solve_nonlinear(space, law, space.dirichlet("boundary"), order=8)
        errors.append(space.norm(u, minus=exact).item())
    assert math.log2(errors[0] / errors[1]) == pytest.approx(space.degree + 1, abs=0.15)


def test_tangent_is_the_derivative_of_the_residual():
    space = fem.FESpace(ml.shapes.square(n=2), "P2^d")
    u = 0.05 * torch.rand(space.n_dofs, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    given = {"mu": 1.3, "lam": 2.0, "load": 0.0}

    def residual(u):
        return space.assemble(neo_hookean, u=space.function(u), **given)

    A = space.assemble(fem.tangent(neo_hookean), u=space.function(u), **given)
    jacobian = torch.autograd.functional.jacobian(residual, u)
    assert (A.to_dense() - jacobian).abs().max() < 1e-12 * jacobian.abs().max()


def test_newton_converges_quadratically_and_gradients_are_right():
    space = fem.FESpace(ml.shapes.square(n=4), "P2^d")
    clamped = space.dirichlet("left")
    mu = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)

    def tip(mu, info=None):
        u = fem.solve_nonlinear(space, neo_hookean, clamped, mu=mu, lam=2.0, load=-0.1, options={"info": info})
        return space.evaluate(u, torch.tensor([[1.0, 0.5]]))[0, 1]

    info = fem.NewtonInfo()
    (gradient,) = torch.autograd.grad(tip(mu, info), mu)
    last = info.residuals[-3:]
    assert last[2] < 1e-3 * last[1] < 1e-3 * last[0]
    with torch.no_grad():
        difference = (tip(mu + 1e-5) - tip(mu - 1e-5)) / 2e-5
    assert gradient.item() == pytest.approx(difference.item(), rel=1e-7)


def test_failure_carries_the_residuals():
    space = fem.FESpace(ml.shapes.square(n=3), "P1")
    with pytest.raises(ml.ConvergenceError) as caught:
        fem.solve_nonlinear(
            space, lambda v, x: dot(grad(x.u), grad(v)) - 60 * torch.exp(x.u) * v, space.dirichlet("boundary")
        )
    assert len(caught.value.residuals) > 1


def test_known_field_must_be_a_function_of_a_space():
    space = fem.FESpace(ml.shapes.square(n=2), "P1")
    with pytest.raises(ml.ParameterError, match=r"space.function"):
        space.assemble(fem.tangent(lambda v, x: x.u * v), u=torch.ones(space.mesh.n_cells))


def test_radiation_from_a_boundary_balances_the_sources():
    """-u'' = 0 on (0, 1) with u(0) = 2 and -u' = s u^4 at 1: u(1) solves 2 - w = s w^4, and u is linear."""
    space = fem.FESpace(ml.shapes.rectangle(1.0, 0.3, n=(4, 2), dtype=torch.float64), "P1")
    s = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)

    def warm(s, **options):
        return fem.solve_nonlinear(
            space,
            lambda v, x: dot(grad(x.u), grad(v)),
            space.dirichlet("left", 2.0),
            on={"right": lambda v, x: x.s * x.u**4 * v, ("top", "bottom"): lambda v, x: 0.0 * x[0] * v},
            s=s,
            options=options,
        )

    u = warm(s)
    w = u[space.dofs("right")][0]
    assert abs((2 - w - s * w**4).item()) < 1e-8
    torch.testing.assert_close(u, 2 + (w - 2) * space.dof_points[:, 0])
    (slope,) = torch.autograd.grad(w, s)
    torch.testing.assert_close(slope, (-(w**4) / (1 + 4 * s * w**3)).detach())
    info = fem.NewtonInfo()
    iterated = warm(s.detach(), method="cg", preconditioner="jacobi", info=info)
    torch.testing.assert_close(iterated, u.detach(), rtol=1e-8, atol=1e-8)
    assert info.iterations > 1


def test_terms_on_boundaries_are_those_of_one_assembled_by_hand():
    space = fem.FESpace(ml.shapes.square(n=4, dtype=torch.float64), "P2")
    bulk = lambda v, x: (1 + x.u**2) * dot(grad(x.u), grad(v)) - v  # noqa: E731
    side = lambda v, x: (x.u**3 + x.u - x[1]) * v  # noqa: E731
    u = fem.solve_nonlinear(space, bulk, on={"right": side})
    known = {"u": space.function(u)}
    force = space.assemble(bulk, **known) + space.assemble(side, on="right", **known)
    assert force.abs().max() < 1e-10
    with pytest.raises(ml.ParameterError, match=r"no form depends on x\.w"):
        fem.solve_nonlinear(space, lambda v, x: v, name="w", on={"right": lambda v, x: 2 * v})
