"""Structure-preserving operator networks: see `meshlearn.models.spon.model` and `meshlearn.models.spon.multigrid`."""

from meshlearn.models.spon.model import SPON
from meshlearn.models.spon.multigrid import SPONMultigrid

__all__ = ["SPON", "SPONMultigrid"]
