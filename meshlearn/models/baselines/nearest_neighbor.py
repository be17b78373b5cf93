"""`NearestNeighbor`: the outputs of the most similar training mesh, carried over by interpolation.

It measures how far memory alone goes. Similar means: nearest in global inputs, size and summaries of the input fields,
each divided by its spread over the training meshes. The bounding box of the mesh is laid over that of its neighbour,
and point fields are interpolated there, cell fields taken from the nearest cell, global values copied. No paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, no_type_check

import torch
from torch import Tensor

from meshlearn import ops
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.baselines.descriptors import describe_mesh, described_fields
from meshlearn.models.baselines.training import checked_work, resolve
from meshlearn.train.estimator import Estimator, Fields
from meshlearn.train.precision import exact_in_float32
from meshlearn.train.survey import Survey
from meshlearn.train.time_steps import TimeSteps


class NearestNeighbor(Estimator):
    """Predicts what the nearest training mesh has.

    inputs, outputs  names of fields

    After `fit`: `meshes_`, the training meshes without fields; `tables_`, their outputs by location;
    `descriptors_` (n_meshes, d), divided by their spread (where there is none, their size) `scale_` (d,).
    """

    meshes_: list[Mesh]
    tables_: list[dict[str, Tensor]]
    descriptors_: Tensor
    scale_: Tensor

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(self, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> None:
        self.inputs = inputs
        self.outputs = outputs

    def fit(self, meshes: Any) -> NearestNeighbor:
        """Remember the training meshes; returns self."""
        items, fields = resolve(meshes, self.inputs, self.outputs)
        time_steps = TimeSteps(fields)
        kept, tables, rows = [], [], []
        double = True
        for work in checked_work(items, fields, Survey(), time_steps):
            domain = {kind: work.target.cells[kind].cpu() for kind in work.target.domain_types}
            kept.append(Mesh(work.target.points.detach().cpu(), domain))
            tables.append({k: v.detach().cpu() for k, v in fields.targets(work.target, work.where).items()})
            rows.append(describe_mesh(work.source, fields))
            double &= work.source.points.dtype == torch.float64
        table = torch.stack(rows)
        spread = table.std(0, correction=0)
        size = table.abs().amax(0)
        # Less than the rounding of what it is computed from is no difference; it is then divided by the size.
        rounding = torch.where(described_fields(fields) & ~exact_in_float32(table) & double, 1e-9, 1e-5).double()
        unit = torch.where(size > 0, size, torch.ones_like(size))
        self.scale_ = torch.where(spread > rounding * size, spread, unit)
        self.meshes_, self.tables_, self.descriptors_ = kept, tables, table / self.scale_
        self.fields_, self.time_step_ = fields, time_steps.value
        return self

    def neighbor(self, mesh: Mesh) -> int:
        """Number of the nearest training mesh."""
        distance = (self.descriptors_ - describe_mesh(mesh, self.fields_) / self.scale_).square().sum(1)
        return int(distance.argmin())

    def predict_fields(self, meshes: Iterator[Mesh], return_std: bool = False) -> Iterator[tuple[Fields, Fields]]:
        """The neighbour's outputs on every mesh."""
        for mesh in meshes:
            number = self.neighbor(mesh)
            source, known = self.meshes_[number], self.tables_[number]
            tables = {}
            for location, values in known.items():
                carried = values if location == "global" else _carry(source, values, mesh, location)
                tables[location] = carried.to(mesh.device, mesh.dtype)
            yield self.fields_.split_outputs(tables), {}

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Points, cells and outputs of every training mesh."""
        tensors = {"descriptors": self.descriptors_, "scale": self.scale_}
        for number, (mesh, tables) in enumerate(zip(self.meshes_, self.tables_, strict=True)):
            tensors[f"{number}.points"] = mesh.points
            tensors |= {f"{number}.cells.{kind}": nodes for kind, nodes in mesh.cells.items()}
            tensors |= {f"{number}.table.{location}": table for location, table in tables.items()}
        return tensors, {"n_meshes": len(self.meshes_), "kinds": [list(mesh.cells) for mesh in self.meshes_]}

    def set_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """The inverse of `get_state`."""
        self.descriptors_, self.scale_ = tensors["descriptors"], tensors["scale"]
        self.meshes_, self.tables_ = [], []
        for number, kinds in zip(range(meta["n_meshes"]), meta["kinds"], strict=True):
            cells = {kind: tensors[f"{number}.cells.{kind}"] for kind in kinds}
            self.meshes_.append(Mesh(tensors[f"{number}.points"], cells))
            locations = self.fields_.output_locations
            self.tables_.append({location: tensors[f"{number}.table.{location}"] for location in locations})


def _carry(source: Mesh, values: Tensor, mesh: Mesh, location: str) -> Tensor:
    """Values on the points or cells of `source` at those of `mesh`, after its bounding box was laid over source's."""
    places = mesh.points if location == "point" else mesh.join_cells(mesh.cell_centroids())
    target = _box_map(places.detach().cpu().to(source.dtype), mesh, source)
    if location == "cell":
        centroids = source.join_cells(source.cell_centroids())
        return values.index_select(0, ops.knn(centroids, target, 1)[1][:, 0])
    if source.domain_types and source.cell_dim == source.dim:
        from meshlearn.mesh.interpolation import interpolation_operator

        return interpolation_operator(source, target, outside="clamp")[0].apply(values)
    return values.index_select(0, ops.knn(source.points, target, 1)[1][:, 0])  # surfaces and clouds: nearest point


def _box_map(points: Tensor, mesh: Mesh, source: Mesh) -> Tensor:
    low, high = mesh.points.detach().cpu().amin(0).to(points), mesh.points.detach().cpu().amax(0).to(points)
    start, stop = source.points.amin(0), source.points.amax(0)
    extent = high - low
    share = torch.where(extent > 0, (points - low) / torch.where(extent > 0, extent, 1.0), torch.zeros_like(points))
    return start + share * (stop - start)
