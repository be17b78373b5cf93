"""Reference simulators that make training data: heat, solids, flows, fronts, and sets of varied domains."""

from meshlearn.sim.airfoil_files import read_airfoil
from meshlearn.sim.airfoils import make_airfoils
from meshlearn.sim.burgers import burgers
from meshlearn.sim.burgers_data import make_burgers
from meshlearn.sim.burgers_waves import make_burgers_waves
from meshlearn.sim.cavity import make_cavities, steady_cavity
from meshlearn.sim.cylinder import make_cylinder_flows
from meshlearn.sim.dam import make_dams
from meshlearn.sim.darcy import make_darcy, solve_darcy
from meshlearn.sim.distance import distance_to_holes, distance_to_polygon
from meshlearn.sim.dynamics.dataset import make_bodies
from meshlearn.sim.elasticity import elasticity
from meshlearn.sim.hyperelasticity import hyperelasticity
from meshlearn.sim.kuramoto_sivashinsky import kuramoto_sivashinsky, make_kuramoto_sivashinsky
from meshlearn.sim.moving_hole import make_moving_holes
from meshlearn.sim.mpm.dataset import make_mpm
from meshlearn.sim.navier_stokes import navier_stokes, steady_navier_stokes
from meshlearn.sim.peaks import make_peaks, peaks_error, solve_peaks
from meshlearn.sim.plasticity import plasticity
from meshlearn.sim.plate import Plate, draw_plate
from meshlearn.sim.plates import make_plates, plate_mesh, solve_elasticity, solve_heat, solve_hyperelasticity
from meshlearn.sim.poisson import poisson
from meshlearn.sim.potential_flow import potential_flow
from meshlearn.sim.shallow_water import shallow_water
from meshlearn.sim.shallow_water_data import make_shallow_water
from meshlearn.sim.solid import von_mises
from meshlearn.sim.star import make_stars
from meshlearn.sim.tensile import make_tensile
from meshlearn.sim.tube import make_tubes
from meshlearn.sim.vorticity import make_vorticity, vorticity_flow

__all__ = [
    "Plate",
    "burgers",
    "distance_to_holes",
    "distance_to_polygon",
    "draw_plate",
    "elasticity",
    "hyperelasticity",
    "kuramoto_sivashinsky",
    "make_airfoils",
    "make_bodies",
    "make_burgers",
    "make_burgers_waves",
    "make_cavities",
    "make_cylinder_flows",
    "make_dams",
    "make_darcy",
    "make_kuramoto_sivashinsky",
    "make_moving_holes",
    "make_mpm",
    "make_peaks",
    "make_plates",
    "make_shallow_water",
    "make_stars",
    "make_tensile",
    "make_tubes",
    "make_vorticity",
    "navier_stokes",
    "peaks_error",
    "plasticity",
    "plate_mesh",
    "poisson",
    "potential_flow",
    "read_airfoil",
    "shallow_water",
    "solve_darcy",
    "solve_elasticity",
    "solve_heat",
    "solve_hyperelasticity",
    "solve_peaks",
    "steady_cavity",
    "steady_navier_stokes",
    "von_mises",
    "vorticity_flow",
]
