"""Mesh-morphing Gaussian processes: see `meshlearn.models.mmgp.model`."""

from meshlearn.models.mmgp.model import MMGP

__all__ = ["MMGP"]
