"""Few points that stand for many: sampling, graphs of one component, and the motion of all points from that of a few.

The two ends of a reduced-order simulation on sparse Lagrangian graphs (Viswanath et al., Reduced-Order Neural
Operators: Learning Lagrangian Dynamics on Highly Sparse Graphs, arXiv 2407.03925): `SparseNodes` samples, and
reconstructs. What moves the nodes in between is the caller's. The reconstruction is not the published one (a learned
integral transform) but moving least squares, which is exact for affine motions.
"""

from meshlearn.models.giorom.least_squares import moving_least_squares
from meshlearn.models.giorom.nodes import SparseNodes
from meshlearn.models.giorom.radius import connecting_radius

__all__ = ["SparseNodes", "connecting_radius", "moving_least_squares"]
