"""Meshes of simple shapes, without an external mesher: for tests, demos and studies.

>>> ml.shapes.plate_with_holes([(0.5, 0.5, 0.2)], size=0.1).topology.euler_characteristic
0
"""

from meshlearn.mesh.shapes.disc import annulus, disc
from meshlearn.mesh.shapes.plate import planar, plate_with_holes
from meshlearn.mesh.shapes.solids import ball, box, cylinder
from meshlearn.mesh.shapes.square import interval, l_shape, rectangle, square
from meshlearn.mesh.shapes.surfaces import sphere, torus

__all__ = [
    "annulus",
    "ball",
    "box",
    "cylinder",
    "disc",
    "interval",
    "l_shape",
    "planar",
    "plate_with_holes",
    "rectangle",
    "sphere",
    "square",
    "torus",
]
