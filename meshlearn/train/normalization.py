"""All normalisers of a model: one per feature of its samples and one per location of its outputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from meshlearn.errors import FieldError
from meshlearn.train.normalizer import Normalizer
from meshlearn.train.precision import FIELD_FEATURES
from meshlearn.train.sample import Sample


class Normalizers(nn.Module):
    """`features[name]` for the tensors a sample names in `features`, `targets[location]` for the outputs.

    Targets are weighted by measure, every mesh counting the same, as in the loss.
    """

    def __init__(self, features: dict[str, int] | None = None, targets: dict[str, int] | None = None):
        super().__init__()
        self.features = nn.ModuleDict({name: Normalizer(size) for name, size in (features or {}).items()})
        self.targets = nn.ModuleDict({name: Normalizer(size) for name, size in (targets or {}).items()})

    @property
    def sizes(self) -> dict[str, dict[str, int]]:
        """{"features": {name: channels}, "targets": {location: channels}}."""
        return {
            role: {name: normalizer.size for name, normalizer in getattr(self, role).items()}  # type: ignore[misc]
            for role in ("features", "targets")
        }

    def see(self, sample: Sample) -> None:
        """Add one training sample to the statistics."""
        for name, values in sample.feature_tensors().items():
            self._update(self.features, name, values, None, name in FIELD_FEATURES)
        for location, values in sample.targets.items():
            self._update(self.targets, location, values, sample.weights[location], True)

    def finish(self) -> None:
        """Set means and scales from what was seen."""
        for normalizer in (*self.features.values(), *self.targets.values()):
            normalizer.finish()  # type: ignore[operator]

    def check(self, sample: Sample) -> None:
        """Raise FieldError when a sample's features have other widths than in training."""
        for name, values in sample.feature_tensors().items():
            size = self.sizes["features"].get(name)
            if size != values.shape[1]:
                raise FieldError(
                    f"{name} has {values.shape[1]} channels on this mesh, {size} where the model was fitted."
                )

    def normalise(self, batch: Sample) -> Sample:
        """The batch with normalised features and targets."""
        features = {name: _normal(self.features[name], values) for name, values in batch.feature_tensors().items()}
        targets = {location: _normal(self.targets[location], values) for location, values in batch.targets.items()}
        return batch.with_feature_tensors(features).replace(targets=targets)

    def physical(self, outputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Normalised outputs {location: (rows, width)} in physical units, in float64 (not on MPS, which has none)."""
        wide = {k: values if values.device.type == "mps" else values.double() for k, values in outputs.items()}
        return {location: self.targets[location].inverse(values) for location, values in wide.items()}  # type: ignore[operator]

    def _update(self, table: nn.ModuleDict, name: str, values: Tensor, weights: Tensor | None, fine: bool) -> None:
        if name not in table:
            table[name] = Normalizer(values.shape[1])
        table[name].update(values, weights, fine)  # type: ignore[operator]


def _normal(normalizer: Any, values: Tensor) -> Tensor:
    """Normalised values; those that came in float64 for the sake of their mean are now what the network computes in."""
    wide = values.dtype == torch.float64
    return normalizer(values).to(normalizer.scale.dtype) if wide else normalizer(values)
