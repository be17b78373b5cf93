"""What the Gaussian processes of an MMGP see of a mesh: modes of its shape and its input fields, and its scalars."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.family import Family, Placed
from meshlearn.models.mmgp.pod import FOLDS, POD
from meshlearn.models.mmgp.series import Series
from meshlearn.models.mmgp.training_set import TrainingSet

SAME = 1e-9  # of the extent: points that move less do not move
SLACK = 1.5
LEAST = 1e-3  # of the spread of shapes: what the modes may leave of a shape that they describe but for its rounding
QUANTILE = 0.99  # of what the modes leave of training shapes that were left out: beyond it a shape is new


class Regressors:
    """Columns: coefficients of the shape; then every input, in order: its values, or the coefficients of a field.

    shape, inputs   POD of the coordinates, and {name: POD} of the input fields
    limit           what the modes leave of an ordinary shape at most (root mean square over the mesh)
    centre, reach   (d,) mean of the columns on the training set, and their largest distance from it
    """

    def __init__(
        self,
        series: Series,
        family: Family,
        shape: POD,
        inputs: dict[str, POD],
        limit: float,
        centre: Float64[Tensor, " d"],
        reach: Float64[Tensor, " d"],
    ) -> None:
        self.series, self.fields = series, series.inner
        self.family, self.shape, self.inputs, self.limit = family, shape, inputs, limit
        self.centre, self.reach = centre, reach

    @classmethod
    def fit(cls, data: TrainingSet, series: Series, modes: Any, seed: int) -> tuple[Regressors, Float64[Tensor, "n d"]]:
        """(the regressors, their values on the training set)."""
        family = data.family
        moved = (data.shapes - data.shapes[0]).abs().max() > SAME * (data.shapes.amax() - data.shapes.amin())
        shape = POD(modes if bool(moved) else 0, seed=seed).fit(
            data.shapes, family.weights("point", series.inner.dim), folds=data.folds
        )
        columns, inputs = [shape.coefficients_], {}
        for spec, rows in data.inputs.items():
            if not series.is_reduced(spec):
                columns.append(rows)
                continue
            inputs[spec.name] = POD(modes, seed=seed).fit(rows, series.weights(family, spec), folds=data.folds)
            columns.append(inputs[spec.name].coefficients_)
        spread = shape.total_**0.5 * (LEAST if len(data.shapes) >= 2 * FOLDS else 1.0)
        limit = max(float(shape.rest_norms_.quantile(QUANTILE)), spread)
        x = torch.cat(columns, dim=1)
        centre = x.mean(0)
        return cls(series, family, shape, inputs, limit, centre, (x - centre).abs().amax(0)), x

    def of(self, mesh: Mesh, placed: Placed) -> Float64[Tensor, "1 d"]:
        """The row of one mesh."""
        columns = [self.shape.encode(placed.shape()[None], self.family.weights("point", self.fields.dim))]
        for spec in self.fields.inputs:
            table = spec.values(mesh).detach().double().cpu()
            if spec.name not in self.inputs:
                columns.append(table)
                continue
            weights = self.series.weights(self.family, spec)
            columns.append(self.inputs[spec.name].encode(placed.to_common(table, spec.location)[None], weights))
        return torch.cat(columns, dim=1)

    def slices(self) -> dict[str, slice]:
        """Where the columns of every input are."""
        start, found = self.shape.rank_, {}
        for spec in self.fields.inputs:
            width = self.inputs[spec.name].rank_ if spec.name in self.inputs else spec.size
            found[spec.name] = slice(start, start + width)
            start += width
        return found

    def novelty(self, placed: Placed, x: Float64[Tensor, "1 d"]) -> float:
        """How new a mesh is, about 1 or less for an ordinary one: the larger of two.

        What the modes leave of its shape, relative to what they leave of an ordinary one at most; and how far its row
        is from the centre, relative to 1.5 times the farthest of the training set (in the worst column).
        """
        weights = self.family.weights("point", self.fields.dim)
        shape = placed.shape()[None]
        rest = shape - self.shape.decode(self.shape.encode(shape, weights))
        norm, size = (float((table.square() @ weights).sqrt()) for table in (rest, shape))
        varies = self.reach > 0
        away = ((x[0] - self.centre).abs() / (SLACK * self.reach))[varies]
        return max(norm / max(self.limit, 1e-9 * size), float(away.amax()) if len(away) else 0.0)
