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
from meshlearn.models.baselines.training import checked_work, resolve
from meshlearn.models.mmgp import arguments
from meshlearn.models.mmgp.bands import field_variance
from meshlearn.models.mmgp.family import Family, Placed
from meshlearn.models.mmgp.flips import check_placed, warn_of_flips
from meshlearn.models.mmgp.gaussian import GaussianProcesses
from meshlearn.models.mmgp.left_out import check_left_out
from meshlearn.models.mmgp.morphing import make_morpher
from meshlearn.models.mmgp.morphing.morph import plain
from meshlearn.models.mmgp.morphing.validity import worst_jacobians
from meshlearn.models.mmgp.pod import POD
from meshlearn.models.mmgp.reference import mesh_from_state, mesh_state
from meshlearn.models.mmgp.regressors import Regressors
from meshlearn.models.mmgp.training_set import place_all
from meshlearn.train.estimator import Estimator, Fields
from meshlearn.train.fields import FieldSpec
from meshlearn.train.survey import Survey


class MMGP(Estimator):
    """Fields and scalars of a mesh from its shape and its inputs, with error bands.

    inputs, outputs   names of fields; the shape of the mesh is always an input. Global data, point and cell fields
    morphing          "auto", "identity" (meshes that share their cells), "tutte" (plates with one hole or none), "rbf"
                      or "elastic"; see `meshlearn.models.mmgp.morphing`
    landmarks         names of point sets of one point each that correspond in all meshes
    modes             modes of every output field: "cv" (those found again in meshes that were left out), a number, or
                      the share of the variance they shall hold; see `meshlearn.models.mmgp.pod`
    shape_modes       the same for the coordinates, and for every input field
    tied              one set of length scales for all modes of a field (the published method) instead of one per mode
    transfer          "interpolation", or "projection" in L2, which keeps integrals
    restarts          starts of the search for length scales
    calibrate         scale error bands so that 95 % of errors of left-out training samples lie in the 95 % band
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
    tied: bool
    transfer: str
    restarts: int
    calibrate: bool
    morphing_options: Mapping[str, Any]
    seed: int
    family_: Family
    regressors_: Regressors
    pods_: dict[str, POD]
    processes_: GaussianProcesses
    transfer_variance_: dict[str, Tensor]
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
        transfer: str = "interpolation",
        restarts: int = 4,
        calibrate: bool = True,
        morphing_options: Mapping[str, Any] = {},
        seed: int = 0,
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

    # -- fit -------------------------------------------------------------------------------------------------------

    def fit(self, meshes: Any) -> MMGP:
        """Learn from meshes with inputs and outputs; returns self.

        Raises TopologyError for meshes of unlike topology, FieldError for fields that are missing or not finite,
        ParameterError for fewer than two meshes, and for meshes that all have the same shape and inputs.
        """
        items, fields = resolve(meshes, self.inputs, self.outputs)
        arguments.check(self)
        survey = Survey()
        works = list(checked_work(items, fields, survey))
        if len(works) < 2:
            raise ParameterError("MMGP learns from the differences between meshes: give at least two, better fifty.")
        data = place_all(works, fields, self.morphing, self.landmarks, self.morphing_options, self.transfer)
        family = data.family
        warn_of_flips(data.quality, len(works), family.morpher.name)
        self.family_, self.morphing_, self.morph_quality_ = family, family.morpher.name, data.quality
        self.regressors_, x = Regressors.fit(data, fields, self.shape_modes, self.seed)
        self.pods_ = {
            spec.name: POD(self.modes, seed=self.seed).fit(
                rows, family.weights(spec.location, spec.size), keep=data.checked, folds=data.folds
            )
            for spec, rows in data.fields.items()
            if spec.location != "global"
        }
        y, groups = self._targets(data.fields)
        if not bool((x != x[0]).any()):
            raise ParameterError(
                "all training meshes have the same shape and the same inputs: there is nothing to learn from.\n"
                "  Name the inputs that differ (global_data, point_data or cell_data)."
            )
        self.processes_ = GaussianProcesses(self.restarts, seed=self.seed).fit(x, y, groups)
        checks = check_left_out(data, fields.outputs, self.pods_, self.processes_, self.calibrate)
        self.cv_score_, self.floors_, self.factors_ = checks.scores, checks.floors, checks.factors
        self.transfer_variance_ = checks.transfer
        self.ranks_ = {name: pod.rank_ for name, pod in self.pods_.items()}
        self.fields_ = fields
        return self

    def _targets(self, fields: dict[FieldSpec, Tensor]) -> tuple[Tensor, list[int]]:
        """(targets (n, m), group of each): coefficients of fields and values of scalars side by side."""
        columns: list[Tensor] = []
        groups: list[int] = []
        for spec, rows in fields.items():
            part = rows if spec.location == "global" else self.pods_[spec.name].coefficients_
            together = self.tied and spec.location != "global"
            start = groups[-1] + 1 if groups else 0
            groups += [start + (0 if together else k) for k in range(part.shape[1])]
            columns.append(part)
        return torch.cat(columns, dim=1), groups

    # -- predict ---------------------------------------------------------------------------------------------------

    def predict_fields(self, meshes: Iterator[Mesh], return_std: bool = False) -> Iterator[tuple[Fields, Fields]]:
        """Means, and standard deviations of what would be observed, on every mesh."""
        for mesh in meshes:
            placed, x, novelty = self._place(mesh)
            mean, variance = self.processes_.predict(x, variance=return_std)
            noisy = variance + self.processes_.noise_
            values: Fields = {}
            deviations: Fields = {}
            for spec, part, spread in self._split(mean, noisy):
                if spec.location == "global":
                    values[spec] = spec.restore(part)
                    deviations[spec] = spec.restore(spread.sqrt() * self.factors_[spec.name] * novelty)
                    continue
                pod = self.pods_[spec.name]
                flat = [pod.decode(part)]
                if return_std:
                    flat.append(field_variance(pod, spread, self.transfer_variance_[spec.name]))
                back = placed.from_common(torch.cat(flat), spec.location, spec.size)
                values[spec] = spec.restore(back[0])
                if return_std:
                    std = back[1].clamp(min=0).sqrt() * (self.factors_[spec.name] * novelty)
                    deviations[spec] = spec.restore(std)
            yield values, (deviations if return_std else {})

    def sample(self, mesh: Any, n: int, seed: int = 0) -> list[Mesh]:
        """n meshes with outputs drawn jointly from the prediction: for quantities that are not linear in the fields.

        Coefficients of the modes are drawn with their noise, scaled as the bands are; what the modes leave and the
        transfer are not drawn, for they have no known correlation in space. Outputs are independent of each other.
        """
        self._check_one("sample", mesh)
        if not isinstance(n, int) or n < 1:
            raise ParameterError(f"n={n!r} must be a whole number of at least 1.")
        with torch.no_grad():
            placed, x, novelty = self._place(mesh)
            mean, variance = self.processes_.predict(x)
            spread = (variance + self.processes_.noise_).sqrt() * novelty
            generator = torch.Generator().manual_seed(seed)
            drawn: list[Fields] = [{} for _ in range(n)]
            for spec, part, std in self._split(mean, spread):
                noise = torch.randn(n, part.shape[1], generator=generator, dtype=torch.float64)
                rows = part + noise * std * self.factors_[spec.name]
                if spec.location != "global":
                    rows = placed.from_common(self.pods_[spec.name].decode(rows), spec.location, spec.size)
                else:
                    rows = rows[:, None]
                for fields, row in zip(drawn, rows, strict=True):
                    fields[spec] = spec.restore(row)
        return [self.fields_.attach(mesh, fields) for fields in drawn]

    def derivative(self, mesh: Any, wrt: str) -> Mesh:
        """The mesh with fields `d_<output>_d_<wrt>`: derivatives of the prediction with respect to a global input.

        Exact for the model; values of an input that is a vector or matrix come in trailing axes. Shape and other inputs
        are held. Raises FieldError unless `wrt` is a global input.
        """
        self._check_one("derivative", mesh)
        inputs = {spec.name: spec for spec in self.fields_.at("inputs", "global")}
        if not isinstance(wrt, str) or wrt not in inputs:
            raise FieldError(f"wrt={wrt!r} is not a global input of this model; they are {list(inputs)}.")
        placed, x, _ = self._place(mesh)
        columns = self.regressors_.slices()[wrt]
        slopes = torch.autograd.functional.jacobian(lambda z: self.processes_.predict(z, variance=False)[0][0], x)
        table = slopes[:, 0, columns].T  # (size of the input, m)
        found: Fields = {}
        for spec, part in self._split(table):
            if spec.location != "global":
                part = placed.from_common(part @ self.pods_[spec.name].modes_, spec.location, spec.size)
            values = part.movedim(0, -1)
            shape = (*spec.shape, *inputs[wrt].shape)
            values = values.reshape(shape if spec.location == "global" else (len(values), *shape))
            found[FieldSpec(f"d_{spec.name}_d_{wrt}", spec.location, shape)] = values
        return self.fields_.attach(mesh, found)

    def novelty(self, mesh: Any) -> float:
        """How new a mesh is, in shape and inputs: about 1 or less is ordinary; bands widen by it where it is above 1.

        It is the larger of two numbers: what the modes of the training shapes leave of the shape, relative to the 99 %
        quantile of what they leave of training shapes that were left out; and how far shape and inputs are from the
        centre of the training set, relative to 1.5 times the farthest of it.
        """
        self._check_one("novelty", mesh)
        placed, x, _ = self._place(mesh)
        return self.regressors_.novelty(placed, x)

    def morph(self, mesh: Any) -> Mesh:
        """The mesh where the morphing takes it, on the common shape, and how well: what to look at when in doubt.

        point_data   "clamped" int8: 1 at points outside the common mesh, which get the values of its closest points;
                     "outside": how far outside they are, in cell sizes of the common mesh
        cell_data    "jacobian": 1 for cells that change as the mean does, 0 or less for those turned inside out
        global_data  "flipped": the number of these; "novelty"

        Tags are kept, other fields are not. Nothing is refused here but meshes of another topology.
        """
        self._check_one("morph", mesh)
        placed = self.family_.place(mesh, self._novelty_of)
        clamped, outside = placed.reach()
        return placed.morphed.replace(
            point_data={"clamped": clamped, "outside": outside},
            global_data={
                "flipped": torch.tensor(placed.morph.flipped),
                "novelty": torch.tensor(self._novelty_of(placed), dtype=torch.float64),
            },
        ).with_cell_data(jacobian=worst_jacobians(plain(mesh), placed.morph.points))

    def _check_one(self, action: str, mesh: Any) -> None:
        self.check_fitted(action)
        if not isinstance(mesh, Mesh):
            raise ParameterError(f"{action} takes one Mesh, not a {type(mesh).__name__}: call it for each.")
        self.fields_.check(mesh, roles=("inputs",))

    def _place(self, mesh: Mesh) -> tuple[Placed, Float64[Tensor, "1 d"], float]:
        """(the mesh on the common shape, its regressors, the factor by which bands widen)."""
        placed = self.family_.place(mesh, self._novelty_of)
        check_placed(placed, self.family_, self.morph_quality_.get("flipped_share", 0.0))
        x = self.regressors_.of(mesh, placed)
        return placed, x, max(1.0, self.regressors_.novelty(placed, x))

    def _novelty_of(self, placed: Placed) -> float:
        return self.regressors_.novelty(placed, self.regressors_.of(placed.mesh, placed))

    def _split(self, *tables: Tensor) -> Iterator[Any]:
        """(spec, its columns of every table) for all outputs."""
        start = 0
        for spec in self.fields_.outputs:
            width = spec.size if spec.location == "global" else self.pods_[spec.name].rank_
            yield spec, *(table[:, start : start + width] for table in tables)
            start += width

    # -- files -----------------------------------------------------------------------------------------------------

    SUMMARY = ("factors_", "cv_score_", "floors_", "ranks_", "morphing_", "morph_quality_")

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Reference mesh, modes, processes and factors."""
        groups: dict[str, dict[str, Tensor]] = {
            "reference": mesh_state(self.family_.morpher.reference),
            "processes": self.processes_.get_state(),
            "shape": self.regressors_.shape.get_state(),
            "transfer": self.transfer_variance_,
            "range": {"centre": self.regressors_.centre, "reach": self.regressors_.reach},
        }
        groups |= {f"input.{name}": pod.get_state() for name, pod in self.regressors_.inputs.items()}
        groups |= {f"output.{name}": pod.get_state() for name, pod in self.pods_.items()}
        tensors = {f"{group}:{name}": value for group, named in groups.items() for name, value in named.items()}
        return tensors, {name: getattr(self, name) for name in self.SUMMARY} | {"limit": self.regressors_.limit}

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
        inputs = {k.partition(".")[2]: _pod(g) for k, g in groups.items() if k.startswith("input.")}
        shape, limit, extent = _pod(groups["shape"]), float(meta["limit"]), groups["range"]
        self.regressors_ = Regressors(
            self.fields_, self.family_, shape, inputs, limit, extent["centre"], extent["reach"]
        )
        self.processes_ = GaussianProcesses(self.restarts, seed=self.seed)
        self.processes_.set_state(groups["processes"])
        self.transfer_variance_ = groups.get("transfer", {})
        self.pods_ = {k.partition(".")[2]: _pod(g) for k, g in groups.items() if k.startswith("output.")}


def _pod(tensors: dict[str, Tensor]) -> POD:
    pod = POD()
    pod.set_state(tensors)
    return pod
