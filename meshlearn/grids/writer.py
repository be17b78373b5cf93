"""`GridWriter`: new values of input fields put into the grids of a batch, without preparing its meshes again."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from meshlearn import ops
from meshlearn.errors import ParameterError
from meshlearn.grids.adapter import MeshToGrid
from meshlearn.grids.sample import GridSample
from meshlearn.grids.transfer import GridTransfer
from meshlearn.mesh.mesh import Mesh
from meshlearn.ops import Adjacency, SparseOperator
from meshlearn.train.writer import with_columns

Matrix = tuple[Adjacency, Tensor]


class GridWriter:
    """What models around a `GridOperator` need of it: its inputs written, and noise that its grids can hold.

    The methods are those of `meshlearn.train.writer.PointWriter`.
    """

    def __init__(self, operator: Any) -> None:
        self.operator = operator

    def carriers(self, mesh: Mesh) -> dict[str, Matrix]:
        """{location: (rows are nodes, columns points or cells; entries)}: the way to the grid as one matrix.

        Raises ParameterError for transfer="l2", which is a solve.
        """
        adapter = self.operator.adapter
        if adapter.transfer_name == "l2":
            raise ParameterError(
                'transfer="l2" solves a system for every field, and cannot be repeated within a training step.\n'
                '  Use transfer="interpolate", "kernel" or "conservative".'
            )
        found = {}
        for location in ("point", "cell"):
            if self.operator.fields_.at("inputs", location):
                matrix = _matrix(adapter.transfer(mesh, location), adapter)
                found[location] = matrix.adjacency, matrix.values.detach().to(mesh.points.dtype)
        return found

    def write(self, batch: GridSample, tables: dict[str, Tensor], carriers: dict[str, Matrix]) -> GridSample:
        """A normalised batch with the input fields {name: (rows, size)}, in physical units, in the place of its own."""
        fields, normalizers = self.operator.fields_, self.operator.normalizers_.features
        features = batch.feature_tensors()

        def put(name: str, start: int, values: Tensor) -> None:
            features[name] = with_columns(features[name], start, values, normalizers[name])

        for location, first in {"point": 0, "cell": fields.width("inputs", "point"), "global": 0}.items():
            start = 0
            for spec in fields.at("inputs", location):
                values = tables.get(spec.name)
                if values is not None and location == "global":
                    put("global_inputs", start, values)
                elif values is not None:
                    matrix, shares = carriers[location]
                    put("grid_inputs", first + start, ops.neighbor_sum(values, matrix, shares.to(values.dtype)))
                    if f"{location}_values" in features:  # what learned kernels look at
                        put(f"{location}_values", start, values)
                start += spec.size
        return batch.with_feature_tensors(features)

    def noise_counts(self, batch: GridSample, location: str) -> Tensor:
        """(n_meshes,) how many independent numbers noise has at a location: one per node of the grid."""
        return batch.counts["global"] if location == "global" else batch.grid_shape.prod(1)

    def spread(self, batch: GridSample, location: str, drawn: Tensor) -> Tensor:
        """Noise drawn at the nodes, (n_nodes, width), at the rows of a location: (rows, width)."""
        if location == "global":
            return drawn
        return ops.neighbor_sum(drawn, batch.sampling[location], batch.shares[location].to(drawn.dtype))


def _matrix(pair: GridTransfer, adapter: MeshToGrid) -> SparseOperator:
    """`GridTransfer.to_grid` as a matrix (n_nodes, n)."""
    if adapter.transfer_name == "interpolate":
        return pair.evaluating
    if adapter.transfer_name == "kernel":
        return pair.regressing
    made = pair.filling
    for _ in range(adapter.corrections):
        made = made + pair.averaging + (pair.averaging @ pair.sampling @ made) * -1.0
    return made
