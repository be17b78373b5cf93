"""Scores of predicted meshes against true ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from meshlearn.mesh.mesh import Mesh
from meshlearn.train.fields import FieldSet
from meshlearn.train.graph import measure_weights
from meshlearn.train.metrics import relative_l2


def pair_scores(prediction: Mesh, truth: Mesh, fields: FieldSet) -> dict[str, float]:
    """{output name: relative L2 error} of one predicted mesh; see `Estimator.score` for the definition."""
    weights = {location: measure_weights(truth, location) for location in fields.output_locations}
    return {
        spec.name: relative_l2(spec.values(prediction), spec.values(truth), weights[spec.location])
        for spec in fields.outputs
    }


def mean_scores(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean over meshes of every entry."""
    names = list(scores[0])
    return {name: float(torch.tensor([score[name] for score in scores], dtype=torch.float64).mean()) for name in names}
