"""What numbers a network can compute with: fields and coordinates too large or small for its precision are errors."""

from __future__ import annotations

import torch

from meshlearn.errors import FieldError, MeshError
from meshlearn.mesh.mesh import Mesh
from meshlearn.train.fields import LARGEST, SMALLEST, FieldSet, describe

OTHER = torch.float32


def check_reach(fields: FieldSet, mesh: Mesh, dtype: torch.dtype, where: str | None = None, role: str = "") -> None:
    """Raise FieldError for a field of the mesh with values out of the reach of `dtype`, MeshError for such points.

    role  "inputs" or "outputs"; both by default
    """
    where = where or describe(mesh)
    narrow = dtype if dtype == mesh.points.dtype == torch.float64 else OTHER
    largest = float(mesh.points.detach().abs().max())
    if largest > LARGEST[narrow]:
        raise MeshError(
            f"{where} has coordinates up to {largest:.3g}, which {str(narrow).removeprefix('torch.')} cannot hold.\n"
            "  Give the points in another unit, or fit(..., precision='64')."
        )
    for spec in (*(fields.inputs if role != "outputs" else ()), *(fields.outputs if role != "inputs" else ())):
        table = spec.values(mesh, where).detach()
        largest = float(table.abs().max()) if table.numel() else 0.0
        if largest > LARGEST[narrow] or 0.0 < largest < SMALLEST[narrow]:
            raise FieldError(
                f"the largest value of the {spec.location} field {spec.name!r} on {where} is {largest:.3g}, "
                f"which {str(narrow).removeprefix('torch.')} cannot normalise: "
                f"{SMALLEST[narrow]:g} to {LARGEST[narrow]:g} is its reach.\n"
                "  Give the field in another unit"
                + (", or mesh.double() to fit(..., precision='64')." if narrow is torch.float32 else ".")
            )
