import math

import pytest
import torch
from mover_cases import peak, peak_hessian, published_square

import meshlearn as ml
from meshlearn.models.movers import CarriedField, GradientMonitor, HessianMonitor, Ring, SquaredHessianMonitor, limited
from meshlearn.models.movers.monitors.recovery import recovered_gradient, recovered_hessian
from meshlearn.models.movers.monitors.values import slopes


def test_the_ring_is_its_formula_and_does_not_overflow():
    x = torch.rand(50, 2, dtype=torch.float64)
    ring = Ring(7.0, 30.0, 0.3, (0.4, 0.6))
    level = 30 * ((x - torch.tensor([0.4, 0.6], dtype=torch.float64)).square().sum(1) - 0.09)
    torch.testing.assert_close(ring(x), 1 + 7 / torch.cosh(level).square())
    assert float(Ring(7.0, 1e6)(torch.tensor([[5.0, 5.0]]))) == 1


def test_recovery_is_exact_where_it_can_be():
    mesh = ml.shapes.box(n=3).double()
    slope = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    torch.testing.assert_close(recovered_gradient(mesh, mesh.points @ slope), slope.expand(mesh.n_points, 3))
    errors = []
    for n in (16, 32):
        square = published_square(n)
        inside = ((square.points > 0.2) & (square.points < 0.8)).all(1)
        found = recovered_hessian(square, peak(square.points * 0.2 + 0.4))
        exact = 0.04 * peak_hessian(square.points * 0.2 + 0.4)
        errors.append(float((found - exact)[inside].abs().max()))
    assert math.log2(errors[0] / errors[1]) > 1.7


def test_field_monitors_are_their_formulas():
    mesh = published_square(16)
    u = peak(mesh.points)
    named = mesh.with_point_data(u=u)
    steep = recovered_gradient(mesh, u).norm(dim=1)
    bent = recovered_hessian(mesh, u).flatten(1).norm(dim=1)
    for monitor, exact in (
        (GradientMonitor(named, "u", 4.0), 1 + 4 * (steep / steep.max()) ** 2),
        (GradientMonitor(mesh, u, 100.0, power=1.0, relative_to="mean"), 1 + 100 * steep / steep.mean()),
        (HessianMonitor(named, "u", 3.0), 1 + 3 * bent / bent.max()),
        (SquaredHessianMonitor(mesh, u, 3.0), 1 + 3 * (bent / bent.max()) ** 2),
    ):
        torch.testing.assert_close(monitor(mesh.points), exact)


def test_carried_fields_stay_in_space():
    mesh = published_square(4)
    field = CarriedField(mesh, 1 + mesh.points @ torch.tensor([2.0, 3.0]).double())
    x = torch.rand(30, 2, dtype=torch.float64)
    torch.testing.assert_close(field(x), 1 + 2 * x[:, 0] + 3 * x[:, 1])
    torch.testing.assert_close(field.gradient(x), torch.tensor([2.0, 3.0]).double().expand(30, 2))


def test_slopes_by_autograd_and_by_differences_agree():
    ring = Ring(5.0, 40.0)
    x = torch.rand(40, 2, dtype=torch.float64)
    by_numpy = lambda p: ring(torch.from_numpy(p.numpy())).numpy()  # noqa: E731
    torch.testing.assert_close(slopes(ring, x), slopes(by_numpy, x), atol=1e-5, rtol=1e-5)


def test_smoothing_keeps_the_integral_and_the_bounds():
    mesh = ml.shapes.square(size=0.08).double()
    spike = torch.ones(mesh.n_points, dtype=torch.float64)
    spike[(mesh.points - 0.5).norm(dim=1).argmin()] = 100.0
    smooth = limited(mesh, spike, smoothing=0.1)
    weights = mesh.point_measures()
    torch.testing.assert_close(weights @ smooth, weights @ spike, rtol=1e-10, atol=0)
    assert 1 <= float(smooth.min()) <= float(smooth.max()) < 30
    capped = limited(mesh, spike, floor=2.0, cap=10.0)
    assert (float(capped.min()), float(capped.max())) == (2.0, 10.0)
    assert torch.equal(limited(mesh, spike), spike)
    leaf = spike.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda m: limited(mesh, m * spike, smoothing=0.1)[:5], leaf[:1])


def test_field_monitors_move_meshes_towards_the_field():
    mesh = published_square(16)
    moved = ml.MongeAmpereMover(rtol=1e-4).move(mesh, HessianMonitor(mesh, peak(mesh.points), smoothing=0.03))
    centre = torch.tensor([0.51, 0.65], dtype=torch.float64)
    near = [int(((m.points - centre).norm(dim=1) < 0.15).sum()) for m in (mesh, moved.mesh)]
    assert near[1] > 1.4 * near[0]
    assert moved.equidistribution.cv < 0.4 * moved.before.cv
    with pytest.raises(ml.ParameterError, match="relative_to"):
        GradientMonitor(mesh, peak(mesh.points), relative_to="median")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_rounding_of_a_linear_field_is_no_curvature(dtype: torch.dtype, offset: float) -> None:
    mesh = ml.shapes.square(n=24, dtype=dtype)
    linear = 1e3 * (0.3 * mesh.points[:, 0] - 0.7 * mesh.points[:, 1]) + offset
    with pytest.raises(ml.FieldError, match="which is rounding"):
        HessianMonitor(mesh, linear)
    with pytest.raises(ml.FieldError, match="which is rounding"):
        GradientMonitor(mesh, torch.full_like(linear, 0.1 + offset))
    HessianMonitor(mesh, linear + 1e3 * mesh.points[:, 0].square())  # bent for certain
