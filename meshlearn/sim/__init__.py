"""Reference simulators that make training data: Poisson's equation and plane elasticity on plates with holes."""

from meshlearn.sim.distance import distance_to_holes, distance_to_polygon
from meshlearn.sim.elasticity import elasticity
from meshlearn.sim.plate import Plate, draw_plate
from meshlearn.sim.plates import make_plates, plate_mesh, solve_elasticity, solve_heat
from meshlearn.sim.poisson import poisson
from meshlearn.sim.solid import von_mises

__all__ = [
    "Plate",
    "distance_to_holes",
    "distance_to_polygon",
    "draw_plate",
    "elasticity",
    "make_plates",
    "plate_mesh",
    "poisson",
    "solve_elasticity",
    "solve_heat",
    "von_mises",
]
