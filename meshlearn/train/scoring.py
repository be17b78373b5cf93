"""Scores of predicted meshes against true ones."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from meshlearn.errors import ScoreWarning
from meshlearn.mesh.mesh import Mesh
from meshlearn.train.fields import FieldSet
from meshlearn.train.graph import measure_weights
from meshlearn.train.metrics import relative_l2, rmse

SHOWN = 3
SERIOUS, HIDES = 0.2, 20.0


@dataclass(frozen=True)
class PairScore:
    """Errors of one predicted mesh: relative (NaN where the truth is zero everywhere) and absolute, by output; and the
    mean (components,) and the spread of the true values, all weighted by measure."""

    where: str
    relative: dict[str, float]
    absolute: dict[str, float]
    mean: dict[str, Tensor]
    spread: dict[str, float]


def pair_scores(prediction: Mesh, truth: Mesh, fields: FieldSet, where: str = "the mesh") -> PairScore:
    """The errors of one predicted mesh; see `Estimator.score` for the definition."""
    weights = {location: measure_weights(truth, location) for location in fields.output_locations}
    predicted = f"the prediction of {where}"
    tables = {spec: (spec.values(prediction, predicted), spec.values(truth, where)) for spec in fields.outputs}
    means = {spec: (weights[spec.location].double() @ truth.double()) for spec, (_, truth) in tables.items()}
    return PairScore(
        where,
        {spec.name: relative_l2(*pair, weights[spec.location]) for spec, pair in tables.items()},
        {spec.name: rmse(*pair, weights[spec.location]) for spec, pair in tables.items()},
        {spec.name: mean.cpu() for spec, mean in means.items()},
        {
            spec.name: rmse(truth.double(), means[spec].expand_as(truth), weights[spec.location])
            for spec, (_, truth) in tables.items()
        },
    )


def mean_scores(scores: Sequence[PairScore]) -> dict[str, float]:
    """The mean over meshes of every relative error. A ScoreWarning tells of the meshes that have none."""
    return {name: _mean(name, scores) for name in scores[0].relative}


def warn_of_hidden_errors(scores: Sequence[PairScore]) -> None:
    """A ScoreWarning for every output whose mean hides from the score how large the error is.

    That is: over all these meshes together the error is more than a fifth of the spread of the true values (about
    their common mean), while relative to the values themselves it is twenty times smaller.
    """
    for name in scores[0].relative:
        means = torch.stack([score.mean[name] for score in scores])
        center = means.mean(0)
        spread = _root_mean_square([score.spread[name] for score in scores])
        spread = math.hypot(spread, float((means - center).square().sum(1).mean().sqrt()))
        error = _root_mean_square([score.absolute[name] for score in scores])
        size = math.hypot(float(center.norm()), spread)
        if error > SERIOUS * spread > 0.0 and size > HIDES * spread:
            warnings.warn(
                f"the score of {name!r} hides its error: the true values are {size:.4g} in size, but differ by "
                f"{spread:.2g} only (standard deviation), of which the error is {error / spread:.0%}.\n  Relative to "
                "values with so large a mean any guess looks good: compare with the score of ml.MeanField, or give the "
                "field without the mean (a gauge pressure, degrees from a reference).",
                ScoreWarning,
                stacklevel=3,
            )


def _root_mean_square(values: Sequence[float]) -> float:
    return math.sqrt(math.fsum(value * value for value in values) / len(values))


def _mean(name: str, scores: Sequence[PairScore]) -> float:
    known = [score.relative[name] for score in scores if not math.isnan(score.relative[name])]
    zero = [score for score in scores if math.isnan(score.relative[name])]
    if zero:
        places = ", ".join(score.where for score in zero[:SHOWN]) + (", …" if len(zero) > SHOWN else "")
        absolute = math.fsum(score.absolute[name] for score in zero) / len(zero)
        left = "they are left out of the mean" if known else "the score is NaN"
        warnings.warn(
            f"the true {name!r} is zero everywhere on {len(zero)} of {len(scores)} meshes ({places}), where no error "
            f"can be relative to it: {left}.\n  The root mean square error there is {absolute:.3g}, in the unit of "
            "the field (mean over these meshes).",
            ScoreWarning,
            stacklevel=4,
        )
    return float(torch.tensor(known, dtype=torch.float64).mean()) if known else math.nan
