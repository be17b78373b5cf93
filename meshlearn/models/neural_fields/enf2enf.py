"""`Enf2Enf`: steady fields on shapes nobody has seen, by way of a few latent points that stand for the shape.

A first neural field encodes the geometry (its signed distance, say) as latents; global inputs join the codes; the
latents attend to each other, and a second field decodes the physics from them, at any points of any mesh.

Paper: G. Catalani, S. Agarwal, X. Bertrand, F. Tost, M. Bauerheim, J. Morlier 2025, "Geometry-aware neural solver for
steady PDEs with equivariant neural fields" (enf2enf), arXiv:2504.18591: two stages, codes by three meta-learned steps,
global parameters appended to every code, codes standardised, self-attention of the latents, cross-attention to the
points, the distance as a number that points bring along.

Departures, and why:
- lengths have one unit in all directions (theirs scale x and y apart): angles stay angles, so that groups with
  rotations make sense; places are taken from the centre of each mesh, not in a fixed box;
- codes of the shape come from all points of a mesh, weighted by measure: nothing is random in a prediction, and neither
  order nor fineness of the points matters much;
- the loss is the relative error of every mesh by default: that is what `score` reports;
- a joint variant goes on with the training of the encoder, through the fit of its latents;
- the best epoch is chosen on validation meshes held out of both stages, never on those that are scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, no_type_check

import torch
from torch import Tensor

from meshlearn.errors import MeshError
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.geometric_inputs import check_patterns
from meshlearn.models.neural_fields.arguments import mesh_or_points, one_mesh
from meshlearn.models.neural_fields.decoding import decoded
from meshlearn.models.neural_fields.geometry import Geometry
from meshlearn.models.neural_fields.latents import Latents
from meshlearn.models.neural_fields.periodic import into_box
from meshlearn.models.neural_fields.pipeline import build_pipeline, check_pipeline, shape_names
from meshlearn.models.neural_fields.queries import at_points, own_queries
from meshlearn.models.neural_fields.reach import warn_beyond
from meshlearn.models.neural_fields.sample import ShapeSample, padding, thinned, with_places
from meshlearn.models.neural_fields.shares import point_shares
from meshlearn.models.neural_fields.stages import encoder_of, sides
from meshlearn.train.estimator import Fields, rebuilt
from meshlearn.train.field_network import RelativeLossEstimator
from meshlearn.train.fields import FieldSet, check_geometry, describe
from meshlearn.train.graph import row_counts
from meshlearn.train.named import arguments_of
from meshlearn.train.network import NetworkEstimator, under
from meshlearn.train.options import FitOptions
from meshlearn.train.precision import narrowed
from meshlearn.train.reach import check_reach


class Enf2Enf(RelativeLossEstimator):
    """Encode the shape as latents, decode fields from them.

    inputs, outputs  names of fields: points and cells, global values; outputs at points or of the whole mesh
    geometry         the field that stands for the shape: "signed_distance", computed where a mesh has no point field of
                     this name; "deformation" of a common mesh, for meshes with the same nodes; or names of point fields
    boundary_sets    names or patterns ("hole_*") of the sets that distances are measured to; (): the whole boundary
    backbone         "attention": equivariant neural fields; "film": networks modulated by one code of as many numbers
    group, period, n_latents, latent_dim, placement, nearest, inner_steps, meta
                     of the latents, see `EquivariantNeuralField`; `nearest` is for both fields, the decoder's and the
                     encoder's
    hidden, heads    of the decoder
    blocks           self-attention blocks of the latents
    frequencies      standard deviations of the Fourier features of queries and values, per length of a mesh
    encoder_hidden   width of the encoder
    encoder_epochs   epochs of its training; None: `encoder_share` times as many as `fit` is asked for
    encoder_share    its share of a `time_budget`
    layers           hidden layers of a "film" network
    training         "two-stage": the encoder stays as it is; "joint": it is trained on, by the loss of the outputs
    points_per_step  points of a mesh in a training step, drawn anew each time
    loss             "relative", "mse", "mae" or "huber"

    But for deformations, the field of the shape, and point inputs, are known at every
    point that is decoded. `predict` works on meshes of any fineness; `predict_at(mesh, at)` decodes the physics of one
    mesh at the points of another, or anywhere.

    After `fit`: `encoder_`, the fitted field of the shape.

    >>> meshes = ml.sim.make_stars(4, size=0.3)
    >>> model = ml.Enf2Enf(["source", "conductivity"], ["u", "max_u"], n_latents=4, hidden=8, encoder_hidden=8)
    >>> prediction = model.fit(meshes, epochs=1, progress=False).predict(ml.refine(meshes[0]))
    >>> prediction.point_data["u"].shape == (prediction.n_points,)
    True
    """

    geometry: str | Sequence[str]
    group: str
    period: Sequence[float | None] | None
    boundary_sets: Sequence[str]
    inner_steps: int
    training: str
    points_per_step: int
    _encoder: Any
    _reference: Tensor | None

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(
        self,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        geometry: str | Sequence[str] = "signed_distance",
        boundary_sets: Sequence[str] = (),
        backbone: str = "attention",
        group: str = "Rn",
        period: Sequence[float | None] | None = None,
        n_latents: int = 16,
        latent_dim: int = 8,
        placement: str = "auto",
        nearest: int | None = 4,
        inner_steps: int = 3,
        meta: str = "second",
        hidden: int = 64,
        heads: int = 2,
        blocks: int = 2,
        frequencies: Sequence[float] = (0.5, 1.0),
        encoder_hidden: int = 32,
        encoder_epochs: int | None = None,
        encoder_share: float = 0.3,
        layers: int = 4,
        training: str = "two-stage",
        points_per_step: int = 512,
        loss: str = "relative",
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.geometry = geometry
        self.boundary_sets = boundary_sets
        self.backbone = backbone
        self.group = group
        self.period = period
        self.n_latents = n_latents
        self.latent_dim = latent_dim
        self.placement = placement
        self.nearest = nearest
        self.inner_steps = inner_steps
        self.meta = meta
        self.hidden = hidden
        self.heads = heads
        self.blocks = blocks
        self.frequencies = frequencies
        self.encoder_hidden = encoder_hidden
        self.encoder_epochs = encoder_epochs
        self.encoder_share = encoder_share
        self.layers = layers
        self.training = training
        self.points_per_step = points_per_step
        self.loss = loss

    @property
    def encoder_(self) -> Any:
        """The field of the shape, as the first stage left it."""
        self.check_fitted("encoder_")
        return self._encoder

    # -- training --------------------------------------------------------------------------------------------------

    @arguments_of(NetworkEstimator.fit)
    def fit(self, meshes: Any, **options: Any) -> Enf2Enf:
        """Train the encoder on the shapes, then the decoder; returns self. Arguments are those of `NetworkEstimator`.

        `validation` is held out of both stages. A `time_budget` is shared between them (`encoder_share`); `max_steps`,
        `checkpoint`, `log` and `callbacks` are for the second. A resumed fit takes the encoder from its checkpoint.
        Ctrl-C during the first stage leaves the model as it was before the fit, with a KeyboardInterrupt.
        """
        check_pipeline(self)
        chosen = FitOptions.checked(**options)
        before = {name: self.__dict__.get(name) for name in ("_encoder", "_reference")}
        try:
            if not chosen.warm_start:
                training, validation = sides(self, meshes, chosen)
                self._encoder, self._reference, left = encoder_of(self, training, validation, chosen)
                meshes, options = training, {**options, "validation": validation, "time_budget": left}
            return super().fit(meshes, **options)
        except BaseException:  # as `NetworkEstimator.fit`: the model is as it was
            self.__dict__.update(before)
            raise

    def check_sets(self, names: set[str]) -> None:
        """Raise FieldError for a pattern of `boundary_sets` that no training mesh matches."""
        check_patterns(self.boundary_sets, names)

    def build(self, fields: FieldSet) -> Any:
        """The networks of both stages; raises ParameterError for arguments that cannot be."""
        return build_pipeline(self, fields, self._encoder)

    def shape_of(self, mesh: Any) -> Mesh:
        """The mesh with the point field "geometry" that the encoder sees."""
        self.check_fitted("shape_of")
        return self._shape(one_mesh(mesh, "the shape"))

    def _shape(self, mesh: Mesh) -> Mesh:
        return self._geometry().mesh(mesh)

    def _geometry(self) -> Geometry:
        return Geometry(shape_names(self.geometry), self.boundary_sets, self._reference, self.period or ())

    def prepare(self, mesh: Mesh) -> ShapeSample:
        """Latents of the shape, and what the points bring along, in physical units."""
        coder, weights = self._coder(), point_shares(mesh)
        shape = self._shape(mesh)
        seen, latents = coder.latents_of(shape, self.inner_steps, describe(mesh))
        table = shape.point_data["geometry"]
        joint = self.training == "joint"
        center = coder.center(mesh, weights, coder.make_group(mesh.dim, 1.0))
        return ShapeSample(
            counts=row_counts(mesh),
            points=(mesh.points.detach().double() - center).to(mesh.points),
            start=latents.position.to(mesh.points) * coder.length_,
            frame=None if latents.frame is None else latents.frame.to(mesh.points),
            point_weights=seen.point_weights.to(mesh.points),
            codes=latents.context[0].to(mesh.points),
            point_inputs=own_queries(mesh, self.fields_, None if self._geometry().deformation else table),
            global_inputs=self.fields_.table(mesh, "inputs", "global", exact=True),
            shape=table.reshape(len(table), -1) if joint else None,
            shape_points=seen.points.to(mesh.points) if joint else None,
        )

    def _coder(self) -> Any:
        """The encoder that predictions use: in joint training, with the weights it has now."""
        if self.training != "joint" or "module_" not in self.__dict__:
            return self._encoder
        import copy

        coder = copy.copy(self._encoder)
        coder.module_ = self.module_.encoder
        return coder

    def augment(self, batch: ShapeSample) -> ShapeSample:  # type: ignore[override]
        """At most `points_per_step` points of every mesh, drawn anew for every step."""
        names = ["points", "point_inputs"]
        names += [] if batch.shape is None else ["shape", "shape_points"]
        return thinned(batch, self.points_per_step, tuple(names))

    def network(self, module: Any, batch: ShapeSample) -> dict[str, Tensor]:  # type: ignore[override]
        """Outputs of a batch of normalised features."""
        pad = padding(batch.counts["point"])
        latents = self._latents(module, batch, pad)
        extra = pad.pad(batch.point_inputs)
        out = module.decoder(pad.pad(batch.points) / self._encoder.length_, extra, latents)
        return {name: pad.rows(table) if name == "point" else table for name, table in out.items()}

    def _latents(self, module: Any, batch: ShapeSample, pad: Any = None) -> Latents:
        """Latents for the decoder: codes of the shape with the global inputs."""
        coder, b = self._encoder, batch.n_meshes
        assert batch.start is not None
        position, frame, codes = (
            batch.start / coder.length_,
            batch.frame,
            batch.codes.reshape(b, -1, self._code_width()),
        )
        if pad is not None and batch.shape is not None:
            fitted = self._fitted(module.encoder, batch, pad)
            position, frame, codes = fitted.position, fitted.frame, fitted.context
            codes = self.normalizers_.features["codes"](codes.flatten(0, 1)).reshape(codes.shape)
        values = batch.global_inputs.to(codes)[:, None].expand(b, codes.shape[1], -1)
        return module.decoder.latents(position, torch.cat([codes, values], -1), frame)

    def _fitted(self, encoder: Any, batch: ShapeSample, pad: Any) -> Latents:
        """Latents of the shapes, with gradients to the encoder's weights."""
        coder = self._encoder
        normalizer = coder.normalizers_.targets["point"]
        targets = normalizer.to(batch.points.device)(pad.pad(batch.shape))
        weights = pad.pad(batch.point_weights) * pad.real
        points = pad.pad(batch.shape_points) / coder.length_
        start = encoder.start(*coder.places(batch))
        return encoder.fit(points, targets, weights, start, self.inner_steps, differentiable=torch.is_grad_enabled())

    def _code_width(self) -> int:
        return self._encoder.latent_dim

    # -- predict ---------------------------------------------------------------------------------------------------

    def predict_fields(self, meshes: Iterator[Mesh], return_std: bool = False) -> Iterator[tuple[Fields, Fields]]:
        """Predictions mesh by mesh, in chunks of points."""
        for mesh in meshes:
            check_reach(self.fields_, mesh, self.dtype, role="inputs")
            yield self._evaluate(mesh, None), {}

    def predict_at(self, mesh: Any, at: Any) -> Mesh:
        """The outputs on the shape of `mesh`, decoded at other places.

        mesh  the shape, with the inputs
        at    a Mesh (finer, coarser, a slice), or (n, dim) points, which give a point cloud

        What points bring along is computed there (distances), read from `at` where it has the field, or interpolated
        from `mesh`. Outside the mesh the values mean little. Returns `at` with the outputs.
        """
        self.check_fitted("predict_at")
        mesh, target = one_mesh(mesh, "mesh, the shape with the inputs,"), mesh_or_points(at, "what to predict at")
        check_geometry(target, "the mesh to predict at")
        if target.dim != mesh.dim:
            raise MeshError(f"the mesh to predict at has {target.dim} dimensions, the shape has {mesh.dim}.")
        self.fields_.check(mesh, roles=("inputs",))
        with torch.no_grad():
            return self.fields_.attach(target, self._evaluate(mesh, target))

    def _evaluate(self, mesh: Mesh, at: Mesh | None) -> Fields:
        dtype = mesh.dtype
        mesh = mesh.replace(points=mesh.points.double())
        raw = self.prepare(mesh).replace(shape=None, shape_points=None)
        if at is not None:
            center = mesh.points[0].double() - raw.points[0].double()
            if self.group != "Tn":
                extent = float((at.points.double() - center).norm(dim=1).max())
                warn_beyond(extent, self._encoder.length_, "the farthest point to predict at")
            inside = at.replace(points=into_box(at.points, mesh.points, self.period or ()))
            extra = at_points(mesh, inside, self.fields_, self._geometry())
            raw = raw.replace(
                counts={**raw.counts, "point": torch.tensor([at.n_points], device=mesh.device)},
                points=(at.points.double() - center).to(mesh.points),
                point_inputs=extra.to(mesh.points),
                point_weights=mesh.points.new_ones(at.n_points),
            )
        sample = with_places(narrowed(raw, self.dtype, self.device), raw)
        self.normalizers_.check(sample)
        sample = self.normalizers_.normalise(sample)  # type: ignore[assignment]
        decoder: Any = self.module_.decoder
        latents, tables = self._latents(self.module_, sample), {}
        if "point" in self.fields_.output_locations:
            points, extra = sample.points / self._encoder.length_, sample.point_inputs
            tables["point"] = decoded(decoder.field, points, extra, latents)
        if "global" in self.fields_.output_locations:
            tables["global"] = decoder.whole(decoder.field.features(latents))
        physical = self.normalizers_.physical(tables)
        return self.fields_.split_outputs({k: v.to(dtype) for k, v in physical.items()})

    def to(self, device: torch.device | str) -> Enf2Enf:
        """Move the fitted networks to a device; returns self."""
        super().to(device)
        self._encoder.to(device)
        return self

    # -- files -----------------------------------------------------------------------------------------------------

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights and normalisers of both stages."""
        tensors, meta = super().get_state()
        encoder, about = self._encoder.saved()
        tensors |= {f"encoder.{name}": value for name, value in encoder.items()}
        if self._reference is not None:
            tensors["reference"] = self._reference
        return tensors, {**meta, "encoder": about}

    def set_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """The inverse of `get_state`."""
        self._encoder = rebuilt(meta["encoder"], under("encoder.", tensors), "the encoder of this Enf2Enf")
        self._reference = tensors.get("reference")
        super().set_state(tensors, meta)
