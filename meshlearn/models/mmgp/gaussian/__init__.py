"""Gaussian processes in batches: many targets on the same inputs, trained side by side.

The definitions are gpytorch's: at the same hyperparameters, predictive means, variances and marginal likelihoods equal
those of its `ExactGP` (a test compares them). The computation is our own, for what a model of modes needs and gpytorch
does not do: every target stops its search by itself (gpytorch's batches share one optimiser, so that the slowest
target decides for all), the variance of the process is eliminated in closed form, gradients for all length scales come
from one matrix product instead of autograd through the kernel, restarts run on a part of the rows, and nothing depends
on global settings: no noise floor of 1e-4, no conjugate gradients above 800 rows, float64 throughout.
"""

from meshlearn.models.mmgp.gaussian.batch import Processes
from meshlearn.models.mmgp.gaussian.choose import load_processes, make_processes
from meshlearn.models.mmgp.gaussian.process import GaussianProcesses
from meshlearn.models.mmgp.gaussian.sparse import SparseProcesses

__all__ = ["GaussianProcesses", "Processes", "SparseProcesses", "load_processes", "make_processes"]
