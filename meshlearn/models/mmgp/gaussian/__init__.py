"""Exact Gaussian processes in batches: many targets on the same inputs, trained side by side."""

from meshlearn.models.mmgp.gaussian.process import GaussianProcesses

__all__ = ["GaussianProcesses"]
