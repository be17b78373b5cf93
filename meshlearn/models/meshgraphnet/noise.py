"""Training noise for models that step in time: disturbed states, and targets that lead back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from meshlearn import ops
from meshlearn.models.meshgraphnet.sample import MultilevelSample
from meshlearn.ops import Adjacency
from meshlearn.train.fields import FieldSet
from meshlearn.train.normalization import Normalizers


def add_noise(
    batch: MultilevelSample, fields: FieldSet, normalizers: Normalizers, level: float, displacement: str | None
) -> MultilevelSample:
    """u <- u + eps on every point field that is input and output, and its target (next - u) <- (next - u) - eps.

    eps is normal with standard deviation `level` times that of the input over the training set, independent at every
    point. Relative positions of the moved points follow when the field is the displacement. The network thus learns to
    correct small errors, such as those it makes itself in a rollout (Pfaff et al. 2021, appendix A.2.2).
    """
    inputs, targets = batch.point_inputs.clone(), dict(batch.targets)
    if "point" not in targets:
        return batch
    targets["point"] = targets["point"].clone()
    normalizer: Any = normalizers.features["point_inputs"]
    scale = normalizer.scale.to(inputs)
    into = _columns(fields, "outputs")
    changes = batch
    for name, columns in _columns(fields, "inputs").items():
        if name not in into:
            continue
        noise = level * scale[columns] * torch.randn_like(inputs[:, columns])
        inputs[:, columns] += noise
        targets["point"][:, into[name]] -= noise
        if name == displacement:
            changes = _shift_edges(batch, noise)
    return changes.replace(point_inputs=inputs, targets=targets)


def _columns(fields: FieldSet, role: str) -> dict[str, slice]:
    """Where the point fields of a role stand in their table."""
    places, start = {}, 0
    for spec in fields.at(role, "point"):
        places[spec.name] = slice(start, start + spec.size)
        start += spec.size
    return places


def _shift_edges(batch: MultilevelSample, shift: Tensor) -> MultilevelSample:
    """The batch with the moved points moved once more, on all levels."""
    features = batch.feature_tensors()
    features["edge_features"] = _shifted(features["edge_features"], batch.adjacency, shift, shift)
    finer = shift
    for number, level in enumerate(batch.coarse, start=1):
        coarse = ops.segment_mean(ops.gather(finer, level.down.index), level.down)
        for kind, graph, senders, receivers in (
            ("edge", level.edges, coarse, coarse),
            ("down", level.down, finer, coarse),
            ("up", level.up, coarse, finer),
        ):
            name = f"{kind}_features_{number}"
            features[name] = _shifted(features[name], graph, senders, receivers)
        finer = coarse
    return batch.with_feature_tensors(features)  # type: ignore[return-value]


def _shifted(features: Tensor, graph: Adjacency, senders: Tensor, receivers: Tensor) -> Tensor:
    """Columns: reference offset, its length, current offset, its length; the last two are renewed."""
    dim = senders.shape[1]
    current = features[:, dim + 1 : 2 * dim + 1]
    current = current + ops.gather_senders(senders, graph) - ops.gather_receivers(receivers, graph)
    return torch.cat([features[:, : dim + 1], current, current.norm(dim=1, keepdim=True)], dim=1)
