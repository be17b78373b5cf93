"""The reference mesh in a saved model: points, cells and tags as tensors, and back."""

from __future__ import annotations

from torch import Tensor

from meshlearn.mesh.mesh import Mesh


def mesh_state(mesh: Mesh) -> dict[str, Tensor]:
    """{path: tensor}; paths are "points", "cells/triangle", "point_sets/name", "cell_sets/name/line"."""
    tensors: dict[str, Tensor] = {"points": mesh.points}
    tensors |= {f"cells/{kind}": table for kind, table in mesh.cells.items()}
    tensors |= {f"point_sets/{name}": rows for name, rows in mesh.point_sets.items()}
    for name, by_kind in mesh.cell_sets.items():
        tensors |= {f"cell_sets/{name}/{kind}": rows for kind, rows in by_kind.items()}
    return tensors


def mesh_from_state(tensors: dict[str, Tensor]) -> Mesh:
    """The inverse of `mesh_state`."""
    cells: dict[str, Tensor] = {}
    point_sets: dict[str, Tensor] = {}
    cell_sets: dict[str, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        place, _, rest = path.partition("/")
        if place == "cells":
            cells[rest] = tensor
        elif place == "point_sets":
            point_sets[rest] = tensor
        elif place == "cell_sets":
            name, _, kind = rest.rpartition("/")
            cell_sets.setdefault(name, {})[kind] = tensor
    return Mesh(tensors["points"], cells, point_sets=point_sets, cell_sets=cell_sets)
