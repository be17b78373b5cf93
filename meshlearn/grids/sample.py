"""What a grid network sees of meshes: the nodes of their grids, and the matrices back to the meshes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn.grids.surroundings import Surroundings
from meshlearn.ops import Adjacency
from meshlearn.train.sample import Sample


@dataclass(frozen=True)
class GridSample(Sample):
    """The grids of one or several meshes, one after the other; shapes may differ from mesh to mesh.

    grid_inputs    (n_nodes, f) inputs on the grid, then geometry: mask, signed distance, coordinates
    global_inputs  (n_meshes, g) global input fields
    grid_shape     (n_meshes, dim) nodes along the axes
    grid_weights   (n_nodes,) share of the measure of the mesh that each node stands for
    sampling       {location: rows are points or cells, columns nodes} for the locations of the outputs
    shares         {location: entries of `sampling`}
    around         {"point" or "cell": input fields there, and which of them lie around each node}, for learned kernels
    point_places, cell_places
                   (rows, k) where the outputs are wanted, for cores that need no grid: coordinates
    """

    grid_inputs: Float[Tensor, "n_nodes f"] = field(kw_only=True)
    global_inputs: Float[Tensor, "n_meshes g"] = field(kw_only=True)
    grid_shape: Int64[Tensor, "n_meshes dim"] = field(kw_only=True)
    grid_weights: Float[Tensor, " n_nodes"] = field(kw_only=True)
    sampling: dict[str, Adjacency] = field(kw_only=True)
    shares: dict[str, Tensor] = field(kw_only=True)
    around: dict[str, Surroundings] = field(default_factory=dict, kw_only=True)
    point_places: Float[Tensor, "n_points k"] | None = field(default=None, kw_only=True)
    cell_places: Float[Tensor, "n_cells k"] | None = field(default=None, kw_only=True)

    features: ClassVar[tuple[str, ...]] = ("grid_inputs", "global_inputs", "point_places", "cell_places")

    @property
    def cost(self) -> tuple[int, int]:
        """(points and nodes, entries of the matrices)."""
        points, _ = super().cost
        edges = sum(matrix.n_edges for matrix in self.sampling.values())
        return points + len(self.grid_inputs), edges + sum(part.edges.n_edges for part in self.around.values())

    def feature_tensors(self) -> dict[str, Tensor]:
        """{name: (rows, width)} of everything the estimator normalises."""
        return super().feature_tensors() | {f"{place}_values": part.values for place, part in self.around.items()}

    def with_feature_tensors(self, features: dict[str, Tensor]) -> GridSample:
        """A copy with these features in the place of the old ones."""
        around = {place: replace(part, values=features[f"{place}_values"]) for place, part in self.around.items()}
        rest = {name: values for name, values in features.items() if name in self.features}
        return self.replace(**rest, around=around)
