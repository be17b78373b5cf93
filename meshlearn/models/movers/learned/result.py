"""What a learned mover returns: a `MoveResult` that computes its measures when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jaxtyping import Float
from torch import Tensor

from meshlearn.mesh.mesh import Mesh
from meshlearn.models.movers.equidistribution import Equidistribution, equidistribution
from meshlearn.models.movers.learned.equation import Residual, hessian
from meshlearn.models.movers.learned.geometry import Geometry
from meshlearn.models.movers.learned.sample import mover_sample
from meshlearn.models.movers.monitors.carried import CarriedField
from meshlearn.models.movers.mover import cell_quality
from meshlearn.models.movers.result import MoveResult


@dataclass(frozen=True)
class Moved:
    """What one pass of the network gives for one mesh: points in its dtype, all else in float64; see `held_back`."""

    geometry: Geometry
    points: Float[Tensor, "n dim"]
    potential: Float[Tensor, " n"]
    monitor: Float[Tensor, " n"]
    shares: Float[Tensor, " n"]
    raw_inverted: int


class LearnedMoveResult(MoveResult):
    """A `MoveResult` of a network; a network is not iterated: `iterations` is 0 and `scale_history` empty.

    converged         whether the residual fell and no point was held back
    residual_history  relative residuals, where nothing moves and of the network's potential, as the classical mover
                      measures them
    raw_inverted      cells that the network's own map inverts, before points are held back
    raw_inversion_rate  of all cells
    shares            (n_points,) part of its move that every point makes: 1, less where cells would get too small

    Measures are computed when they are first asked for, in float64, so that they cost nothing where they are not.
    """

    def __init__(self, start: Mesh, moved: Moved) -> None:
        made: dict[str, Any] = {
            "start": start,
            "mesh": start.replace(points=moved.points.to(start.device)),
            "potential": moved.potential,
            "monitor_before": moved.monitor,
            "iterations": 0,
            "scale_history": (),
            "n_inverted": 0,
            "method": "network",
            "raw_inverted": moved.raw_inverted,
            "shares": moved.shares,
            "_moved": moved,
        }
        self.__dict__.update(made)

    raw_inverted: int
    shares: Tensor
    _moved: Moved

    @property
    def raw_inversion_rate(self) -> float:
        return self.raw_inverted / self.mesh.n_cells

    @cached_property
    def _meshes(self) -> tuple[Mesh, Mesh]:
        wide = (mesh.replace(points=mesh.points.detach().cpu().double()) for mesh in (self.start, self.mesh))
        return tuple(wide)  # type: ignore[return-value]

    @cached_property
    def monitor(self) -> Tensor:  # type: ignore[override]
        start, after = self._meshes
        return CarriedField(start, self.monitor_before)(after.points)

    @cached_property
    def residual_history(self) -> tuple[float, float]:  # type: ignore[override]
        moved = self._moved
        sample = mover_sample(moved.geometry)
        sizes = []
        scaled = moved.potential / moved.geometry.size**2
        for m, phi in ((moved.monitor, 0 * scaled), (self.monitor, scaled)):
            found = Residual(sample.operators, sample.meshes, m, hessian(sample, phi)).values
            sizes.append(float(found.norm() / sample.operators.lumped.norm()))
        return sizes[0], sizes[1]

    @property
    def converged(self) -> bool:  # type: ignore[override]
        before, after = self.residual_history
        return (after < before or before < 1e-12) and bool((self.shares == 1).all())

    @property
    def reason(self) -> str:  # type: ignore[override]
        before, after = self.residual_history
        held = int((self.shares < 1).sum())
        text = f"one pass of a network: the residual is {before:.2e} before and {after:.2e} after"
        return text + (f"; {held} points were held back to keep every cell valid" if held else "")

    @cached_property
    def equidistribution(self) -> Equidistribution:  # type: ignore[override]
        return equidistribution(*self._meshes, self.monitor)

    @cached_property
    def before(self) -> Equidistribution:  # type: ignore[override]
        start, _ = self._meshes
        return equidistribution(start, start, self.monitor_before)

    @cached_property
    def quality(self) -> dict[str, float]:  # type: ignore[override]
        return cell_quality(self._meshes[1])

    @cached_property
    def quality_before(self) -> dict[str, float]:  # type: ignore[override]
        return cell_quality(self._meshes[0])

    def __repr__(self) -> str:
        cv, ratio = self.equidistribution.cv, self.equidistribution.ratio
        return (
            f"LearnedMoveResult(cv {self.before.cv:.3g} -> {cv:.3g}, ratio {self.before.ratio:.3g} -> {ratio:.3g}, "
            f"smallest quality {self.quality_before['smallest']:.2g} -> {self.quality['smallest']:.2g}, "
            f"{self.raw_inverted} of {self.mesh.n_cells} cells inverted before the safeguard, 0 after)"
        )
