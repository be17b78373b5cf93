"""What a sceptic asks for beside every learned result: constants, the nearest training mesh, pointwise regression."""

from meshlearn.models.baselines.mean_field import MeanField
from meshlearn.models.baselines.nearest_neighbor import NearestNeighbor
from meshlearn.models.baselines.ridge import RidgeRegression

__all__ = ["MeanField", "NearestNeighbor", "RidgeRegression"]
