"""`SliceTransformer`: attention among all points of a mesh, at a cost that grows with their number only.

The points of a mesh are averaged into a few dozen learned slices, attention acts among these, and every point reads
them back; no grid and no graph is needed. It works on any mesh, surface or point cloud.

Paper: H. Wu, H. Luo, H. Wang, J. Wang, M. Long 2024, "Transolver: a fast transformer solver for PDEs on general
geometries", arXiv:2402.02366 (their equations 1 to 4).

Departures, and why:
- means over a slice are weighted by the measure that each point stands for: refining a part of a mesh does not move
  the tokens towards it, and a point counted twice with half the measure changes nothing;
- geometry as for `MeshGraphNet` (boundary flags, distances, centred coordinates); cell and global fields as outputs;
- the loss is the relative error that `score` reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import no_type_check

import torch
from torch import nn

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.geometric_inputs import boundary_features, centred, check_patterns
from meshlearn.models.slice_transformer.network import PointSample, SliceNetwork
from meshlearn.train import option_checks
from meshlearn.train.field_network import FieldNetworkEstimator, check_loss
from meshlearn.train.fields import FieldSet
from meshlearn.train.graph import cells_to_points, measure_weights, row_counts

COORDINATES = ("centred", "absolute", "none")


class SliceTransformer(FieldNetworkEstimator):
    """A transformer on the points of a mesh whose attention goes through learned slices of the domain.

    inputs, outputs  names of fields in point_data, cell_data or global_data; a name in both is stepped in time
    hidden           width of the features; a multiple of `heads`
    layers           blocks
    heads            attention heads
    slices           tokens that the points are averaged into, per head
    mlp_ratio        width of the blocks' hidden layers, in `hidden`
    boundary_sets, distances, coordinates
                     geometric inputs, as for `ml.MeshGraphNet`
    loss             "relative" (what `score` reports), "mse", "mae" or "huber"

    >>> meshes = [ml.shapes.square(n=n) for n in (3, 4)]
    >>> meshes = [mesh.with_point_data(u=mesh.points[:, 0]) for mesh in meshes]
    >>> model = ml.SliceTransformer([], ["u"], hidden=8, layers=1, heads=2, slices=4)
    >>> model = model.fit(meshes, epochs=1, progress=False)
    >>> model.predict(ml.shapes.square(n=5)).point_data["u"].shape
    torch.Size([36])
    """

    hidden: int
    layers: int
    heads: int
    slices: int
    mlp_ratio: int
    boundary_sets: Sequence[str]
    distances: bool
    coordinates: str

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(
        self,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        hidden: int = 64,
        layers: int = 4,
        heads: int = 4,
        slices: int = 32,
        mlp_ratio: int = 2,
        boundary_sets: Sequence[str] = (),
        distances: bool = True,
        coordinates: str = "centred",
        loss: str = "relative",
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.hidden = hidden
        self.layers = layers
        self.heads = heads
        self.slices = slices
        self.mlp_ratio = mlp_ratio
        self.boundary_sets = boundary_sets
        self.distances = distances
        self.coordinates = coordinates
        self.loss = loss

    def build(self, fields: FieldSet) -> nn.Module:
        """The network for these fields; raises ParameterError for arguments that cannot be."""
        self._check()
        sizes = self.normalizers_.sizes["features"]
        widths = {location: fields.width("outputs", location) for location in fields.output_locations}
        n_in = sizes["point_inputs"] + sizes["global_inputs"]
        return SliceNetwork(n_in, widths, self.hidden, self.layers, self.heads, self.slices, self.mlp_ratio)

    def check_sets(self, names: set[str]) -> None:
        """Raise FieldError for a pattern of `boundary_sets` that no training mesh matches."""
        check_patterns(self.boundary_sets, names)

    def prepare(self, mesh: Mesh) -> PointSample:
        """Features of the points, in physical units."""
        self._check()
        fields, weights = self.fields_, measure_weights(mesh, "point")
        columns = [fields.table(mesh, "inputs", "point", exact=True)]
        cell_points = None
        if fields.at("inputs", "cell") or fields.at("outputs", "cell"):
            cell_points = mesh.topology.point_cells.transpose()[0]
            cell_inputs = fields.table(mesh, "inputs", "cell", exact=True)
            columns.append(cells_to_points(mesh, cell_inputs))
        columns.append(boundary_features(mesh, self.boundary_sets, self.distances, normals=self.distances))
        points = mesh.points.detach()
        if self.coordinates != "none":
            columns.append(points if self.coordinates == "absolute" else centred(points, weights))
        return PointSample(
            counts=row_counts(mesh),
            point_inputs=torch.cat(columns, dim=1),
            global_inputs=fields.table(mesh, "inputs", "global", exact=True),
            point_weights=weights,
            cell_points=cell_points if fields.at("outputs", "cell") else None,
        )

    def _check(self) -> None:
        for name in ("hidden", "layers", "heads", "slices", "mlp_ratio"):
            option_checks.whole(1)(name, getattr(self, name))
        if self.hidden % self.heads:
            raise ParameterError(f"hidden={self.hidden} must be a multiple of heads={self.heads}.")
        option_checks.flag("distances", self.distances)
        known = isinstance(self.coordinates, str) and self.coordinates in COORDINATES
        option_checks.require(known, "coordinates", self.coordinates, f"one of {list(COORDINATES)}")
        check_loss(self.loss)
