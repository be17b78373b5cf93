"""Preconditioners by name, set up once per matrix: r -> z, an approximate inverse, on (n, k)."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import ParameterError, SingularMatrixError
from meshlearn.fem.aggregation import ROUNDING
from meshlearn.ops import SparseOperator

Map = Callable[[Tensor], Tensor]
NAMES = ("jacobi", "amg", "ilu")


def make_preconditioner(
    choice: str | Map | None,
    matrix: SparseOperator,
    one_column: bool,
    symmetric: bool = True,
    transposed: bool = False,
    near: Callable[[], tuple[Tensor | None, int]] | None = None,
) -> Map | None:
    """A map (n, k) -> (n, k) in float64.

    - choice: None; "jacobi"; "amg" (smoothed aggregation: by pyamg on a CPU where it is installed, else our own
      V-cycle); "ilu" (incomplete factors by SuperLU, on the host); or a callable, which gets r as (n,) where there is
      one right-hand side, else (n, k).
    - symmetric: whether the matrix is. Of one that is not, "amg" takes the symmetric part (diffusion and reaction,
      without convection), "ilu" factors with partial pivoting.
    - near: for "amg", gives what coarse levels must carry, (n, k) or None for constants, and the unknowns of a node.
    - transposed: for the system with the transposed matrix. A callable is asked for its attribute `T`, and taken as it
      is if it has none.

    Raises ParameterError for an unknown name, SingularMatrixError for a zero on the diagonal.
    """
    if choice is None:
        return None
    if callable(choice):
        return _wrapped(getattr(choice, "T", choice) if transposed else choice, one_column)
    if choice == "jacobi":
        return _jacobi(matrix)
    if choice == "amg":
        return _amg(matrix if symmetric else 0.5 * (matrix + matrix.T), *((None, 1) if near is None else near()))
    if choice == "ilu":
        return _ilu(matrix, symmetric, transposed)
    raise ParameterError(f"preconditioner is {choice!r}; expected None, a callable, or one of {', '.join(NAMES)}")


def _wrapped(function: Map, one_column: bool) -> Map:
    def precondition(r: Tensor) -> Tensor:
        z = function(r[:, 0]).unsqueeze(1) if one_column else function(r)
        if z.shape != r.shape:
            raise ParameterError(f"the preconditioner returned shape {tuple(z.shape)} for a residual {tuple(r.shape)}")
        return z.to(r.dtype)

    return precondition


def _jacobi(matrix: SparseOperator) -> Map:
    diagonal = matrix.diagonal().detach().double()
    zeros = torch.nonzero(diagonal == 0)
    if len(zeros):
        raise SingularMatrixError(
            f"preconditioner='jacobi' divides by the diagonal, which is 0 at unknown {int(zeros[0, 0])} "
            f"({len(zeros)} zeros).\n  Use method='direct' for saddle-point problems."
        )
    inverse = diagonal.abs().reciprocal().unsqueeze(1)
    return lambda r: r * inverse


def _amg(matrix: SparseOperator, near: Tensor | None, block_size: int) -> Map:
    if matrix.device.type != "cpu" or find_spec("pyamg") is None:
        from meshlearn.fem.hierarchy import Hierarchy
        from meshlearn.fem.multigrid import VCycle

        double = matrix.with_values(matrix.values.detach().double())
        own = Hierarchy.from_matrix(double, backend="own", near_nullspace=near, block_size=block_size)
        return torch.no_grad()(VCycle(own))
    pyamg = import_module("pyamg")
    # stored zeros (components that are not coupled) and rounding are no connections to aggregate along
    strength = ("symmetric", {"theta": ROUNDING})
    vectors = None if near is None else near.cpu().numpy()
    solver = pyamg.smoothed_aggregation_solver(
        _host(matrix).tocsr(), B=vectors, symmetry="symmetric", strength=strength
    )
    return _columns(solver.aspreconditioner().matvec)


def _ilu(matrix: SparseOperator, symmetric: bool, transposed: bool) -> Map:
    from scipy.sparse.linalg import spilu

    try:
        # diagonal pivots keep the factors of a symmetric matrix close to symmetric, as conjugate gradients want them
        settings = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
        settings = settings if symmetric else {}
        factors = spilu(_host(matrix).tocsc(), drop_tol=1e-4, fill_factor=10, **settings)
    except RuntimeError as error:
        raise SingularMatrixError(
            f"preconditioner='ilu' met a zero pivot ({error}).\n  Use 'jacobi' or 'amg'."
        ) from None
    return _columns(lambda column: factors.solve(column, "T" if transposed else "N"))


def _host(matrix: SparseOperator):
    from scipy.sparse import csr_matrix

    a = matrix.to_scipy()
    # the C code behind both wants 32-bit indices, and the matrix (not array) interface
    return csr_matrix((a.data.astype(np.float64), a.indices.astype(np.int32), a.indptr.astype(np.int32)), shape=a.shape)


def _columns(function: Callable[[np.ndarray], np.ndarray]) -> Map:
    def precondition(r: Tensor) -> Tensor:
        columns = [function(column) for column in r.detach().cpu().numpy().T.copy()]
        return torch.from_numpy(np.stack(columns, axis=1)).to(r.device)

    return precondition
