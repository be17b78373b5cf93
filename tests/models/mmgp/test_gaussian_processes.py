"""Likelihood, gradient, optimiser and predictions of the Gaussian processes, against gpytorch and brute force."""

import math
import warnings

import pytest
import torch

from meshlearn.models.mmgp.gaussian import GaussianProcesses
from meshlearn.models.mmgp.gaussian.lbfgs import minimise
from meshlearn.models.mmgp.gaussian.likelihood import negative_log_likelihood
from meshlearn.models.mmgp.gaussian.matern import matern, matern_with_slope


def data(n=60, d=3, m=4, seed=0, noise=1e-3):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=g, dtype=torch.float64)
    y = torch.stack([torch.sin((k + 1) * 0.5 * x[:, k % d]) + 0.2 * x[:, (k + 1) % d] ** 2 for k in range(m)], dim=1)
    return x, y + noise * torch.randn(n, m, generator=g, dtype=torch.float64)


def test_kernel_equals_gpytorch():
    with warnings.catch_warnings():  # gpytorch still compiles with torch.jit at import
        warnings.simplefilter("ignore", DeprecationWarning)
        import gpytorch
    x, _ = data()
    scales = torch.tensor([[0.5, 1.0, 3.0], [2.0, 0.1, 10.0]], dtype=torch.float64)
    ours = matern(x, x[:7] + 0.1, scales.log())
    kernel = gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=3, batch_shape=torch.Size([2])).double()
    kernel.lengthscale = scales[:, None, :]
    with torch.no_grad():
        theirs = kernel(x, x[:7] + 0.1).to_dense()
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(matern_with_slope(x, scales.log())[0], matern(x, x, scales.log()), rtol=1e-7, atol=1e-7)


def test_likelihood_equals_gpytorch_at_the_best_variance():
    x, y = data(m=1)
    y = (y - y.mean(0)) / y.std(0, correction=0)
    theta = torch.tensor([[0.3, 1.0, 0.7, math.log(1e-3)]], dtype=torch.float64)
    value, _ = negative_log_likelihood(theta, x, y[None])
    c = matern(x, x, theta[:, :3])[0] + 1e-3 * torch.eye(len(x), dtype=torch.float64)
    variance = float(y[:, 0] @ torch.linalg.solve(c, y[:, 0])) / len(x)
    exact = torch.distributions.MultivariateNormal(torch.zeros(len(x), dtype=torch.float64), variance * c)
    assert -float(value) * len(x) == pytest.approx(float(exact.log_prob(y[:, 0])), rel=1e-9)


@pytest.mark.parametrize("m", [1, 3])
def test_gradient_equals_finite_differences(m):
    x, y = data(n=25, m=m)
    theta = torch.tensor([[0.3, 1.0, -0.2, -5.0], [1.3, 0.0, 0.4, -2.0]], dtype=torch.float64)
    targets = torch.stack([y, 2 * y.flip(0)])
    gradient = negative_log_likelihood(theta, x, targets)[1]
    for k in range(4):
        step = torch.zeros(4, dtype=torch.float64)
        step[k] = 1e-5
        up, down = (negative_log_likelihood(theta + s * step, x, targets)[0] for s in (1, -1))
        torch.testing.assert_close(gradient[:, k], (up - down) / 2e-5, rtol=1e-6, atol=1e-8)


def test_minimise_solves_unlike_problems_side_by_side_and_respects_bounds():
    centres = torch.tensor([[1.0, -2.0], [3.0, 0.5], [-4.0, 9.0]], dtype=torch.float64)
    curves = torch.tensor([[1.0, 100.0], [5.0, 0.1], [2.0, 2.0]], dtype=torch.float64)

    def function(theta, which):
        away = theta - centres[which]
        return (0.5 * curves[which] * away**2 + 0.1 * away**4).sum(1), curves[which] * away + 0.4 * away**3

    low, high = torch.full((2,), -3.0, dtype=torch.float64), torch.full((2,), 4.0, dtype=torch.float64)
    found, value, count = minimise(function, torch.zeros(3, 2, dtype=torch.float64), low, high)
    torch.testing.assert_close(found, centres.clamp(-3.0, 4.0), rtol=0, atol=2e-4)
    assert value[0] == pytest.approx(0, abs=1e-7)
    assert int(count.max()) < 60


def test_predictions_equal_the_textbook_and_gradients_flow():
    x, y = data()
    model = GaussianProcesses().fit(x[:50], y[:50])
    new = x[50:].clone().requires_grad_()
    mean, variance = model.predict(new)
    for k in range(y.shape[1]):
        z, inner = model._standard(new), model.inputs_
        theta = model.parameters_[k : k + 1]
        c = matern(inner, inner, theta[:, :-1])[0] + theta[0, -1].exp() * torch.eye(50, dtype=torch.float64)
        cross = matern(z, inner, theta[:, :-1])[0]
        textbook = cross @ torch.linalg.solve(c, model.targets_[:, k])
        torch.testing.assert_close(mean[:, k], model.y_mean_[k] + textbook * model.y_scale_[k], rtol=1e-6, atol=1e-8)
        spread = model.variances_[k] * (1 - (cross * torch.linalg.solve(c, cross.T).T).sum(1))
        torch.testing.assert_close(variance[:, k], spread * model.y_scale_[k] ** 2, rtol=1e-5, atol=1e-10)
    assert float((mean.detach() - y[50:]).abs().max()) < 0.3
    mean.sum().backward()
    assert bool(torch.isfinite(new.grad).all())
    assert float(new.grad.abs().max()) > 0


def test_leave_one_out_equals_leaving_out():
    x, y = data(n=30, m=2, noise=0.05)
    model = GaussianProcesses().fit(x, y)
    mean, variance = model.leave_one_out()
    rest = torch.arange(30) != 4
    for k in range(2):
        theta = model.parameters_[k : k + 1]
        c = matern(model.inputs_, model.inputs_, theta[:, :-1])[0]
        c = c + theta[0, -1].exp() * torch.eye(30, dtype=torch.float64)
        solved = torch.linalg.solve(c[rest][:, rest], torch.stack([model.targets_[rest, k], c[rest, 4]], dim=1))
        expected = model.y_mean_[k] + model.y_scale_[k] * (c[4, rest] @ solved[:, 0])
        assert float(mean[4, k]) == pytest.approx(float(expected), rel=1e-6)
        spread = model.variances_[k] * (c[4, 4] - c[4, rest] @ solved[:, 1]) * model.y_scale_[k] ** 2
        assert float(variance[4, k]) == pytest.approx(float(spread), rel=1e-6)


def test_noise_is_found_and_bands_cover():
    g = torch.Generator().manual_seed(3)
    x = torch.rand(300, 2, generator=g, dtype=torch.float64) * 4
    clean = (torch.sin(x[:, 0]) * torch.cos(x[:, 1]))[:, None]
    y = clean + 0.1 * torch.randn(300, 1, generator=g, dtype=torch.float64)
    model = GaussianProcesses().fit(x[:200], y[:200])
    assert float(model.noise_.sqrt()) == pytest.approx(0.1, rel=0.2)
    mean, variance = model.predict(x[200:])
    inside = ((mean - y[200:]).abs() <= 1.96 * (variance + model.noise_).sqrt()).double().mean()
    assert 0.88 <= float(inside) <= 1.0


def test_almost_no_noise_is_interpolated():
    x, y = data(n=80, noise=0.0)
    model = GaussianProcesses().fit(x, y)
    assert float(model.noise_.max()) < 1e-6  # gpytorch's own floor of 1e-4 would not get there
    torch.testing.assert_close(model.predict(x)[0], y, rtol=0, atol=1e-4)


def test_duplicates_constants_and_idle_inputs():
    x, y = data(n=20, m=2)
    x = torch.cat([x, torch.full((20, 1), 7.0, dtype=torch.float64)], dim=1)
    x, y = torch.cat([x, x[:5]]), torch.cat([y, y[:5]])
    y[:, 1] = 3.5
    model = GaussianProcesses().fit(x, y)
    mean, variance = model.predict(x)
    assert bool(torch.isfinite(mean).all())
    assert bool((variance[:, 1] == 0).all())
    assert bool((mean[:, 1] == 3.5).all())
    assert model.used_.tolist() == [True, True, True, False]


def test_groups_share_their_parameters():
    x, y = data(m=4)
    model = GaussianProcesses().fit(x, y, groups=[0, 0, 1, 1])
    assert model.parameters_.shape == (2, 4)
    assert model.groups_.tolist() == [0, 0, 1, 1]
    apart = GaussianProcesses().fit(x, y)
    assert float(apart.log_likelihood_.sum()) > float(model.log_likelihood_.sum())


def test_state_restores_predictions():
    x, y = data()
    model = GaussianProcesses().fit(x, y)
    again = GaussianProcesses()
    again.set_state(model.get_state())
    for a, b in zip(model.predict(x), again.predict(x), strict=True):
        assert torch.equal(a, b)


def test_held_out_folds_equal_processes_that_never_saw_them():
    x, y = data(n=40, m=2, noise=0.02)
    model = GaussianProcesses(prior=False).fit(x, y)
    mean, variance = model.held_out(torch.arange(40) % 5, iterations=200)
    out = torch.arange(40) % 5 == 1
    alone = GaussianProcesses(prior=False)
    alone.set_state(model.get_state())
    alone.fit(x[~out], y[~out])
    expected, spread = alone.predict(x[out])
    size = y.std(0)
    assert float(((mean[out] - expected) / size).abs().max()) < 0.05  # standardised by other means and deviations
    ratio = (variance[out] / (spread + alone.noise_)).sqrt()
    assert 0.7 < float(ratio.median()) < 1.4
