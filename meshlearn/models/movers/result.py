"""What a mover returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ConvergenceError
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.movers.equidistribution import Equidistribution


@dataclass(frozen=True)
class MoveResult:
    """A moved mesh and how it came about.

    mesh              the same cells and data at the moved points, in the dtype of the start; never an inverted cell
    start             the mesh that was moved
    monitor           (n_points,) float64: the monitor at the moved points; `monitor_before` at those of the start
    potential         (n_points,) float64 phi with x = xi + grad(phi), of mean zero; None for method="variational"
    iterations        accepted steps
    converged         whether the residual is below rtol; a mover that stopped for another reason says so in `reason`
    reason            why the iteration ended, in words
    residual_history  relative residuals: the start's, then one per iteration
    scale_history     step lengths in (0, 1], one per iteration
    equidistribution  cv and ratio after, `before` those of the start
    quality           smallest and mean scaled Jacobian of the cells after, `quality_before` of the start
    n_inverted        inverted cells of the moved mesh: 0
    method            which method moved it
    """

    mesh: Mesh
    start: Mesh
    monitor: Float[Tensor, " n"]
    monitor_before: Float[Tensor, " n"]
    potential: Float[Tensor, " n"] | None
    iterations: int
    converged: bool
    reason: str
    residual_history: tuple[float, ...]
    scale_history: tuple[float, ...]
    equidistribution: Equidistribution
    before: Equidistribution
    quality: dict[str, float]
    quality_before: dict[str, float]
    n_inverted: int
    method: str

    def __repr__(self) -> str:
        cv, ratio = self.equidistribution.cv, self.equidistribution.ratio
        return (
            f"MoveResult({'converged' if self.converged else 'NOT converged'} after {self.iterations} iterations: "
            f"cv {self.before.cv:.3g} -> {cv:.3g}, ratio {self.before.ratio:.3g} -> {ratio:.3g}, "
            f"smallest quality {self.quality_before['smallest']:.2g} -> {self.quality['smallest']:.2g})"
        )


class MoveError(ConvergenceError):
    """A mover that did not reach its tolerance; `result` holds the best valid mesh and the whole history."""

    def __init__(self, message: str, result: Any) -> None:
        super().__init__(message, result.residual_history)
        self.result: MoveResult = result
