"""A mesher for planar regions: curves, a graded size field, Delaunay triangulation with smoothing, quads by pairing."""

from meshlearn.mesh.shapes.mesher.curves import Circle, Curve, Ellipse, Polygon, as_curve
from meshlearn.mesh.shapes.mesher.triangulate import Triangulation, triangulate

__all__ = ["Circle", "Curve", "Ellipse", "Polygon", "Triangulation", "as_curve", "triangulate"]
