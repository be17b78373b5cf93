"""Moved points are differentiable in the monitor, by the implicit function theorem."""

import pytest
import torch
from mover_cases import bump, published_square

import meshlearn as ml
from meshlearn.models.movers import CarriedField

TIGHT = {"rtol": 1e-12, "max_iterations": 60}


@pytest.mark.parametrize("shape", ["interval", "square", "box"])
@pytest.mark.parametrize(("method", "boundary"), [("newton", "slide"), ("newton", "fixed"), ("variational", "slide")])
def test_gradcheck_in_nodal_values(shape, method, boundary):
    mesh = {"interval": ml.shapes.interval, "square": ml.shapes.square, "box": ml.shapes.box}[shape](
        n={"interval": 7, "square": 4, "box": 2}[shape]
    ).double()
    wiggle = 0.1 * torch.rand(mesh.n_points, dtype=torch.float64)
    density = (1.5 + wiggle + 0.5 * mesh.points[:, 0] ** 2).requires_grad_()
    mover = ml.MongeAmpereMover(method, boundary=boundary, **TIGHT)
    assert torch.autograd.gradcheck(
        lambda m: mover.move(mesh, m).mesh.points, density, eps=1e-6, atol=1e-5, fast_mode=True
    )


def test_gradients_reach_the_parameters_of_a_monitor():
    mesh = published_square(6)
    height = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    mover = ml.MongeAmpereMover(**TIGHT)

    def spread(h):
        moved = mover.move(mesh, lambda x: 1 + h * torch.exp(-10 * (x - 0.4).square().sum(1)))
        return moved.mesh.points.square().sum()

    (exact,) = torch.autograd.grad(spread(height), height)
    with torch.no_grad():
        difference = (spread(height + 1e-5) - spread(height - 1e-5)) / 2e-5
    torch.testing.assert_close(exact, difference, rtol=1e-5, atol=1e-8)


def test_gradients_pass_around_a_hole():
    mesh = ml.shapes.plate_with_holes([(0.5, 0.5, 0.2)], size=0.25).double()
    rim = (mesh.points - 0.5).norm(dim=1) < 0.21
    mover = ml.MongeAmpereMover("variational", pinned=rim, rtol=1e-11)
    height = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)

    def corner_pull(h):
        moved = mover.move(mesh, lambda x: 1 + h * torch.exp(-5 * (x - 1).square().sum(1)))
        return (moved.mesh.points * mesh.points).sum()

    (exact,) = torch.autograd.grad(corner_pull(height), height)
    with torch.no_grad():
        difference = (corner_pull(height + 1e-4) - corner_pull(height - 1e-4)) / 2e-4
    torch.testing.assert_close(exact, difference, rtol=1e-5, atol=1e-8)


def test_a_monitor_is_found_from_where_its_mesh_went():
    mesh = published_square(5)
    truth = bump(0.4, 0.6, height=1.0, decay=8.0)(mesh.points)
    mover = ml.MongeAmpereMover(rtol=1e-9)
    wanted = mover.move(mesh, truth).mesh.points
    guess = torch.zeros(mesh.n_points, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([guess], max_iter=8, line_search_fn="strong_wolfe")
    losses = []

    def closure():
        optimiser.zero_grad()
        loss = (mover.move(mesh, guess.exp()).mesh.points - wanted).square().sum()
        loss.backward()
        losses.append(float(loss.detach()))
        return loss

    optimiser.step(closure)
    assert losses[-1] < 1e-2 * losses[0]


def test_what_has_no_derivative_says_so():
    mesh = published_square(5)
    density = bump(0.4, 0.6)(mesh.points).requires_grad_()
    disc = ml.shapes.disc(size=0.3, boundary=False).double()
    rim = bump(0.4, 0.0, height=1.0)(disc.points).requires_grad_()
    with pytest.raises(ml.ParameterError, match="curved walls"):
        ml.MongeAmpereMover().move(disc, rim)
    short = ml.MongeAmpereMover(max_iterations=1, strict=False).move(mesh, density)
    with pytest.raises(ml.ConvergenceError, match="no derivative"):
        short.mesh.points.sum().backward()
    plain = ml.MongeAmpereMover().move(mesh, CarriedField(mesh, density.detach()))
    assert not plain.mesh.points.requires_grad
