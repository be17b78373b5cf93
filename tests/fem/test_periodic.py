"""Periodic sides: what repeats satisfies them, and nothing else does."""

import math

import pytest
import torch
from space_cases import plain

import meshlearn as ml
from meshlearn.fem import FESpace, dot, grad, solve

DOUBLE = torch.float64
CASES = [(name, kind) for kind in ("triangle", "quad") for name in ("P1", "P2", "RT0", "N1")]
CASES += [("P3", "triangle"), ("P4", "triangle"), ("CR", "triangle"), ("P2", "line")]
CASES += [("P2", "triangle6"), ("S2", "quad"), ("P1", "tetra"), ("P2", "tetra"), ("RT0", "tetra"), ("N1", "tetra")]
CASES += [("P2", "hexahedron"), ("RT0", "hexahedron"), ("P1", "wedge"), ("P2^d", "triangle"), ("P1^3", "tetra")]


def repeating(space):
    """A function that repeats in the first direction, as this space's values."""
    shape = space.blocks[0].shapes(space.dim)["value"]

    def function(x):
        waves = [torch.cos(2 * math.pi * x[0] + 0.3 + k) + (x[-1] if len(x.points) > 1 else 0) for k in range(3)]
        return torch.stack(waves[: shape[0]]) if shape else waves[0]

    return function


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_what_repeats_satisfies_them_and_what_does_not_is_changed(name, kind):
    mesh = plain(kind, 3)
    if kind == "line":
        mesh = mesh.replace(point_sets={"left": [0], "right": [mesh.n_points - 1]})
    space = FESpace(mesh, name)
    sides = space.periodic("left", "right")
    u = space.interpolate(repeating(space))
    torch.testing.assert_close(sides.impose(u), u, rtol=0, atol=1e-13)
    n_side = len(space.dofs("left"))
    assert sides.n - sides.n_free == n_side > 0
    other = torch.rand(space.n_dofs, dtype=DOUBLE)
    assert not torch.allclose(sides.impose(other), other)
    assert torch.equal(sides.impose(sides.impose(other)), sides.impose(other))


def test_a_periodic_problem_does_not_know_where_the_sides_are():
    n = 8
    space = FESpace(ml.shapes.square(n=n, cells="quad", dtype=DOUBLE), "P2")
    A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)) + u * v)
    around = space.periodic("left", "right") & space.periodic("bottom", "top")
    assert around.n_free == 4 * n * n

    def solution(start):
        source = lambda x: torch.exp(torch.sin(2 * math.pi * (x[0] - start)) + torch.cos(2 * math.pi * x[1]))  # noqa: E731
        return solve(A, space.assemble(lambda v, x: source(x) * v), around)

    u, moved = solution(0.0), solution(3 / n)
    places = torch.rand(40, 2, dtype=DOUBLE)
    behind = torch.stack([torch.remainder(places[:, 0] - 3 / n, 1), places[:, 1]], 1)
    torch.testing.assert_close(space.evaluate(moved, places), space.evaluate(u, behind), rtol=0, atol=1e-11)
    assert float(u.std()) > 0.01


def test_the_solution_converges_to_the_exact_one():
    errors = []
    exact = lambda x: torch.sin(2 * math.pi * x[0]) * torch.cos(2 * math.pi * x[1])  # noqa: E731
    for n in (8, 16):
        space = FESpace(ml.shapes.square(n=n, dtype=DOUBLE), "P1")
        A = space.assemble(lambda u, v, x: dot(grad(u), grad(v)) + u * v)
        b = space.assemble(lambda v, x: (8 * math.pi**2 + 1) * exact(x) * v)
        u = solve(A, b, space.periodic("left", "right") & space.periodic("bottom", "top"))
        errors.append(float(space.norm(u, minus=exact)))
    assert 1.8 < math.log2(errors[0] / errors[1]) < 2.2


def test_antiperiodic_sheared_and_mixed_sides():
    square = ml.shapes.square(n=4, dtype=DOUBLE)
    sheared = square.replace(points=square.points @ torch.tensor([[1.0, 0.3], [0.2, 1.0]], dtype=DOUBLE))
    space = FESpace(sheared, "P2")
    anti = space.periodic("left", "right", factor=-1.0)
    left = space.dof_points[space.dofs("left")]
    u = anti.expand(torch.rand(anti.n_free, dtype=DOUBLE))
    shift = torch.tensor([1.0, 0.3], dtype=DOUBLE)
    torch.testing.assert_close(space.evaluate(u, left + shift), -space.evaluate(u, left), rtol=0, atol=1e-12)
    given = space.periodic("left", "right", translation=[1.0, 0.3], factor=-1.0)
    assert torch.equal(given.B.to_dense(), anti.B.to_dense())
    both = space.periodic("left", "right") & space.dirichlet("top", 2.0)
    w = both.expand(torch.rand(both.n_free, dtype=DOUBLE))
    assert bool((w[space.dofs("top")] == 2.0).all())
    torch.testing.assert_close(space.evaluate(w, left + shift), space.evaluate(w, left), rtol=0, atol=1e-12)


def test_one_component_or_one_part_alone():
    mesh = ml.shapes.square(n=3, dtype=DOUBLE)
    vectors = FESpace(mesh, "P2^d")
    assert vectors.periodic("left", "right", component=1).n_free == vectors.n_dofs - 7
    stokes = FESpace(mesh, ("P2^d", "P1"))
    assert stokes.periodic("left", "right").n_free == stokes.n_dofs - 18
    assert stokes.periodic("left", "right", component=1).n_free == stokes.n_dofs - 4


def test_single_precision_meshes_match():
    mesh = ml.shapes.rectangle(1.3, 0.7, n=(7, 9))
    moved = mesh.replace(points=mesh.points + 50.0)
    assert FESpace(moved, "P2").periodic("left", "right", tolerance=1e-4).n_free < FESpace(moved, "P2").n_dofs
    assert FESpace(mesh, "P2").periodic("left", "right").n_free == 19 * 15 - 19


def test_sides_that_do_not_match_are_named_with_the_worst_distance():
    mesh = ml.shapes.square(n=4, dtype=DOUBLE)
    points = mesh.points.clone()
    moved = int(((points - torch.tensor([1.0, 0.25])).norm(dim=1)).argmin())
    points[moved, 1] += 0.03
    space = FESpace(mesh.replace(points=points), "P1")
    with pytest.raises(ml.MeshError, match=r"no partner at \(1, 0\.25\), the nearest is 0\.03 away"):
        space.periodic("left", "right")
    assert space.periodic("left", "right", tolerance=0.05).n_free == 20
    with pytest.raises(ml.MeshError, match=r"extents are \(0, 1\) and \(1, 0\)"):
        space.periodic("left", "top")
    with pytest.raises(ml.MeshError, match="have 5 and 3 dofs"):
        space.periodic("left", lambda x: (x[0] == 1) & ((x[1] == 0) | (x[1] == 1) | (x[1] == 0.5)))
    with pytest.raises(ml.MeshError, match="one has none"):
        space.periodic("left", [])
    with pytest.raises(ml.ParameterError, match="same place"):
        space.periodic("left", "left")
    with pytest.raises(ml.ParameterError, match="expected 2 numbers"):
        space.periodic("left", "right", translation=1.0)
    with pytest.raises(ml.FieldError, match="'inlet'"):
        space.periodic("inlet", "right")


@pytest.mark.parametrize("name", ["BDM1", "Morley"])
def test_spaces_whose_dofs_places_do_not_tell_apart_are_refused(name):
    with pytest.raises(ml.ParameterError, match="pairs yourself"):
        FESpace(ml.shapes.square(n=2, dtype=DOUBLE), name).periodic("left", "right")


@pytest.mark.parametrize("thickness", [1e-3, 1e-6, 1e-9])
def test_the_sides_of_a_thin_strip_are_two(thickness):
    mesh = plain("triangle", 3)
    points = mesh.points * torch.tensor([thickness, 1.0], dtype=torch.float64)
    space, wanted = FESpace(mesh.replace(points=points), "P2"), FESpace(mesh, "P2")
    for pair in (("left", "right"), ("bottom", "top")):
        assert torch.equal(space.periodic(*pair).independent, wanted.periodic(*pair).independent)
    with pytest.raises(ml.ParameterError, match="the same place"):
        space.periodic("left", "left")
