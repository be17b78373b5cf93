"""Fields on meshes as latent points: see `meshlearn.models.neural_fields.field` and `.enf2enf`."""

from meshlearn.models.neural_fields.enf2enf import Enf2Enf
from meshlearn.models.neural_fields.field import EquivariantNeuralField
from meshlearn.models.neural_fields.geometry import signed_distance
from meshlearn.models.neural_fields.modulated import ModulatedField
from meshlearn.models.neural_fields.reach import ExtrapolationWarning

__all__ = ["Enf2Enf", "EquivariantNeuralField", "ExtrapolationWarning", "ModulatedField", "signed_distance"]
