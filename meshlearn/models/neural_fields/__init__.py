"""Fields on meshes as latent points: see `meshlearn.models.neural_fields.field`."""

from meshlearn.models.neural_fields.field import EquivariantNeuralField
from meshlearn.models.neural_fields.reach import ExtrapolationWarning

__all__ = ["EquivariantNeuralField", "ExtrapolationWarning"]
