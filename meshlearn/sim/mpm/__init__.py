"""The material point method: elastic bodies, water, metals and sand as particles, differentiable."""

from meshlearn.sim.motion.film import simulate
from meshlearn.sim.motion.walls import Wall
from meshlearn.sim.mpm.body import Body
from meshlearn.sim.mpm.elastic import Corotated, NeoHookean
from meshlearn.sim.mpm.grid import Grid
from meshlearn.sim.mpm.material import Material
from meshlearn.sim.mpm.plastic import Sand, VonMises
from meshlearn.sim.mpm.solver import MPM
from meshlearn.sim.mpm.state import State
from meshlearn.sim.mpm.water import Water

__all__ = [
    "MPM",
    "Body",
    "Corotated",
    "Grid",
    "Material",
    "NeoHookean",
    "Sand",
    "State",
    "VonMises",
    "Wall",
    "Water",
    "simulate",
]
