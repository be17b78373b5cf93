"""What solvers that march through time share: states, checked and differentiable runs, films, walls."""

from meshlearn.sim.motion.film import simulate
from meshlearn.sim.motion.snapshot import Snapshot
from meshlearn.sim.motion.system import Motion
from meshlearn.sim.motion.walls import Wall

__all__ = ["Motion", "Snapshot", "Wall", "simulate"]
