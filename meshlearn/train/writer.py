"""New values of input fields put into a batch that is prepared already: what models around other models rest on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from meshlearn import ops
from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh

_WRITERS: dict[type, Callable[[Any], Any]] = {}


def register_writer(estimator: type, make: Callable[[Any], Any]) -> None:
    """Use make(model) as the writer of models of this class (and those derived from it); see `PointWriter`."""
    _WRITERS[estimator] = make


def writer_of(model: Any) -> Any:
    """The writer of a network estimator: the one registered for its class, or a `PointWriter`."""
    return next((_WRITERS[cls] for cls in type(model).__mro__ if cls in _WRITERS), PointWriter)(model)


class PointWriter:
    """Writes the inputs of models whose samples have `point_inputs` and `global_inputs` (`GraphSample` and the like).

    Models with samples of another kind have a writer of their own (`register_writer`) with the same four methods; it
    may count on `model.fields_` and `model.normalizers_`.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def carriers(self, mesh: Mesh) -> dict[str, Any]:
        """What `write` needs of a mesh besides its sample: tensors and adjacencies, concatenated over a batch."""
        return {}

    def write(self, batch: Any, tables: dict[str, Tensor], carriers: dict[str, Any]) -> Any:
        """A normalised batch with the input fields {name: (rows, size)}, in physical units, in the place of its own.

        Raises ParameterError for samples of another kind, for cell fields of samples that do not know their cells, and
        for the field that moves the points.
        """
        fields, features = self.model.fields_, batch.feature_tensors()
        if not {"point_inputs", "global_inputs"} <= set(features):
            raise ParameterError(
                f"inputs of a {type(self.model).__name__} cannot be written anew: its samples have "
                f"{sorted(features)}.\n  Give it a writer: meshlearn.train.writer.register_writer."
            )
        if getattr(self.model, "displacement", None) in tables:
            raise ParameterError(
                f"displacement={self.model.displacement!r} moves the points, and edges with them: it cannot be an "
                "output that is written into the inputs again.\n  Leave displacement out, or train step by step."
            )
        for location in ("point", "cell", "global"):
            start = 0
            for spec in fields.at("inputs", location):
                if spec.name in tables:
                    self._write(features, batch, location, start, tables[spec.name])
                start += spec.size
        return batch.with_feature_tensors(features)

    def noise_counts(self, batch: Any, location: str) -> Tensor:
        """(n_meshes,) how many independent numbers noise has at a location: one per row."""
        return batch.counts[location]

    def spread(self, batch: Any, location: str, drawn: Tensor) -> Tensor:
        """Noise drawn, at the rows of a location: as it is."""
        return drawn

    def _write(self, features: dict[str, Tensor], batch: Any, location: str, start: int, values: Tensor) -> None:
        if location == "global":
            self._put(features, "global_inputs", start, values)
            return
        if location == "cell":
            cells = getattr(batch, "cell_points", None)
            if cells is None:
                raise ParameterError(
                    "a field on cells is to be written into the inputs again, but samples of this model do not know "
                    "the cells when no output is on them."
                )
            if features.get("cell_inputs") is not None:
                self._put(features, "cell_inputs", start, values)
            point_cells, _ = cells.transpose()
            values = ops.segment_mean(ops.gather(values, point_cells.index), point_cells)
            start += self.model.fields_.width("inputs", "point")
        self._put(features, "point_inputs", start, values)

    def _put(self, features: dict[str, Tensor], name: str, start: int, values: Tensor) -> None:
        features[name] = with_columns(features[name], start, values, self.model.normalizers_.features[name])


def with_columns(table: Tensor, start: int, values: Tensor, normalizer: Any) -> Tensor:
    """A normalised table with physical values in the place of its columns from `start` on; differentiable in them."""
    columns = slice(start, start + values.shape[1])
    mean = (normalizer.mean + normalizer.rest)[columns].to(values)
    normal = ((values - mean) / normalizer.scale[columns].to(values)).to(table.dtype)
    return torch.cat([table[:, : columns.start], normal, table[:, columns.stop :]], dim=1)
