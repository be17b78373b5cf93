"""`RidgeRegression`: a polynomial of what is known at a point, fitted by regularised least squares.

It measures how much of a field can be told from local information alone: coordinates, distances to the boundary,
given fields, loads. The normal equations of all polynomial features are gathered in one pass over the meshes, weighted
by measure; the strength of the penalty is chosen by two-fold cross-validation over training meshes and trajectories
(Hoerl and Kennard 1970, "Ridge regression", Technometrics 12(1)). Global outputs are regressed on a description of the
whole mesh.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement
from math import comb
from typing import Any, no_type_check

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from meshlearn import ops
from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.baselines.descriptors import describe_mesh, described_fields
from meshlearn.models.baselines.training import checked_work, resolve
from meshlearn.models.geometric_inputs import boundary_features, centred, check_patterns
from meshlearn.train.estimator import Estimator, Fields
from meshlearn.train.fields import LOCATIONS, FieldSet
from meshlearn.train.graph import measure_weights
from meshlearn.train.normalizer import Normalizer
from meshlearn.train.survey import Survey
from meshlearn.train.time_steps import TimeSteps

LARGEST = 6000


class RidgeRegression(Estimator):
    """Predicts every output from polynomial features of the same point, cell or mesh.

    inputs, outputs  names of fields
    degree           of the polynomial in all features together
    boundary_sets    names or patterns of point or cell sets whose distance is a feature, as in `MeshGraphNet`
    penalties        candidates for the penalty, relative to the number of rows

    Raises ParameterError when the polynomial would have more than 6000 terms.

    >>> meshes = [ml.shapes.square(n=n) for n in (4, 5, 6)]
    >>> meshes = [mesh.with_point_data(u=mesh.points[:, 0] * mesh.points[:, 1]) for mesh in meshes]
    >>> ml.RidgeRegression([], ["u"], degree=2).fit(meshes).score(meshes)["u"] < 1e-3
    True
    """

    scalers_: dict[str, Normalizer]
    weights_: dict[str, Tensor]
    penalties_: dict[str, float]
    degree: int
    boundary_sets: Sequence[str]
    penalties: Sequence[float]

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(
        self,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        degree: int = 3,
        boundary_sets: Sequence[str] = (),
        penalties: Sequence[float] = (1e-8, 1e-6, 1e-4, 1e-2, 1.0),
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.degree = degree
        self.boundary_sets = boundary_sets
        self.penalties = penalties

    def fit(self, meshes: Any) -> RidgeRegression:
        """Two passes over the meshes: the spread of the features, then the normal equations; returns self."""
        if not isinstance(self.degree, int) or isinstance(self.degree, bool) or self.degree < 1:
            raise ParameterError(f"degree={self.degree!r} must be a whole number of at least 1.")
        penalties: Any = self.penalties
        numbers = isinstance(penalties, (list, tuple)) and all(isinstance(p, (int, float)) for p in penalties)
        if not numbers or not penalties or not all(0 < p < math.inf for p in penalties):
            raise ParameterError(f"penalties={penalties!r} must be a list of positive numbers.")
        items, fields = resolve(meshes, self.inputs, self.outputs)
        scalers: dict[str, Normalizer] = {}
        survey, time_steps, n_work = Survey(), TimeSteps(fields), 0
        for work in checked_work(items, fields, survey, time_steps):
            n_work += 1
            for location in fields.output_locations:
                features = self._features(work.source, location, fields)
                self._check_size(features.shape[1], location)
                scaler = scalers.setdefault(location, Normalizer(features.shape[1]))
                fine = field_columns(location, fields, features.shape[1])
                scaler.update(features, measure_weights(work.source, location), fine)
        check_patterns(self.boundary_sets, survey.set_names)
        for scaler in scalers.values():
            scaler.double().finish()
        folds: dict[str, list[list[Tensor]]] = {location: [] for location in scalers}
        item = 0
        for number, work in enumerate(checked_work(items, fields)):
            # Frames of one trajectory are alike and stay in one fold; a single one is cut into its first and last half.
            fold = item % 2 if len(items) > 1 else int(2 * number >= n_work)
            item += work.last
            targets = fields.targets(work.target, work.where)
            for location, scaler in scalers.items():
                a = polynomial(scaler(self._features(work.source, location, fields)), self.degree)
                y = targets[location].detach().double().cpu()
                weighted = a * measure_weights(work.target, location).double().cpu()[:, None]
                new = [weighted.T @ a, weighted.T @ y, (weighted[:, :1] * y.square()).sum(0)]
                if len(folds[location]) <= fold:
                    folds[location].append(new)
                else:
                    folds[location][fold] = [x + z for x, z in zip(folds[location][fold], new, strict=True)]
        solved = {location: _best(sums, self.penalties) for location, sums in folds.items()}
        self.weights_ = {location: weights for location, (weights, _) in solved.items()}
        self.penalties_ = {location: penalty for location, (_, penalty) in solved.items()}
        self.scalers_, self.fields_, self.time_step_ = scalers, fields, time_steps.value
        return self

    def predict_fields(self, meshes: Iterator[Mesh], return_std: bool = False) -> Iterator[tuple[Fields, Fields]]:
        """The polynomials on every mesh."""
        for mesh in meshes:
            tables = {}
            for location, scaler in self.scalers_.items():
                a = polynomial(scaler(self._features(mesh, location, self.fields_)), self.degree)
                tables[location] = (a @ self.weights_[location]).to(mesh.device, mesh.dtype)
            yield self.fields_.split_outputs(tables), {}

    def _features(self, mesh: Mesh, location: str, fields: Any) -> Float64[Tensor, "rows f"]:
        """What is known at every row of a location, before scaling; float64 on the CPU."""
        if location == "global":
            return describe_mesh(mesh, fields)[None]
        points = mesh.points.detach()
        columns = [
            centred(points, measure_weights(mesh, "point")),
            boundary_features(mesh, self.boundary_sets, distances=True),
            fields.table(mesh, "inputs", "point", exact=True).detach(),
            fields.table(mesh, "inputs", "global", exact=True).detach().expand(len(points), -1),
        ]
        table = torch.cat(columns, dim=1)
        on_cells = fields.table(mesh, "inputs", "cell", exact=True).detach() if fields.at("inputs", "cell") else None
        if location == "point" and on_cells is not None:
            around = mesh.topology.point_cells
            table = torch.cat([table, ops.segment_mean(ops.gather(on_cells, around.index), around)], dim=1)
        if location == "cell":
            corners = mesh.topology.point_cells.transpose()[0]
            table = ops.segment_mean(ops.gather(table, corners.index), corners)
            table = table if on_cells is None else torch.cat([table, on_cells], dim=1)
        return table.double().cpu()

    def _check_size(self, n_features: int, location: str) -> None:
        terms = comb(n_features + self.degree, self.degree)
        if terms > LARGEST:
            raise ParameterError(
                f"a polynomial of degree {self.degree} in {n_features} {location} features has {terms} terms, "
                f"more than {LARGEST}.\n  choose a smaller degree, or fewer inputs and boundary_sets."
            )

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights and scales by location."""
        tensors = {f"{location}.weights": values for location, values in self.weights_.items()}
        for location, scaler in self.scalers_.items():
            tensors |= {f"{location}.{name}": values for name, values in scaler.state_dict().items()}
        return tensors, {"penalties": self.penalties_}

    def set_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """The inverse of `get_state`."""
        self.penalties_ = dict(meta["penalties"])
        self.weights_ = {location: tensors[f"{location}.weights"] for location in self.penalties_}
        self.scalers_ = {}
        for location in self.penalties_:
            scaler = Normalizer(len(tensors[f"{location}.mean"])).double()
            scaler.load_state_dict({name: tensors[f"{location}.{name}"] for name in scaler.state_dict()})
            self.scalers_[location] = scaler


def field_columns(location: str, fields: FieldSet, width: int) -> Bool[Tensor, " f"]:
    """Which of the features of `RidgeRegression` are made of fields; the others are geometry."""
    if location == "global":
        return described_fields(fields)
    n_fields = sum(fields.width("inputs", place) for place in LOCATIONS)
    return torch.arange(width) >= width - n_fields


def polynomial(x: Float64[Tensor, "rows f"], degree: int) -> Float64[Tensor, "rows terms"]:
    """All monomials of the columns up to a degree, the constant 1 first.

    >>> polynomial(torch.tensor([[2.0, 3.0]], dtype=torch.float64), 2).tolist()
    [[1.0, 2.0, 3.0, 4.0, 6.0, 9.0]]
    """
    columns: dict[tuple[int, ...], Tensor] = {(): x.new_ones(len(x))}
    for d in range(1, degree + 1):
        for powers in combinations_with_replacement(range(x.shape[1]), d):
            columns[powers] = columns[powers[:-1]] * x[:, powers[-1]]
    return torch.stack(list(columns.values()), dim=1)


def _best(folds: list[list[Tensor]], penalties: Sequence[float]) -> tuple[Tensor, float]:
    """(weights from all data, penalty) with the penalty that does best when either fold predicts the other."""
    total = [torch.stack(parts).sum(0) for parts in zip(*folds, strict=True)]
    if len(folds) < 2:
        return _solve(total, max(penalties)), float(max(penalties))
    errors = []
    for penalty in penalties:
        error = 0.0
        for train, held_out in (folds, folds[::-1]):
            weights = _solve(train, penalty)
            gram, right, square = held_out
            residual = square - 2 * (weights * right).sum(0) + (weights * (gram @ weights)).sum(0)
            error += float((residual / total[2].clamp(min=1e-300)).sum())
        errors.append(error)
    best = float(penalties[errors.index(min(errors))])
    return _solve(total, best), best


def _solve(sums: list[Tensor], penalty: float) -> Tensor:
    """(terms, width): the minimiser of |A w - y|^2 + penalty * rows * |w|^2, the constant term free."""
    gram, right, _ = sums
    rows = gram[0, 0]  # the weights of every mesh add up to 1
    diagonal = torch.full((len(gram),), penalty, dtype=gram.dtype) * rows
    diagonal[0] = 1e-12 * rows
    return torch.linalg.solve(gram + torch.diag(diagonal), right)
