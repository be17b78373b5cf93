"""Smoothers with parameters, positive definite and convergent for every value of them.

Both are scaled by the sums R of |a_ij| over the rows, A <= R (Gershgorin; A. Baker, R. Falgout, T. Kolev, U. Yang,
"Multigrid smoothers for ultraparallel computing", SIAM J. Sci. Comput. 33, 2011). Parameters know nothing of sizes or
levels, so that a smoother trained on small problems serves large ones.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meshlearn.errors import ParameterError
from meshlearn.fem.smoothers import Smoother, times
from meshlearn.fem.spectrum import positive_diagonal, row_sums
from meshlearn.ops import SparseOperator, segment_max, segment_sum

_LOWEST = 0.1  # distance of the weights from 0 and from 2
_FIXED = 0.05  # share of the untrained polynomial that stays, so that no saturated softmax makes S singular


class LearnedDiagonal(Smoother):
    """S = diag(w) R^-1, 0.1 < w_i < 1.9 from a small network that sees row i of A.

    Its inputs are free of scale: a_ii / R_i, max_j |a_ij| / a_ii, sum of the positive off-diagonal entries / R_i,
    row sum / R_i. R >= A and S^-1 > R / 2 give eigenvalues of S A in (0, 2). Untrained, w = 4/3 everywhere.

    hidden  width of the network's one hidden layer
    """

    def __init__(self, hidden: int = 16):
        super().__init__()
        if hidden < 1:
            raise ParameterError(f"hidden={hidden}: expected 1 or more.")
        last = nn.Linear(hidden, 1)
        self.network = nn.Sequential(nn.Linear(4, hidden), nn.Tanh(), last)
        nn.init.zeros_(last.weight)
        start = (4 / 3 - _LOWEST) / (2 - 2 * _LOWEST)
        nn.init.constant_(last.bias, math.log(start / (1 - start)))

    def setup(self, A: SparseOperator) -> tuple[Tensor, Tensor]:
        """(features (n, 4), 1 / R (n,))."""
        diagonal, sums = positive_diagonal(A), row_sums(A)
        off = A.values * (A.adjacency.receivers != A.index).to(A.dtype)
        parts = [
            diagonal / sums,
            segment_max(off.abs(), A.adjacency) / diagonal,
            segment_sum(off.clamp(min=0), A.adjacency) / sums,
            segment_sum(A.values, A.adjacency) / sums,
        ]
        return torch.stack(parts, 1), 1 / sums

    def weights(self, features: Float[Tensor, "n 4"]) -> Float[Tensor, " n"]:
        """(n,) w, in (0.1, 1.9)."""
        dtype = next(self.network.parameters()).dtype
        return _LOWEST + (2 - 2 * _LOWEST) * torch.sigmoid(self.network(features.to(dtype)).squeeze(1))

    def forward(
        self, A: SparseOperator, constants: tuple[Tensor, Tensor], r: Float[Tensor, "n *k"]
    ) -> Float[Tensor, "n *k"]:
        """S r."""
        features, inverse = constants
        return times(self.weights(features).to(r.dtype) * inverse, r)


class LearnedPolynomial(Smoother):
    """S A = 1 - q(R^-1 A), with q(t) = sum_j c_j T_j(1 - 2 t), T_j of Chebyshev's first kind.

    c = 0.95 softmax(parameters) + 0.05 c_0 is positive with sum 1, so that q(0) = 1 and |q| < 1 on (0, 1], where the
    spectrum of R^-1 A lies. Untrained, c = c_0 = (1, 2, ..., 2) / (2 degree + 1): that is `Chebyshev` (4th kind),
    scaled by R. Costs degree - 1 products with A.

    degree  1 or more
    """

    def __init__(self, degree: int = 3):
        super().__init__()
        if degree < 1:
            raise ParameterError(f"degree={degree}: expected 1 or more.")
        self.logits = nn.Parameter(torch.tensor([0.0] + [math.log(2.0)] * degree))

    @property
    def degree(self) -> int:
        """Degree of q."""
        return len(self.logits) - 1

    def coefficients(self) -> Float[Tensor, " terms"]:
        """(degree + 1,) c, positive, with sum 1."""
        start = torch.full_like(self.logits, 2.0)
        start[0] = 1.0
        return (1 - _FIXED) * torch.softmax(self.logits, 0) + _FIXED * start / start.sum()

    def setup(self, A: SparseOperator) -> Tensor:
        """(n,) 1 / R."""
        positive_diagonal(A)
        return 1 / row_sums(A)

    def forward(self, A: SparseOperator, constants: Tensor, r: Float[Tensor, "n *k"]) -> Float[Tensor, "n *k"]:
        """S r: x_{j+1} = 2 x_j - x_{j-1} + 4 R^-1 (r - A x_j) has the residual polynomial T_{j+1}(1 - 2 t)."""
        c = self.coefficients().to(r.dtype)
        before, x = torch.zeros_like(r), 2 * times(constants, r)
        z = c[1] * x
        for j in range(2, self.degree + 1):
            before, x = x, 2 * x - before + 4 * times(constants, r - A @ x)
            z = z + c[j] * x
        return z
