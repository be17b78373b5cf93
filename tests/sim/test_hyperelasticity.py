"""Small loads, closed-form solutions, rigid motions, a patch test, a manufactured solution, gradients."""

import math

import numpy as np
import pytest
import torch

import meshlearn as ml
from meshlearn.fem.fields import HIDDEN, Argument
from meshlearn.fem.operators import grad, inner
from meshlearn.sim.domain import lagrange, quadrature_order
from meshlearn.sim.hyperelasticity import Equilibrium
from meshlearn.sim.neohooke import energy_density, first_piola
from meshlearn.sim.values import evaluate

YOUNG, RATIO = 10.0, 0.3
MU, BULK = YOUNG / 2.6, YOUNG * 0.3 / (1.3 * 0.4)
SOLIDS = ("tetra", "hexahedron")


def body(kind, n=2):
    mesh = ml.shapes.box(n=n, cells=kind) if kind in SOLIDS else ml.shapes.square(n=n + 1, cells=kind)
    mesh = mesh.double()
    inside = ~mesh.topology.is_boundary
    return mesh.replace(points=mesh.points + 0.03 * torch.randn_like(mesh.points) * inside[:, None])


def piola(f):
    return MU * (f - torch.linalg.inv(f).T) + BULK * torch.log(torch.linalg.det(f)) * torch.linalg.inv(f).T


def test_small_loads_agree_with_linear_elasticity():
    """Plane strain is plane stress with E / (1 - nu^2) and nu / (1 - nu)."""
    mesh = ml.shapes.square(n=4).double()
    held, small = {"left": (0.0, 0.0)}, 1e-6
    pull = {"right": lambda x: (small * (1 + x[1]), small * x[1] ** 2)}
    large = ml.sim.hyperelasticity(mesh, YOUNG, RATIO, held, pull, body_force=(0.0, -small))
    linear = ml.sim.elasticity(mesh, YOUNG / (1 - RATIO**2), RATIO / (1 - RATIO), held, pull, body_force=(0.0, -small))
    u, v = large.point_data["displacement"], linear.point_data["displacement"]
    assert float((u - v).norm() / v.norm()) < 1e-5
    s, t = large.point_data["stress"][:, [0, 1, 3]], linear.point_data["stress"]
    assert float((s - t).norm() / t.norm()) < 1e-5


@pytest.mark.parametrize("small", [1e-3, 1e-7, 1e-12])
def test_the_difference_from_linear_elasticity_is_of_second_order(small):
    """However small the load: nothing is lost to rounding, and Newton's method ends."""
    mesh, held = body("triangle"), {"left": (0.0, 0.0)}
    pull = {"right": (small, small / 2)}
    large = ml.sim.hyperelasticity(mesh, YOUNG, RATIO, held, pull)
    linear = ml.sim.elasticity(mesh, YOUNG / (1 - RATIO**2), RATIO / (1 - RATIO), held, pull)
    u, v = large.point_data["displacement"], linear.point_data["displacement"]
    assert float((u - v).norm() / v.norm()) < 3 * small + 1e-11
    work = torch.tensor([small, small / 2], dtype=torch.float64) @ mesh_integral(mesh, v) / 2
    assert float(large.global_data["stored_energy"]) == pytest.approx(float(work), rel=5 * small + 1e-3)


def mesh_integral(mesh, field):
    """Integral over the right side, x = 1, by the trapezium rule."""
    right = torch.nonzero(mesh.points[:, 0] == 1)[:, 0]
    right = right[mesh.points[right, 1].argsort()]
    return torch.trapezoid(field[right], mesh.points[right, 1], dim=0)


@pytest.mark.parametrize("kind", SOLIDS)
def test_small_loads_on_solids_agree_with_linear_elasticity(kind):
    arguments = (YOUNG, RATIO, {"left": (0.0, 0.0, 0.0)}, {"right": (0.0, 1e-6, 2e-6)})
    mesh = body(kind)
    found, expected = ml.sim.hyperelasticity(mesh, *arguments), ml.sim.elasticity(mesh, *arguments)
    for name in ("displacement", "stress", "von_mises"):
        assert float((found.point_data[name] - expected.point_data[name]).norm()) < 1e-4 * float(
            expected.point_data[name].norm()
        )


def lateral(stretch, power):
    """Lateral stretch s of a bar with mu (s^2 - 1) + lambda ln(stretch s^power) = 0, by bisection."""
    low, high = 0.01, 10.0
    for _ in range(100):
        middle = (low + high) / 2
        if MU * (middle**2 - 1) + BULK * math.log(stretch * middle**power) > 0:
            high = middle
        else:
            low = middle
    return low


@pytest.mark.parametrize("stretch", [0.4, 3.0])
@pytest.mark.parametrize("kind", ["triangle", "quad", *SOLIDS])
def test_uniaxial_stretch_is_the_analytic_solution(kind, stretch):
    mesh = body(kind)
    dim = mesh.dim
    across = lateral(stretch, dim - 1)
    sides = ("left", "bottom") if dim == 2 else ("left", "front", "bottom")
    held = {side: tuple(0.0 if k == axis else None for k in range(dim)) for axis, side in enumerate(sides)}
    held["right"] = (stretch - 1, *[None] * (dim - 1))
    found = ml.sim.hyperelasticity(mesh, YOUNG, RATIO, held, order=1)
    factors = torch.tensor([stretch, *[across] * (dim - 1)], dtype=torch.float64)
    torch.testing.assert_close(found.point_data["displacement"], mesh.points * (factors - 1), rtol=1e-7, atol=1e-8)
    volume = stretch * across ** (dim - 1)
    along = (MU * (stretch**2 - 1) + BULK * math.log(volume)) / volume
    out_of_plane = BULK * math.log(volume) / volume if dim == 2 else 0.0
    expected = torch.zeros_like(found.point_data["stress"])
    expected[:, 0], expected[:, 2] = along, out_of_plane
    torch.testing.assert_close(found.point_data["stress"], expected, rtol=1e-7, atol=1e-6)
    energy = MU / 2 * (factors.square().sum() - dim - 2 * math.log(volume)) + BULK / 2 * math.log(volume) ** 2
    torch.testing.assert_close(found.global_data["stored_energy"], energy, rtol=1e-7, atol=0)
    torch.testing.assert_close(found.point_data["energy"], energy.expand(mesh.n_points), rtol=1e-7, atol=0)


def test_a_traction_stretches_as_the_prescribed_displacement_does():
    stretch = 2.5
    across = lateral(stretch, 1)
    force = MU * (stretch - 1 / stretch) + BULK * math.log(stretch * across) / stretch
    mesh = body("triangle")
    found = ml.sim.hyperelasticity(
        mesh, YOUNG, RATIO, {"left": (0.0, None), "bottom": (None, 0.0)}, {"right": (force, 0.0)}, order=1
    )
    expected = mesh.points * torch.tensor([stretch - 1, across - 1], dtype=torch.float64)
    torch.testing.assert_close(found.point_data["displacement"], expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(("kind", "steps"), [("triangle", 1), ("quad", 3), ("hexahedron", 1)])
def test_a_turned_body_has_no_stress(kind, steps):
    mesh = body(kind)
    turn = torch.eye(mesh.dim, dtype=torch.float64)
    c, s = math.cos(2.0), math.sin(2.0)
    turn[:2, :2] = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
    found = ml.sim.hyperelasticity(mesh, YOUNG, RATIO, {"boundary": lambda x: turn @ x - x}, steps=steps)
    torch.testing.assert_close(found.point_data["displacement"], mesh.points @ turn.T - mesh.points)
    assert float(found.point_data["stress"].abs().max()) < 1e-8
    assert abs(float(found.global_data["stored_energy"])) < 1e-8


@pytest.mark.parametrize("kind", ["triangle", "quad", *SOLIDS])
@pytest.mark.parametrize("order", [1, 2])
def test_patch_test(kind, order):
    """Any linear deformation of the boundary goes on inside."""
    mesh = body(kind)
    slope = 0.4 * torch.randn(mesh.dim, mesh.dim, dtype=torch.float64)
    found = ml.sim.hyperelasticity(mesh, YOUNG, RATIO, {"boundary": lambda x: slope @ x}, order=order)
    torch.testing.assert_close(found.point_data["displacement"], mesh.points @ slope.T, rtol=1e-7, atol=1e-9)
    f = slope + torch.eye(mesh.dim, dtype=torch.float64)
    stress = piola(f) @ f.T / torch.linalg.det(f)
    axes = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2)) if mesh.dim == 3 else ((0, 0), (1, 1), (0, 1))
    columns = range(6) if mesh.dim == 3 else (0, 1, 3)
    for column, (i, j) in zip(columns, axes, strict=True):
        at_points = found.point_data["stress"][:, column]
        torch.testing.assert_close(at_points, stress[i, j].expand(mesh.n_points), rtol=1e-6, atol=1e-6)


def bulge(x):
    return 0.3 * torch.stack([torch.sin(2 * x[0]) * x[1], torch.cos(x[0] + x[1])])


def balancing_force(x):
    """-Div P(I + grad bulge), by automatic differentiation."""

    def first_piola(point):  # torch 2.13 differentiates linalg.det wrongly under vmap
        slope = torch.func.jacfwd(bulge)(point)
        (a, b), (c, d) = slope[0] + slope.new_tensor([1, 0]), slope[1] + slope.new_tensor([0, 1])
        volume = a * d - b * c
        back = torch.stack([torch.stack([d, -c]), torch.stack([-b, a])]) / volume
        return MU * (torch.stack([torch.stack([a, b]), torch.stack([c, d])]) - back) + BULK * volume.log() * back

    slopes = torch.func.vmap(torch.func.jacfwd(first_piola), in_dims=1)(x)  # (n, i, J, K)
    return -slopes.diagonal(dim1=2, dim2=3).sum(-1).t()


@pytest.mark.parametrize("cells", ["triangle", "quad"])
@pytest.mark.parametrize(("order", "least"), [(1, 2), (2, 3)])
def test_errors_fall_at_the_order_of_the_elements(cells, order, least):
    sizes, found = (4, 8, 16), []
    for n in sizes:
        mesh = ml.shapes.square(n=n, cells=cells).double()
        solved = ml.sim.hyperelasticity(
            mesh, YOUNG, RATIO, {"boundary": bulge}, body_force=balancing_force, order=order
        )
        error = (solved.point_data["displacement"] - bulge(mesh.points.t()).t()).square().sum(1)
        found.append(math.sqrt(float((mesh.point_measures() * error).sum())))
    rate = -np.polyfit(np.log(sizes), np.log(found), 1)[0]
    assert rate > least - 0.15, f"order {rate:.2f}, theory {least}: {found}"


def test_work_of_the_loads_is_the_energy():
    """The derivative of the stored energy in a prescribed stretch is the reaction, by the envelope theorem."""
    stretch = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    mesh = body("triangle")
    held = {"left": (0.0, None), "bottom": (None, 0.0), "right": (stretch, None)}
    found = ml.sim.hyperelasticity(mesh, YOUNG, RATIO, held, order=1)
    (force,) = torch.autograd.grad(found.global_data["stored_energy"], stretch)
    across = lateral(1.5, 1)
    expected = MU * (1.5 - 1 / 1.5) + BULK * math.log(1.5 * across) / 1.5
    assert force.item() == pytest.approx(expected, rel=1e-6)


def test_gradients_reach_constants_loads_supports_and_points():
    mesh = ml.shapes.square(n=2).double()

    def stored(young, ratio, pull, shift, points):
        moved = mesh.replace(points=points)
        held = {"left": (0.0, 0.0), "right": (shift, None)}
        found = ml.sim.hyperelasticity(moved, young, ratio, held, {"top": pull}, order=1)
        return found.point_data["displacement"].square().sum() + found.global_data["max_stress"]

    given = [
        torch.linspace(1.0, 2.0, mesh.n_points, dtype=torch.float64),
        torch.tensor(0.25, dtype=torch.float64),
        torch.tensor([0.1, 0.2], dtype=torch.float64),
        torch.tensor(0.2, dtype=torch.float64),
        mesh.points + 0.02 * torch.randn_like(mesh.points),
    ]
    given = [value.requires_grad_() for value in given]
    assert torch.autograd.gradcheck(stored, given, eps=1e-5, atol=1e-5, rtol=1e-3, fast_mode=True)


def test_load_steps_are_halved_until_they_converge(monkeypatch):
    """The far end is turned by 2 rad, which one step cannot do; the end does not depend on the steps."""
    beam = ml.shapes.rectangle(4.0, 1.0, n=(6, 2), cells="quad").double()
    c, s = math.cos(2.0), math.sin(2.0)
    end = {"left": (0.0, 0.0), "right": (lambda x: -s * (x[1] - 0.5) - 2, lambda x: (c - 1) * (x[1] - 0.5) + 2)}
    shares = []
    reached = Equilibrium.advance
    monkeypatch.setattr(Equilibrium, "advance", lambda self, u, share: shares.append(share) or reached(self, u, share))
    at_once = ml.sim.hyperelasticity(beam, 1.0, 0.3, end, order=1)
    assert shares == [1.0, 0.5, 1.0]
    in_steps = ml.sim.hyperelasticity(beam, 1.0, 0.3, end, order=1, steps=6)
    assert len(shares) == 9
    torch.testing.assert_close(
        at_once.point_data["displacement"], in_steps.point_data["displacement"], rtol=1e-7, atol=1e-8
    )


@pytest.mark.parametrize("kind", ["triangle", "quad", *SOLIDS])
@pytest.mark.parametrize("scale", [0.2, 1e-6])
def test_internal_forces_are_the_gradient_of_the_energy(kind, scale):
    space = lagrange(body(kind), 2 if kind == "triangle" else 1, 2 if kind in ("triangle", "quad") else 3)
    young, ratio = torch.tensor(YOUNG, dtype=torch.float64), torch.tensor(RATIO, dtype=torch.float64)
    u = (scale * 0.1 * torch.randn(space.n_dofs, dtype=torch.float64)).requires_grad_()
    order = quadrature_order(space)
    stored = space.assemble(lambda x: energy_density(x.u, young, ratio), order=order, u=space.function(u))
    force = space.assemble(
        lambda v, x: inner(first_piola(x.u, young, ratio), grad(v)), order=order, u=space.function(u.detach())
    )
    (slope,) = torch.autograd.grad(stored, u)
    assert float((slope - force).norm() / force.norm()) < (1e-12 if scale > 1e-3 else 1e-8)


@pytest.mark.parametrize("dim", [2, 3])
def test_the_law_is_that_of_the_books_and_keeps_its_digits(dim):
    """Against mu (F - F^-T) + lambda ln J F^-T; where F is close to I, against Hooke's law."""
    young, ratio = torch.tensor(YOUNG, dtype=torch.float64), torch.tensor(RATIO, dtype=torch.float64)
    eye, slope = torch.eye(dim, dtype=torch.float64), 0.2 * torch.randn(dim, dim, dtype=torch.float64)

    def found(slope):
        known = Argument(lambda name: slope.reshape(dim, dim, *[1] * HIDDEN), {"grad": (dim, dim)}, "u")
        return first_piola(known, young, ratio).reshape(dim, dim)

    torch.testing.assert_close(found(slope), piola(eye + slope), rtol=1e-12, atol=1e-12)
    for small in (1e-4, 1e-10):
        hooke = small * (MU * (slope + slope.T) + BULK * slope.trace() * eye)
        assert float((found(small * slope) - hooke).norm() / hooke.norm()) < 3 * small


def test_what_cannot_be_is_refused():
    mesh, held = ml.shapes.square(n=2).double(), {"left": (0.0, 0.0)}
    with pytest.raises(ml.ConvergenceError, match=r"beyond 0\.\d+ of the load") as caught:
        ml.sim.hyperelasticity(mesh, fixed={"left": (0.0, 0.0), "right": (-1.5, 0.0)}, order=1)
    assert caught.value.residuals
    for arguments, words in (
        ({}, "rigid body"),
        ({"fixed": held, "poisson": 0.5}, "Poisson"),
        ({"fixed": held, "young": lambda x: x[0] - 0.5}, "positive"),
        ({"fixed": held, "steps": 0}, "at least 1"),
        ({"fixed": {"left": (0.0, 0.0, 0.0)}}, "3 components"),
    ):
        with pytest.raises(ml.ParameterError, match=words):
            ml.sim.hyperelasticity(mesh, **arguments)


def test_values_are_evaluated_where_they_are_asked_for():
    points = torch.rand(5, 2)
    assert torch.equal(evaluate((1.0, 2.0), points, 2), torch.tensor([1.0, 2.0]).expand(5, 2))
    with pytest.raises(ml.ParameterError, match="does not fit"):
        evaluate((1.0, 2.0, 3.0), points, 2)
