"""`EquivariantNeuralField`: fields as a few latent points with poses, which move and turn with what they describe.

A point attends to the latents through numbers that do not change when both are moved (bi-invariants), so that moving
the latents moves the field: f(g x; g z) = f(x; z) for any weights. Latents are fitted to a field by a few gradient
steps whose sizes are learned.

Papers: D. Wessels, D. Knigge, S. Papa, R. Valperga, S. Vadgama, E. Gavves, E. Bekkers 2024, "Grounding continuous
representations in geometry: equivariant neural fields", arXiv:2406.05753 (cross-attention on bi-invariants with
Gaussian windows, section 4; meta-learned latents); Z. Li et al. 2017, "Meta-SGD", arXiv:1707.09835.

Departures, and why:
- logits are linear in the Fourier features of the bi-invariants (theirs pass a layer first): an inner product with a
  key per latent then replaces a product with a matrix per pair;
- the last layer of the values' MLP comes after the sum over the latents, which is the same function, and its first one
  is left out: one product less per pair;
- what depends on poses alone is computed once per fit of the latents, as long as these do not move;
- latents lie at the centres of Lloyd's cells of the training domain ("shared"), or of each mesh ("own"), not on a grid:
  any domain is covered, with any number of latents, and own places make the whole pipeline equivariant, since axes
  then turn with the mesh;
- the inner steps and the outer loss use the same points, weighted by measure, so that a mesh that is finer in places
  is not fitted better there;
- shared places are spread half by measure and half by the number of points: closer where meshes are finer;
- weights begin with variance 2 / n, so that the first fits move the latents at all (`initial`);
- offsets and invariants are taken in float64 when fields are decoded, in whatever the network computes;
- windows in periodic boxes are -|chord|^2 / s^2, with the period of the box;
- nearest-latent attention has a taper, which keeps the field continuous.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, no_type_check

from meshlearn.models.neural_fields.arguments import check_group, check_latents, check_network
from meshlearn.models.neural_fields.autodecoder import Autodecoder
from meshlearn.models.neural_fields.base import FieldAutodecoder
from meshlearn.models.neural_fields.groups import Group
from meshlearn.models.neural_fields.network import AttentionField
from meshlearn.train.fields import FieldSet


class EquivariantNeuralField(FieldAutodecoder):
    """Point fields on meshes of any kind, represented by latent points.

    outputs          names of the point fields that are represented (vectors: every component for itself)
    group            what the representation commutes with: "Rn" translations, "En" rotations, reflections and
                     translations, "SE2" and "SE3" rotations and translations, latents with axes; "Tn" translations of a
                     box with periodic sides
    period           for "Tn": length of the box along every axis, None where it is not periodic
    n_latents        number of latents of a mesh
    latent_dim       numbers in the code of a latent
    hidden, heads    width and heads of the attention
    frequencies      standard deviations of the Fourier features of queries and values, per length of a mesh
    nearest          latents that a point attends to; None: all
    moving           parts of the poses that are fitted beside the codes: "position", "turn", "window"
    placement        where latents begin: "own", spread over each mesh; "shared", at the same places from the centre of
                     every mesh; "auto": "own" for groups with rotations
    inner_steps      gradient steps of the fit of the latents
    meta             "second": weights are trained through these steps; "first": past them, cheaper
    points_per_step  points of a mesh in a training step, drawn anew each time
    loss             "mse", "mae" or "huber" of the weights' fit

    `fit(meshes)` learns from fields, `fit_latents(mesh)` gives the latents of one as a point cloud, and
    `decode(latents, mesh_or_points)` the fields of latents anywhere. `predict` and `score` go there and back: they tell
    what the latents keep of the fields that a mesh carries.

    After `fit`: `length_`, the unit of length of the network: how far the farthest training mesh reaches from its
    centre.

    >>> meshes = [ml.shapes.square(n=n) for n in (6, 7, 8)]
    >>> meshes = [mesh.with_point_data(u=mesh.points[:, 0]) for mesh in meshes]
    >>> model = ml.EquivariantNeuralField(["u"], n_latents=4, latent_dim=4, hidden=8)
    >>> latents = model.fit(meshes, epochs=1, progress=False).fit_latents(meshes[0])
    >>> latents.point_data["context"].shape, model.decode(latents, ml.shapes.square(n=20)).point_data["u"].shape
    (torch.Size([4, 4]), torch.Size([441]))
    """

    group: str
    period: Sequence[float | None] | None
    hidden: int
    heads: int
    frequencies: Sequence[float]
    nearest: int | None
    moving: Sequence[str]

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(
        self,
        outputs: Sequence[str] = (),
        group: str = "Rn",
        period: Sequence[float | None] | None = None,
        n_latents: int = 16,
        latent_dim: int = 16,
        hidden: int = 64,
        heads: int = 2,
        frequencies: Sequence[float] = (0.5, 1.0),
        nearest: int | None = 4,
        moving: Sequence[str] = (),
        placement: str = "auto",
        inner_steps: int = 3,
        meta: str = "second",
        points_per_step: int = 512,
        loss: str = "mse",
    ) -> None:
        self.outputs = outputs
        self.group = group
        self.period = period
        self.n_latents = n_latents
        self.latent_dim = latent_dim
        self.hidden = hidden
        self.heads = heads
        self.frequencies = frequencies
        self.nearest = nearest
        self.moving = moving
        self.placement = placement
        self.inner_steps = inner_steps
        self.meta = meta
        self.points_per_step = points_per_step
        self.loss = loss

    def make_group(self, dim: int, length: float) -> Group:
        """The group, in units of `length`; raises ParameterError for one that these meshes cannot have."""
        check_group(self.group, dim, self.period, self.moving)
        return Group(self.group, dim, tuple((p or 0.0) / length for p in self.period or ()))

    def build(self, fields: FieldSet) -> Any:
        """The network; raises ParameterError for arguments that cannot be."""
        check_latents(self)
        check_network("", self.hidden, self.heads, self.frequencies, self.nearest)
        group = self.make_group(fields.dim, self.length_)
        field = AttentionField(
            group,
            self.latent_dim,
            fields.width("outputs", "point"),
            self.hidden,
            self.heads,
            (float(self.frequencies[0]), float(self.frequencies[1])),
            self.nearest,
        )
        spacing = math.log(2.0 / self.n_latents ** (1 / fields.dim))
        return Autodecoder(field, self.latent_dim, tuple(self.moving), spacing, self.inner_steps, self.meta == "second")
