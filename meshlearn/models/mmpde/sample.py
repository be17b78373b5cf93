"""What a moving-mesh solver sees of one mesh: its graphs where it is, and the same graphs where it has moved to."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.models.meshgraphnet.sample import MultilevelSample
from meshlearn.models.mmpde.transfer import Transfer

MOVED = "moved_"


@dataclass(frozen=True)
class MovingSample(MultilevelSample):
    """`MultilevelSample` of the mesh at rest, and what differs on the moved one, which has the same edges.

    moved_edges     {name: (n_edges, k)} features of the edges of all levels, by their names at rest
    moved_geometry  (n_points, g) boundary features and coordinates of the moved points
    to_moved        from the mesh at rest to the moved points; to_rest back, None where nothing comes back
    """

    moved_edges: dict[str, Tensor] = field(kw_only=True)
    moved_geometry: Float[Tensor, "n_points w"] = field(kw_only=True)
    to_moved: Transfer = field(kw_only=True)
    to_rest: Transfer | None = field(kw_only=True)

    @property
    def cost(self) -> tuple[int, int]:
        """(points, edges) of both meshes."""
        points, edges = super().cost
        return 2 * points, 2 * edges

    def feature_tensors(self) -> dict[str, Tensor]:
        """Features at rest under their own names, those that moved with "moved_" in front."""
        rest = super().feature_tensors()
        moved = {name: values for name, values in self.moved_edges.items() if name in rest}
        return rest | {MOVED + name: values for name, values in {**moved, "geometry": self.moved_geometry}.items()}

    def with_feature_tensors(self, features: dict[str, Tensor]) -> MovingSample:
        """A copy with these features in the place of the old ones."""
        moved = {name.removeprefix(MOVED): values for name, values in features.items() if name.startswith(MOVED)}
        geometry = moved.pop("geometry")
        rest = {name: values for name, values in features.items() if not name.startswith(MOVED)}
        made: MovingSample = super().with_feature_tensors(rest)  # type: ignore[assignment]
        return made.replace(moved_edges=moved, moved_geometry=geometry)

    def moved(self, fields: Float[Tensor, "n_points f"]) -> MovingSample:
        """The moved mesh as a sample at rest, with the fields at its points; for a network of one mesh."""
        rest = MultilevelSample.feature_tensors(self)
        changed = rest | self.moved_edges | {"point_inputs": torch.cat([fields, self.moved_geometry], dim=1)}
        return MultilevelSample.with_feature_tensors(self, {name: changed[name] for name in rest})  # type: ignore[return-value]
