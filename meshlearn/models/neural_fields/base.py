"""What estimators of fields by latents share: places, training through the fit of the latents, decoding in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn import ops
from meshlearn.errors import MeshError, ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.neural_fields.arguments import check_latents, check_point_outputs, mesh_or_points, one_mesh
from meshlearn.models.neural_fields.decoding import decoded, fit_chunk
from meshlearn.models.neural_fields.groups import Group
from meshlearn.models.neural_fields.latents import Latents, precise
from meshlearn.models.neural_fields.periodic import warn_of_longer
from meshlearn.models.neural_fields.placement import frames, in_order, spread, spread_over
from meshlearn.models.neural_fields.reach import check_extent, reach, warn_beyond
from meshlearn.models.neural_fields.sample import FieldSample, padding, thinned, with_places
from meshlearn.models.neural_fields.shares import point_shares
from meshlearn.train import option_checks as check
from meshlearn.train.fields import FieldSet, FieldSpec, check_geometry, describe
from meshlearn.train.graph import row_counts
from meshlearn.train.items import Items, as_items, check_item, is_single
from meshlearn.train.network import NetworkEstimator
from meshlearn.train.precision import narrowed
from meshlearn.train.steps import Work, work_of

POOLED = 512  # points of every mesh that shared places are spread over


class _Seen(NamedTuple):
    """What the training meshes told: whose fit it belongs to, how far they reach, and points of all."""

    fields: FieldSet
    extents: list[float]
    points: list[Tensor]
    weights: list[Tensor]


class FieldAutodecoder(NetworkEstimator):
    """Base of models that represent fields by latents, fitted to each mesh by a few gradient steps.

    A subclass has the arguments outputs, n_latents, latent_dim, placement, inner_steps, meta, points_per_step and loss,
    and writes `make_group(dim, length)` and `build(fields)`, which gives an `Autodecoder`.
    """

    n_latents: int
    latent_dim: int
    placement: str
    inner_steps: int
    meta: str
    points_per_step: int
    length_: float
    least_: float
    start_: Tensor | None
    frame_: Tensor | None
    inputs: Any = ()

    def make_group(self, dim: int, length: float) -> Group:
        """The group, in units of `length`."""
        raise NotImplementedError(f"{type(self).__name__} does not implement make_group.")

    # -- training --------------------------------------------------------------------------------------------------

    def prepare(self, mesh: Mesh) -> FieldSample:
        """Places from the centre of the mesh; where its latents begin, if they lie on the mesh."""
        check_latents(self)
        check_point_outputs(self.fields_, type(self).__name__)
        group = self.make_group(mesh.dim, 1.0)
        weights = point_shares(mesh)
        points = (mesh.points.detach().double() - self.center(mesh, weights, group)).to(mesh.points)
        start = frame = None
        if self._own_places(group):
            solid = weights > 0  # a point of no cell, such as a reference node far away, is no place for a latent
            if int(solid.sum()) < self.n_latents:
                raise MeshError(
                    f"{describe(mesh)} has {int(solid.sum())} points, fewer than n_latents={self.n_latents}: its "
                    "latents have no places.\n  Lower n_latents, or use placement='shared'."
                )
            start = spread_over(points[solid], weights[solid], self.n_latents)[None]
            frame = frames(start[0], points.new_zeros(mesh.dim))[None] if group.oriented else None
        self._look(points, weights)
        return FieldSample(counts=row_counts(mesh), points=points, start=start, frame=frame, point_weights=weights)

    def center(self, mesh: Mesh, weights: Tensor, group: Group) -> Float[Tensor, " dim"]:
        """The centre of area or volume, in float64; the origin in a periodic box, where there is none."""
        if group.name == "Tn":
            return torch.zeros(mesh.dim, dtype=torch.float64, device=mesh.device)
        return weights.double() @ mesh.points.detach().double()

    def _own_places(self, group: Group) -> bool:
        return self.placement == "own" or (self.placement == "auto" and group.name in ("En", "SE2", "SE3"))

    def _look(self, points: Tensor, weights: Tensor) -> None:
        """Gather what `settle` needs, while training meshes are seen."""
        if "length_" in self.__dict__:
            return
        seen = self.__dict__.get("_seen")
        if seen is None or seen.fields is not self.fields_:
            self._seen = seen = _Seen(self.fields_, [], [], [])
        seen.extents.append(reach(points, weights))
        points, weights = points[weights > 0], weights[weights > 0]
        step = -(-len(points) // POOLED)
        share = weights[::step].cpu().double()
        seen.points.append(points[::step].cpu().double())
        # Half by measure, half by number: where the meshes are finer, more happens, and latents lie closer.
        seen.weights.append((share / share.sum() + 1 / len(share)) / 2)

    def settle(self) -> None:
        """Set the unit of length, and the places that all meshes share."""
        seen = self._seen
        self.length_, self.least_ = max(seen.extents) or 1.0, min(seen.extents)
        group = self.make_group(self.fields_.dim, self.length_)
        warn_of_longer(seen.points, [p * self.length_ for p in group.period])
        self.start_ = self.frame_ = None
        if not self._own_places(group):
            points, weights = torch.cat(seen.points), torch.cat(seen.weights)
            if len(points) < self.n_latents:
                raise MeshError(
                    f"the training meshes have {len(points)} points together, fewer than n_latents={self.n_latents}."
                )
            self.start_ = (spread(points, weights, self.n_latents) / self.length_).float()
            self.frame_ = frames(self.start_, self.start_.new_zeros(group.dim)) if group.oriented else None
        del self._seen

    def augment(self, batch: FieldSample) -> FieldSample:  # type: ignore[override]
        """At most `points_per_step` points of every mesh, drawn anew for every step."""
        return thinned(batch, self.points_per_step, ("points",))

    def network(self, module: Any, batch: FieldSample) -> dict[str, Tensor]:  # type: ignore[override]
        """Fit latents to the (normalised) targets of the batch, and decode them at the same points."""
        pad = padding(batch.counts["point"])
        weights = pad.pad(batch.point_weights.to(batch.points)) * pad.real
        targets = pad.pad(batch.targets["point"].to(batch.points))
        out = module(pad.pad(batch.points) / self.length_, targets, weights, *self.places(batch))
        return {"point": pad.rows(out)}

    def places(self, batch: FieldSample) -> tuple[Tensor, Tensor | None]:
        """(positions, frames) of the latents in the beginning, in units of the network."""
        if batch.start is not None:
            return batch.start / self.length_, batch.frame
        assert self.start_ is not None
        start = self.start_.to(batch.points)
        frame = None if self.frame_ is None else self.frame_.to(start).expand(batch.n_meshes, *self.frame_.shape)
        return start.expand(batch.n_meshes, *start.shape), frame

    # -- latents ---------------------------------------------------------------------------------------------------

    def fit_latents(self, mesh: Any, steps: int | None = None) -> Any:
        """The latents of the fields on a mesh: a point cloud `Mesh` in the units and the dtype of the mesh.

        mesh   a Mesh with the output fields, on any cells or none; or a sequence of them, which gives a list
        steps  gradient steps; default: as many as in training. More fit closer, as long as they do not diverge

        All points are used, weighted by the area or volume they stand for, so that neither their order nor (much) the
        fineness of the mesh matters. The cloud has the point fields context (n_latents, latent_dim), window
        (n_latents,), in the unit of the points, and frame (n_latents, dim, dim) for groups with rotations.
        Raises FieldError for a missing or non-finite field, MeshError for a mesh far larger than those of the training.
        """
        self.check_fitted("fit_latents")
        steps = self.inner_steps if steps is None else check.whole(0)("steps", steps)
        items = as_items(mesh)
        meshes = (one_mesh(check_item(items[i], i), "what latents are fitted to") for i in range(len(items)))
        found = [self._encode(item, steps, describe(item, i)) for i, item in enumerate(meshes)]
        return found[0] if is_single(mesh) else found

    def _encode(self, mesh: Mesh, steps: int, where: str) -> Mesh:
        exact = mesh.replace(points=mesh.points.double())
        _, latents = self.latents_of(exact, steps, where)
        center = self.center(exact, point_shares(exact), self.make_group(mesh.dim, self.length_))
        return latents.to_mesh(self.length_, center.to(mesh.points))

    def latents_of(self, mesh: Mesh, steps: int, where: str) -> tuple[FieldSample, Latents]:
        """The places of a mesh and its latents, in units of the network; see `fit_latents`."""
        self.fields_.check(mesh, where)
        exact = mesh.replace(points=mesh.points.double())
        sample = self.prepare(exact)
        if self.make_group(mesh.dim, self.length_).name != "Tn":
            check_extent(reach(sample.points, sample.point_weights), self.length_, where, self.least_)
        moved = with_places(narrowed(sample, self.dtype, self.device), sample)
        order = in_order(sample.points)  # sums that do not depend, in their last digits either, on that of the mesh
        weights, table = sample.point_weights, self.fields_.table(mesh, "outputs", "point", exact=True)
        weights, table = ops.gather(weights, order).to(self.device, self.dtype), ops.gather(table, order)
        normalizer: Any = self.normalizers_.targets["point"]
        latents = self.module_.fit(  # type: ignore[operator]
            ops.gather(moved.points, order.to(self.device))[None] / self.length_,
            normalizer(table.to(self.device)).to(self.dtype)[None],
            weights[None],
            self.module_.start(*self.places(moved)),  # type: ignore[operator]
            steps,
            chunk=fit_chunk(self.module_.field, self.n_latents),
        )
        return sample, latents

    def decode(self, latents: Any, at: Any, chunk: Any = None) -> Any:
        """The fields that latents stand for, at the points of a mesh: the mesh with the fields.

        latents  a point cloud from `fit_latents`, possibly moved or changed since
        at       a Mesh of any size, or (n, dim) points, which give a point cloud
        chunk    points at a time; default: about 64 MB of intermediate values

        Gradients flow to the latents and to the points where they require them; memory then grows with the points.
        Points much farther from the latents than those of the training meshes give an ExtrapolationWarning.
        Raises FieldError for latents of another model, MeshError for points of another dimension or not finite.
        """
        self.check_fitted("decode")
        if not isinstance(latents, Mesh):
            raise ParameterError(f"latents are a point cloud, a Mesh from fit_latents, not {type(latents).__name__}.")
        mesh = mesh_or_points(at, "what to decode at")
        for one, role in ((mesh, "the mesh to decode at"), (latents, "the cloud of latents")):
            check_geometry(one, role)
            if one.dim != self.fields_.dim:
                raise MeshError(f"{role} has {one.dim} dimensions, the model was fitted in {self.fields_.dim}.")
        return self.fields_.attach(mesh, self._decode(latents, mesh, chunk))

    def _decode(self, latents: Mesh, mesh: Mesh, chunk: int | None = None) -> dict[FieldSpec, Tensor]:
        group = self.make_group(mesh.dim, self.length_)
        # Differences are all that enters: taken from the middle of the latents in float64, they keep their digits.
        center = latents.points.detach().double().mean(0)
        parts = Latents.from_mesh(
            latents.replace(points=latents.points.double() - center),
            self.length_,
            torch.zeros_like(center),
            self.latent_dim,
            group.oriented,
        ).to(self.device, self.dtype)
        offset = mesh.points.double() - center
        if group.name != "Tn":
            warn_beyond(float(offset.detach().norm(dim=1).max()), self.length_, "the farthest point to decode at")
        points = precise(offset / self.length_, self.device, self.dtype)
        values = decoded(self.module_.field, points, None, parts, chunk)
        tables = {"point": self.normalizers_.targets["point"].inverse(values.double())}  # type: ignore[operator]
        return self.fields_.split_outputs(tables)

    def truncation_error(self, mesh: Any, nearest: Any) -> dict[str, float]:
        """{output: relative L2 difference} between fields decoded with `nearest` latents per point and with all.

        The latents are those fitted to the mesh as the model was trained. It tells what truncation costs a model that
        was trained with all latents (`nearest=None`): one that was trained with a few never saw what far ones add.
        """
        from meshlearn.models.neural_fields.truncation import truncation_error

        self.check_fitted("truncation_error")
        mesh = one_mesh(mesh, "what is decoded twice")
        return truncation_error(self, mesh, check.whole(1)("nearest", nearest))

    # -- the estimator's predictions: what the latents keep of the fields ------------------------------------------

    def _predictions(self, items: Items, return_std: bool) -> Iterator[tuple[Work, Mesh]]:
        """The fields of every mesh, by way of its latents."""
        for work in work_of(items, self.fields_):
            latents = self._encode(work.target, self.inner_steps, work.where)
            with torch.no_grad():
                yield work, self.fields_.attach(work.target, self._decode(latents, work.target))

    # -- files -----------------------------------------------------------------------------------------------------

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights, normalisers and shared places as tensors; the unit of length as data."""
        tensors, meta = super().get_state()
        shared = {"start": self.start_, "frame": self.frame_}
        return tensors | {k: v for k, v in shared.items() if v is not None}, {
            **meta,
            "length": self.length_,
            "least": self.least_,
        }

    def set_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """The inverse of `get_state`."""
        self.length_, self.least_ = float(meta["length"]), float(meta.get("least", 0.0))
        self.start_, self.frame_ = tensors.get("start"), tensors.get("frame")
        super().set_state(tensors, meta)
