"""How much a field changes when far latents are left out."""

from __future__ import annotations

import copy
from typing import Any

import torch

from meshlearn.mesh.mesh import Mesh
from meshlearn.train.graph import measure_weights
from meshlearn.train.metrics import relative_l2


def truncation_error(model: Any, mesh: Mesh, nearest: int) -> dict[str, float]:
    """See `FieldAutodecoder.truncation_error`."""
    latents = model.fit_latents(mesh)
    own, fields = model.module_, []
    try:
        for count in (nearest, None):
            model.module_ = copy.deepcopy(own)
            model.module_.field.cross.nearest = count
            with torch.no_grad():
                fields.append(model._decode(latents, mesh))
    finally:
        model.module_ = own
    weights = measure_weights(mesh, "point")
    return {spec.name: relative_l2(values, fields[1][spec], weights) for spec, values in fields[0].items()}
