"""`ModulatedField`: fields by one code each, which modulates a coordinate network. The baseline of the attention.

Papers: E. Dupont et al. 2022, "From data to functa", arXiv:2201.12204 (a code per signal, fitted by a few gradient
steps, meta-learned); E. Perez et al. 2018, "FiLM", arXiv:1709.07871. Departures: GELU and Fourier features in the place
of sines, scales as well as shifts, and learned step sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, no_type_check

from meshlearn.errors import ParameterError
from meshlearn.models.neural_fields.arguments import check_latents, check_modulated
from meshlearn.models.neural_fields.autodecoder import Autodecoder
from meshlearn.models.neural_fields.base import FieldAutodecoder
from meshlearn.models.neural_fields.film import FilmField
from meshlearn.models.neural_fields.groups import Group
from meshlearn.train.fields import FieldSet


class ModulatedField(FieldAutodecoder):
    """Point fields on meshes of any kind, each represented by one code.

    outputs          names of the point fields that are represented
    latent_dim       numbers in the code of a mesh
    hidden, layers   width and number of hidden layers of the coordinate network
    frequency        standard deviation of its Fourier features, per length of a mesh

    inner_steps, meta, points_per_step and loss, `fit_latents`, `decode` and the rest are those of
    `EquivariantNeuralField`; the latents are a cloud of a single point, in the middle of the mesh. The representation
    commutes with translations.

    >>> meshes = [ml.shapes.square(n=n) for n in (6, 7, 8)]
    >>> meshes = [mesh.with_point_data(u=mesh.points[:, 0]) for mesh in meshes]
    >>> model = ml.ModulatedField(["u"], latent_dim=8, hidden=8).fit(meshes, epochs=1, progress=False)
    >>> model.fit_latents(meshes[0]).point_data["context"].shape
    torch.Size([1, 8])
    """

    n_latents = 1
    placement = "shared"
    hidden: int
    layers: int
    frequency: float

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(
        self,
        outputs: Sequence[str] = (),
        latent_dim: int = 128,
        hidden: int = 64,
        layers: int = 3,
        frequency: float = 0.5,
        inner_steps: int = 3,
        meta: str = "second",
        points_per_step: int = 512,
        loss: str = "mse",
    ) -> None:
        self.outputs = outputs
        self.latent_dim = latent_dim
        self.hidden = hidden
        self.layers = layers
        self.frequency = frequency
        self.inner_steps = inner_steps
        self.meta = meta
        self.points_per_step = points_per_step
        self.loss = loss

    def make_group(self, dim: int, length: float) -> Group:
        """Translations."""
        return Group("Rn", dim)

    def truncation_error(self, mesh: Any, nearest: Any) -> dict[str, float]:
        """Raises ParameterError: one code stands for the whole mesh, and none is left out."""
        raise ParameterError(
            "a ModulatedField has one code for a whole mesh, of which nothing is left out: truncation_error is of "
            "ml.EquivariantNeuralField."
        )

    def build(self, fields: FieldSet) -> Any:
        """The network; raises ParameterError for arguments that cannot be."""
        check_latents(self)
        check_modulated("", self.hidden, self.layers, self.frequency)
        field = FilmField(
            fields.dim,
            self.latent_dim,
            fields.width("outputs", "point"),
            self.hidden,
            self.layers,
            float(self.frequency),
        )
        return Autodecoder(field, self.latent_dim, (), 0.0, self.inner_steps, self.meta == "second")
