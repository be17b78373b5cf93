"""What the Gaussian processes of an MMGP see of a mesh: modes of its shape and its input fields, and its scalars."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from meshlearn.models.mmgp.bands import few_items
from meshlearn.models.mmgp.family import Family, Placed
from meshlearn.models.mmgp.gaussian.batch import CONSTANT
from meshlearn.models.mmgp.pod import FOLDS, POD
from meshlearn.models.mmgp.series import Series
from meshlearn.models.mmgp.training_set import TrainingSet
from meshlearn.train.survey import FitWarning

SAME = 1e-9  # of the extent: points that move less do not move; of the largest value: fields that differ less do not
SLACK = 1.5
LEAST = 1e-3  # of the spread: what the modes may leave of a shape or field that they describe but for its rounding
QUANTILE = 0.99  # of what the modes leave of training samples that were left out: beyond it a shape or field is new


@dataclass(frozen=True)
class Unlike:
    """How unlike the training set a mesh is.

    left     what the modes leave of its shape and input fields, relative to the largest that they leave of an ordinary
             one; the largest of these
    away     how far it is from the centre of the training set, relative to where ordinary ones are, and how much an
             input differs that never varied; the largest of these
    unknown  squares of what the modes leave beyond the ordinary, relative to the variances of the training set, summed
             over shape and input fields; 0 for an ordinary one
    """

    left: float
    away: float
    unknown: float

    @property
    def novelty(self) -> float:
        """About 1 or less for an ordinary one: `Regressors.of`."""
        return max(self.left, self.away)


class Regressors:
    """Columns: coefficients of the shape; then every input, in order: its values, or the coefficients of a field.

    shape, inputs   POD of the coordinates, and {name: POD} of the input fields
    limit, limits   what the modes leave of an ordinary shape at most (root mean square over the mesh), and the same of
                    every input field, {name: limit}; 0 for fields that are the same on the whole training set
    centre, reach   (d,) mean of the columns on the training set, and their largest distance from it, more if these
                    are few (`bands.few_items`)
    size            (d,) largest absolute value of the input that a column is of
    """

    def __init__(
        self,
        series: Series,
        family: Family,
        shape: POD,
        inputs: dict[str, POD],
        limit: float,
        limits: Mapping[str, float],
        extent: Mapping[str, Float64[Tensor, " d"]],
    ) -> None:
        self.series, self.fields = series, series.inner
        self.family, self.shape, self.inputs, self.limit, self.limits = family, shape, inputs, limit, dict(limits)
        self.centre, self.reach, self.size = (extent[name] for name in ("centre", "reach", "size"))

    @classmethod
    def fit(cls, data: TrainingSet, series: Series, modes: Any, seed: int) -> tuple[Regressors, Float64[Tensor, "n d"]]:
        """(the regressors, their values on the training set)."""
        family = data.family
        moved = (data.shapes - data.shapes[0]).abs().max() > SAME * (data.shapes.amax() - data.shapes.amin())
        shape = POD(modes if bool(moved) else 0, seed=seed).fit(
            data.shapes, family.weights("point", series.inner.dim), folds=data.folds
        )
        columns, inputs, limits, constant = [shape.coefficients_], {}, {}, []
        for spec, rows in data.inputs.items():
            reduced = series.is_reduced(spec)
            differs = bool((rows - rows[0]).abs().max() > (SAME if reduced else CONSTANT) * rows.abs().max())
            if not differs:
                constant.append(spec.name)
            if not reduced:
                columns.append(rows)
                continue
            pod = POD(modes if differs else 0, seed=seed).fit(rows, series.weights(family, spec), folds=data.folds)
            inputs[spec.name], limits[spec.name] = pod, _limit(pod, len(rows)) if differs else 0.0
            columns.append(pod.coefficients_)
        _warn_of_constants(constant)
        x = torch.cat(columns, dim=1)
        centre = x.mean(0)
        size = torch.cat([part.abs().amax().expand(part.shape[1]) if part.numel() else part[0] for part in columns])
        extent = {"centre": centre, "reach": few_items(data.n_groups) * (x - centre).abs().amax(0), "size": size}
        return cls(series, family, shape, inputs, _limit(shape, len(x)), limits, extent), x

    def of(self, placed: Placed) -> tuple[Float64[Tensor, "1 d"], Unlike]:
        """(the row of one mesh, how unlike the training set it is).

        The novelty is the largest of: what the modes leave of the shape, and of every input field, relative to what
        they leave of an ordinary one at most; how far the row is from the centre, relative to 1.5 times the farthest of
        the training set (in the worst column); and, where an input is the same on the whole training set, by how much
        it differs now, relative to a thousandth of its size, for nothing is known of what it does.
        """
        weights = self.family.weights("point", self.fields.dim)
        looked = {"": _look(self.shape, placed.shape()[None], weights, self.limit)}
        columns = [looked[""].row]
        for spec in self.fields.inputs:
            table = spec.values(placed.mesh).detach().double().cpu()
            if spec.name not in self.inputs:
                columns.append(table)
                continue
            there, weights = placed.to_common(table, spec.location)[None], self.series.weights(self.family, spec)
            looked[spec.name] = _look(self.inputs[spec.name], there, weights, self.limits[spec.name])
            columns.append(looked[spec.name].row)
        x = torch.cat(columns, dim=1)
        distance = (x[0] - self.centre).abs()
        varies = self.reach > CONSTANT * self.centre.abs()
        usual = torch.where(varies, SLACK * self.reach, LEAST * torch.maximum(self.size, x[0].abs()))
        relative = (distance / usual)[distance > 0]
        away = [float(relative.amax())] if len(relative) else []
        away += [look.left for look in looked.values() if not look.varied]  # nothing tells how much its variance is
        left = [look.left for look in looked.values() if look.varied]
        return x, Unlike(max(left, default=0.0), max(away, default=0.0), sum(look.unknown for look in looked.values()))

    def slices(self) -> dict[str, slice]:
        """Where the columns of every input are."""
        start, found = self.shape.rank_, {}
        for spec in self.fields.inputs:
            width = self.inputs[spec.name].rank_ if spec.name in self.inputs else spec.size
            found[spec.name] = slice(start, start + width)
            start += width
        return found


def _limit(pod: POD, n: int) -> float:
    """What the modes leave of an ordinary one of n snapshots at most; few ones cannot tell."""
    spread = pod.total_**0.5 * (LEAST if n >= 2 * FOLDS else 1.0)
    return max(float(pod.rest_norms_.quantile(QUANTILE)), spread)


class _Look(NamedTuple):
    """Coefficients of one field (1, r); what the modes leave of it, relative to the limit; by how much its square
    exceeds that of the limit, relative to the variance of the training fields; and whether these varied at all."""

    row: Tensor
    left: float
    unknown: float
    varied: bool


def _look(pod: POD, fields: Float64[Tensor, "1 N"], weights: Float64[Tensor, " N"], limit: float) -> _Look:
    """Without a limit there is nothing but the field itself to compare with: a thousandth of it counts as 1."""
    row = pod.encode(fields, weights)
    rest = fields - pod.decode(row)
    norm, size, mean = (float((table.square() @ weights).sqrt()) for table in (rest, fields, pod.mean_[None]))
    size = max(size, mean)
    usual = max(limit, SAME * size) if limit else LEAST * size
    beyond = max(norm**2 - usual**2, 0.0) / pod.total_ if limit else 0.0
    return _Look(row, norm / usual if usual else 0.0, beyond, limit > 0)


def _warn_of_constants(names: list[str]) -> None:
    """A FitWarning about inputs that are the same on all training samples."""
    if not names:
        return
    many = f"the inputs {', '.join(map(repr, names))} are" if len(names) > 1 else f"the input {names[0]!r} is"
    warnings.warn(
        f"{many} the same on all training samples: what another value does cannot be learned.\n"
        "  Predictions do not depend on it, and error bands widen where it differs (`novelty`).\n"
        "  Take it out of the inputs, or add samples in which it varies.",
        FitWarning,
        stacklevel=5,
    )
