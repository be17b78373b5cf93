"""Values at points are exact for what the space contains, whatever the points, and differentiable in everything."""

import pytest
import torch
from space_cases import SECOND, plain, uneven
from torch.autograd import gradcheck, gradgradcheck

import meshlearn as ml
from meshlearn.fem import FESpace, dot, grad, solve

KINDS = ("line", "triangle", "quad", "tetra", "hexahedron")


def places(dim, n=60):
    return torch.rand(n, dim, dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("element", ["P1", "P2", "P1DG"])
def test_polynomials_are_evaluated_exactly(element, kind):
    space = FESpace(uneven(kind, 3), element)
    quadratic = element == "P2" and kind not in ("quad", "hexahedron")

    def value(x):
        return x[0] * (1 - x[-1]) if quadratic else 2 * x[0]

    points = places(space.dim)
    made = space.evaluate(space.interpolate(value), points)
    assert (made - value(points.t())).abs().max() < 1e-13
    slope = space.evaluate(space.interpolate(lambda x: 2 * x[0] - x[-1]), points, "grad")
    wanted = torch.zeros(space.dim, dtype=torch.float64)
    wanted[0], wanted[-1] = 2.0, -1.0 + 2.0 * (space.dim == 1)
    assert (slope - wanted).abs().max() < 1e-11


@pytest.mark.parametrize("kind", SECOND)
def test_curved_cells_are_inverted(kind):
    space = FESpace(uneven(kind, 2), "P1")
    points = places(space.dim)
    coordinates = FESpace(space.mesh, "P2").interpolate(lambda x: x[0])
    assert (FESpace(space.mesh, "P2").evaluate(coordinates, points) - points[:, 0]).abs().max() < 1e-12
    assert space.evaluate(space.interpolate(1.0), points).sub(1).abs().max() < 1e-12


@pytest.mark.parametrize(("element", "kind"), [("RT0", "triangle"), ("RT0", "tetra"), ("BDM1", "triangle"),
                                               ("N1", "triangle"), ("N1", "tetra"), ("N2", "triangle")])  # fmt: skip
def test_vector_fields_and_their_derivatives(element, kind):
    space = FESpace(uneven(kind, 3), element)
    part, wanted = "div", torch.tensor(float(space.dim))
    if element[0] == "N":
        part, wanted = "curl", torch.tensor([0.0, 0.0, 2.0]) if space.dim == 3 else torch.tensor(2.0)

    def field(x):
        if part == "curl":
            return torch.stack([1 - x[1], x[0], 0 * x[0]][: len(x)])
        return torch.stack([1 + x[0], *x[1:]])

    dofs = space.interpolate(lambda x: field(x.points))
    points = places(space.dim)
    assert (space.evaluate(dofs, points) - field(points.t()).t()).abs().max() < 1e-12
    assert (space.evaluate(dofs, points, part) - wanted).abs().max() < 1e-10


@pytest.mark.parametrize("element", ["Argyris", "Morley", "Hermite"])
def test_elements_known_on_the_cells_only(element):
    space = FESpace(uneven("triangle", 3), element)
    dofs = space.project(lambda x: 1 + x[0] - 2 * x[1])
    points = places(2)
    assert (space.evaluate(dofs, points) - (1 + points[:, 0] - 2 * points[:, 1])).abs().max() < 1e-9
    slope = space.evaluate(dofs, points, "grad")
    assert (slope - torch.tensor([1.0, -2.0])).abs().max() < 1e-8


def test_scikit_fem_gives_the_same_values():
    space = FESpace(uneven("triangle", 3), "P2^d")
    dofs, points = torch.rand(space.n_dofs, dtype=torch.float64), places(2)
    wanted = space.basis().probes(points.numpy().T) @ dofs.numpy()
    made = space.evaluate(dofs, points)
    assert abs(made.t().reshape(-1).numpy() - wanted.reshape(-1)).max() < 1e-12


def test_a_batch_of_functions_equals_a_loop():
    space = FESpace(uneven("quad", 3), "P1^d")
    dofs, points = torch.rand(4, space.n_dofs, dtype=torch.float64), places(2)
    made = space.evaluate(dofs, points)
    assert made.shape == (4, 60, 2)
    assert all(torch.allclose(one, space.evaluate(u, points), rtol=1e-14) for one, u in zip(made, dofs, strict=True))


def test_points_outside_are_an_error_the_nearest_value_or_nan():
    space = FESpace(plain("triangle", 4), "P1")
    dofs = space.interpolate(lambda x: x[0] + 10 * x[1])
    points = torch.tensor([[0.5, 0.5], [2.0, 0.25], [0.25, -1.0]], dtype=torch.float64)
    with pytest.raises(ml.FieldError, match=r"2 of 3 points lie outside the mesh, the first, point 1, by 1 at \(2"):
        space.evaluate(dofs, points)
    assert torch.allclose(space.evaluate(dofs, points, outside="nearest"), torch.tensor([5.5, 3.5, 0.25]).double())
    made = space.evaluate(dofs, points, outside="nan")
    assert made.isnan().tolist() == [False, True, True]
    both = space.evaluate(dofs, points, "grad", outside="nan")
    assert both[0].tolist() == pytest.approx([1.0, 10.0])
    assert both[1:].isnan().all()


@pytest.mark.parametrize("kind", ["triangle6", "quad9"])
def test_points_outside_curved_meshes_get_the_nearest_value(kind):
    space = FESpace(plain(kind), "P2")
    dofs = space.interpolate(lambda x: x[0] + 10 * x[1])
    made = space.evaluate(dofs, torch.tensor([[2.0, 0.3]], dtype=torch.float64), outside="nearest")
    assert abs(made - 4.0) < 1e-10


def test_corners_and_sides_belong_to_the_mesh():
    space = FESpace(uneven("tetra", 3), "P1")
    dofs = space.interpolate(lambda x: x[2])
    assert (space.evaluate(dofs, space.mesh.points) - space.mesh.points[:, 2]).abs().max() < 1e-13


def test_no_points_give_no_values():
    space = FESpace(plain("triangle"), "RT0")
    assert space.evaluate(torch.zeros(space.n_dofs), torch.zeros(0, 2)).shape == (0, 2)
    assert space.evaluate(torch.zeros(3, space.n_dofs), torch.zeros(0, 2), "div").shape == (3, 0)


@pytest.mark.parametrize(
    ("element", "kind", "part"),
    [("P2", "triangle", "value"), ("P2", "triangle", "grad"), ("RT0", "triangle", "value"), ("N1", "tetra", "curl"),
     ("P1", "quad", "grad"), ("RT0", "quad", "value"), ("P1", "triangle6", "value"), ("P2", "hexahedron", "value")],
)  # fmt: skip
def test_derivatives_in_dofs_places_and_mesh_points(element, kind, part):
    mesh = uneven(kind, 1)
    moving, x = mesh.points.clone().requires_grad_(), 0.1 + 0.8 * places(mesh.dim, 3)
    dofs = torch.rand(FESpace(mesh, element).n_dofs, dtype=torch.float64, requires_grad=True)
    fixed = FESpace(mesh, element).evaluate(dofs.detach(), x, part)

    def values(dofs, x, moving):
        return FESpace(mesh.replace(points=moving), element).evaluate(dofs, x, part)

    inputs = (dofs, x.requires_grad_(), moving)
    assert (values(*inputs) - fixed).abs().max() < 1e-12
    assert gradcheck(values, inputs, fast_mode=True, atol=1e-5)
    assert gradgradcheck(values, inputs, fast_mode=True, atol=1e-4)


def test_sensors_that_stay_while_the_mesh_moves():
    """A linear function keeps its values at fixed places, however the inner points move: the gradient is zero."""
    mesh = uneven("triangle", 3)
    points = mesh.points.clone().requires_grad_()
    space = FESpace(mesh.replace(points=points), "P1")
    A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)))
    u = solve(A, space.assemble(lambda v, x: 0.0 * v), space.dirichlet("boundary", lambda x: x[0] - 3 * x[1]))
    (slope,) = torch.autograd.grad(space.evaluate(u, places(2)).square().sum(), points)
    inside = torch.ones(mesh.n_points, dtype=torch.bool)
    inside[mesh.boundary_points] = False
    assert slope[inside].abs().max() < 1e-11


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda s: s.evaluate(torch.zeros(3), places(2)), ml.FieldError, "dofs have shape"),
        (lambda s: s.evaluate(torch.zeros(s.n_dofs), places(3)), ml.FieldError, "points have shape"),
        (lambda s: s.evaluate(torch.zeros(s.n_dofs), places(2), "div"), ml.ParameterError, "has no div"),
        (lambda s: s.evaluate(torch.zeros(s.n_dofs), places(2), outside="no"), ml.ParameterError, "outside="),
        (lambda s: s.evaluate(torch.zeros(s.n_dofs), places(2) * torch.nan), ml.MeshError, "not finite"),
        (
            lambda s: s.with_element(("P1", "P0")).evaluate(torch.zeros(17), places(2)),
            ml.ParameterError,
            "part by part",
        ),
        (lambda s: (n := s.with_element("N3")).evaluate(torch.zeros(n.n_dofs), places(2)), ml.ParameterError, "P4"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call(FESpace(plain("triangle"), "P1"))


@pytest.mark.slow
def test_a_million_points_need_little_memory():
    """scikit-fem's probes ask for 32 GiB for 66 049 points on as many cells."""
    import resource

    space = FESpace(ml.shapes.square(n=128, dtype=torch.float64), "P1")
    dofs = space.interpolate(lambda x: x[0] - 2 * x[1])
    points = places(2, 1_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    made = space.evaluate(dofs, points)
    used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert (made - points[:, 0] + 2 * points[:, 1]).abs().max() < 1e-12
    assert used < 1500, f"{used:.0f} MiB"


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_divergence_and_curl_of_lagrange_vectors(kind):
    space = FESpace(uneven(kind), "P2^d")
    points = torch.rand(7, space.dim, dtype=torch.float64)
    x = points.t()
    flow = (lambda x: [x[0] ** 2, x[0] * x[1]]) if space.dim == 2 else (lambda x: [x[1] ** 2, x[2] * x[0], x[2]])
    dofs = torch.stack([space.interpolate(flow), 2 * space.interpolate(flow)])
    if space.dim == 2:
        div, curl = 3 * x[0], x[1]
    else:
        div, curl = torch.ones_like(x[0]), torch.stack([-x[0], 0 * x[0], x[2] - 2 * x[1]], -1)
    for part, wanted in (("div", div), ("curl", curl)):
        made = space.evaluate(dofs, points, part)
        assert torch.allclose(made, torch.stack([wanted, 2 * wanted]), atol=1e-12)
    scalar = FESpace(space.mesh, "P2")
    with pytest.raises(ml.ParameterError, match="has no div: its functions have value, grad, of components"):
        scalar.evaluate(torch.zeros(scalar.n_dofs), points, "div")
    if space.dim == 2:
        turned = scalar.evaluate(scalar.interpolate(lambda x: x[0] * x[1]), points, "curl")
        assert torch.allclose(turned, torch.stack([x[0], -x[1]], -1), atol=1e-12)


def test_places_outside_are_told_at_the_scale_of_the_mesh():
    mesh = plain("triangle")
    space = FESpace(mesh.replace(points=1e-9 * mesh.points), "P1")
    with pytest.raises(ml.FieldError, match=r"by 1e-11 at \(1.01e-09, 0\)"):
        space.evaluate(torch.zeros(9), torch.tensor([[1.01e-9, 0.0]]))
