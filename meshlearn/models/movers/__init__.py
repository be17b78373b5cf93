"""Mesh movers: the cells stay, the points move to where a monitor wants them."""

from meshlearn.models.movers.equidistribution import Equidistribution, cell_shares, equidistribution
from meshlearn.models.movers.learned import DataFreeMeshMover, LearnedMoveResult
from meshlearn.models.movers.monitors import (
    CarriedField,
    GradientMonitor,
    HessianMonitor,
    Ring,
    SquaredHessianMonitor,
    limited,
)
from meshlearn.models.movers.mover import MongeAmpereMover
from meshlearn.models.movers.result import MoveError, MoveResult
from meshlearn.models.movers.safeguard import held_back, safe_cell_steps, safe_step, safeguarded
from meshlearn.models.movers.transfer import compare_transfers, transfer

__all__ = [
    "CarriedField",
    "DataFreeMeshMover",
    "Equidistribution",
    "GradientMonitor",
    "HessianMonitor",
    "LearnedMoveResult",
    "MongeAmpereMover",
    "MoveError",
    "MoveResult",
    "Ring",
    "SquaredHessianMonitor",
    "cell_shares",
    "compare_transfers",
    "equidistribution",
    "held_back",
    "limited",
    "safe_cell_steps",
    "safe_step",
    "safeguarded",
    "transfer",
]
