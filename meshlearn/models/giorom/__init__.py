"""Few points that stand for many: sampling, graphs of one component, steppers, and the motion of all points.

Reduced-order simulation on sparse Lagrangian graphs (Viswanath et al., Reduced-Order Neural Operators: Learning
Lagrangian Dynamics on Highly Sparse Graphs, arXiv 2407.03925): `SparseNodes` samples, and reconstructs; `GIOROM` learns
to step the nodes in between. The reconstruction is not the published one (a learned integral transform) but moving
least squares, exact for affine motions; if asked for, with a learned kernel and correction, which keep them exact.
"""

from meshlearn.models.giorom.crowding import CrowdedGraphWarning
from meshlearn.models.giorom.free_flight import Ballistic, ConstantVelocity
from meshlearn.models.giorom.gappy_pod import GappyPOD
from meshlearn.models.giorom.least_squares import moving_least_squares
from meshlearn.models.giorom.model import GIOROM
from meshlearn.models.giorom.nodes import SparseNodes
from meshlearn.models.giorom.radius import connecting_radius
from meshlearn.models.giorom.rollout import RolloutWarning

__all__ = [
    "GIOROM",
    "Ballistic",
    "ConstantVelocity",
    "CrowdedGraphWarning",
    "GappyPOD",
    "RolloutWarning",
    "SparseNodes",
    "connecting_radius",
    "moving_least_squares",
]
