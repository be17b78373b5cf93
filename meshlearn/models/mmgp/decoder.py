"""From coefficients of modes, and values of scalars, to outputs on a mesh, with error bands, samples and slopes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from meshlearn.models.mmgp.bands import ROUNDING, field_variance, trip_square
from meshlearn.models.mmgp.family import Placed
from meshlearn.models.mmgp.pod import POD
from meshlearn.train.fields import FieldSpec

Fields = dict[FieldSpec, Tensor]


@dataclass
class Decoder:
    """outputs, in the order of their columns; modes of those that are compressed; factors of the bands, and (N,) mean
    square errors of the transfer relative to `trip_square`, by name."""

    outputs: Sequence[FieldSpec]
    pods: Mapping[str, POD]
    factors: Mapping[str, float]
    transfer: Mapping[str, Tensor]

    def split(self, *tables: Tensor) -> Iterator[Any]:
        """(spec, its columns of every table) for all outputs."""
        start = 0
        for spec in self.outputs:
            width = self.pods[spec.name].rank_ if spec.name in self.pods else spec.size
            yield spec, *(table[:, start : start + width] for table in tables)
            start += width

    def values(self, placed: Placed, mean: Tensor) -> Fields:
        """Outputs on a mesh for one row (1, m)."""
        return {spec: spec.restore(self._rows(placed, spec, part)[0]) for spec, part in self.split(mean)}

    def deviations(self, placed: Placed, mean: Tensor, variance: Tensor, wider: float) -> Fields:
        """Standard deviations of what would be observed, for one row; `wider`: a factor on all of them."""
        found: Fields = {}
        for spec, part, spread in self.split(mean, variance):
            std = spread
            if spec.name in self.pods:
                pod = self.pods[spec.name]
                decoded = pod.decode(part)
                scale = trip_square(placed, decoded[0], spec.location, spec.size)
                flat = field_variance(pod, part, spread, scale * self.transfer[spec.name][None])
                std = placed.from_common(flat, spec.location, spec.size)[0].clamp(min=0)
                std = std + (ROUNDING * decoded.abs().amax()).square()  # what is exactly zero is so up to rounding
            found[spec] = spec.restore(std.clamp(min=0).sqrt() * (self.factors[spec.name] * wider))
        return found

    def samples(self, placed: Placed, mean: Tensor, std: Tensor, n: int, generator: torch.Generator) -> list[Fields]:
        """n draws of independent normal coefficients, scaled as the bands are."""
        drawn: list[Fields] = [{} for _ in range(n)]
        for spec, part, spread in self.split(mean, std):
            noise = torch.randn(n, part.shape[1], generator=generator, dtype=torch.float64)
            rows = self._rows(placed, spec, part + noise * spread * self.factors[spec.name])
            for fields, row in zip(drawn, rows, strict=True):
                fields[spec] = spec.restore(row)
        return drawn

    def slopes(self, placed: Placed, mean: Tensor, table: Tensor, wrt: FieldSpec) -> Fields:
        """Fields `d_<output>_d_<wrt>` from derivatives of the coefficients (size of wrt, m) at one row."""
        found: Fields = {}
        for spec, point, part in self.split(mean, table):
            rows = part[:, None]
            if spec.name in self.pods:
                flat = part @ self.pods[spec.name].tangent(point[0])
                rows = placed.from_common(flat, spec.location, spec.size)
            values = rows.movedim(0, -1)  # (rows, size, size of wrt)
            shape = (*spec.shape, *wrt.shape)
            values = values.reshape(shape if spec.location == "global" else (len(values), *shape))
            found[FieldSpec(f"d_{spec.name}_d_{wrt.name}", spec.location, shape)] = values
        return found

    def _rows(self, placed: Placed, spec: FieldSpec, part: Tensor) -> Tensor:
        """(k, rows, size) of k rows of coefficients."""
        if spec.name not in self.pods:
            return part[:, None]
        return placed.from_common(self.pods[spec.name].decode(part), spec.location, spec.size)
