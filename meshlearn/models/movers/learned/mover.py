"""`DataFreeMeshMover`: a learned operator from a monitor to the Monge-Ampère potential, trained without target meshes.

Points move by x = xi + grad(phi), so that a monitor m > 0 is shared evenly by the cells: m(x) det(I + H(phi)) = theta.
A network learns phi from m on the residual of that equation alone; then one pass of it moves meshes of any size, many
at a time.

Paper: P. Hu, Y. Wang, Z.-M. Ma 2024, "Better neural PDE solvers through data-free mesh movers", arXiv:2312.05583 (the
idea: residual, boundary and convexity losses). The supervised and equidistribution losses are those of the learned
movers M2N (W. Song et al. 2022) and UM2N (M. Zhang et al. 2024), with other networks.

Departures, and why:
- Derivatives of the potential are those of the classical mover's finite elements (`MongeAmpereMover`): gradient
  projected on fields that slide along the walls, Hessian by integration by parts. The loss is zero at the classical
  solution exactly; boundary conditions hold by construction on every straight wall, holes included, with no penalty
  term; and nothing is differentiated twice. Automatic differentiation of a decoder phi(xi) has neither property and
  costs second derivatives of the network at every point.
- The residual is measured in the dual norm, r . G r with the inverse Laplacian G: that is the error of the displacement
  to first order. Its mean square alone weighs waves by their frequency to the fourth power.
- The network is local and small; G is part of it (`network.py`). Networks for a fixed number of points, and graph
  networks on the mesh, had to learn what G does.
- Convexity is that of I + H as a matrix (its smallest eigenvalue), not of its diagonal, and cells are kept from
  turning over by the same term for the map as it is on each cell.
- The monitor uses the physical gradient or Hessian of the field, which stays in space while the points move, and is
  looked up by walking through the cells.
- Every result is made valid cell by cell, and says how many cells were inverted before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, no_type_check

import torch
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.models.movers.learned.arguments import check_arguments, checked_name
from meshlearn.models.movers.learned.density import monitor_values, relative_density
from meshlearn.models.movers.learned.geometry import Geometry, geometry_of
from meshlearn.models.movers.learned.labelled import POTENTIAL, Labelled
from meshlearn.models.movers.learned.losses import mover_losses
from meshlearn.models.movers.learned.network import MoverNetwork
from meshlearn.models.movers.learned.passes import Skeleton, moved_points
from meshlearn.models.movers.learned.result import LearnedMoveResult
from meshlearn.models.movers.learned.sample import MoverSample, joined, mover_sample
from meshlearn.models.movers.monitors.values import as_monitor, check_positive, values
from meshlearn.models.movers.mover import MongeAmpereMover
from meshlearn.train.batching import pack, prediction_budget
from meshlearn.train.estimator import Fields
from meshlearn.train.fields import FieldSet, describe, resolve_one
from meshlearn.train.items import as_items, check_item
from meshlearn.train.network import NetworkEstimator
from meshlearn.train.sample import Sample

_KEPT = 4
D = TypeVar("D", bound="DataFreeMeshMover")


class DataFreeMeshMover(NetworkEstimator):
    """Moves the points of meshes in one pass of a network, to where a field needs them.

    field       name of the point field that the monitor is made of
    monitor     "hessian", "squared_hessian", "gradient" (see `HessianMonitor` and the others), or "field": the field is
                the monitor itself, positive values
    amplitude   of the monitor, 1 + amplitude * (relative size)
    smoothing   length over which the monitor is spread, in units of the size of the mesh (area^(1/2), volume^(1/3))
    rounds      how often the network looks at the map that it has made so far, each time with weights of its own
    hidden, mlp_layers  width and number of the hidden layers of the MLP of a round
    loss        what is trained on. "residual": the Monge-Ampère equation, without targets. "equidistribution": the
                spread of the cells' shares. "supervised": the displacements of `MongeAmpereMover("newton")`, which is
                called on every training mesh (of a convex domain)
    convexity   weight of the convexity loss
    boundary    "slide": points of the boundary slide along its walls; "fixed": they stay
    corner      angle in degrees above which facets are different walls, and points between them corners
    min_area_fraction  every cell stays above this fraction of its own measure

    Meshes are of lines in 1-D, triangles in the plane, or tetrahedra; a fitted mover takes any number of points, any
    domain, any size: it sees coordinates about the centre in units of the mesh's size, so that moving and scaling a
    mesh moves and scales the result.

    `predict` gives meshes with the potential as the point field "monge_ampere_potential".

    >>> x = ml.shapes.square(n=6).points
    >>> meshes = [ml.shapes.square(n=6).with_point_data(u=torch.tanh(10 * (x[:, 0] - c))) for c in (0.3, 0.5, 0.7)]
    >>> mover = ml.DataFreeMeshMover(rounds=1, hidden=8).fit(meshes, field="u", epochs=1, progress=False)
    >>> results = mover.move(meshes)
    >>> [result.n_inverted for result in results]
    [0, 0, 0]
    """

    field: str
    monitor: str
    amplitude: float
    smoothing: float
    rounds: int
    hidden: int
    mlp_layers: int
    convexity: float
    boundary: str
    corner: float
    min_area_fraction: float

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(
        self,
        field: str = "u",
        monitor: str = "hessian",
        amplitude: float = 5.0,
        smoothing: float = 0.02,
        rounds: int = 2,
        hidden: int = 32,
        mlp_layers: int = 2,
        loss: str = "residual",
        convexity: float = 1.0,
        boundary: str = "slide",
        corner: float = 45.0,
        min_area_fraction: float = 0.02,
    ) -> None:
        self.field = field
        self.monitor = monitor
        self.amplitude = amplitude
        self.smoothing = smoothing
        self.rounds = rounds
        self.hidden = hidden
        self.mlp_layers = mlp_layers
        self.loss = loss
        self.convexity = convexity
        self.boundary = boundary
        self.corner = corner
        self.min_area_fraction = min_area_fraction

    @property
    def inputs(self) -> list[str]:  # type: ignore[override]
        """The field behind the monitor."""
        return [self._name]

    @property
    def outputs(self) -> list[str]:  # type: ignore[override]
        """The potential."""
        return [POTENTIAL]

    # -- fit -------------------------------------------------------------------------------------------------------

    def fit(self: D, meshes: Any, field: Any = None, **options: Any) -> D:  # type: ignore[override]
        """Train on meshes that carry the field; returns self.

        field    name of the point field; that of the constructor by default. It is kept as `field_`
        options  as in `NetworkEstimator.fit`: epochs, learning_rate (3e-3 here by default), validation, checkpoint, …

        Raises FieldError for a field that is missing, not finite or (as a monitor) not positive, MeshError and
        TopologyError for meshes that cannot be moved, ConvergenceError where loss="supervised" finds no solution.
        """
        check_arguments(self)
        self._asked = self.field if field is None else checked_name(field)  # learned state is forgotten meanwhile
        try:
            self._fit(meshes, options)
            self.field_ = self._asked
        finally:
            del self._asked
        return self

    def _fit(self, meshes: Any, options: dict[str, Any]) -> None:
        find = self._solution if self.loss == "supervised" else None
        options = {"learning_rate": 3e-3, **options}
        validation = options.get("validation")
        if validation is not None and not isinstance(validation, (bool, int, float)):
            options["validation"] = Labelled(validation, "validation", self._name, find)
        super().fit(Labelled(meshes, "meshes", self._name, find), **options)

    @property
    def _name(self) -> str:
        known = self.__dict__
        return known.get("_asked", known.get("field_", self.field))

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """As all networks', and the name of the field."""
        tensors, meta = super().get_state()
        return tensors, {**meta, "field": self._name}

    def set_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """The inverse of `get_state`; earlier files hold the name among the arguments."""
        self.field_ = str(meta.get("field", self.field))
        super().set_state(tensors, meta)

    def _solution(self, mesh: Mesh) -> Tensor:
        resolve_one(mesh, self._name, location="point").values(mesh)  # raises for a field that is missing or not finite
        monitor = self._monitor(mesh, None)
        mover = MongeAmpereMover("newton", boundary=self.boundary, corner=self.corner)
        found = mover.move(mesh, monitor.to(mesh.device)).potential
        assert found is not None
        return found.to(mesh.device, torch.float64)

    def build(self, fields: FieldSet) -> MoverNetwork:
        """The network for these fields."""
        check_arguments(self)
        surroundings = self.normalizers_.sizes["features"]["surroundings"]
        return MoverNetwork(surroundings, fields.dim, self.rounds, self.hidden, self.mlp_layers)

    def prepare(self, mesh: Mesh) -> MoverSample:
        """The sample of one mesh."""
        geometry = self._geometry(mesh)
        sample = mover_sample(geometry)
        return sample.replace(density=relative_density(self._monitor(mesh, None), sample))

    def make_sample(self, source: Mesh, target: Mesh) -> MoverSample:
        """The sample of one mesh, with the potential that is wanted."""
        sample = self.prepare(source)
        wanted = target.point_data[POTENTIAL].detach().cpu().double() / self._geometry(source).size ** 2
        return sample.replace(wanted=wanted)

    def collate(self, samples: Sequence[Sample]) -> MoverSample:
        """Samples of several meshes as one batch."""
        return joined(samples)  # type: ignore[arg-type]

    def network(self, module: Any, batch: Sample) -> dict[str, Tensor]:
        """Potentials on the scaled meshes, (n, 1)."""
        return {"point": module(batch)[:, None]}

    def sample_losses(self, outputs: dict[str, Tensor], batch: Sample) -> Tensor:
        """(n_meshes,) loss of every mesh."""
        assert isinstance(batch, MoverSample)
        return mover_losses(batch, outputs["point"][:, 0], self.loss, self.convexity)

    # -- move ------------------------------------------------------------------------------------------------------

    def move(self, meshes: Any, monitor: Any = None) -> Any:
        """Move meshes: `LearnedMoveResult` of one mesh, a list of them for several (a list, MeshBatch or Trajectory).

        monitor  instead of the field's: anything that `MongeAmpereMover.move` takes (a function of points, values,
                 the name of a point field); a list has one for each mesh

        The meshes go through the network together. Data and sets stay with their points and cells; carry fields over
        with `transfer`; the moved points have no derivatives. Raises NotFittedError, FieldError, MeshError,
        TopologyError, and ParameterError for a field or monitor that requires a gradient.
        """
        self.check_fitted("move")
        single = isinstance(meshes, Mesh)
        chosen = self._flat(meshes)
        monitors = _one_each(monitor, len(chosen), single)
        self._check_fields(chosen, ("inputs",) if monitor is None else (), single)
        geometries = [self._geometry(mesh) for mesh in chosen]
        budget = prediction_budget(self.device.type)
        results: dict[int, LearnedMoveResult] = {}
        for group in pack(range(len(chosen)), [(g.n_points, 0) for g in geometries], budget):
            rows = _together(list(group), geometries)
            made = self._pass([chosen[i] for i in rows], [geometries[i] for i in rows], [monitors[i] for i in rows])
            results.update(zip(rows, made, strict=True))
        return results[0] if single else [results[i] for i in range(len(chosen))]

    def _check_fields(self, meshes: list[Mesh], roles: tuple[str, ...], single: bool) -> None:
        known: dict[int, Tensor] = {}
        for number, mesh in enumerate(meshes):
            where = describe(mesh, None if single else number)
            if id(mesh.points) not in known:  # a place that many meshes share is looked at once
                known[id(mesh.points)] = mesh.points
                self.fields_.check(mesh, where, roles)
                continue
            for spec in self.fields_.inputs if roles else ():
                resolve_one(mesh, spec.name, where, location=spec.location)
                spec.values(mesh, where)

    def predict_fields(self, meshes: Iterator[Mesh], return_std: bool = False) -> Iterator[tuple[Fields, Fields]]:
        """Potentials, in the unit of the points squared; see `Estimator.predict_fields`."""
        (spec,) = self.fields_.outputs
        for mesh in meshes:
            geometry = self._geometry(mesh)
            skeleton = self._skeleton((geometry,))
            potential = self._potentials(skeleton, self._monitor(mesh, None))
            yield {spec: potential * geometry.size**2}, {}

    @torch.no_grad()
    def _pass(self, meshes: list[Mesh], geometries: list[Geometry], monitors: list[Any]) -> list[LearnedMoveResult]:
        skeleton = self._skeleton(tuple(geometries))
        values = self._monitors(meshes, skeleton, monitors)
        potential = self._potentials(skeleton, values)
        dtypes = [mesh.dtype for mesh in meshes]
        moved = moved_points(skeleton, potential, values, self.min_area_fraction, dtypes)
        return [LearnedMoveResult(mesh, own) for mesh, own in zip(meshes, moved, strict=True)]

    def _potentials(self, skeleton: Skeleton, monitor: Tensor) -> Tensor:
        """(n,) float64, on the scaled meshes."""
        with torch.no_grad():
            density = relative_density(monitor, skeleton.sample)
            batch = skeleton.for_network(self.normalizers_, self.dtype, self.device)
            return self.module_(batch.replace(density=density.to(self.device, self.dtype))).cpu().double()

    def _monitors(self, meshes: list[Mesh], skeleton: Skeleton, monitors: list[Any]) -> Tensor:
        """(n,) float64: of the fields, all at once; or of the given monitors."""
        if all(monitor is None for monitor in monitors):
            made = [_column(mesh.point_data[self._name], self._name, mesh) for mesh in meshes]
            alike = len({column.dtype for column in made}) == 1
            field = torch.cat(made if alike else [column.double() for column in made]).double()
            if self.monitor == "field":
                check_positive(field, f"the point field {self._name!r}")
            return monitor_values(
                self.monitor,
                field,
                skeleton.sample,
                skeleton.geometries,
                self.amplitude,
                self.smoothing,
                [mesh.point_data[self._name].dtype for mesh in meshes],
            )
        found = [self._monitor(mesh, monitor) for mesh, monitor in zip(meshes, monitors, strict=True)]
        return torch.cat(found)

    def _monitor(self, mesh: Mesh, monitor: Any) -> Tensor:
        """(n,) float64 values of one mesh."""
        if monitor is None:
            return self._monitors([mesh], self._skeleton((self._geometry(mesh),)), [None])
        points = mesh.points.detach().cpu().double()
        with torch.enable_grad():  # `move` has none: a gradient that is asked for would be lost without a word
            made = values(as_monitor(mesh.replace(points=points).cpu(), monitor), points)
        if made.requires_grad:
            raise ParameterError(
                "the monitor requires a gradient, which does not pass a learned mover.\n"
                "  detach its values, or move by MongeAmpereMover, whose points have derivatives."
            )
        return made

    def _geometry(self, mesh: Mesh) -> Geometry:
        return geometry_of(mesh, self.boundary, float(self.corner))

    def _skeleton(self, geometries: tuple[Geometry, ...]) -> Skeleton:
        """The last ones are kept for the next pass over the same meshes with other fields."""
        kept = self.__dict__.setdefault("_kept", [])
        for skeleton in kept:
            if skeleton.geometries == geometries:
                return skeleton
        kept.append(Skeleton(geometries))
        del kept[:-_KEPT]
        return kept[-1]

    @staticmethod
    def _flat(meshes: Any) -> list[Mesh]:
        chosen: list[Mesh] = []
        items = as_items(meshes)
        for i in range(len(items)):
            item = check_item(items[i], i)
            chosen += [item.frame(k) for k in range(len(item))] if isinstance(item, Trajectory) else [item]
        return chosen


def _together(rows: list[int], geometries: list[Geometry]) -> list[int]:
    """The rows with those of one geometry side by side, in the order in which geometries come first."""
    first: dict[int, int] = {}
    for row in rows:
        first.setdefault(id(geometries[row]), row)
    return sorted(rows, key=lambda row: first[id(geometries[row])])


def _one_each(monitor: Any, n: int, single: bool) -> list[Any]:
    """Monitors of n meshes."""
    if single or monitor is None or callable(monitor) or isinstance(monitor, str):
        return [monitor] * n
    if not isinstance(monitor, (list, tuple)) or len(monitor) != n:
        seen = f"{len(monitor)} of them" if isinstance(monitor, (list, tuple)) else f"a {type(monitor).__name__}"
        raise ParameterError(f"monitor: expected a list with one for each of the {n} meshes, got {seen}.")
    return list(monitor)


def _column(field: Tensor, name: str, mesh: Mesh) -> Tensor:
    if field.requires_grad:
        raise ParameterError(
            f"the point field {name!r} requires a gradient, which does not pass a learned mover.\n"
            "  detach it, or move by MongeAmpereMover, whose points have derivatives."
        )
    if field.numel() != mesh.n_points:
        raise FieldError(
            f"the point field {name!r} has values of shape {tuple(field.shape[1:])}: a monitor is made of one number "
            "per point.\n  Of a vector, take a component or its norm."
        )
    return field.detach().cpu().reshape(-1)
