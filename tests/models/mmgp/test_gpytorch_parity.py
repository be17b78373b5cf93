"""Predictive mean, variance and marginal likelihood against gpytorch's ExactGP at the same hyperparameters.

gpytorch needs care here: its noise floor of 1e-4 and its switch to conjugate gradients above 800 rows are both set
aside, as they would have to be for simulations without noise.
"""

import contextlib
import warnings

import pytest
import torch

from meshlearn.models.mmgp.gaussian import GaussianProcesses
from meshlearn.models.mmgp.gaussian.likelihood import negative_log_likelihood


@contextlib.contextmanager
def exact_gpytorch():
    """gpytorch with Cholesky factors of any size, no approximate variances, and no jitter but its own retries."""
    with warnings.catch_warnings():  # it still compiles with torch.jit at import
        warnings.simplefilter("ignore", DeprecationWarning)
        import gpytorch
    settings = gpytorch.settings
    with (
        settings.max_cholesky_size(100_000),
        settings.fast_computations(covar_root_decomposition=False, log_prob=False, solves=False),
        settings.fast_pred_var(False),
    ):
        yield gpytorch


def reference(gpytorch, ours, k):
    """gpytorch's ExactGP with what ours has learned for target k."""

    class Exact(gpytorch.models.ExactGP):
        def __init__(self, x, y, likelihood):
            super().__init__(x, y, likelihood)
            self.mean_module = gpytorch.means.ZeroMean()
            self.covar_module = gpytorch.kernels.ScaleKernel(
                gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=x.shape[1])
            )

        def forward(self, x):
            return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))

    floor = gpytorch.constraints.GreaterThan(1e-14)
    likelihood = gpytorch.likelihoods.GaussianLikelihood(noise_constraint=floor).double()
    model = Exact(ours.inputs_, ours.targets_[:, k], likelihood).double()
    model.covar_module.base_kernel.lengthscale = ours.parameters_[k, :-1].exp()
    model.covar_module.outputscale = ours.variances_[k]
    likelihood.noise = ours.parameters_[k, -1].exp() * ours.variances_[k]
    return model, likelihood


@pytest.mark.parametrize(("rows", "noise"), [(60, 3e-2), (900, 1e-3)])  # 900: above gpytorch's switch at 800
def test_predictions_and_likelihood_equal_exact_gpytorch(rows, noise):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(rows + 12, 2, generator=g, dtype=torch.float64)
    y = torch.stack([torch.sin(2 * x[:, 0]) + x[:, 1] ** 2, torch.cos(x[:, 0] * x[:, 1])], dim=1)
    y = y + noise * torch.randn(y.shape, generator=g, dtype=torch.float64)
    ours = GaussianProcesses(restarts=1, iterations=25).fit(x[:rows], y[:rows])
    mean, variance = ours.predict(x[rows:])
    with exact_gpytorch() as gpytorch, torch.no_grad():
        for k in range(2):
            model, likelihood = reference(gpytorch, ours, k)
            marginal = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
            theirs = float(marginal(model(ours.inputs_), ours.targets_[:, k])) * rows
            model.eval()
            latent = model(ours._standard(x[rows:]))
            expected = ours.y_mean_[k] + ours.y_scale_[k] * latent.mean
            spread = ours.y_scale_[k] ** 2 * latent.variance
            torch.testing.assert_close(mean[:, k], expected, rtol=0, atol=1e-6)  # condition 1e9
            torch.testing.assert_close(variance[:, k], spread, rtol=1e-4, atol=1e-9)
            noisy = ours.y_scale_[k] ** 2 * likelihood(latent).variance
            torch.testing.assert_close(variance[:, k] + ours.noise_[k], noisy, rtol=1e-5, atol=1e-9)
            assert likelihood_of(ours, k) == pytest.approx(theirs, rel=1e-6)


def likelihood_of(ours, k):
    """Log marginal likelihood of target k at the parameters that were found; `losses_` hold the prior's share too."""
    value, _ = negative_log_likelihood(ours.parameters_[k : k + 1], ours.inputs_, ours.targets_[None, :, k : k + 1])
    return -float(value) * len(ours.inputs_)
