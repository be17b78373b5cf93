"""Gaussian processes with inducing points, against exact ones, gpytorch's bound and brute force."""

import warnings

import pytest
import torch

import meshlearn as ml
from meshlearn.models.mmgp.gaussian import GaussianProcesses, SparseProcesses, make_processes
from meshlearn.models.mmgp.gaussian.bound import negative_bound
from meshlearn.models.mmgp.gaussian.inducing import choose_inducing
from meshlearn.models.mmgp.gaussian.likelihood import negative_log_likelihood
from meshlearn.models.mmgp.gaussian.matern import matern
from meshlearn.models.mmgp.gaussian.noise import best_noise
from meshlearn.models.mmgp.gaussian.sparse import solve


def waves(n=200, d=3, noise=0.02, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=g, dtype=torch.float64)
    y = torch.stack([torch.sin(x[:, 0]) + 0.3 * x[:, 1] ** 2, torch.cos(x[:, 1] * x[:, 2])], dim=1)
    return x, y + noise * torch.randn(n, 2, generator=g, dtype=torch.float64)


THETA = torch.tensor([[0.3, 1.0, -0.2, -5.0], [1.3, 0.0, 0.4, -2.0]], dtype=torch.float64)


@pytest.mark.parametrize("m", [1, 2])
def test_bound_has_the_gradient_of_finite_differences(m):
    x, y = waves(40)
    targets = torch.stack([y[:, :m], 2 * y[:, :m].flip(0)])
    z = torch.stack([x[:12], x[12:24] + 0.1])
    gradient = negative_bound(THETA, x, targets, z)[1]
    for k in range(4):
        step = torch.zeros(4, dtype=torch.float64)
        step[k] = 1e-5
        up, down = (negative_bound(THETA + s * step, x, targets, z)[0] for s in (1, -1))
        torch.testing.assert_close(gradient[:, k], (up - down) / 2e-5, rtol=1e-6, atol=1e-8)


def test_bound_is_below_the_likelihood_and_equal_with_all_rows():
    x, y = waves(60)
    targets = torch.stack([y, y.flip(0)])
    exact, slope = negative_log_likelihood(THETA, x, targets)
    before = torch.full_like(exact, torch.inf)
    for count in (5, 20, 40):  # points that are added to others never make the bound looser, at the same variance
        value, _ = negative_bound(THETA, x, targets, x[:count].expand(2, -1, -1))
        assert bool((value > exact).all())
        assert bool((value < before).all())
        before = value
    value, gradient = negative_bound(THETA, x, targets, x.expand(2, -1, -1))
    torch.testing.assert_close(value, exact, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradient, slope, rtol=1e-4, atol=1e-5)


def test_bound_equals_gpytorch():
    with warnings.catch_warnings():  # gpytorch still compiles with torch.jit at import
        warnings.simplefilter("ignore", DeprecationWarning)
        import gpytorch
    x, y = waves(80)
    target, z, theta = y[:, 0] - y[:, 0].mean(), x[:25], THETA[:1]

    class Sparse(gpytorch.models.ExactGP):
        def __init__(self, likelihood):
            super().__init__(x, target, likelihood)
            self.mean_module = gpytorch.means.ZeroMean()
            base = gpytorch.kernels.ScaleKernel(gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=3))
            self.covar_module = gpytorch.kernels.InducingPointKernel(base, z.clone(), likelihood)

        def forward(self, rows):
            return gpytorch.distributions.MultivariateNormal(self.mean_module(rows), self.covar_module(rows))

    value, _ = negative_bound(theta, x, target[None, :, None], z[None])
    solution = solve(theta[0], x, target[:, None], z)
    likelihood = gpytorch.likelihoods.GaussianLikelihood(noise_constraint=gpytorch.constraints.GreaterThan(1e-9))
    model = Sparse(likelihood).double()
    model.covar_module.base_kernel.base_kernel.lengthscale = theta[0, :3].exp()
    model.covar_module.base_kernel.outputscale = solution.variance
    likelihood.noise = theta[0, 3].exp() * solution.variance
    settings = gpytorch.settings
    with settings.fast_computations(False, False, False), settings.cholesky_jitter(double_value=1e-10), torch.no_grad():
        theirs = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)(model(x), target)
        assert -float(value) == pytest.approx(float(theirs), rel=1e-5)
        model.eval()
        with settings.sgpr_diagonal_correction(False):
            expected = model(x[:9] + 0.2)
    mean, left = solution.predict(x[:9] + 0.2, True)
    torch.testing.assert_close(mean[:, 0], expected.mean, rtol=1e-5, atol=1e-6)
    assert bool((left >= 0).all())


def test_inducing_rows_are_those_that_the_others_explain_least():
    x, _ = waves(50)
    scales = torch.tensor([0.5, 0.0, 1.0], dtype=torch.float64)
    chosen = choose_inducing(x, scales, 6)
    c = matern(x, x, scales[None])[0]
    for k in range(1, 6):
        known = chosen[:k]
        solved = torch.linalg.solve(c[known][:, known], c[known])
        left = 1 - (c[known] * solved).sum(0)
        assert float(left[chosen[k]]) == pytest.approx(float(left.max()), rel=1e-6)
    twice = choose_inducing(torch.cat([x[:5], x[:5]]), scales, 10)
    assert sorted((twice % 5).tolist()) == [0, 1, 2, 3, 4]  # a copy of a row explains it wholly


def test_all_rows_as_inducing_points_give_the_exact_predictions():
    x, y = waves(90)
    exact = GaussianProcesses(restarts=1).fit(x[:80], y[:80])
    sparse = SparseProcesses(80)
    sparse.set_state(exact.get_state() | {"points": torch.arange(80).expand(2, 80).clone()})
    for ours, theirs in zip(sparse.predict(x[80:]), exact.predict(x[80:]), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_few_points_learn_noisy_targets_as_well_as_all_rows():
    x, y = waves(700, noise=0.1)
    clean = waves(700, noise=0.0)[1]
    sparse = SparseProcesses(60, restarts=2).fit(x[:600], y[:600])
    exact = GaussianProcesses(restarts=1).fit(x[:600], y[:600])
    new = x[600:].clone().requires_grad_()
    (mean, variance), (best, _) = sparse.predict(new), exact.predict(x[600:])
    error, least = ((m.detach() - clean[600:]).square().mean(0).sqrt() for m in (mean, best))
    assert bool((error < 1.3 * least).all())
    assert bool((sparse.log_likelihood_ < exact.log_likelihood_ + 1e-6).all())  # a bound
    inside = ((mean - y[600:]).abs() <= 1.96 * (variance + sparse.noise_).sqrt()).double().mean()
    assert 0.88 <= float(inside) <= 1.0
    mean.sum().backward()
    assert float(new.grad.abs().max()) > 0
    left, spread = sparse.held_out(torch.arange(600) % 5)
    assert 0.9 < float(((left - y[:600]).abs() <= 1.96 * spread.sqrt()).double().mean()) < 0.99
    alone = (exact.leave_one_out()[0] - y[:600]).square().mean().sqrt()
    assert float((left - y[:600]).square().mean().sqrt()) < 1.1 * float(alone)
    again = SparseProcesses(60)
    again.set_state(sparse.get_state())
    assert torch.equal(again.predict(x[600:])[0], mean.detach())


def test_best_noise_is_that_of_the_bound():
    x, y = waves(60)
    z, scales = x[:15], THETA[0, :3]
    found = best_noise(scales, x, y, z, (1e-8, 1e1))
    values = torch.linspace(-15.0, 2.0, 120, dtype=torch.float64)
    theta = torch.cat([scales.expand(120, -1), values[:, None]], dim=1)
    curve = negative_bound(theta, x, y.expand(120, -1, -1), z.expand(120, -1, -1))[0]
    assert float(found) == pytest.approx(float(values[curve.argmin()]), abs=0.2)


@pytest.mark.parametrize(("n", "count"), [(25, 10), (16, 4), (16, 12), (60, 20)])
def test_bands_of_few_points_are_as_wide_as_errors(n, count):
    x, _ = waves(n + 100, d=3)
    y = torch.stack([torch.sin(x[:, 0]) * torch.exp(0.5 * x[:, 1]), x[:, 2] * (1 + 0.1 * x[:, 0])], dim=1)
    model = SparseProcesses(count, restarts=2).fit(x[:n], y[:n])
    mean, variance = model.predict(x[n:])
    error, std = (mean - y[n:]).abs(), (variance + model.noise_).sqrt()
    assert bool((std.median(0).values < 40 * error.median(0).values).all())
    assert float((error <= 1.96 * std).double().mean()) > 0.8


def test_a_model_with_few_points_has_bands_of_use():
    g = torch.Generator().manual_seed(0)
    meshes = []
    for size, height, load in (1 + torch.rand(45, 3, generator=g, dtype=torch.float64)).tolist():
        mesh = ml.shapes.rectangle(size, height / 2, n=(5, 4)).double()
        u = load * torch.sin(mesh.points[:, 0]) * torch.exp(-mesh.points[:, 1])
        meshes.append(mesh.with_point_data(u=u).with_global_data(load=torch.tensor(load).double()))
    exact, few = (ml.MMGP(["load"], ["u"], inducing=m, restarts=2).fit(meshes[:25]) for m in (None, 10))
    sharp, wide = (model.calibration(meshes[25:])["u"] for model in (exact, few))
    error = few.score(meshes[25:])["u"] / exact.score(meshes[25:])["u"]
    assert wide["width"] / sharp["width"] < 4 * error
    assert wide["coverage"][0.95] > 0.9


def test_constant_targets_groups_and_the_choice_by_size():
    x, y = waves(120)
    y = torch.cat([y, torch.full((120, 1), 3.5, dtype=torch.float64), y[:, :1] + 0.1 * y[:, 1:]], dim=1)
    model = SparseProcesses(30, restarts=1).fit(x, y, groups=[0, 1, 2, 0])
    mean, variance = model.predict(x)
    assert bool((mean[:, 2] == 3.5).all())
    assert bool((variance[:, 2] == 0).all())
    assert float((mean[:, 3] - y[:, 3]).abs().mean()) < 0.1
    assert isinstance(make_processes(2000), GaussianProcesses)
    assert isinstance(make_processes(2001), SparseProcesses)
    assert isinstance(make_processes(5000, None), GaussianProcesses)
    assert isinstance(make_processes(50, 20), SparseProcesses)
    assert isinstance(make_processes(50, 50), GaussianProcesses)


def test_a_model_of_many_samples_has_inducing_points(tmp_path):
    g = torch.Generator().manual_seed(0)
    mesh, meshes = ml.shapes.square(n=3).double(), []
    for _ in range(130):
        a, b = torch.rand(2, generator=g, dtype=torch.float64)
        u = torch.sin(3 * a) * mesh.points[:, 0] + b * mesh.points[:, 1] ** 2
        meshes.append(mesh.with_point_data(u=u).with_global_data(a=a, b=b))
    model = ml.MMGP(["a", "b"], ["u"], inducing=30, restarts=1).fit(meshes[:100])
    assert isinstance(model.processes_, SparseProcesses)
    assert model.score(meshes[100:])["u"] < 0.01
    again = ml.load(model.save(tmp_path / "model"))
    here, there = (m.predict(meshes[100], return_std=True).point_data for m in (model, again))
    assert torch.equal(here["u"], there["u"])
    assert torch.equal(here["u_std"], there["u_std"])
    for wrong in (0, "many", 2.5, True):
        with pytest.raises(ml.ParameterError, match="inducing"):
            ml.MMGP(["a", "b"], ["u"], inducing=wrong).fit(meshes[:4])
