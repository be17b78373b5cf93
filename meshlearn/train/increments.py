"""Outputs that are stepped in time are learned as changes: what a network adds to the present values, and back."""

from __future__ import annotations

import torch
from torch import Tensor

from meshlearn.mesh.mesh import Mesh
from meshlearn.train.fields import FieldSet


def present_values(fields: FieldSet, mesh: Mesh, tables: dict[str, Tensor]) -> dict[str, Tensor]:
    """Present values of the outputs that are also inputs, 0 for the others: {location: (rows, width)}, as `tables`."""
    return {location: _present(fields, mesh, location, table) for location, table in tables.items()}


def to_changes(fields: FieldSet, source: Mesh, tables: dict[str, Tensor]) -> dict[str, Tensor]:
    """From outputs to changes since `source`; outputs that are not stepped in time stay as they are."""
    present = present_values(fields, source, tables)
    return {location: table - present[location] for location, table in tables.items()}


def from_changes(fields: FieldSet, source: Mesh, tables: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `to_changes`."""
    present = present_values(fields, source, tables)
    return {location: table + present[location] for location, table in tables.items()}


def _present(fields: FieldSet, mesh: Mesh, location: str, table: Tensor) -> Tensor:
    inputs = {spec.name for spec in fields.inputs}
    columns = [
        spec.values(mesh).to(table) if spec.name in inputs else table.new_zeros(len(table), spec.size)
        for spec in fields.at("outputs", location)
    ]
    return torch.cat(columns, dim=1)
