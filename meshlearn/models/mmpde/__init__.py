"""Moving-mesh neural PDE solver: see `meshlearn.models.mmpde.model`."""

from meshlearn.models.mmpde.model import MMPDE

__all__ = ["MMPDE"]
