"""Prolongations from a matrix alone, by pyamg where it is installed or by the aggregation of this package."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from meshlearn.errors import ParameterError, require
from meshlearn.fem.aggregation import ROUNDING, coarsen
from meshlearn.fem.spectrum import largest_eigenvalue, positive_diagonal
from meshlearn.ops import SparseOperator

METHODS = ("smoothed_aggregation", "aggregation")
BACKENDS = ("auto", "pyamg", "own")


@dataclass(frozen=True)
class Settings:
    """How to coarsen; see `Hierarchy.from_matrix`. Raises ParameterError for values outside what is allowed."""

    method: str
    backend: str
    block_size: int
    strength: float
    max_coarse: int
    max_levels: int

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ParameterError(f"method={self.method!r}: expected one of {METHODS}.")
        if self.backend not in BACKENDS:
            raise ParameterError(f"backend={self.backend!r}: expected one of {BACKENDS}.")
        if self.block_size < 1 or self.max_coarse < 1 or self.max_levels < 1 or not 0 <= self.strength < 1:
            raise ParameterError(
                "expected block_size, max_coarse, max_levels >= 1 and 0 <= strength < 1; got "
                f"{self.block_size}, {self.max_coarse}, {self.max_levels}, {self.strength}."
            )


def prolongations(A: SparseOperator, near: Tensor | None, settings: Settings) -> tuple[str, list[SparseOperator]]:
    """(back end used, [P_0, P_1, ...] finest first), with A's dtype and device; no step for a matrix that is small."""
    n = A.n_rows
    if A.n_cols != n or n == 0 or n % settings.block_size:
        raise ParameterError(
            f"aggregation needs a square matrix with a multiple of block_size={settings.block_size} rows, "
            f"got shape {A.shape}."
        )
    if near is not None and len(near) != n:
        raise ParameterError(f"near_nullspace has shape {tuple(near.shape)}, expected ({n}, k).")
    positive_diagonal(A)
    if near is None:
        vectors = np.tile(np.eye(settings.block_size), (n // settings.block_size, 1))
    else:
        vectors = near.detach().cpu().double().numpy()
    backend = settings.backend
    if backend == "auto":
        backend = "pyamg" if importlib.util.find_spec("pyamg") else "own"
    matrix = A.to_scipy().astype(np.float64)
    steps = _by_pyamg(matrix, vectors, settings) if backend == "pyamg" else _own(matrix, vectors, settings)
    return backend, [SparseOperator.from_scipy(P, A.dtype).to(A.device) for P in steps]


def _own(matrix: Any, near: np.ndarray, settings: Settings) -> list[Any]:
    nodes = np.arange(matrix.shape[0]) // settings.block_size
    smooth = settings.method == "smoothed_aggregation"
    steps: list[Any] = []
    while matrix.shape[0] > settings.max_coarse and len(steps) + 1 < settings.max_levels:
        omega = 4 / 3 / largest_eigenvalue(SparseOperator.from_scipy(matrix)) if smooth else 0.0
        step = coarsen(matrix, near, nodes, smooth, settings.strength, omega)
        if not 0 < step.P.shape[1] < matrix.shape[0]:
            break  # nothing is coupled strongly enough to be put together
        steps.append(step.P)
        matrix = (step.P.T @ matrix @ step.P).tocsr()
        near, nodes = step.near, step.nodes
    return steps


def _by_pyamg(matrix: Any, near: np.ndarray, settings: Settings) -> list[Any]:
    from scipy.sparse import bsr_matrix, csr_matrix

    pyamg = require("pyamg", "amg", "algebraic multigrid by backend='pyamg'")
    index = np.int32 if matrix.nnz < 2**31 else np.int64
    plain = csr_matrix((matrix.data, matrix.indices.astype(index), matrix.indptr.astype(index)), shape=matrix.shape)
    if settings.block_size > 1:
        plain = bsr_matrix(plain, blocksize=(settings.block_size, settings.block_size))
    with _numpy_seed():
        solver = pyamg.smoothed_aggregation_solver(
            plain,
            B=near,
            symmetry="hermitian",
            strength=("symmetric", {"theta": max(settings.strength, ROUNDING)}),
            smooth=("jacobi", {"omega": 4 / 3}) if settings.method == "smoothed_aggregation" else None,
            improve_candidates=None,
            max_coarse=settings.max_coarse,
            max_levels=settings.max_levels,
        )
    return [level.P.tocsr() for level in solver.levels[:-1]]


class _numpy_seed:
    """pyamg draws the start of its eigenvalue estimate from numpy's global generator: fixed here, put back after."""

    def __enter__(self) -> None:
        self.state = np.random.get_state()  # noqa: NPY002
        np.random.seed(0)  # noqa: NPY002

    def __exit__(self, *exception: object) -> None:
        np.random.set_state(self.state)  # noqa: NPY002
