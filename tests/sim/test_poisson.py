"""Manufactured solutions: the errors fall at the orders that theory gives, and simple solutions are exact."""

import math

import numpy as np
import pytest
import torch

import meshlearn as ml
from meshlearn.sim.domain import boundaries, lagrange
from meshlearn.sim.poisson import poisson_unknowns

pi = math.pi
SOLIDS = ("tetra", "hexahedron")


def wave(x):
    return torch.sin(pi * x[0]) * torch.cos(2 * x[1]) + x[0]


def stiffness(x):
    return 1.0 + x[0] * x[1]


def slope(x):
    across = pi * torch.cos(pi * x[0]) * torch.cos(2 * x[1]) + 1.0
    return across, -2 * torch.sin(pi * x[0]) * torch.sin(2 * x[1])


def source(x):
    """-div(k grad u) for the wave and k = 1 + x y."""
    across, up = slope(x)
    laplace = -(pi**2 + 4) * torch.sin(pi * x[0]) * torch.cos(2 * x[1])
    return -(x[1] * across + x[0] * up + stiffness(x) * laplace)


def errors(space):
    """L2 and H1 (semi-norm) error of the manufactured problem with values left and right, fluxes below and above."""
    right = {"top": lambda x: stiffness(x) * slope(x)[1], "bottom": lambda x: -stiffness(x) * slope(x)[1]}
    solution = poisson_unknowns(space, source, stiffness, dirichlet={"left": wave, "right": wave}, neumann=right)

    exact = {"value": wave, "grad": slope}  # one way to write functions, in forms and here
    return [space.norm(solution, kind, minus=exact).item() for kind in ("L2", "H1-semi")]


@pytest.mark.parametrize("cells", ["triangle", "quad"])
@pytest.mark.parametrize("order", [1, 2])
def test_errors_fall_at_the_order_of_the_elements(cells, order):
    sizes = (8, 16, 32)
    found = [errors(lagrange(ml.shapes.square(n=n, cells=cells).double(), order)) for n in sizes]
    in_l2, in_h1 = -np.polyfit(np.log(sizes), np.log(found), 1)[0]
    assert abs(in_l2 - (order + 1)) < 0.1, f"L2 order {in_l2:.2f}, theory {order + 1}: {found}"
    assert abs(in_h1 - order) < 0.1, f"H1 order {in_h1:.2f}, theory {order}: {found}"


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron"])
@pytest.mark.parametrize("order", [1, 2])
def test_linear_solutions_are_exact_with_their_flux(kind, order):
    mesh = ml.shapes.box(n=(2, 2, 2), cells=kind) if kind in SOLIDS else ml.shapes.square(n=3, cells=kind)
    mesh = mesh.double()
    direction = torch.arange(1.0, mesh.dim + 1, dtype=torch.float64)
    everywhere = dict.fromkeys(boundaries(lagrange(mesh)), lambda x: direction @ x)
    solved = ml.sim.poisson(mesh, conductivity=2.0, dirichlet=everywhere, order=order)
    torch.testing.assert_close(solved.point_data["u"], mesh.points @ direction)
    torch.testing.assert_close(solved.point_data["u_flux"], (-2 * direction).expand(mesh.n_points, -1))


def test_a_rod_is_solved_exactly_at_its_points():
    x = torch.linspace(0, 1, 6, dtype=torch.float64)[:, None]
    ends = {"left": {"vertex": [0]}, "right": {"vertex": [1]}}
    rod = ml.Mesh(x, {"line": [[i, i + 1] for i in range(5)], "vertex": [[0], [5]]}, cell_sets=ends)
    solved = ml.sim.poisson(rod, source=2.0, dirichlet={"left": 0.0, "right": 0.0})
    torch.testing.assert_close(solved.point_data["u"], (x * (1 - x))[:, 0])


def test_a_point_field_is_a_source_by_name_and_by_value():
    mesh = ml.shapes.square(n=4).double()
    mesh = mesh.with_point_data(heat=1 + mesh.points[:, 0])
    cold = {"left": 0.0}
    by_name = ml.sim.poisson(mesh, "heat", dirichlet=cold).point_data["u"]
    by_value = ml.sim.poisson(mesh, mesh.point_data["heat"], dirichlet=cold).point_data["u"]
    by_function = ml.sim.poisson(mesh, lambda x: 1 + x[0], dirichlet=cold).point_data["u"]
    learned = mesh.point_data["heat"].clone().requires_grad_()
    by_graph = ml.sim.poisson(mesh, learned, dirichlet={"left": 0 * learned.sum()}).point_data["u"]
    assert torch.equal(by_name, by_value)
    assert torch.equal(by_graph, by_value)
    torch.testing.assert_close(by_name, by_function)


def test_a_point_set_may_be_held():
    mesh = ml.shapes.square(n=4).double()
    mesh = mesh.replace(point_sets={"pin": [0]})
    solved = ml.sim.poisson(mesh, dirichlet={"pin": 3.0})
    torch.testing.assert_close(solved.point_data["u"], torch.full_like(mesh.points[:, 0], 3.0))


def test_the_result_has_the_dtype_of_the_points():
    for mesh in (ml.shapes.square(n=2).float(), ml.shapes.square(n=2).double()):
        assert ml.sim.poisson(mesh, 1.0, dirichlet={"left": 0.0}).point_data["u"].dtype == mesh.dtype


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, ml.ParameterError, "fix one boundary"),
        ({"dirichlet": {"lid": 0.0}}, ml.FieldError, r"no boundary named 'lid'(.*\n)+.*made in memory"),
        ({"dirichlet": {"left": 0.0}, "conductivity": -1.0}, ml.ParameterError, "positive"),
        ({"dirichlet": {"left": 0.0}, "source": "heat"}, ml.FieldError, "no point field 'heat'"),
        ({"dirichlet": {"left": 0.0}, "source": torch.zeros(3)}, ml.ParameterError, "does not fit"),
        ({"dirichlet": {"left": 0.0}, "source": torch.full((9,), torch.nan)}, ml.FieldError, "9 values .* not finite"),
        ({"dirichlet": {"left": float("nan")}}, ml.ParameterError, "not finite"),
        ({"dirichlet": {"left": 0.0}, "order": 3}, ml.ParameterError, "1 or 2"),
        ({"dirichlet": {"left": lambda x: x[:, 1]}}, ml.ParameterError, "would be the first place"),
        ({"dirichlet": 0.0}, ml.ParameterError, r"dirichlet=\{'left'"),
        ({"dirichlet": {"left": "hot"}}, ml.ParameterError, "'hot' was given"),
        ({"dirichlet": {"left": 0.0}, "source": lambda x: x[:, 0]}, ml.ParameterError, "would be the first place"),
        ({"dirichlet": {"left": 0.0}, "source": lambda x: x}, ml.ParameterError, "would be the first place"),
        ({"dirichlet": {"left": 0.0}, "source": lambda x: math.sin(x[0])}, ml.ParameterError, "torch.sin"),
    ],
)
def test_errors_say_what_is_wrong(arguments, error, words):
    with pytest.raises(error, match=words):
        ml.sim.poisson(ml.shapes.square(n=2), **arguments)


def test_mixed_cells_and_surfaces_are_refused():
    with pytest.raises(ml.TopologyError, match="one first-order cell type"):
        ml.sim.poisson(ml.shapes.square(n=2, cells="mixed"), dirichlet={"left": 0.0})
    with pytest.raises(ml.TopologyError, match="as many coordinates"):
        ml.sim.poisson(ml.shapes.sphere(refine=1), dirichlet={"left": 0.0})


def test_two_places_in_the_plane_do_not_hide_rows():
    """On a square of two cells a side has as many points as there are coordinates."""
    mesh = ml.shapes.square(n=1).double()
    solved = ml.sim.poisson(mesh, dirichlet={"left": 0.0, "right": lambda x: x[1]})
    torch.testing.assert_close(solved.point_data["u"], mesh.points[:, 0] * mesh.points[:, 1])
    for side in ("right", "boundary"):
        with pytest.raises(ml.ParameterError, match="would be the first place"):
            ml.sim.poisson(mesh, dirichlet={side: lambda x: x[:, 1]})
