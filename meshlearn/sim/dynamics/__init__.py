"""Elastic solids in motion: explicit finite elements on triangles and tetrahedra, differentiable."""

from meshlearn.sim.dynamics.solver import ElasticDynamics
from meshlearn.sim.dynamics.state import ElasticState
from meshlearn.sim.motion.film import simulate
from meshlearn.sim.motion.walls import Wall
from meshlearn.sim.mpm.elastic import Corotated, NeoHookean

__all__ = ["Corotated", "ElasticDynamics", "ElasticState", "NeoHookean", "Wall", "simulate"]
