"""From coefficients of modes, and values of scalars, to outputs on a mesh, with error bands, samples and slopes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from meshlearn.models.mmgp.bands import ROUNDING, field_variance
from meshlearn.models.mmgp.family import Placed
from meshlearn.models.mmgp.pod import POD
from meshlearn.models.mmgp.regressors import Unlike
from meshlearn.models.mmgp.series import entry_weights
from meshlearn.models.mmgp.transfer_loss import TransferLoss
from meshlearn.train.fields import FieldSpec

Fields = dict[FieldSpec, Tensor]


@dataclass
class Decoder:
    """From rows of m columns to outputs; by name of the output where nothing else is said.

    outputs   in the order of their columns
    pods      modes of those that are compressed
    factors   of the bands
    losses    of the transfer
    spread    (m,) variance of every column on the training set: inputs that no mode describes may do as much as all
              known ones together do by an equal change
    """

    outputs: Sequence[FieldSpec]
    pods: Mapping[str, POD]
    factors: Mapping[str, float]
    losses: Mapping[str, TransferLoss]
    spread: Tensor

    def split(self, *tables: Tensor) -> Iterator[Any]:
        """(spec, its columns of every table) for all outputs."""
        start = 0
        for spec in self.outputs:
            width = self.pods[spec.name].rank_ if spec.name in self.pods else spec.size
            yield spec, *(table[:, start : start + width] for table in tables)
            start += width

    def values(self, placed: Placed, mean: Tensor) -> Fields:
        """Outputs on a mesh for one row (1, m)."""
        parts = dict(self.split(mean))
        rows = {spec: part[0][None] for spec, part in parts.items() if spec.name not in self.pods}
        flat = {spec: self.pods[spec.name].decode(part)[0] for spec, part in parts.items() if spec.name in self.pods}
        rows |= placed.fields_from_common(flat)
        return {spec: spec.restore(rows[spec]) for spec in parts}

    def deviations(self, placed: Placed, mean: Tensor, variance: Tensor, unlike: Unlike) -> Fields:
        """Standard deviations of what would be observed, for one row with its variances (1, m)."""
        found: Fields = {}
        for spec, part, inside, spread in self.split(mean, variance, self.spread[None]):
            total = inside * self._square(spec, unlike) + unlike.unknown * spread
            if spec.name in self.pods:
                pod = self.pods[spec.name]
                decoded = pod.decode(part)
                flat = field_variance(pod, part, inside)
                known = spread @ pod.modes_.square()
                # not only where it is known to vary
                anywhere = entry_weights(placed.family, spec) @ known[0] / spec.size
                flat = flat * self._square(spec, unlike) + unlike.unknown * (known + anywhere)
                total = placed.from_common(flat, spec.location, spec.size, plain=True)[0].clamp(min=0)
                lost = self.losses[spec.name].square(placed, decoded[0], spec.location, spec.size)
                # what is exactly zero, or a constant of the place, is so up to the rounding of values
                rounding = max(ROUNDING, torch.finfo(placed.mesh.dtype).eps)
                total = total + (lost + (rounding * decoded.abs().amax()).square()) * self._square(spec, unlike)
            found[spec] = spec.restore(total.clamp(min=0).sqrt())
        return found

    def samples(
        self, placed: Placed, mean: Tensor, variance: Tensor, unlike: Unlike, n: int, generator: torch.Generator
    ) -> list[Fields]:
        """n draws of independent normal coefficients, scaled as the bands are."""
        drawn: list[Fields] = [{} for _ in range(n)]
        for spec, part, inside, spread in self.split(mean, variance, self.spread[None]):
            std = (inside * self._square(spec, unlike) + unlike.unknown * spread).sqrt()
            noise = torch.randn(n, part.shape[1], generator=generator, dtype=torch.float64)
            rows = self._rows(placed, spec, part + noise * std)
            for fields, row in zip(drawn, rows, strict=True):
                fields[spec] = spec.restore(row)
        return drawn

    def _square(self, spec: FieldSpec, unlike: Unlike) -> float:
        """The factor on variances of an output: of its bands, and of the way beyond the range of the training set."""
        return (self.factors[spec.name] * max(1.0, unlike.away)) ** 2

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
