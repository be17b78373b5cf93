"""What the Gaussian processes of an MMGP see of a mesh: modes of its shape and of its input fields, and its scalars."""

from __future__ import annotations

import torch
from jaxtyping import Float64
from torch import Tensor

from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.family import Family, Placed
from meshlearn.models.mmgp.pod import POD
from meshlearn.models.mmgp.training_set import TrainingSet
from meshlearn.train.fields import FieldSet

QUANTILE = 0.99  # of what the modes leave of training shapes that were left out: beyond it a shape is new


class Regressors:
    """Columns: coefficients of the shape; then every input, in order: its values, or the coefficients of a field.

    shape, inputs   POD of the coordinates, and {name: POD} of the input fields
    limit           what the modes leave of an ordinary shape at most (root mean square over the mesh)
    """

    def __init__(self, fields: FieldSet, family: Family, shape: POD, inputs: dict[str, POD], limit: float) -> None:
        self.fields, self.family, self.shape, self.inputs, self.limit = fields, family, shape, inputs, limit

    @classmethod
    def fit(
        cls, data: TrainingSet, fields: FieldSet, modes: int | float | str, seed: int
    ) -> tuple[Regressors, Float64[Tensor, "n d"]]:
        """(the regressors, their values on the training set)."""
        family = data.family
        shape = POD(modes, seed=seed).fit(data.shapes, family.weights("point", fields.dim))
        columns, inputs = [shape.coefficients_], {}
        for spec, rows in data.inputs.items():
            if spec.location == "global":
                columns.append(rows)
                continue
            inputs[spec.name] = POD(modes, seed=seed).fit(rows, family.weights(spec.location, spec.size))
            columns.append(inputs[spec.name].coefficients_)
        limit = float(shape.rest_norms_.quantile(QUANTILE))
        return cls(fields, family, shape, inputs, limit), torch.cat(columns, dim=1)

    def of(self, mesh: Mesh, placed: Placed) -> Float64[Tensor, "1 d"]:
        """The row of one mesh."""
        columns = [self.shape.encode(placed.shape()[None], self.family.weights("point", self.fields.dim))]
        for spec in self.fields.inputs:
            table = spec.values(mesh).detach().double().cpu()
            if spec.location == "global":
                columns.append(table)
                continue
            weights = self.family.weights(spec.location, spec.size)
            columns.append(self.inputs[spec.name].encode(placed.to_common(table, spec.location)[None], weights))
        return torch.cat(columns, dim=1)

    def slices(self) -> dict[str, slice]:
        """Where the columns of every input are."""
        start, found = self.shape.rank_, {}
        for spec in self.fields.inputs:
            width = spec.size if spec.location == "global" else self.inputs[spec.name].rank_
            found[spec.name] = slice(start, start + width)
            start += width
        return found

    def novelty(self, placed: Placed) -> float:
        """What the modes leave of a shape, relative to what they leave of an ordinary one at most."""
        weights = self.family.weights("point", self.fields.dim)
        shape = placed.shape()[None]
        rest = shape - self.shape.decode(self.shape.encode(shape, weights))
        norm, size = (float((table.square() @ weights).sqrt()) for table in (rest, shape))
        return norm / max(self.limit, 1e-9 * size)
