"""Rigid motions: what elasticity does not feel, and what its multigrid has to know."""

import math

import pytest
import torch
from space_cases import plain, uneven

import meshlearn as ml
from meshlearn.fem import FESpace, Hierarchy, SolveInfo, div, dot, grad, inner, solve, sym
from meshlearn.fem.rigid import near_nullspace

PI = math.pi


def elasticity(space):
    return space.assemble(lambda u, v, x: inner(sym(grad(u)), sym(grad(v))) + div(u) * div(v))


@pytest.mark.parametrize(("kind", "count"), [("triangle", 3), ("quad", 3), ("tetra", 6), ("hexahedron", 6)])
@pytest.mark.parametrize("element", ["P1^d", "P2^d"])
def test_elasticity_does_not_feel_rigid_motions(kind, count, element):
    space = FESpace(uneven(kind), element)
    motions = space.rigid_motions()
    assert motions.shape == (space.n_dofs, count)
    assert torch.linalg.matrix_rank(motions) == count
    assert (elasticity(space) @ motions).abs().max() < 1e-13


def test_motions_of_bubbles_and_of_parts_of_composite_spaces():
    mini = FESpace(uneven("triangle"), "MINI^d")
    assert (elasticity(mini) @ mini.rigid_motions()).abs().max() < 1e-13
    pair = FESpace(mini.mesh, ("P2^d", "P1"))
    alone = FESpace(mini.mesh, "P2^d").rigid_motions()
    made = pair.rigid_motions(component=0)
    assert torch.allclose(torch.stack([pair.split(column)[0] for column in made.t()], 1), alone)
    assert pair.split(made[:, 2])[1].abs().max() == 0
    for space, component in ((pair, 1), (FESpace(mini.mesh, "P1"), None), (FESpace(mini.mesh, "P1^d"), 0)):
        with pytest.raises(ml.ParameterError, match="rigid motions are those of one field"):
            space.rigid_motions(component)


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
@pytest.mark.parametrize("method", ["direct", "cg"])
def test_a_free_body_is_solved_for_up_to_its_motions(kind, method):
    """u and u + motion have the same strains; the solution is the one without any, however the space lives on."""
    space = FESpace(plain(kind, 3), "P1^d")
    motions = space.rigid_motions()
    wanted = torch.rand(space.n_dofs, dtype=torch.float64)
    basis = torch.linalg.qr(motions)[0]
    wanted = wanted - basis @ (basis.T @ wanted)
    A = elasticity(space)
    b = A @ wanted
    for nullspace in ("rigid", motions):
        made = solve(A, b, nullspace=nullspace, method=method, preconditioner=None if method == "direct" else "amg")
        assert (made - wanted).abs().max() < 1e-7
    B = elasticity(FESpace(plain(kind, 3), "P1^d"))  # its space is gone
    assert torch.allclose(solve(B, b, nullspace="rigid"), wanted, atol=1e-9)


def test_constraints_leave_some_motions():
    space = FESpace(plain("triangle", 4), "P2^d")
    A = elasticity(space)
    b = space.assemble(lambda v, x: torch.cos(PI * x[0]) * v[0])
    rollers = space.dirichlet("bottom", 0.0, component=1)  # free to move along x
    u = solve(A, b, rollers, nullspace="rigid")
    assert rollers.restrict(A @ u - b).abs().max() < 1e-12
    around = space.periodic("left", "right")  # free to move, not to turn
    b = space.assemble(lambda v, x: torch.cos(PI * x[1]) * v[0])
    u = solve(A, b, around, nullspace="rigid")
    assert around.restrict(A @ u - b).abs().max() < 1e-11
    with pytest.raises(ml.ParameterError, match="leaves no rigid motion free"):
        solve(A, b, space.dirichlet("left", 0.0), nullspace="rigid")
    scalar = FESpace(space.mesh, "P1")
    with pytest.raises(ml.ParameterError, match=r"give the motions: nullspace=space.rigid_motions\(\)"):
        solve(scalar.assemble(lambda u, v, x: u * v), torch.zeros(scalar.n_dofs), nullspace="rigid")
    with pytest.raises(ml.ParameterError, match="expected 'constant', 'rigid'"):
        solve(A, b, nullspace="rigd")


@pytest.mark.parametrize("backend", ["pyamg", "own"])
def test_amg_needs_few_steps_for_a_slender_beam(backend, monkeypatch):
    """Without the rotations these are 100 and more, and grow with the number of cells."""
    if backend == "pyamg":
        pytest.importorskip("pyamg")
    else:
        monkeypatch.setattr("meshlearn.fem.preconditioner.find_spec", lambda name: None)
    space = FESpace(ml.shapes.rectangle(8.0, 1.0, n=(48, 6), dtype=torch.float64), "P1^d")
    A, b = elasticity(space), space.assemble(lambda v, x: -v[1])
    held = space.dirichlet("left", 0.0, component=0) & space.dirichlet("bottom", 0.0, component=1)
    for constraint, most in ((space.dirichlet("left", 0.0), 32), (held, 32)):
        info = SolveInfo()
        u = solve(A, b, constraint, method="cg", preconditioner="amg", info=info)
        assert torch.allclose(u, solve(A, b, constraint), rtol=1e-6, atol=1e-6)
        assert info.iterations <= most, info.iterations


def test_only_elasticity_is_given_rotations():
    space = FESpace(plain("triangle", 4), "P1^d")
    fixed = space.dirichlet("left", 0.0)
    near, block = near_nullspace(elasticity(space), fixed)
    assert near.shape == (fixed.n_free, 3)
    assert block == 2
    assert near_nullspace(elasticity(space), space.dirichlet("left", 0.0, component=0))[1] == 1
    vector_laplace = space.assemble(lambda u, v, x: inner(grad(u), grad(v)))
    assert near_nullspace(vector_laplace, fixed) == (None, 1)
    heavy = elasticity(space) + space.assemble(lambda u, v, x: 0.1 * inner(u, v))
    assert near_nullspace(heavy, fixed)[0].shape == (fixed.n_free, 3)
    plate = FESpace(space.mesh, "P2")
    laplace = plate.assemble(lambda u, v, x: inner(grad(u), grad(v)))
    assert near_nullspace(laplace, plate.dirichlet("left", 0.0)) == (None, 1)


def test_hierarchies_take_the_motions_of_the_free_dofs():
    space = FESpace(ml.shapes.rectangle(8.0, 1.0, n=(24, 3), dtype=torch.float64), "P1^d")
    fixed = space.dirichlet("left", 0.0)
    near = space.rigid_motions()[fixed.free]
    A = fixed.reduce(elasticity(space))
    made = Hierarchy.from_matrix(A, "aggregation", "own", near_nullspace=near, block_size=2, max_coarse=20)
    P = torch.from_numpy(made.prolongations[0].to_scipy().toarray())
    held = torch.linalg.lstsq(P, near).solution
    assert (P @ held - near).abs().max() < 1e-12


@pytest.mark.parametrize("nullspace", ["rigid", "motions"])
def test_motions_move_with_the_points(nullspace):
    """u up to rigid motions has none of them, on every mesh: what is taken off has a gradient to the points, too."""
    mesh = uneven("triangle", 3)
    place = mesh.points.mean(0, keepdim=True).detach() + 0.17

    def goal(points):
        space = FESpace(mesh.replace(points=points), "P1^d")
        b = space.assemble(lambda v, x: x.normal[0] * v[0], on=["left", "right"])
        u = solve(elasticity(space), b, nullspace=nullspace if nullspace == "rigid" else space.rigid_motions())
        return space.evaluate(u, place)[0, 1]

    points = mesh.points.clone().requires_grad_()
    (slope,) = torch.autograd.grad(goal(points), points)
    direction = torch.rand(points.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 0.5
    step = 1e-5
    with torch.no_grad():
        wanted = (goal(mesh.points + step * direction) - goal(mesh.points - step * direction)) / (2 * step)
    assert (slope * direction).sum().item() == pytest.approx(wanted.item(), rel=1e-6)


@pytest.mark.parametrize("held", ["free", "rollers", "one point"])
def test_gradcheck_of_free_bodies_in_points_moduli_and_loads(held):
    """First and second derivatives; where something holds the body, the motions that are left depend on the points."""
    mesh = uneven("triangle", 1)
    place = torch.tensor([[0.6, 0.4]], dtype=torch.float64)  # inside of a triangle

    def values(points, modulus, load):
        space = FESpace(mesh.replace(points=points), "P1^d")
        A = space.assemble(lambda u, v, x: x.k * (inner(sym(grad(u)), sym(grad(v))) + div(u) * div(v)), k=modulus)
        b = space.assemble(lambda v, x: dot(x.f, v), f=load)
        constraint = {
            "free": None,
            "rollers": space.dirichlet("bottom", 0.0, component=1),
            "one point": space.dirichlet(torch.tensor([0]), 0.0),
        }[held]
        u = solve(A, b, constraint, nullspace="rigid", incompatible="project")
        return space.evaluate(u, place)

    generator = torch.Generator().manual_seed(1)
    modulus = 1 + torch.rand(mesh.n_cells, dtype=torch.float64, generator=generator)
    load = torch.rand(mesh.n_points, 2, dtype=torch.float64, generator=generator) - 0.5
    given = tuple(t.clone().requires_grad_() for t in (mesh.points, modulus, load))
    assert torch.autograd.gradcheck(values, given)
    assert torch.autograd.gradgradcheck(values, given, fast_mode=True)


def test_graphs_of_motions_are_good_for_every_solve():
    """The space is made once; two solves with one matrix, each with its own backward pass."""
    mesh = uneven("triangle", 2)
    points = mesh.points.clone().requires_grad_()
    space = FESpace(mesh.replace(points=points), "P1^d")
    b = torch.zeros(space.n_dofs, dtype=torch.float64)
    b[0], b[2] = 1.0, -1.0
    slopes = [
        torch.autograd.grad(solve(elasticity(space), b, nullspace="rigid", incompatible="project")[0], points)[0]
        for _ in range(2)
    ]
    assert torch.equal(*slopes)
    assert slopes[0].abs().max() > 1e-3


def test_a_load_that_turns_is_refused_where_points_require_a_gradient_too():
    mesh = plain("triangle", 3)
    space = FESpace(mesh.replace(points=mesh.points.clone().requires_grad_()), "P1^d")
    b = space.assemble(lambda v, x: v[0])
    with pytest.raises(ml.SingularMatrixError, match="lies in the null space"):
        solve(elasticity(space), b, nullspace="rigid")
    info = SolveInfo()
    solve(elasticity(space), b, nullspace="rigid", incompatible="project", info=info)
    assert info.incompatibility > 0.1
