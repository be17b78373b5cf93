"""The V-cycle as a module: a symmetric positive definite linear map close to A^-1, for every device.

A. Brandt, "Multi-level adaptive solutions to boundary-value problems", Mathematics of Computation 31, 1977; W. L.
Briggs, V. E. Henson, S. F. McCormick, "A Multigrid Tutorial", 2000.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meshlearn.errors import ParameterError
from meshlearn.fem.coarse_solve import CoarseSolve
from meshlearn.fem.gauss_seidel import GaussSeidel
from meshlearn.fem.hierarchy import Hierarchy
from meshlearn.fem.learned_smoothers import LearnedDiagonal, LearnedPolynomial
from meshlearn.fem.smoothers import Chebyshev, Jacobi, Smoother

SMOOTHERS: dict[str, Callable[[], Smoother]] = {
    "jacobi": Jacobi,
    "chebyshev": Chebyshev,
    "gauss-seidel": GaussSeidel,
    "learned-diagonal": LearnedDiagonal,
    "learned-polynomial": LearnedPolynomial,
}


class VCycle(nn.Module):
    """One V-cycle from zero: `vcycle(r)` approximates A^-1 r, linear in r, for r (n,) or (n, k).

    hierarchy  a `Hierarchy` with matrices
    smoother   "jacobi", "chebyshev", "gauss-seidel" (CPU only), "learned-diagonal", "learned-polynomial", or a
               `Smoother` with other settings, such as `Chebyshev(degree=2)`; shared by all levels
    pre, post  smoothing steps before and after the coarse correction; the steps after use the transposed smoother, so
               the map is symmetric where pre == post (attribute `symmetric`), as conjugate gradients need it

    The coarsest level is solved by dense Cholesky, on the complement of its null space (pure Neumann problems).
    Gradients flow to r, to the parameters of learned smoothers, and to the values of the matrix the hierarchy was given
    (except with "gauss-seidel"). r of another precision than the matrix is rounded to it and z back. The state dict
    holds the smoother's parameters only. `.to(...)` moves the levels too.

    Raises ParameterError for a hierarchy without matrices, an unknown smoother, negative steps or none at all, a matrix
    that is not symmetric positive (semi)definite on the coarsest level, or r of another size or device.

    >>> from meshlearn.fem.hierarchy import Hierarchy
    >>> from meshlearn.fem.multigrid import VCycle
    >>> A = ml.ops.laplacian(ml.shapes.square(n=32).point_adjacency)  # singular: constants are its null space
    >>> vcycle = VCycle(Hierarchy.from_matrix(A, backend="own"))
    >>> x = torch.randn(33 * 33)
    >>> error = x - x.mean() - vcycle(A @ x)
    >>> bool(error.norm() < 0.2 * (x - x.mean()).norm())
    True
    """

    _probe: Tensor

    def __init__(
        self,
        hierarchy: Hierarchy,
        smoother: str | Smoother = "chebyshev",
        pre: int = 1,
        post: int = 1,
    ):
        super().__init__()
        if not hierarchy.matrices:
            raise ParameterError("this hierarchy has no matrices: give VCycle hierarchy.with_matrix(A).")
        if pre < 0 or post < 0 or pre + post == 0:
            raise ParameterError(f"pre={pre}, post={post}: expected none negative and one step or more.")
        if isinstance(smoother, str):
            if smoother not in SMOOTHERS:
                raise ParameterError(f"smoother={smoother!r}: expected a Smoother or one of {sorted(SMOOTHERS)}.")
            smoother = SMOOTHERS[smoother]()
        A = hierarchy.matrices[0]
        self.smoother, self.pre, self.post = smoother.to(A.device), pre, post
        self.register_buffer("_probe", torch.zeros((), dtype=A.dtype, device=A.device), persistent=False)
        self._set(hierarchy)

    def _set(self, hierarchy: Hierarchy) -> None:
        self.hierarchy = hierarchy
        self._constants: list[Any] = [self.smoother.setup(A) for A in hierarchy.matrices[:-1]]
        self._coarse = CoarseSolve(hierarchy.matrices[-1])

    def with_hierarchy(self, hierarchy: Hierarchy) -> VCycle:
        """A cycle on other levels (another mesh, another matrix) that shares this one's smoother and its parameters."""
        return VCycle(hierarchy, self.smoother, self.pre, self.post)

    @property
    def symmetric(self) -> bool:
        """Whether the map is symmetric: as many steps before the coarse correction as after it."""
        return self.pre == self.post

    def forward(self, r: Float[Tensor, "n *k"]) -> Float[Tensor, "n *k"]:
        """z (n,) or (n, k), close to A^-1 r, in the dtype of r."""
        A = self.hierarchy.matrices[0]
        if r.dim() not in (1, 2) or len(r) != A.n_rows or r.device != A.device:
            raise ParameterError(
                f"this V-cycle acts on ({A.n_rows},) or ({A.n_rows}, k) on {A.device}; "
                f"got {tuple(r.shape)} on {r.device}."
            )
        return self._cycle(0, r.to(A.dtype)).to(r.dtype)

    def _cycle(self, level: int, r: Tensor) -> Tensor:
        if level == len(self.hierarchy.prolongations):
            return self._coarse(r)
        A, P, constants = self.hierarchy.matrices[level], self.hierarchy.prolongations[level], self._constants[level]
        x: Tensor | None = None
        for _ in range(self.pre):
            x = self.smoother(A, constants, r) if x is None else x + self.smoother(A, constants, r - A @ x)
        correction = P @ self._cycle(level + 1, P.T @ (r if x is None else r - A @ x))
        x = correction if x is None else x + correction
        for _ in range(self.post):
            x = x + self.smoother.adjoint(A, constants, r - A @ x)
        return x

    def contraction(self, errors: Float[Tensor, "n *k"], steps: int = 1) -> Float[Tensor, ""]:
        """By what factor a step of x += vcycle(b - A x) shrinks the error: mean over `steps`, in the energy norm.

        errors  (n,) or (n, k) errors to start from; random ones find the factor as `steps` grows
        steps   1 or more

        Returns () the geometric mean (|e_steps| / |e_0|) ** (1 / steps), with |e|^2 the sum of e . A e over columns;
        differentiable, so it is the loss that learned smoothers are trained with. No labels are needed.
        """
        if steps < 1:
            raise ParameterError(f"steps={steps}: expected 1 or more.")
        A, e = self.hierarchy.matrices[0], errors
        start = (errors * (A @ errors)).sum()
        for _ in range(steps):
            e = e - self(A @ e)
        return ((e * (A @ e)).sum() / start) ** (0.5 / steps)

    def _apply(self, fn: Any, recurse: bool = True) -> VCycle:
        super()._apply(fn, recurse)
        moved = self.hierarchy.to(self._probe.device).to(self._probe.dtype)
        if moved is not self.hierarchy:
            self._set(moved)
        return self

    def extra_repr(self) -> str:
        """Sizes of the levels and steps."""
        return f"sizes={self.hierarchy.sizes}, pre={self.pre}, post={self.post}"
