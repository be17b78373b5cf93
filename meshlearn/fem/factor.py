"""Sparse LU factors (SuperLU), made once per matrix and used for every right-hand side and for the transpose."""

from __future__ import annotations

import time
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn.errors import ConvergenceError, SingularMatrixError
from meshlearn.ops import SparseOperator

_SINGULAR = 1e-14  # of |A z| against | |A| |z| | for the smallest direction z; rounding alone gives about 1e-16
_BACKWARD = 1e-13  # backward error above which a solution is refined, 100 times this: above which it is refused
ADVICE = (
    "Fix the solution on part of the boundary (Dirichlet data), or say what is undetermined:\n"
    "  nullspace='constant' for a pure Neumann problem, nullspace='rigid' for free elasticity on a vector space.\n"
    "  In an enclosed flow the pressure is known up to a constant: fix it in one point, component=1. Rows of zeros are "
    "unknowns that occur in no term."
)


class Factorization:
    """LU factors of a square matrix in float64 on the host; with `pinned` dofs, of what is left without them.

    A matrix that is symmetric with a positive diagonal is factorised in symmetric mode (minimum degree on A + A^T,
    diagonal pivots), which halves the fill; any other, or one where that is inaccurate, by COLAMD and partial pivoting.

    Raises SingularMatrixError when a pivot is zero, or when the matrix maps some vector to rounding.
    """

    def __init__(self, matrix: SparseOperator, pinned: Int64[Tensor, " k"] | None = None):
        start = time.perf_counter()
        whole = matrix.to_scipy().astype(np.float64).tocsc()
        whole.sum_duplicates()
        self.n = whole.shape[0]
        self.kept: np.ndarray | None = None
        if pinned is not None:
            self.kept = np.delete(np.arange(self.n), pinned.cpu().numpy())
            whole = whole[self.kept][:, self.kept].tocsc()
        self._scale = _equilibration(whole)
        whole = (_diagonal(self._scale) @ whole @ _diagonal(self._scale)).tocsc()
        self._matrix = whole
        self._magnitude = abs(whole)
        self.symmetric = _is_symmetric(whole)
        self._lu: Any = None
        if self.symmetric and (whole.diagonal() > 0).all():
            self._factorize("MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        if self._lu is None or not self._accurate():
            self._factorize("COLAMD")
        self._check_regular()
        self.seconds = time.perf_counter() - start

    def _factorize(self, ordering: str, **options: Any) -> None:
        from scipy.sparse import csc_array
        from scipy.sparse.linalg import splu

        if self._matrix.shape[0] == 0:
            return
        a = self._matrix
        # SuperLU indexes by 32-bit integers
        narrow = csc_array((a.data, a.indices.astype(np.int32), a.indptr.astype(np.int32)), shape=a.shape)
        try:
            self._lu = splu(narrow, permc_spec=ordering, **options)
        except RuntimeError as error:
            if "singular" not in str(error):
                raise
            if ordering != "COLAMD":
                self._lu = None  # a zero on the diagonal during elimination: partial pivoting decides
                return
            raise SingularMatrixError(
                f"the matrix {a.shape} is singular: a pivot is exactly zero.\n  {ADVICE}"
            ) from None

    def _probe(self) -> np.ndarray:
        return np.cos(np.arange(self._matrix.shape[0]) * 1.618 + 0.3)  # fixed, and not orthogonal to anything smooth

    def _accurate(self) -> bool:
        b = self._probe()
        with np.errstate(all="ignore"):
            x = self._lu.solve(b)
            return bool(np.isfinite(x).all()) and self._backward_error(x, b, "N") < 100 * _BACKWARD

    def _check_regular(self) -> None:
        """Two steps of inverse iteration find the smallest direction z, if there is a very small one."""
        if self._lu is None:
            return
        z = self._probe()
        with np.errstate(all="ignore"):
            for trans in ("N", "T"):
                w = z / np.linalg.norm(z)
                z = self._lu.solve(w, trans)
            size = self._apply(self._magnitude, np.abs(z), "T")
            ratio = np.linalg.norm(w) / np.linalg.norm(size)
        if not ratio > _SINGULAR:
            raise SingularMatrixError(
                f"the matrix {self._matrix.shape} is singular to rounding: it maps a vector z to {ratio:.1e} |A| |z|.\n"
                f"  {ADVICE}"
            )

    @staticmethod
    def _apply(matrix: Any, x: np.ndarray, trans: str) -> np.ndarray:
        return matrix @ x if trans == "N" else matrix.T @ x

    def _backward_error(self, x: np.ndarray, b: np.ndarray, trans: str) -> float:
        """Largest |b - A x| / (|A| |x| + |b|) of the columns, in the maximum norm."""
        residual = np.abs(b - self._apply(self._matrix, x, trans)).max(axis=0)
        scale = (self._apply(self._magnitude, np.abs(x), trans) + np.abs(b)).max(axis=0)
        return float(np.max(residual / np.where(scale > 0, scale, 1), initial=0.0))

    def solve(self, b: Float[Tensor, "n k"], transposed: bool = False) -> tuple[Float[Tensor, "n k"], float]:
        """A x = b (or A^T x = b) for (n, k) float64: x and its backward error; pinned dofs get 0.

        Refined once where rounding calls for it. Raises ConvergenceError when that does not help.
        """
        trans = "T" if transposed else "N"
        full = b.detach().cpu().numpy()
        if full.shape[1] == 1:
            full = full[:, 0]
        rhs = full if self.kept is None else full[self.kept]
        if self._lu is None:
            return torch.zeros_like(b), 0.0
        scale = self._scale if rhs.ndim == 1 else self._scale[:, None]
        rhs = rhs * scale
        x = self._lu.solve(rhs, trans)
        error = self._backward_error(x, rhs, trans)
        if not error <= _BACKWARD:
            x = x + self._lu.solve(rhs - self._apply(self._matrix, x, trans), trans)
            error = self._backward_error(x, rhs, trans)
        if not error <= 100 * _BACKWARD:
            raise ConvergenceError(
                f"the direct solve has a backward error of {error:.1e} after refinement: the matrix is close to "
                f"singular or badly scaled (scaled entries from {np.abs(self._matrix.data).min():.1e} to "
                f"{np.abs(self._matrix.data).max():.1e}).\n  Scale the equations to similar size.",
                [error],
            )
        x = x * scale
        if self.kept is not None:
            out = np.zeros_like(full)
            out[self.kept] = x
            x = out
        return torch.from_numpy(np.ascontiguousarray(x)).reshape(b.shape).to(b.device), error


def _equilibration(matrix: Any) -> np.ndarray:
    """d with entries of diag(d) A diag(d) about 1: powers of two, so that scaling does not round.

    From the diagonal where it is positive, else by alternating maxima (Ruiz 2001).
    """
    diagonal = matrix.diagonal()
    if (diagonal > 0).all():
        scale = 1 / np.sqrt(diagonal)
    else:
        size, scale = abs(matrix), np.ones(matrix.shape[0])
        for _ in range(4):
            scaled = _diagonal(scale) @ size @ _diagonal(scale)
            largest = np.maximum(*(scaled.max(axis=axis).toarray().ravel() for axis in (0, 1)))
            scale = scale / np.sqrt(np.where(largest > 0, largest, 1))
    return np.exp2(np.round(np.log2(scale)))


def _diagonal(scale: np.ndarray) -> Any:
    from scipy.sparse import diags_array

    return diags_array(scale)


def _is_symmetric(matrix: Any) -> bool:
    difference = matrix - matrix.T
    largest = np.abs(matrix.data).max(initial=0.0)
    return bool(np.abs(difference.data).max(initial=0.0) <= 1e-12 * largest)


class ValueCache:
    """Things made from a tensor's values, kept while the tensor lives and is not written to; the latest few only."""

    def __init__(self, size: int = 8):
        self._size = size
        self._entries: OrderedDict[Hashable, tuple[weakref.ref, int, Any]] = OrderedDict()

    def get(self, values: Tensor, key: Hashable, owners: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """What `make()` gives for these values; `owners` are objects that the key names by id, held weakly."""
        if values.is_inference():  # no version counter: it cannot be known whether the values are still the same
            return make()
        full = (id(values), key, *(id(owner) for owner in owners))
        found = self._entries.get(full)
        if found is not None and found[0]() is values and found[1] == values._version:
            self._entries.move_to_end(full)
            return found[2]
        made = make()
        forget = lambda _, full=full: self._entries.pop(full, None)  # noqa: E731
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch notes that a tensor's weak reference may die early: a miss, no more
            self._entries[full] = (weakref.ref(values, forget), values._version, made)
        for owner in owners:
            weakref.finalize(owner, forget, None)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)
        return made


cache = ValueCache()
