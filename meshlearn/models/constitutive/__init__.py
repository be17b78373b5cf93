"""Neural constitutive laws: see `meshlearn.models.constitutive.model`."""

from meshlearn.models.constitutive.model import ConstitutiveNet

__all__ = ["ConstitutiveNet"]
