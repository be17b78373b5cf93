import numpy as np
import pytest
import torch
from learned_cases import DOMAINS, with_field
from mover_cases import bump

import meshlearn as ml
from meshlearn.models.movers import CarriedField, GradientMonitor, HessianMonitor, SquaredHessianMonitor
from meshlearn.models.movers.elements import Elements
from meshlearn.models.movers.learned.density import monitor_values, relative_density
from meshlearn.models.movers.learned.elliptic import Solves
from meshlearn.models.movers.learned.equation import Density, Residual, cell_jacobians, displacement, hessian
from meshlearn.models.movers.learned.geometry import geometry_of
from meshlearn.models.movers.learned.losses import convexity_loss, mover_losses, smallest_eigenvalue
from meshlearn.models.movers.learned.sample import joined, mover_sample
from meshlearn.models.movers.potential import Potential

SHAPES = list(DOMAINS)


def prepared(name):
    geometry = geometry_of(DOMAINS[name]().double(), "slide", 45.0)
    return geometry, mover_sample(geometry)


def smooth(points, scale=0.03):
    """A potential that bends everywhere."""
    stretched = points * torch.tensor([4.0, 5.0, 3.0])[: points.shape[1]]  # no symmetry: no point stays on an edge
    return scale * (torch.sin(stretched).prod(1) + points.square().sum(1) + stretched.sum(1))


@pytest.mark.parametrize("name", SHAPES)
def test_matrices_by_formula_are_those_of_the_finite_element_space(name):
    mesh = DOMAINS[name]().double()
    made, fem = Elements(mesh), ml.fem
    space = fem.FESpace(mesh, "P1")
    pairs = [
        (made.mass, lambda u, v, x: u * v),
        (made.stiffness, lambda u, v, x: fem.dot(fem.grad(u), fem.grad(v))),
        (made.slopes[-1], lambda u, v, x: v * fem.grad(u)[mesh.dim - 1]),
    ]
    for matrix, form in pairs:
        assert abs(matrix - space.assemble(form).to_scipy()).max() < 1e-13
    np.testing.assert_allclose(made.lumped, mesh.point_measures().numpy(), atol=1e-14)


def test_the_recovered_hessian_does_not_depend_on_the_numbering_of_the_cells():
    mesh = ml.shapes.l_shape(n=3).double()
    turned = mesh.replace(cells={**mesh.cells, "triangle": mesh.cells["triangle"].flip(1)})
    phi = smooth(mesh.points)
    a, b = (hessian(mover_sample(geometry_of(m, "slide", 45.0)), phi) for m in (mesh, turned))
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", SHAPES)
def test_map_hessian_and_residual_are_those_of_the_classical_mover(name):
    geometry, sample = prepared(name)
    problem = Potential(geometry.scaled, geometry.walls.basis)
    phi = smooth(geometry.scaled.points)
    m = 1 + geometry.scaled.points.square().sum(1)
    np.testing.assert_allclose(displacement(sample, phi).numpy(), problem.displacement(phi.numpy()), atol=1e-12)
    H = hessian(sample, phi)
    np.testing.assert_allclose(H.numpy(), problem.hessian(phi.numpy()), atol=1e-10)
    state = problem.at(m.numpy(), H.numpy())
    found = Residual(sample.operators, sample.meshes, m, H)
    assert float(found.theta) == pytest.approx(state.theta)
    np.testing.assert_allclose(found.values.numpy(), state.residual / state.theta, atol=1e-13)


@pytest.mark.parametrize(("shape", "monitor"), [("square", bump(0.3, 0.6)), ("box", bump(0.3, 0.6, 0.5, decay=8.0))])
def test_the_loss_is_zero_at_the_exact_potential_and_nowhere_near(shape, monitor):
    mesh = DOMAINS[shape]().double()
    exact = ml.MongeAmpereMover("newton", rtol=1e-10).move(mesh, monitor(mesh.points))
    geometry = geometry_of(mesh, "slide", 45.0)
    sample = mover_sample(geometry)
    batch = sample.replace(density=relative_density(monitor(mesh.points), sample))
    phi = exact.potential / geometry.size**2
    assert float(mover_losses(batch, phi, "residual", 1.0)) < 1e-12
    for factor in (0.0, 0.7, 1.3):
        assert float(mover_losses(batch, factor * phi, "residual", 1.0)) > 0.01
    assert float(mover_losses(batch.replace(wanted=phi), phi, "supervised", 1.0)) < 1e-20
    spread = mover_losses(batch, phi, "equidistribution", 0.0) / mover_losses(batch, 0 * phi, "equidistribution", 0.0)
    assert float(spread) == pytest.approx((exact.equidistribution.cv / exact.before.cv) ** 2, rel=0.1)


@pytest.mark.parametrize("loss", ["residual", "equidistribution", "supervised"])
@pytest.mark.parametrize("name", ["l_shape", "box"])
def test_losses_have_the_right_gradients(name, loss):
    geometry, sample = prepared(name)
    points = geometry.scaled.points
    batch = sample.replace(density=relative_density(1 + points[:, 0] ** 2, sample), wanted=smooth(points, 0.01))
    phi = smooth(points, 0.002).requires_grad_()
    value = mover_losses(batch, phi, loss, 1.0)
    (gradient,) = torch.autograd.grad(value.sum(), phi)
    direction = torch.cos(torch.arange(len(phi)).double())
    step = 1e-7  # small: the monitor's slope jumps between cells
    up, down = (mover_losses(batch, phi.detach() + sign * step * direction, loss, 1.0) for sign in (1, -1))
    assert float((up - down) / (2 * step)) == pytest.approx(float(gradient @ direction), rel=1e-4)


def test_the_inverse_laplacian_is_symmetric_and_inverts():
    geometry, _ = prepared("annulus")
    n = geometry.n_points
    f, g = torch.randn(2, n, dtype=torch.float64).unbind(0)
    u, v = (Solves.apply(x[:, None], (geometry.solvers.green,))[:, 0] for x in (f, g))
    assert float(u @ g) == pytest.approx(float(f @ v))
    stiffness = torch.from_numpy(geometry.elements.stiffness.toarray())
    balanced = f - f.sum() * torch.from_numpy(geometry.elements.lumped)
    torch.testing.assert_close(stiffness @ u, balanced, atol=1e-10, rtol=0)
    leaf = f[:, None].requires_grad_()
    assert torch.autograd.gradcheck(lambda load: Solves.apply(load, (geometry.solvers.green,)), leaf)


@pytest.mark.parametrize("name", ["interval", "square", "box"])
def test_walking_finds_the_values_that_point_location_finds(name):
    geometry, sample = prepared(name)
    points = geometry.scaled.points
    values = 1 + torch.rand(len(points), dtype=torch.float64)
    target = points.flip(0) * 0.9 + 0.05 * points
    found = Density(sample.operators, values)(target)
    torch.testing.assert_close(found, CarriedField(geometry.scaled, values)(target), atol=1e-9, rtol=0)
    outside = Density(sample.operators, values)(3 * points)
    assert float(outside.min()) >= float(values.min())
    assert float(outside.max()) <= float(values.max())


def test_an_indefinite_hessian_with_a_positive_diagonal_is_not_convex():
    """phi = 2 x y has I + H = [[1, 2], [2, 1]]: a loss on the diagonal alone sees nothing wrong."""
    geometry, sample = prepared("square")
    calm = torch.eye(2, dtype=torch.float64).expand(geometry.scaled.n_cells, 2, 2)

    def at_points(*rows):
        H = torch.tensor(rows, dtype=torch.float64).expand(geometry.n_points, 2, 2)
        return float(convexity_loss(sample, H, calm))

    assert at_points((0.0, 2.0), (2.0, 0.0)) == pytest.approx(1 + 1)  # the eigenvalue is -1: excess and its square
    assert at_points((0.0, 0.5), (0.5, 0.0)) == 0
    assert at_points((-0.5, 0.0), (0.0, 3.0)) == 0
    assert at_points((-3.0, 0.0), (0.0, -3.0)) > 1  # the determinant is positive: the equation alone sees nothing
    turned = calm.flip(1)  # cells turned over
    assert float(convexity_loss(sample, 0 * torch.eye(2).double().expand(geometry.n_points, 2, 2), turned)) > 0.5
    torch.testing.assert_close(cell_jacobians(sample.operators, 0 * geometry.scaled.points), calm)


def test_smallest_eigenvalues_by_formula():
    for dim in (1, 2, 3):
        A = torch.randn(20, dim, dim, dtype=torch.float64)
        A = A + A.transpose(1, 2)
        torch.testing.assert_close(smallest_eigenvalue(A), torch.linalg.eigvalsh(A)[:, 0])
    equal = torch.eye(2, dtype=torch.float64)[None].requires_grad_()
    smallest_eigenvalue(equal).sum().backward()
    assert bool(torch.isfinite(equal.grad).all())


@pytest.mark.parametrize(
    ("kind", "monitor"),
    [("hessian", HessianMonitor), ("squared_hessian", SquaredHessianMonitor), ("gradient", GradientMonitor)],
)
@pytest.mark.parametrize("smoothing", [0.0, 0.05])
def test_monitors_of_a_batch_are_those_of_its_meshes(kind, monitor, smoothing):
    meshes = [with_field(DOMAINS[name]().double(), seed) for seed, name in enumerate(("square", "l_shape", "annulus"))]
    geometries = tuple(geometry_of(mesh, "slide", 45.0) for mesh in meshes)
    batch = joined([mover_sample(geometry) for geometry in geometries])
    field = torch.cat([mesh.point_data["u"] for mesh in meshes])
    found = monitor_values(kind, field, batch, geometries, 7.0, smoothing, [torch.float64] * 3)
    one_by_one = [
        monitor(mesh, "u", amplitude=7.0, smoothing=smoothing * geometry.size).field
        for mesh, geometry in zip(meshes, geometries, strict=True)
    ]
    torch.testing.assert_close(found, torch.cat(one_by_one), atol=1e-9, rtol=0)
