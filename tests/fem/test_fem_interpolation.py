"""Interpolation is a projection, exact on what the space contains, of the right order on the rest, and commutes."""

import numpy as np
import pytest
import torch
from space_cases import PAIRS, SECOND, plain, uneven

import meshlearn as ml
from meshlearn.fem import FESpace, curl, derivative, div, dot, grad, inner

INTERPOLATING = [(element, kind) for element, kind in PAIRS if element != "N3" and kind != "wedge"]
VECTORS = ("RT0", "RT1", "BDM1", "N1", "N2")


def constant(space):
    return [1.0, -2.0, 0.5][: space.dim] if space.blocks[0].shapes(space.dim)["value"] else 3.0


@pytest.mark.parametrize(("element", "kind"), INTERPOLATING, ids=lambda x: x)
def test_interpolating_a_function_of_the_space_gives_its_dofs(element, kind):
    space = FESpace(uneven(kind, element=element), element)
    dofs = torch.rand(space.n_dofs, dtype=torch.float64)
    again = space.interpolate(space.function(dofs))
    continuous = element not in ("CR", "CCR", "Argyris") or (kind == "triangle" and element != "Argyris")
    assert (again - dofs).abs().max() < (1e-11 if continuous else 1e-8)


@pytest.mark.parametrize(("element", "kind"), INTERPOLATING, ids=lambda x: x)
def test_constants_are_reproduced(element, kind):
    space = FESpace(uneven(kind, element=element), element)
    wanted = constant(space)
    dofs = space.interpolate(wanted)
    if isinstance(wanted, list):
        wanted = lambda x: torch.tensor(constant(space), dtype=torch.float64)  # noqa: E731
    else:
        wanted = lambda x: 3.0 + 0 * x[0]  # noqa: E731
    exact = not (element == "RT0" and kind in ("quad", "hexahedron")) and not (element == "N1" and kind == "quad")
    if exact:
        assert space.norm(dofs, minus=wanted) < 1e-12


@pytest.mark.parametrize("element", ["Argyris", "Morley", "Hermite", "N3", "BFS", "MINI", "P2", "RT0"])
def test_projection_is_the_identity_on_the_space(element):
    space = FESpace(plain("quad", 3) if element == "BFS" else uneven("triangle", 3), element)
    dofs = torch.rand(space.n_dofs, dtype=torch.float64)
    assert (space.project(space.function(dofs)) - dofs).abs().max() < 1e-7
    assert space.norm(space.project(space.function(dofs)) - dofs) < 1e-10


@pytest.mark.parametrize(
    ("element", "order"),
    [("P1", 2), ("P2", 3), ("P3", 4), ("P4", 5), ("Argyris", 6), ("CR", 2), ("Hermite", 4), ("Morley", 3), ("BFS", 4)],
)
def test_errors_fall_at_the_order_of_the_space(element, order):
    wave = lambda x: torch.sin(3 * x[0]) * torch.cos(2 * x[1])  # noqa: E731
    sizes, errors = (4, 8, 16) if order < 5 else (4, 8), []
    for n in sizes:
        cells = "quad" if element == "BFS" else "triangle"
        space = FESpace(ml.shapes.square(n=n, cells=cells, dtype=torch.float64), element)
        errors.append(space.norm(space.interpolate(wave), minus=wave).item())
    rate = -np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert abs(rate - order) < 0.2, f"{element}: observed order {rate:.2f}, theory {order}, errors {errors}"


@pytest.mark.parametrize(
    ("element", "kind", "order"),
    [("RT0", "triangle", 1), ("RT0", "tetra", 1), ("RT0", "quad", 1), ("N1", "triangle", 1), ("N1", "tetra", 1),
     ("BDM1", "triangle", 2), ("RT1", "triangle", 2), ("N2", "triangle", 2), ("RT0", "hexahedron", 1)],
    ids=lambda x: str(x),
)  # fmt: skip
def test_errors_of_vector_fields_fall_at_the_order_of_the_space(element, kind, order):
    wave = lambda x: torch.stack([torch.sin(2 * x[-1]), torch.cos(x[0]) * x[1], x[0] * x[1]][: len(x.points)])  # noqa: E731
    sizes, errors = (4, 8), []
    for n in sizes:
        space = FESpace(plain(kind, n), element)
        errors.append(space.norm(space.interpolate(wave), minus=wave).item())
    rate = -np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert abs(rate - order) < 0.25, f"{element}: observed order {rate:.2f}, theory {order}, errors {errors}"


@pytest.mark.parametrize("kind", ["triangle", "tetra", "quad"])
def test_interpolation_commutes_with_the_gradient(kind):
    """The N1 interpolant of a gradient is the gradient of the P1 interpolant."""
    mesh = uneven(kind, 3)
    p1, n1 = FESpace(mesh, "P1"), FESpace(mesh, "N1")

    def value(x):
        return x[0] ** 2 * x[1] + x[-1]

    def slope(x):
        last = 1.0 if mesh.dim == 2 else 0.0
        return torch.stack([2 * x[0] * x[1], x[0] ** 2 + last, torch.ones_like(x[0])][: mesh.dim])

    wanted = derivative(p1, n1, "grad") @ p1.interpolate(value)
    assert (n1.interpolate(slope) - wanted).abs().max() < 1e-13


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
@pytest.mark.parametrize("element", ["RT0", "BDM1", "RT1"])
def test_interpolation_commutes_with_the_divergence(element, kind):
    """The divergence of the interpolant is the L2 projection of the divergence."""
    if element != "RT0" and kind == "tetra":
        pytest.skip("no such element")
    mesh = uneven(kind, 3)
    rt, p0 = FESpace(mesh, element), FESpace(mesh, "P1DG" if element == "RT1" else "P0")
    flux = lambda x: torch.stack([x[0] ** 2, x[0] * x[1], x[-1] ** 2][: len(x.points)])  # noqa: E731
    source = lambda x: 3 * x[0] + (2 * x[2] if len(x.points) == 3 else 0)  # noqa: E731
    made = derivative(rt, p0, "div") @ rt.interpolate(flux)
    if kind == "triangle":  # the second component there is x y, its derivative x
        flux_2d = lambda x: torch.stack([x[0] ** 2, x[0] * x[1]])  # noqa: E731
        made = derivative(rt, p0, "div") @ rt.interpolate(flux_2d)
    assert (made - p0.project(source)).abs().max() < 1e-11


def test_interpolation_commutes_with_the_curl():
    mesh = uneven("tetra", 3)
    n1, rt0 = FESpace(mesh, "N1"), FESpace(mesh, "RT0")
    field = lambda x: torch.stack([x[1] ** 2, x[0] * x[2], x[0] * x[1]])  # noqa: E731
    turned = lambda x: torch.stack([0 * x[0], -x[1], x[2] - 2 * x[1]])  # noqa: E731
    made = derivative(n1, rt0, "curl") @ n1.interpolate(field)
    assert (rt0.interpolate(turned) - made).abs().max() < 1e-13


@pytest.mark.parametrize("kind", ["triangle", "tetra", "quad", "hexahedron"])
def test_dofs_of_raviart_thomas_are_fluxes(kind):
    space = FESpace(uneven(kind), "RT0")
    field = lambda x: torch.stack([x[0], 2 * x[1], x[0] * x[-1]][: len(x.points)])  # noqa: E731
    flux = space.assemble(lambda x: dot(field(x), x.normal), on="right", order=4)
    facets = space.dofs("right")
    signs = ml.fem.dof_directions(space)[facets, 0].sign()
    scale = 2 if kind == "tetra" else 1  # scikit-fem's functions on tetrahedra have the flux 1 / 2
    assert abs((space.interpolate(field)[facets] * signs).sum() - scale * flux) < 1e-12


def test_values_at_nodes_are_kept_to_the_last_bit():
    mesh = uneven("tetra", 3)
    values = torch.rand(mesh.n_points, dtype=torch.float64)
    assert torch.equal(FESpace(mesh, "P1").interpolate(values), values)
    p2 = FESpace(mesh, "P2")
    assert torch.equal(p2.interpolate(lambda x: x[0]), p2.dof_points[:, 0])


def test_projection_of_a_batch_equals_a_loop_and_has_gradients():
    space = FESpace(uneven("triangle"), "P2")
    fields = torch.rand(3, space.mesh.n_cells, dtype=torch.float64, requires_grad=True)
    made = space.project(fields)
    assert torch.allclose(made[1], space.project(fields[1]), rtol=1e-12)
    assert torch.autograd.gradcheck(space.project, (fields,), fast_mode=True)
    total = space.integrate(made[0])
    areas = space.mesh.cell_measures()["triangle"]
    assert torch.allclose(torch.autograd.grad(total, fields)[0][0], areas, rtol=1e-10)


def test_composite_spaces_take_one_value_per_part():
    mesh = uneven("triangle")
    space, velocity, pressure = FESpace(mesh, ("P2^d", "P1")), FESpace(mesh, "P2^d"), FESpace(mesh, "P1")
    made = space.interpolate((lambda x: [x[1], 2.0], lambda x: x[0]))
    for k, (part, wanted) in enumerate(
        ((velocity, velocity.interpolate(lambda x: [x[1], 2.0])), (pressure, pressure.interpolate(lambda x: x[0])))
    ):
        function = space.function(made)
        distance = part.assemble(lambda x, k=k: inner(x.f[k] - x.g, x.f[k] - x.g), f=function, g=part.function(wanted))
        assert distance < 1e-24


@pytest.mark.parametrize("kind", SECOND)
def test_curved_cells_keep_constants_and_coordinates(kind):
    space = FESpace(uneven(kind, 1), "P2")
    assert space.norm(space.interpolate(2.0), minus=lambda x: 2.0 + 0 * x[0]) < 1e-13
    dofs = space.interpolate(lambda x: x[0])
    assert space.norm(dofs, minus=lambda x: x[0]) < 1e-13


def test_interpolants_have_gradients_in_values_and_points():
    mesh = uneven("triangle")
    points = mesh.points.clone().requires_grad_()
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)

    def dofs(points, scale):
        return FESpace(mesh.replace(points=points), "RT0").interpolate(lambda x: torch.stack([scale * x[0] ** 2, x[1]]))

    assert torch.autograd.gradcheck(dofs, (points, scale), fast_mode=True)


@pytest.mark.parametrize(
    ("element", "value", "words"),
    [
        ("P1", lambda x: x.points, "components"),
        ("P1", torch.rand(5), "shape"),
        ("RT0", lambda x: x[0], "components"),
        ("P1", lambda x: x, "Give one number"),
        ("P1", "pressure", "no field"),
        ("P1^d", [1.0, 2.0, 3.0], "components"),
        ("P1", 1j, "expected a number"),
    ],
)
def test_what_does_not_fit_is_refused(element, value, words):
    with pytest.raises(ml.FieldError, match=words):
        FESpace(plain("triangle", 3), element).interpolate(value)


def test_a_batch_is_projected_not_interpolated():
    space = FESpace(plain("triangle", 3), "P1")
    with pytest.raises(ml.FieldError, match="use project"):
        space.interpolate(torch.rand(2, space.mesh.n_cells))


def test_operators_of_known_functions_are_those_of_the_space():
    space = FESpace(uneven("tetra"), "N1")
    dofs = space.interpolate(lambda x: torch.stack([1 - x[1], x[0], 0 * x[0]]))
    error = space.assemble(lambda x: (curl(x.f)[2] - 2) ** 2 + (x.f[0] + x[1] - 1) ** 2, f=space.function(dofs))
    assert error < 1e-25
    rt0 = FESpace(space.mesh, "RT0")
    flow = rt0.function(rt0.interpolate(lambda x: x.points))
    assert abs(rt0.assemble(lambda x: div(x.f), f=flow) - 3) < 1e-12
    p2 = FESpace(space.mesh, "P2")
    square = p2.function(p2.interpolate(lambda x: x[0] ** 2))
    assert abs(p2.assemble(lambda x: grad(x.f)[0], f=square) - 1) < 1e-12


@pytest.mark.parametrize("kind", ["line", "triangle", "tetra"])
def test_bubbles_sit_in_the_middle_and_the_other_dofs_at_the_nodes(kind):
    mesh = plain(kind, 2)
    places = FESpace(mesh, "MINI").dof_points
    assert torch.equal(places[: mesh.n_points], mesh.points)
    torch.testing.assert_close(places[mesh.n_points :], mesh.cell_centroids()[kind])


@pytest.mark.parametrize("element", ["Hermite", "Argyris", "Morley", "BFS"])
def test_interpolation_reads_values_and_derivatives_at_places(element):
    """What a function does elsewhere plays no part: the dofs on the boundary are those of the boundary."""
    space = FESpace(plain("quad" if element == "BFS" else "triangle", 4), element)
    flat = lambda x: (torch.sin(torch.pi * x[0]) * torch.sin(torch.pi * x[1])) ** 3  # noqa: E731
    assert space.interpolate(flat)[space.dofs("boundary")].abs().max() < 1e-14
    assert space.project(flat)[space.dofs("boundary")].abs().max() > 1e-3
    dofs = space.interpolate(lambda x: x[0] ** 2 * x[1])
    at = torch.tensor([[0.5, 0.75]], dtype=torch.float64)
    corner = space.evaluate(dofs, at).item(), *space.evaluate(dofs, at, "grad")[0].tolist()
    if element != "Morley":
        assert corner == pytest.approx((0.1875, 0.75, 0.25))


def test_functions_without_derivatives_are_refused_where_dofs_are_derivatives():
    space = FESpace(plain("triangle"), "Hermite")
    for steps in (lambda x: (x[0] > 0.5) * 1.0, lambda x: torch.sin(x[0]).detach()):
        with pytest.raises(ml.FieldError, match="autograd cannot tell how"):
            space.interpolate(steps)
    with pytest.raises(ml.FieldError, match=r"dofs of .*Hermite.*space.project"):
        space.interpolate(torch.rand(space.mesh.n_points))
    assert torch.equal(space.interpolate(lambda x: torch.full_like(x[0], 2.0)), space.interpolate(2.0))
