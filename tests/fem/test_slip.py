"""Slip walls: nothing goes through, everything that slides along is free, and turning the mesh turns the solution."""

import math

import pytest
import torch
from space_cases import curved, plain

import meshlearn as ml
from meshlearn.fem import FESpace, div, dot, grad, inner, solve, sym

DOUBLE = torch.float64


def turn(angle):
    return torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=DOUBLE)


def turned(mesh, angle):
    return mesh.replace(points=mesh.points @ turn(angle).T)


def flux(space, u, on):
    return space.assemble(lambda x: dot(x.u, x.normal).abs(), on=on, u=space.function(u))


@pytest.mark.parametrize(("element", "kind"), [("P1^d", "triangle"), ("P2^d", "triangle"), ("P2^d", "quad")])
@pytest.mark.parametrize("angle", [0.0, 0.3, 2.0])
def test_nothing_goes_through_straight_walls_and_only_one_component_is_lost(element, kind, angle):
    space = FESpace(turned(plain(kind, 3), angle), element)
    wall = space.slip("left")
    u = wall.expand(torch.rand(wall.n_free, dtype=DOUBLE))
    assert flux(space, u, "left") < 1e-14
    assert flux(space, u, "right") > 0.1
    assert wall.n - wall.n_free == len(space.dofs("left")) // 2
    along = space.interpolate((turn(angle) @ torch.tensor([0.0, 1.0], dtype=DOUBLE)).tolist())
    torch.testing.assert_close(wall.impose(along), along)
    assert (wall.free is not None) == (angle == 0.0), "walls parallel to an axis are prescribed components"


def test_corners_of_one_name_belong_to_both_walls():
    for angle in (0.0, 0.4):
        space = FESpace(turned(plain("triangle", 3), angle), "P2^d")
        wall = space.slip("boundary")
        assert wall.n - wall.n_free == 4 * 2 + 4 * 5
        u = wall.expand(torch.rand(wall.n_free, dtype=DOUBLE))
        corners = turned(plain("triangle", 1), angle).points
        assert space.evaluate(u, corners).abs().max() < 1e-14


def test_edges_and_corners_of_a_turned_box():
    mesh = plain("tetra", 2)
    rotation = torch.linalg.matrix_exp(torch.tensor([[0, 0.3, -0.2], [-0.3, 0, 0.7], [0.2, -0.7, 0]], dtype=DOUBLE))
    space = FESpace(mesh.replace(points=mesh.points @ rotation.T), "P2^d")
    wall = space.slip("boundary")
    assert wall.n - wall.n_free == 8 * 3 + 12 * 3 * 2 + 6 * 9
    u = wall.expand(torch.rand(wall.n_free, dtype=DOUBLE))
    assert flux(space, u, "boundary") < 1e-13
    one = space.slip(["left", "bottom"])
    assert flux(space, one.expand(torch.rand(one.n_free, dtype=DOUBLE)), ["left", "bottom"]) < 1e-13


def test_a_turning_disc_slides_along_its_wall():
    angle = torch.arange(24, dtype=DOUBLE) * (2 * math.pi / 24)
    ring = torch.stack([angle.cos(), angle.sin()], 1)
    fan = torch.stack([torch.zeros(24, dtype=torch.int64), torch.arange(24) + 1, (torch.arange(24) + 1) % 24 + 1], 1)
    mesh = ml.Mesh(torch.cat([torch.zeros(1, 2, dtype=DOUBLE), ring]), {"triangle": fan})
    space = FESpace(mesh, "P1^d")
    wall = space.slip("boundary")
    assert wall.n - wall.n_free == 24
    spin = space.interpolate(lambda x: torch.stack([-x[1], x[0]]))
    torch.testing.assert_close(wall.impose(spin), spin, rtol=0, atol=1e-14)
    assert space.slip("boundary", corner=10.0).n_free == 2, "now every facet is a wall of its own"
    round_ = curved(mesh)
    points = round_.points.clone()
    rim = round_.boundary_points
    points[rim] /= points[rim].norm(dim=1, keepdim=True)
    space = FESpace(round_.replace(points=points), "P2^d")
    spin = space.interpolate(lambda x: torch.stack([-x[1], x[0]]))
    torch.testing.assert_close(space.slip("boundary").impose(spin), spin, rtol=0, atol=1e-14)


@pytest.mark.parametrize("element", ["P2^d", "P1^d"])
def test_turning_a_body_on_rollers_turns_its_displacement(element):
    solutions = []
    for angle in (0.0, 0.7):
        space = FESpace(turned(plain("quad", 4), angle), element)
        A = space.assemble(lambda u, v, x: 2 * inner(sym(grad(u)), sym(grad(v))) + div(u) * div(v))
        pressed = space.assemble(lambda v, x: -dot(x.normal, v), on="top")
        rollers = space.slip("left") & space.slip("bottom") & space.slip("right")
        solutions.append(solve(A, pressed, rollers).reshape(-1, 2))
    still, moved = solutions
    torch.testing.assert_close(moved, still @ turn(0.7).T, rtol=0, atol=1e-12)
    assert still.abs().max() > 0.1


def test_a_part_of_a_composite_space():
    space = FESpace(turned(plain("triangle", 3), 0.5), ("P2^d", "P1"))
    wall = space.slip("top")
    velocity, _ = space.split(wall.expand(torch.rand(wall.n_free, dtype=DOUBLE)))
    assert flux(FESpace(space.mesh, "P2^d"), velocity, "top") < 1e-14
    assert space.slip("top", component=0).n_free == wall.n_free == space.n_dofs - 7
    both = wall & space.dirichlet("bottom", 0.0, component=0)
    assert both.n_free == space.n_dofs - 7 - 14


def test_what_cannot_slide_is_refused():
    mesh = plain("triangle", 2)
    for name, component in (("P2", None), ("RT0", None), (("P2^d", "P1"), 1), (("P1^d", "P1^d"), None), ("P1^3", None)):
        with pytest.raises(ml.ParameterError, match="one field with 2 components"):
            FESpace(mesh, name).slip("left", component)
    with pytest.raises(ml.FieldError, match="'wall'"):
        FESpace(mesh, "P1^d").slip("wall")
    points = (mesh.points @ turn(0.1).T).requires_grad_()
    with pytest.raises(ml.ParameterError, match="do not follow gradients in the points"):
        FESpace(mesh.replace(points=points), "P1^d").slip("left")
    straight = mesh.replace(points=mesh.points.clone().requires_grad_())
    assert FESpace(straight, "P1^d").slip("left").free is not None
