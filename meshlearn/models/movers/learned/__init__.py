"""Learned mesh movers: a network maps a monitor to the Monge-Ampère potential that moves the points."""

from meshlearn.models.movers.learned.mover import DataFreeMeshMover
from meshlearn.models.movers.learned.result import LearnedMoveResult

__all__ = ["DataFreeMeshMover", "LearnedMoveResult"]
