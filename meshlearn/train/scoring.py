"""Scores of predicted meshes against true ones."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from meshlearn.errors import ScoreWarning
from meshlearn.mesh.mesh import Mesh
from meshlearn.train.fields import FieldSet
from meshlearn.train.graph import measure_weights
from meshlearn.train.metrics import relative_l2, rmse

SHOWN = 3


@dataclass(frozen=True)
class PairScore:
    """Errors of one predicted mesh: relative (NaN where the truth is zero everywhere) and absolute, by output."""

    where: str
    relative: dict[str, float]
    absolute: dict[str, float]


def pair_scores(prediction: Mesh, truth: Mesh, fields: FieldSet, where: str = "the mesh") -> PairScore:
    """The errors of one predicted mesh; see `Estimator.score` for the definition."""
    weights = {location: measure_weights(truth, location) for location in fields.output_locations}
    tables = {spec: (spec.values(prediction, where), spec.values(truth, where)) for spec in fields.outputs}
    return PairScore(
        where,
        {spec.name: relative_l2(*pair, weights[spec.location]) for spec, pair in tables.items()},
        {spec.name: rmse(*pair, weights[spec.location]) for spec, pair in tables.items()},
    )


def mean_scores(scores: Sequence[PairScore]) -> dict[str, float]:
    """The mean over meshes of every relative error. A ScoreWarning tells of the meshes that have none."""
    return {name: _mean(name, scores) for name in scores[0].relative}


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
