"""Errors fall at the orders of the theory, and known numbers come out."""

import math

import numpy as np
import pytest
import torch

import meshlearn as ml
from meshlearn.fem import Dofs, FESpace, curl, div, dot, grad, hess, inner, solve

PI = math.pi


def order_of(errors, sizes):
    """Slope of log(error) against log(1 / n)."""
    return -np.polyfit(np.log(sizes), np.log([float(e) for e in errors]), 1)[0]


def square(n, kind="triangle"):
    return ml.shapes.square(n=n, cells=kind, dtype=torch.float64)


def cube(n, kind="tetra"):
    return ml.shapes.box(n=n, cells=kind, dtype=torch.float64)


def bump(x):
    return torch.stack([torch.sin(PI * c) for c in x.points]).prod(0)


def slope(x):
    waves = [torch.sin(PI * c) for c in x.points]
    made = []
    for k, c in enumerate(x.points):
        others = [w for j, w in enumerate(waves) if j != k]
        made.append(PI * torch.cos(PI * c) * torch.stack(others).prod(0))
    return torch.stack(made)


@pytest.mark.parametrize(
    ("element", "make", "sizes", "order", "room"),
    [
        ("P1", square, (8, 16, 32), 2, 0.1),
        ("P2", square, (4, 8, 16), 3, 0.1),
        ("P3", square, (4, 8), 4, 0.15),
        ("P1", cube, (4, 6, 8), 2, 0.2),
        ("P2", cube, (3, 6), 3, 0.2),
        ("P1", lambda n: square(n, "quad"), (8, 16, 32), 2, 0.1),
        ("P2", lambda n: square(n, "quad"), (4, 8, 16), 3, 0.1),
        ("P1", lambda n: cube(n, "hexahedron"), (4, 8), 2, 0.1),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_poisson_in_lagrange_spaces(element, make, sizes, order, room):
    values, gradients = [], []
    for n in sizes:
        space = FESpace(make(n), element)
        A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)))
        b = space.assemble(lambda v, x: x.mesh_dim * PI**2 * bump(x) * v, mesh_dim=float(space.dim), order=9)
        u = solve(A, b, space.dirichlet("boundary", 0.0))
        values.append(space.norm(u, minus=bump))
        gradients.append(space.norm(u, "H1-semi", minus={"grad": slope}))
    assert abs(order_of(values, sizes) - order) < room, values
    assert abs(order_of(gradients, sizes) - (order - 1)) < room, gradients


@pytest.mark.parametrize(("make", "sizes"), [(square, (8, 16, 32)), (cube, (3, 5, 7))], ids=["triangle", "tetra"])
def test_mixed_poisson_in_raviart_thomas_spaces(make, sizes):
    """Order 1 in the flux and in u; what leaves each cell is what is made in it, to rounding."""
    fluxes, values = [], []

    def source(x):
        return len(x.points) * PI**2 * bump(x)

    for n in sizes:
        mesh = make(n)
        space, p0, rt0 = FESpace(mesh, ("RT0", "P0")), FESpace(mesh, "P0"), FESpace(mesh, "RT0")
        A = space.assemble(lambda u, v, x: dot(u[0], v[0]) + u[1] * div(v[0]) + div(u[0]) * v[1])
        b = space.assemble(lambda v, x: source(x) * v[1], order=9)
        solution = solve(A, b)
        flux, u = space.split(solution)
        made = p0.assemble(lambda v, x: source(x) * v, order=9)
        left = p0.assemble(lambda v, x: div(x.s) * v, s=rt0.function(flux))
        assert (left - made).abs().max() < 1e-12
        fluxes.append(rt0.norm(flux, minus=lambda x: -slope(x)))
        values.append(p0.norm(u, minus=lambda x: -bump(x)))
    assert abs(order_of(fluxes, sizes) - 1) < 0.2, fluxes
    assert abs(order_of(values, sizes) - 1) < 0.2, values


@pytest.mark.parametrize(("element", "order"), [("BDM1", 2), ("RT1", 2)])
def test_fluxes_in_richer_spaces(element, order):
    sizes, errors = (4, 8, 16), []
    for n in sizes:
        scalar = "P0" if element == "BDM1" else "P1DG"
        mesh = square(n)
        space, flux_space = FESpace(mesh, (element, scalar)), FESpace(mesh, element)
        A = space.assemble(lambda u, v, x: dot(u[0], v[0]) + u[1] * div(v[0]) + div(u[0]) * v[1])
        b = space.assemble(lambda v, x: 2 * PI**2 * bump(x) * v[1], order=9)
        flux, _ = space.split(solve(A, b))
        errors.append(flux_space.norm(flux, minus=lambda x: -slope(x)))
    assert abs(order_of(errors, sizes) - order) < 0.15, errors


def field(x):
    """Tangential parts vanish on the boundary; curl curl of it is d pi^2 of it less a gradient that is zero here."""
    if len(x.points) == 2:
        return torch.stack([torch.sin(PI * x[1]), torch.sin(PI * x[0])])
    s = [torch.sin(PI * c) for c in x.points]
    return torch.stack([s[1] * s[2], s[0] * s[2], s[0] * s[1]])


def curl_of_field(x):
    c = [PI * torch.cos(PI * a) for a in x.points]
    if len(c) == 2:
        return c[0] - c[1]
    s = [torch.sin(PI * a) for a in x.points]
    return torch.stack([s[0] * (c[1] - c[2]), s[1] * (c[2] - c[0]), s[2] * (c[0] - c[1])])


@pytest.mark.parametrize(
    ("element", "make", "sizes", "order"),
    [("N1", square, (8, 16, 32), 1), ("N2", square, (4, 8, 16), 2), ("N1", cube, (3, 5, 7), 1)],
    ids=["N1-triangle", "N2-triangle", "N1-tetra"],
)
def test_curl_curl_in_nedelec_spaces(element, make, sizes, order):
    values, curls = [], []
    for n in sizes:
        space = FESpace(make(n), element)
        factor = 1 + PI**2 * (space.dim - 1)
        A = space.assemble(lambda u, v, x: inner(curl(u), curl(v)) + dot(u, v))
        b = space.assemble(lambda v, x: x.c * dot(field(x), v), c=factor, order=8)
        u = solve(A, b, space.dirichlet("boundary", 0.0))
        values.append(space.norm(u, minus=field))
        curls.append(space.norm(u, "Hcurl", minus={"value": field, "curl": curl_of_field}))
    assert abs(order_of(values, sizes) - order) < 0.2, values
    assert abs(order_of(curls, sizes) - order) < 0.2, curls


def test_stokes_in_taylor_hood_spaces():
    """Velocity order 3, pressure order 2; u = curl of sin^2 sin^2, p = cos x sin y."""
    sizes, velocities, pressures = (4, 8, 16), [], []

    def velocity(x):
        a, b = PI * x[0], PI * x[1]
        return torch.stack([PI * torch.sin(a) ** 2 * torch.sin(2 * b), -PI * torch.sin(b) ** 2 * torch.sin(2 * a)])

    def pressure(x):
        return torch.cos(PI * x[0]) * torch.sin(PI * x[1])

    def force(x):
        a, b = PI * x[0], PI * x[1]
        laplace = torch.stack(
            [
                2 * PI**3 * torch.sin(2 * b) * (2 * torch.cos(2 * a) - 1),
                -2 * PI**3 * torch.sin(2 * a) * (2 * torch.cos(2 * b) - 1),
            ]
        )
        gradient = PI * torch.stack([-torch.sin(a) * torch.sin(b), torch.cos(a) * torch.cos(b)])
        return -laplace + gradient

    for n in sizes:
        mesh = square(n)
        space, u_space, p_space = FESpace(mesh, ("P2^d", "P1")), FESpace(mesh, "P2^d"), FESpace(mesh, "P1")
        A = space.assemble(lambda u, v, x: inner(grad(u[0]), grad(v[0])) - u[1] * div(v[0]) - div(u[0]) * v[1])
        b = space.assemble(lambda v, x: dot(force(x), v[0]), order=8)
        walls = space.dirichlet("boundary", 0.0, component=0)
        corner = space.dirichlet(Dofs(torch.unique(space.block_dofs(1))[:1]), 0.0, component=1)
        solution = solve(A, b, walls & corner)
        u, p = space.split(solution)
        shift = p_space.assemble(lambda x: x.p - pressure(x), p=p_space.function(p), order=6)
        velocities.append(u_space.norm(u, minus=velocity))
        pressures.append(p_space.norm(p - shift, minus=pressure))
    assert abs(order_of(velocities, sizes) - 3) < 0.2, velocities
    assert order_of(pressures, sizes) > 1.9, pressures


@pytest.mark.parametrize("kind", ["triangle", "quad"])
def test_the_square_under_uniform_load(kind):
    """-Laplace u = 1, u = 0: integral 0.0351442537, u(1/2, 1/2) = 0.0736713533 (the series of sines, summed)."""
    space = FESpace(square(24, kind), "P2")
    A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)))
    u = solve(A, space.assemble(lambda v, x: v), space.dirichlet("boundary", 0.0))
    assert abs(space.integrate(u) - 0.0351442537) < 4e-7
    assert abs(space.evaluate(u, torch.tensor([[0.5, 0.5]])) - 0.0736713533) < 4e-7


def test_curved_cells_reach_third_order_on_a_disc():
    """u = (1 - r^2) / 4 on the unit disc, with P2 on cells whose boundary nodes lie on the circle."""
    errors, sizes = [], (6, 12, 24)
    for n in sizes:
        flat = ml.shapes.disc(size=2.0 / n, dtype=torch.float64)
        space = FESpace(ml.second_order(flat, project=dict.fromkeys(flat.cell_sets, on_circle)), "P2")
        A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)), order=5)
        u = solve(A, space.assemble(lambda v, x: v, order=5), space.dirichlet("boundary", 0.0))
        errors.append(space.norm(u, minus=lambda x: (1 - x[0] ** 2 - x[1] ** 2) / 4))
    assert order_of(errors, sizes) > 2.7, errors


def on_circle(points):
    return points / points.norm(dim=1, keepdim=True)


def test_plates_bend_at_the_order_of_morley():
    """A clamped plate, u = sin^2 sin^2: all dofs of the boundary, values and normal derivatives, are zero."""

    def exact(x):
        return torch.sin(PI * x[0]) ** 2 * torch.sin(PI * x[1]) ** 2

    def load(x):
        a, b = torch.cos(2 * PI * x[0]), torch.cos(2 * PI * x[1])
        return PI**4 * (8 * a * b - 4 * a * (1 - b) - 4 * b * (1 - a))

    sizes, errors = (8, 16, 32), []
    for n in sizes:
        space = FESpace(square(n), "Morley")
        A = space.assemble(lambda u, v, x: inner(hess(u), hess(v)))
        clamp = space.dirichlet("boundary", 0.0, part="clamped")
        u = solve(A, space.assemble(lambda v, x: load(x) * v, order=12), clamp)
        errors.append(space.norm(u, minus=exact))
    assert abs(order_of(errors, sizes) - 2) < 0.2, errors
