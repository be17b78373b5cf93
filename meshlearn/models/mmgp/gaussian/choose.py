"""Exact processes or inducing points, by the number of samples."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from meshlearn.models.mmgp.gaussian.batch import Processes
from meshlearn.models.mmgp.gaussian.process import GaussianProcesses
from meshlearn.models.mmgp.gaussian.sparse import SparseProcesses

MANY = 2000  # samples from which "auto" takes inducing points: exact training then takes a minute per target
POINTS = 1024


def make_processes(n: int, inducing: Any = "auto", restarts: int = 4, seed: int = 0) -> Processes:
    """Processes for n samples: with `inducing` points; exact ones for None, and for "auto" up to 2000 samples.

    "auto" takes 1024 points above. As many points as samples, or more, give exact processes too.
    """
    if inducing == "auto":
        inducing = POINTS if n > MANY else None
    if inducing is None or int(inducing) >= n:
        return GaussianProcesses(restarts, seed=seed)
    return SparseProcesses(int(inducing), restarts, seed=seed)


def load_processes(tensors: dict[str, Tensor]) -> Processes:
    """Trained processes from what `get_state` gave."""
    found: Processes = GaussianProcesses()
    if "points" in tensors:
        found = SparseProcesses(tensors["points"].shape[1])
    found.set_state(tensors)
    return found
