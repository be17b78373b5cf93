"""`CrossSectionReconstructor`: watertight bodies from planar sections.

In-plane signed distances are exact. Between the planes a classical field is chosen by leaving planes out (blends of
distances, or radial basis functions), an iterated residual network (OReX, arXiv 2211.12886) is trained on top, and it
is used as far as planes that were left out say that it helps. Whatever lies between, every plane gets back what it
shows. Surfaces come from marching cubes that are closed and manifold by construction.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, no_type_check

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.io.sections import Conflict, CrossSections
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.cross_sections import arguments
from meshlearn.models.cross_sections.body import Body, Frame
from meshlearn.models.cross_sections.cleaning import seen_parts
from meshlearn.models.cross_sections.ensemble import Ensemble
from meshlearn.models.cross_sections.extraction import surface
from meshlearn.models.cross_sections.field import Field
from meshlearn.models.cross_sections.grid import Grid
from meshlearn.models.cross_sections.label_volume import fill_volume
from meshlearn.models.cross_sections.learning import Learner
from meshlearn.models.cross_sections.recut import facts
from meshlearn.models.cross_sections.resolved import told, unresolved
from meshlearn.models.cross_sections.resuming import Notes, fingerprint
from meshlearn.models.cross_sections.state import sections_from_state, sections_state
from meshlearn.train import option_checks
from meshlearn.train.estimator import Estimator, Fields, load
from meshlearn.train.fields import FieldSet, FieldSpec
from meshlearn.train.items import is_single
from meshlearn.train.option_checks import number, whole
from meshlearn.train.survey import FitWarning

FINEST = 2048  # voxels along the longest side of a surface


class CrossSectionReconstructor(Estimator):
    """Bodies from planar sections, in the frame and unit of the input.

    time_budget         seconds for `fit`: bases and the network are tried, the cheapest first, as far as they are
                        expected to be done in that time. None: all of them, the same result every time
    base                classical field: "linear" or "cubic" (parallel planes), "distance" (weighted by distance),
                        "rbf", "hermite" (surfaces that lean out of the planes as they bend least), "mean" of
                        these two, or "auto": the best on planes that were left out
    network             train the network, and use it as far as it helps on planes that were left out
    hidden, layers, iterations, steps
                        of the network and its training
    centres             of the radial basis functions, about
    cap                 how far bodies may reach beyond the planes, in the unit of the sections; default: about a gap
    seed                of samples and network

    After `fit`
      base_           the base in use; base_scores_ {base: share of points with the right label on planes left out}
      network_share_  share of the network in use, 0 to 1; network_scores_ the same scores by share, empty if not tried
      skipped_        {base or "network": why it was not tried}, for example for lack of time
      conflicts_      places where planes contradict each other
      seconds_        {step: seconds}

    >>> sphere = ml.shapes.sphere(refine=3)
    >>> from meshlearn.io.sections import parallel_planes
    >>> sections = ml.CrossSections.from_mesh(sphere, parallel_planes(sphere, 9))
    >>> model = ml.CrossSectionReconstructor(base="cubic", network=False).fit(sections)
    >>> body = model.to_mesh(resolution=48)
    >>> body.is_watertight, round(float(body.volume() / sphere.volume()), 2)
    (True, 1.0)
    """

    time_budget: float | None
    base: str
    network: bool
    hidden: int
    layers: int
    iterations: int
    steps: int
    centres: int
    cap: float | None
    seed: int
    sections_: CrossSections
    frame_: Frame
    field_: Field
    base_: str
    base_scores_: dict[str, float]
    network_share_: float
    network_scores_: dict[float, float]
    conflicts_: list[Conflict]
    skipped_: dict[str, str]
    steps_: int
    seconds_: dict[str, float]

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(
        self,
        time_budget: float | None = 60.0,
        base: str = "auto",
        network: bool = True,
        hidden: int = 64,
        layers: int = 7,
        iterations: int = 3,
        steps: int = 300,
        centres: int = 3000,
        cap: float | None = None,
        seed: int = 0,
    ) -> None:
        self.time_budget = time_budget
        self.base = base
        self.network = network
        self.hidden = hidden
        self.layers = layers
        self.iterations = iterations
        self.steps = steps
        self.centres = centres
        self.cap = cap
        self.seed = seed

    # -- fit -------------------------------------------------------------------------------------------------------

    @no_type_check  # arguments are checked by hand
    def fit(
        self,
        sections: Any,
        time_budget: float | None = None,
        progress: bool = False,
        checkpoint: Any = None,
        resume: bool | str = False,
    ) -> CrossSectionReconstructor:
        """Learn the body that sections show; returns self.

        sections     CrossSections, or the path of a file of them
        time_budget  seconds, instead of the one of the constructor
        progress     show a bar
        checkpoint   folder in which every step is kept as soon as it is done, and in the end the model (`ml.load`)
        resume       True continues the fit that was interrupted, and needs it to be in the folder; "auto" begins where
                     there is none. False refuses a folder that holds one. With time_budget=None the result is the same
                     as without the interruption; the seconds of a budget count anew

        Raises CheckpointError for folders that do not fit; ParameterError for fewer than two planes, planes without any
        contour, and planes given twice; a FitWarning tells of planes that contradict each other and of contours that
        cross.
        """
        start = time.perf_counter()
        arguments.check(self)
        number("a positive number of seconds, or None", lambda x: x > 0, optional=True)("time_budget", time_budget)
        budget = self.time_budget if time_budget is None else time_budget
        folder = option_checks.folder("checkpoint", checkpoint)
        if option_checks.resume("resume", resume) and folder is None:
            raise ParameterError(f"resume={resume!r} needs the folder to resume from: checkpoint='folder'.")
        sections = arguments.as_sections(sections)
        arguments.check_base(self.base, sections)
        frame = Frame.of(sections)
        arguments.check_cap(self.cap, 2 * frame.size)
        conflicts = sections.conflicts()
        notes = Notes(folder, resume, self._head(), fingerprint(sections, self.get_params()))
        if notes.finished:
            return self._take_finished(folder)
        arguments.warn_of_conflicts(conflicts, sections.defects())
        body = Body.of(sections, frame, self.cap)
        learner = Learner(self, body, start + (budget or float("inf")), progress, notes)
        learner.run()
        self.fields_ = FieldSet((), (FieldSpec("label", "point"),), 3)
        self.sections_, self.frame_, self.conflicts_ = sections, frame, conflicts
        self.field_ = learner.field
        self.base_, self.base_scores_ = learner.base, learner.base_scores
        self.network_share_, self.network_scores_ = learner.share, learner.share_scores
        self.steps_, self.skipped_ = learner.steps, learner.skipped
        self.seconds_ = {**learner.seconds, "fit": time.perf_counter() - start}
        self.__dict__.pop("_ensemble", None)
        notes.finish(*self.saved())
        return self

    def _head(self) -> dict[str, Any]:
        """What a model folder says of a model that is not fitted yet."""
        fields = FieldSet((), (FieldSpec("label", "point"),), 3).to_json()
        return {"estimator": type(self).__name__, "params": self.saved_params(), "fields": fields, "state": {}}

    def _take_finished(self, folder: Path) -> CrossSectionReconstructor:
        warnings.warn(f"the fit in {folder} is finished; nothing is learned.", FitWarning, stacklevel=3)
        self.__dict__.pop("_ensemble", None)
        self.__dict__.update(load(folder).__dict__)
        return self

    # -- predict ---------------------------------------------------------------------------------------------------

    @property
    def labels_(self) -> tuple[int, ...]:
        """The labels of the sections, ascending."""
        return self.sections_.labels

    @no_type_check
    def predict(self, points: Any, return_std: bool = False) -> Any:
        """Labels at points (n, 3) in input coordinates, (n,) int64: 0 is outside, every point has one label.

        A Mesh in space gives the Mesh with the point field "label"; several meshes as in `Estimator.predict`.
        """
        if return_std or not _are_places(points):
            return super().predict(points, return_std)
        unit, _ = self._unit(points, "predict")
        parts = [self.field_.label_at(part) for part in unit.split(65536)]
        return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64)

    def predict_fields(self, meshes: Iterator[Mesh], return_std: bool = False) -> Iterator[tuple[Fields, Fields]]:
        """Labels at the points of every mesh."""
        for mesh in meshes:
            yield {self.fields_.outputs[0]: self.predict(mesh.points)}, {}

    def distance(self, points: Any, label: int | None = None) -> Tensor:
        """(n,) float32 values that are positive where `label` is, and near to distances from its surface, in the unit
        of the sections; on the planes they have the sign of what these show. `label` may be left out for one label."""
        unit, _ = self._unit(points, "distance")
        channel = self._channel(label)
        parts = [self.field_.margin(part, channel) for part in unit.split(65536)]
        return self.frame_.size * torch.cat(parts) if parts else torch.zeros(0)

    def probability(self, points: Any, label: int | None = None) -> Tensor:
        """(n,) probabilities that points have a label: normal errors of `distance` with the spread `uncertainty`."""
        self.check_fitted("probability")
        value, spread = self.distance(points, label), self.uncertainty(points, label)
        return torch.special.ndtr(value / spread.clamp(min=1e-6 * self.frame_.size))

    def uncertainty(self, points: Any, label: int | None = None) -> Tensor:
        """(n,) standard deviations of `distance` in the unit of the sections: how far the surface may be off.

        From fields made without a quarter of the planes each, scaled by their errors on those. Small near the planes
        and where neighbours agree. NaN with fewer than three planes that have contours.
        """
        unit, _ = self._unit(points, "uncertainty")
        channel = self._channel(label)
        if "_ensemble" not in self.__dict__:
            centres = int(self.centres)
            self._ensemble = Ensemble(self.field_.body, self.base_, centres, int(self.seed))
        parts = []
        for part in unit.split(65536):
            spread = self._ensemble(part)
            own = spread[:, min(channel, spread.shape[1] - 1)]
            parts.append(own)
        return self.frame_.size * torch.cat(parts) if parts else torch.zeros(0)

    def _unit(self, points: Any, action: str) -> tuple[Tensor, np.ndarray]:
        self.check_fitted(action)
        try:
            array = np.asarray(points.detach().cpu() if hasattr(points, "detach") else points, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ParameterError(f"{action} takes finite points (n, 3), got {type(points).__name__}.") from error
        if array.ndim != 2 or array.shape[1] != 3 or not np.isfinite(array).all():
            raise ParameterError(f"{action} takes finite points (n, 3), got an array of shape {array.shape}.")
        return torch.from_numpy(self.frame_.to_unit(array).astype(np.float32)), array

    def _channel(self, label: Any) -> int:
        if label is None and len(self.labels_) == 1:
            label = self.labels_[0]
        if label not in self.labels_:
            raise ParameterError(f"label={label!r} is not allowed: one of {list(self.labels_)} is expected.")
        return self.field_.body.channels.index(int(label))

    # -- surfaces and volumes --------------------------------------------------------------------------------------

    @no_type_check
    def to_mesh(self, label: int | None = None, resolution: int = 128) -> Mesh:
        """The surface of a label in input coordinates: watertight, manifold, facing outward.

        Triangles; points are float32 where that is finer than a thousandth of a voxel, else float64.

        label       which one; None: all, side by side, with the cell field "label" where there are several
        resolution  voxels along the longest side of all contours

        Bodies and cavities that no plane crosses are left out. A FitWarning names planes that the surface does not
        agree with because parts are thinner than voxels, and the resolution to use. Raises ParameterError for a label
        that the sections do not have, and for one that is thinner than a voxel everywhere.
        """
        self.check_fitted("to_mesh")
        resolution = whole(8)("resolution", resolution)
        if resolution > FINEST:
            raise ParameterError(
                f"resolution={resolution} is more than {FINEST} voxels along the longest side: the memory of a surface "
                f"grows with its square. Give {FINEST} or less."
            )
        if label is None and len(self.labels_) > 1:
            return _together({k: self.to_mesh(k, resolution) for k in self.labels_})
        channel = self._channel(label)
        name = self.field_.body.channels[channel]
        grid = Grid.of(self.field_, resolution, [name], on_planes=True)
        planes = self.field_.body.sections
        seeds = np.concatenate([p.lift(ring.points) for p in planes for ring in p.rings if ring.label == name])
        margin = partial(self.field_.margin, channel=channel)
        points, triangles = surface(margin, grid, seeds)
        body = self.field_.body
        points, triangles = seen_parts(points, triangles, body.normals, body.offsets, 0.5 * grid.voxel)
        if not len(triangles):
            raise ParameterError(
                f"label {name} is thinner than a voxel everywhere: resolution={resolution} is too low."
            )
        contradicted = {k for conflict in self.conflicts_ for k in conflict.planes}  # parallel planes are in none
        thin = unresolved(margin, body, name, points, triangles, grid.voxel, contradicted)
        if thin is not None:
            text = told(name, self._number_of(thin.planes), resolution, grid.voxel / thin.voxel)
            warnings.warn(text, FitWarning, stacklevel=3)
        places = self.frame_.from_unit(points)
        # rounding of single precision must be far below the shortest edges, a hundredth of a voxel
        if np.abs(places).max() * 6e-8 < 1e-3 * grid.voxel * self.frame_.size:
            places = places.astype(np.float32)
        return Mesh(places, {"triangle": triangles}, source=self.sections_.source)

    def _number_of(self, planes: tuple[int, ...]) -> list[int]:
        """The numbers that planes of the body have in the sections: parallel ones are kept in order of their height."""
        number = np.arange(len(self.sections_))
        if self.field_.body.parallel:
            heights = self.frame_.to_unit(np.array([plane.origin for plane in self.sections_]))[:, 2]
            number = np.argsort(heights, kind="stable")
        return sorted(int(number[k]) for k in planes)

    @no_type_check
    def to_solid(self, label: int | None = None, resolution: int = 24) -> Mesh:
        """Tetrahedra that fill a label, in input coordinates, for finite elements: conforming, positively oriented.

        resolution  cubes of the lattice along the longest side of all contours; edges are about as long as a cube

        Dihedral angles are good by construction (see `tetrahedra`); parts thinner than a cube may be lost. Raises
        ParameterError for a label that the sections do not have, and for one that is thinner than a cube everywhere.
        """
        from meshlearn.models.cross_sections.tetrahedra import stuffed

        self.check_fitted("to_solid")
        resolution = whole(4)("resolution", resolution)
        channel = self._channel(label)
        body = self.field_.body
        grid = Grid.of(self.field_, resolution, [body.channels[channel]])
        shape = tuple(n - 1 for n in grid.shape)

        def values_at(points):
            unit = torch.from_numpy(points.astype(np.float32))
            return torch.cat([self.field_.margin(part, channel) for part in unit.split(65536)]).double().numpy()

        points, tets = stuffed(values_at, grid.low, grid.voxel, shape)
        if len(tets):
            points, tets = seen_parts(points, tets, body.normals, body.offsets, 0.5 * grid.voxel)
        if not len(tets):
            name = body.channels[channel]
            raise ParameterError(f"label {name} is thinner than a cube everywhere: resolution={resolution} is too low.")
        return Mesh(self.frame_.from_unit(points), {"tetra": tets}, source=self.sections_.source)

    @no_type_check
    def to_volume(self, shape: Any, affine: Any = None, folder: Any = None, progress: bool = False) -> np.ndarray:
        """(n0, n1, n2) labels at the places affine @ (i, j, k, 1), in input coordinates.

        folder  keeps what is done, block by block: an interrupted call goes on where it was. The result is then an
                array in the file `labels.npy` there. Raises CheckpointError where the folder holds another volume
        """
        from meshlearn.io.sections.volumes import checked_affine
        from meshlearn.models.cross_sections.progress import bar

        self.check_fitted("to_volume")
        sizes = tuple(whole(1)("shape", n) for n in shape)
        if len(sizes) != 3:
            raise ParameterError(f"shape={shape!r} is not allowed: three numbers of voxels are expected.")
        matrix = checked_affine(affine)
        with bar("volume", progress) as report:
            return fill_volume(
                self.field_,
                self.frame_,
                sizes,
                matrix,
                None if folder is None else Path(folder),
                self._key(sizes, matrix),
                report,
            )

    def _key(self, shape: tuple[int, ...], affine: np.ndarray) -> str:
        digest = hashlib.sha256(repr((shape, affine.tolist(), self.base_, self.network_share_)).encode())
        digest.update(np.ascontiguousarray(self.sections_.points).tobytes())
        if self.field_.prior is not None:
            digest.update(self.field_.prior.numpy().tobytes())
        return digest.hexdigest()

    # -- what came of it -------------------------------------------------------------------------------------------

    @no_type_check
    def report(self, resolution: int = 128, meshes: dict[int, Mesh] | None = None) -> dict[str, Any]:
        """What was made, in numbers.

        "labels": for every label volume, area, Euler characteristic, number of closed surfaces, and per plane Dice and
        contour error of the surface cut again; "base", "base_scores", "network_share", "network_scores", "skipped",
        "conflicts", "seconds".

        meshes  {label: mesh} of `to_mesh`, those to report on; default: all, at this resolution
        """
        self.check_fitted("report")
        if meshes is not None and not (isinstance(meshes, dict) and set(meshes) <= set(self.labels_)):
            got = list(meshes) if isinstance(meshes, dict) else type(meshes).__name__
            raise ParameterError(f"meshes is {got}: {{label: mesh}} with labels of {list(self.labels_)} is expected.")
        found = {}
        for label in self.labels_ if meshes is None else meshes:
            mesh = self.to_mesh(label, resolution) if meshes is None else meshes[label]
            found[label] = facts(self.sections_, mesh, label)
        return {
            "labels": found,
            "base": self.base_,
            "base_scores": self.base_scores_,
            "network_share": self.network_share_,
            "network_scores": self.network_scores_,
            "skipped": self.skipped_,
            "conflicts": [str(conflict) for conflict in self.conflicts_],
            "seconds": self.seconds_,
        }

    # -- files -----------------------------------------------------------------------------------------------------

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The sections, the choice made, and the prior."""
        tensors, meta = sections_state(self.sections_)
        if self.field_.prior is not None:
            tensors["prior"] = self.field_.prior
        return tensors, {
            "sections": meta,
            "base": self.base_,
            "base_scores": self.base_scores_,
            "blend": self.field_.blend_name,
            "local": self.field_.local,
            "network_share": self.network_share_,
            "network_scores": [[share, score] for share, score in self.network_scores_.items()],
            "skipped": self.skipped_,
            "steps": self.steps_,
            "seconds": self.seconds_,
        }

    def set_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """The inverse of `get_state`."""
        self.sections_ = sections_from_state(
            {name: value for name, value in tensors.items() if name != "prior"}, meta["sections"]
        )
        self.frame_ = Frame.of(self.sections_)
        self.field_ = Field(
            Body.of(self.sections_, self.frame_, self.cap), meta["blend"], tensors.get("prior"), meta["local"]
        )
        self.base_, self.base_scores_ = meta["base"], meta["base_scores"]
        self.network_share_ = float(meta["network_share"])
        self.network_scores_ = {float(share): score for share, score in meta["network_scores"]}
        self.steps_, self.seconds_, self.skipped_ = int(meta["steps"]), meta["seconds"], meta.get("skipped", {})
        self.conflicts_ = self.sections_.conflicts()


def _are_places(points: Any) -> bool:
    """Whether these are places, rather than meshes."""
    if isinstance(points, (Tensor, np.ndarray)):
        return True
    meshes = is_single(points) or hasattr(points, "unbatch") or not hasattr(points, "__len__")
    return not meshes and not any(map(is_single, points[:1]))


def _together(meshes: dict[int, Mesh]) -> Mesh:
    """Surfaces side by side in one mesh, with their labels as a cell field."""
    points, triangles, labels, start = [], [], [], 0
    for label, mesh in meshes.items():
        points.append(mesh.points)
        triangles.append(mesh.cells["triangle"] + start)
        labels.append(torch.full((mesh.n_cells,), label, dtype=torch.int64))
        start += mesh.n_points
    cells = {"triangle": torch.cat(triangles)}
    return Mesh(torch.cat(points), cells, cell_data={"label": {"triangle": torch.cat(labels)}})
