"""`MMGP`: mesh-morphing Gaussian processes.

Every mesh is morphed to a common shape, its fields are carried to one common mesh and compressed into a few
coefficients; Gaussian processes regress the coefficients on those of the shape and on the inputs, and the way back
gives fields with error bands on any mesh of the family. For smooth problems and some hundred samples, on a CPU.

Casenave, Staber and Roynard, "MMGP: a Mesh Morphing Gaussian Process-based machine learning method for regression of
physical problems under nonparametrized geometrical variability", NeurIPS 2023 (arXiv 2305.12871): morphing,
finite-element interpolation to a common mesh, POD of coordinates and fields, Matérn-5/2 processes. Departures, each for
a reason measured by its authors' successors or by us:
- Tutte maps use mean-value weights and anchored boundaries (uniform weights depend on the triangulation);
- POD is centred; every mode has length scales and noise of its own (`tied=True` shares them within a field);
- interpolation adds what recovered gradients say of fields between the points: a third of the floor or less;
- the variance of fields is exact instead of sampled, holds truncation and transfer too, and is calibrated on
  predictions that were left out; it widens for shapes unlike the training set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, no_type_check

import torch
from jaxtyping import Float64
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.baselines.training import resolve
from meshlearn.models.mmgp import arguments
from meshlearn.models.mmgp.bands import check_conformal
from meshlearn.models.mmgp.calibration import LEVELS, Calibration, calibration_of, check_levels
from meshlearn.models.mmgp.decoder import Decoder
from meshlearn.models.mmgp.family import Family, Placed
from meshlearn.models.mmgp.flips import check_placed, warn_of_flips
from meshlearn.models.mmgp.gaussian import Processes, load_processes, make_processes
from meshlearn.models.mmgp.left_out import check_left_out
from meshlearn.models.mmgp.morphing import make_morpher
from meshlearn.models.mmgp.morphing.morph import plain
from meshlearn.models.mmgp.morphing.validity import worst_jacobians
from meshlearn.models.mmgp.pod import POD
from meshlearn.models.mmgp.reference import mesh_from_state, mesh_state
from meshlearn.models.mmgp.regressors import Regressors, Unlike
from meshlearn.models.mmgp.series import Frames, Series, SpaceTime, make_series
from meshlearn.models.mmgp.training_set import place_all
from meshlearn.models.mmgp.transfer_loss import TransferLoss
from meshlearn.train.estimator import Estimator, Fields
from meshlearn.train.fields import FieldSpec
from meshlearn.train.items import as_items
from meshlearn.train.steps import Work
from meshlearn.train.survey import Survey


class MMGP(Estimator):
    """Fields and scalars of a mesh from its shape and its inputs, with error bands.

    inputs, outputs   names of fields; the shape of the mesh is always an input. Global data, point and cell fields
    morphing          "auto", "identity" (meshes that share their cells), "tutte" (plates with one hole or none), "rbf"
                      or "elastic"; see `meshlearn.models.mmgp.morphing`
    landmarks         names of point sets of one point each that correspond in all meshes
    modes             modes of every output field: "cv" (those found again in meshes that were left out), a number, or
                      the share of the variance they shall hold; see `meshlearn.models.mmgp.pod`
    manifold          "linear"; "quadratic" or "cubic": polynomials of the coefficients add what the modes leave, for
                      fields with fronts (`meshlearn.models.mmgp.lift`)
    shape_modes       as `modes`, for the coordinates, and for every input field
    tied              one set of length scales for all modes of a field (the published method) instead of one per mode
    transfer          to the common mesh and back: "recovery", interpolation with recovered gradients, third order for
                      first-order cells; "interpolation", second order, which never leaves the range of the values;
                      "projection" in L2, which keeps integrals
    restarts          starts of the search for length scales
    inducing          points of sparse processes: None for exact ones, a number, or "auto": exact up to 2000 samples
    series            "frames": every frame of a Trajectory is a sample (name "time" as an input); "modes": a Trajectory
                      is one sample, with modes in space and time; all need the same times
    calibrate         "scale" error bands so that 95 % of errors of left-out training samples lie in the 95 % band;
                      "conformal" guarantees it for new meshes like these (`meshlearn.models.mmgp.bands`); False
    morphing_options  of the morphing, {"weights": "uniform"}
    seed              of the restarts

    After `fit`
      cv_score_   {output: relative L2 error of training samples that were left out}, lengths of scales kept
      floors_     {output: {"round_trip", "truncation"}}: relative L2 errors of the transfer, and of the modes, alone
      ranks_      {output: number of modes}
      morphing_   name of the morphing; `morph_quality_` its worst cell, the flipped ones, how far the common mesh
                  lies outside a morphed one (in cell sizes), and what "auto" tried, over the set

    >>> meshes = [ml.shapes.rectangle(a, 1.0, n=(6, 4)) for a in (1.0, 1.1, 1.25, 1.4, 1.6, 1.75, 1.9, 2.0)]
    >>> meshes = [mesh.with_point_data(u=mesh.points[:, 0] ** 2) for mesh in meshes]
    >>> model = ml.MMGP([], ["u"]).fit(meshes[:3] + meshes[4:])
    >>> model.score(meshes[3:4])["u"] < 1e-2
    True
    """

    probabilistic: ClassVar[bool] = True

    morphing: str
    landmarks: Sequence[str]
    modes: int | float | str
    shape_modes: int | float | str
    manifold: str
    tied: bool
    transfer: str
    restarts: int
    inducing: int | str | None
    series: str
    calibrate: str | bool
    morphing_options: Mapping[str, Any]
    seed: int
    family_: Family
    regressors_: Regressors
    pods_: dict[str, POD]
    processes_: Processes
    series_: Series
    losses_: dict[str, TransferLoss]
    factors_: dict[str, float]
    cv_score_: dict[str, float]
    floors_: dict[str, dict[str, float]]
    ranks_: dict[str, int]
    morphing_: str
    morph_quality_: dict[str, Any]

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(
        self,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        morphing: str = "auto",
        landmarks: Sequence[str] = (),
        modes: int | float | str = "cv",
        shape_modes: int | float | str = 0.9999,
        tied: bool = False,
        transfer: str = "recovery",
        restarts: int = 4,
        calibrate: str | bool = "scale",
        morphing_options: Mapping[str, Any] = {},
        seed: int = 0,
        manifold: str = "linear",
        inducing: int | str | None = "auto",
        series: str = "frames",
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.morphing = morphing
        self.landmarks = landmarks
        self.modes = modes
        self.shape_modes = shape_modes
        self.tied = tied
        self.transfer = transfer
        self.restarts = restarts
        self.calibrate = calibrate
        self.morphing_options = morphing_options
        self.seed = seed
        self.manifold = manifold
        self.inducing = inducing
        self.series = series

    # -- fit -------------------------------------------------------------------------------------------------------

    def fit(self, meshes: Any) -> MMGP:
        """Learn from meshes with inputs and outputs; returns self.

        Raises TopologyError for meshes of unlike topology, FieldError for fields that are missing or not finite,
        ParameterError for fewer than two meshes, and for meshes that all have the same shape and inputs.
        """
        items, fields = resolve(meshes, self.inputs, self.outputs)
        arguments.check(self)
        self.series_ = make_series(self.series, items, fields)
        works = self.series_.works(items, Survey())
        if len(works) < 2:
            raise ParameterError(
                f"MMGP learns from the differences between meshes: got {len(works)}, give at least two, better fifty."
            )
        arguments.check_landmarks(works, self.landmarks)
        if self.calibrate == "conformal":
            check_conformal(len(items))
        inner = self.series_.inner
        data = place_all(works, inner, self.morphing, self.landmarks, self.morphing_options, self.transfer)
        if self.calibrate == "conformal":
            check_conformal(data.n_groups)
        warn_of_flips(data.quality, len(data.shapes), data.family.morpher.name)
        self.family_, self.morphing_, self.morph_quality_ = data.family, data.family.morpher.name, data.quality
        self.regressors_, x = Regressors.fit(data, self.series_, self.shape_modes, int(self.seed))
        self.pods_ = {
            spec.name: POD(self.modes, seed=int(self.seed), manifold=self.manifold).fit(
                rows, self.series_.weights(data.family, spec), keep=data.checked, folds=data.folds
            )
            for spec, rows in data.fields.items()
            if self.series_.is_reduced(spec)
        }
        y, groups = self._targets(data.fields)
        arguments.check_rows(x, y, data.items)
        self.processes_ = make_processes(len(x), self.inducing, int(self.restarts), int(self.seed)).fit(x, y, groups)
        checks = check_left_out(data, inner.outputs, self.pods_, self.processes_, self.calibrate)
        self.cv_score_, self.floors_, self.factors_ = checks.scores, checks.floors, checks.factors
        self.losses_ = checks.losses
        self.ranks_ = {name: pod.rank_ for name, pod in self.pods_.items()}
        self.fields_ = fields
        return self

    def _targets(self, fields: dict[FieldSpec, Tensor]) -> tuple[Tensor, list[int]]:
        """(targets (n, m), group of each): coefficients of fields and values of scalars side by side."""
        columns: list[Tensor] = []
        groups: list[int] = []
        for spec, rows in fields.items():
            reduced = spec.name in self.pods_
            part = self.pods_[spec.name].coefficients_ if reduced else rows
            start = groups[-1] + 1 if groups else 0
            groups += [start + (0 if self.tied and reduced else k) for k in range(part.shape[1])]
            columns.append(part)
        return torch.cat(columns, dim=1), groups

    # -- predict ---------------------------------------------------------------------------------------------------

    def predict_fields(self, meshes: Iterator[Mesh], return_std: bool = False) -> Iterator[tuple[Fields, Fields]]:
        """Means, and standard deviations of what would be observed, on every mesh."""
        decoder = self._decoder()
        for mesh in meshes:
            placed, x, unlike = self._place(mesh)
            mean, variance = self.processes_.predict(x, variance=return_std)
            noisy = variance + self.processes_.noise_
            yield decoder.values(placed, mean), (decoder.deviations(placed, mean, noisy, unlike) if return_std else {})

    def _predictions(self, items: Any, return_std: bool) -> Iterator[tuple[Work, Mesh]]:
        """As the base class, frame by frame; a trajectory that is one sample is predicted as a whole."""
        if isinstance(self.series_, SpaceTime):
            return self.series_.predictions(items, lambda mesh: next(self.predict_fields(iter([mesh]), return_std)))
        return super()._predictions(items, return_std)

    def sample(self, mesh: Any, n: Any, seed: Any = 0) -> list[Any]:
        """n meshes with outputs drawn jointly from the prediction: for quantities that are not linear in the fields.

        Coefficients of the modes are drawn with their noise, scaled as the bands are; what the modes leave and the
        transfer are not drawn, for they have no known correlation in space. Outputs are independent of each other.
        With series="modes" these are trajectories.
        """
        inner = self._one("sample", mesh)
        arguments.check_whole("n", n, 1)
        arguments.check_whole("seed", seed, 0)
        with torch.no_grad():
            placed, x, unlike = self._place(inner)
            mean, variance = self.processes_.predict(x)
            noisy = variance + self.processes_.noise_
            generator = torch.Generator().manual_seed(int(seed))
            drawn = self._decoder().samples(placed, mean, noisy, unlike, int(n), generator)
        return [self.series_.attach(mesh, fields) for fields in drawn]

    def derivative(self, mesh: Any, wrt: Any) -> Any:
        """The mesh with fields `d_<output>_d_<wrt>`: derivatives of the prediction with respect to a global input.

        Exact for the model; values of an input that is a vector or matrix come in trailing axes. Shape and other inputs
        are held. Raises FieldError unless `wrt` is a global input (which holds all the time, with series="modes").
        """
        inner = self._one("derivative", mesh)
        known = self.series_.inner.at("inputs", "global")
        inputs = {spec.name: spec for spec in known if not self.series_.is_reduced(spec)}
        if not isinstance(wrt, str) or wrt not in inputs:
            raise FieldError(f"wrt={wrt!r} is not a global input of this model; they are {list(inputs)}.")
        placed, x, _ = self._place(inner)
        mean, _ = self.processes_.predict(x, variance=False)
        slopes = torch.autograd.functional.jacobian(lambda z: self.processes_.predict(z, variance=False)[0][0], x)
        table = slopes[:, 0, self.regressors_.slices()[wrt]].T  # (size of the input, m)
        return self.series_.attach(mesh, self._decoder().slopes(placed, mean, table, inputs[wrt]))

    def calibration(self, meshes: Any, levels: Any = LEVELS) -> Calibration:
        """How good the error bands are on meshes or trajectories with known outputs, for every output:

        coverage  {level: share of the values inside the band of this level}; equal to the level is right
        width     mean width of the 95 % band, in the unit of the output
        nll       mean negative log likelihood (nats, smaller is better); bands of no width are left out
        crps      mean continuous ranked probability score, in the unit of the output (smaller is better)

        All means are weighted by length, area or volume, then taken over meshes (frames of a Trajectory).
        """
        self.check_fitted("calibration")
        check_levels(levels)
        with torch.no_grad():
            pairs = ((p, work.target, work.where) for work, p in self._predictions(as_items(meshes), True))
            return calibration_of(pairs, self.fields_, levels)

    def novelty(self, mesh: Any) -> float:
        """How new a mesh is, in shape and inputs: about 1 or less is ordinary; bands widen where it is above 1.

        It is the largest of three numbers: what the modes of the training shapes leave of the shape, and those of input
        fields of these, relative to the 99 % quantile of what they leave of training samples that were left out (a
        thousandth of their spread at least); how far shape and inputs are from the centre of the training set, relative
        to 1.5 times the farthest of it; and by how much an input differs that was the same on all training samples,
        relative to a thousandth of its size.
        """
        return self._place(self._one("novelty", mesh))[2].novelty

    def morph(self, mesh: Any) -> Mesh:
        """The mesh where the morphing takes it, on the common shape, and how well: what to look at when in doubt.

        point_data   "clamped" int8: 1 at points outside the common mesh, which get the values of its closest points;
                     "outside": how far outside they are, in cell sizes of the common mesh
        cell_data    "jacobian": 1 for cells that change as the mean does, 0 or less for those turned inside out
        global_data  "flipped": the number of these; "novelty"

        Tags are kept, other fields are not. Nothing is refused here but meshes of another topology.
        """
        mesh = self._one("morph", mesh)
        placed = self.family_.place(mesh, self._novelty_of)
        clamped, outside = placed.reach()
        return placed.morphed.replace(
            point_data={"clamped": clamped, "outside": outside},
            global_data={
                "flipped": torch.tensor(placed.morph.flipped),
                "novelty": torch.tensor(self._novelty_of(placed), dtype=torch.float64),
            },
        ).with_cell_data(jacobian=worst_jacobians(plain(mesh), placed.morph.points))

    def _one(self, action: str, item: Any) -> Mesh:
        """What the processes see of one item."""
        self.check_fitted(action)
        return self.series_.one(action, item)

    def _decoder(self) -> Decoder:
        spread = self.processes_.spread_
        return Decoder(self.series_.inner.outputs, self.pods_, self.factors_, self.losses_, spread)

    def _place(self, mesh: Mesh) -> tuple[Placed, Float64[Tensor, "1 d"], Unlike]:
        """(the mesh on the common shape, its regressors, how unlike the training set it is)."""
        placed = self.family_.place(mesh, self._novelty_of)
        check_placed(placed, self.family_, self.morph_quality_.get("flipped_share", 0.0))
        return placed, *self.regressors_.of(placed)

    def _novelty_of(self, placed: Placed) -> float:
        return self.regressors_.of(placed)[1].novelty

    # -- files -----------------------------------------------------------------------------------------------------

    SUMMARY = ("factors_", "cv_score_", "floors_", "ranks_", "morphing_", "morph_quality_")

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Reference mesh, modes, processes and factors."""
        groups: dict[str, dict[str, Tensor]] = {
            "reference": mesh_state(self.family_.morpher.reference),
            "processes": self.processes_.get_state(),
            "shape": self.regressors_.shape.get_state(),
            "transfer": {name: loss.template for name, loss in self.losses_.items()},
            "range": {name: getattr(self.regressors_, name) for name in ("centre", "reach", "size")},
            "series": {"times": self.series_.times} if isinstance(self.series_, SpaceTime) else {},
        }
        groups |= {f"input.{name}": pod.get_state() for name, pod in self.regressors_.inputs.items()}
        groups |= {f"output.{name}": pod.get_state() for name, pod in self.pods_.items()}
        tensors = {f"{group}:{name}": value for group, named in groups.items() for name, value in named.items()}
        more: dict[str, Any] = {"limit": self.regressors_.limit, "limits": self.regressors_.limits}
        more["changing"] = sorted(self.series_.changing)
        more["losses"] = {name: loss.factor for name, loss in self.losses_.items()}
        return tensors, {name: getattr(self, name) for name in self.SUMMARY} | more

    def set_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """The inverse of `get_state`."""
        for name in self.SUMMARY:
            setattr(self, name, meta[name])
        groups: dict[str, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            group, _, name = key.partition(":")
            # a copy is aligned as the original was, so that products round in the same way
            groups.setdefault(group, {})[name] = value.clone()
        reference = mesh_from_state(groups["reference"])
        morpher = make_morpher(self.morphing_, reference, self.landmarks, **dict(self.morphing_options))
        self.family_ = Family(morpher, self.transfer, others=self.morphing == "auto")
        self.series_ = Frames(self.fields_)
        if "series" in groups:
            self.series_ = SpaceTime(self.fields_, groups["series"]["times"], frozenset(meta["changing"]))
        inputs = {k.partition(".")[2]: _pod(g) for k, g in groups.items() if k.startswith("input.")}
        shape, limit, limits = _pod(groups["shape"]), float(meta["limit"]), meta["limits"]
        self.regressors_ = Regressors(self.series_, self.family_, shape, inputs, limit, limits, groups["range"])
        self.processes_ = load_processes(groups["processes"])
        templates = groups.get("transfer", {})  # of no field if all outputs are scalars
        self.losses_ = {name: TransferLoss(templates[name], float(factor)) for name, factor in meta["losses"].items()}
        self.pods_ = {k.partition(".")[2]: _pod(g) for k, g in groups.items() if k.startswith("output.")}


def _pod(tensors: dict[str, Tensor]) -> POD:
    pod = POD()
    pod.set_state(tensors)
    return pod
