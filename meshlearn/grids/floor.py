"""How much of a model's error is the grid's, on some of the meshes that it was trained on."""

from __future__ import annotations

import math
from typing import Any

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.train.items import Items
from meshlearn.train.scoring import mean_scores

LOOKED_AT = 4
_SHARE = 0.5  # of the model's error that the floor may be without being told
_LARGER = 8  # times more nodes are tried at most, to say how many would do


class GridWarning(UserWarning):
    """A grid that is too coarse for the fields of a model: the error of the transfer is as large as the model's."""


def told_of_floors(model: Any, items: Items) -> tuple[dict[str, float], str]:
    """({output: floor}, what to tell) on the first of these training meshes; "" where the floors are small.

    Nothing for cores that are read at the points of the mesh: their outputs never were on a grid.
    """
    if getattr(model.module_.core, "at_places", False):
        return {}, ""
    seen = [_first_mesh(items[i]) for i in range(min(LOOKED_AT, len(items)))]
    adapter = model.adapter
    specs = [spec for spec in model.fields_.outputs if spec.location != "global"]
    floors = {}
    for spec in specs:
        parts = [adapter.transfer(mesh, spec.location).floor(spec.values(mesh)) for mesh in seen]
        floors[spec.name] = math.sqrt(sum(part * part for part in parts) / len(parts))
    if any(isinstance(items[i], Trajectory) for i in range(len(seen))):
        return floors, ""  # a step of a model is better than a transfer: it learns the change
    errors = mean_scores(model.pair_scores(seen))
    lines = []
    for name, floor in floors.items():
        if floor > _SHARE * errors[name]:
            lines.append(
                f"{name}: carrying it to the grid and back alone has an error of {floor:.2g}, the model of "
                f"{errors[name]:.2g}{_advice(adapter, seen[0], name, errors[name])}"
            )
    if not lines:
        return floors, ""
    return floors, f"the grid ({adapter!r}) limits this model:\n  " + "\n  ".join(lines)


def _advice(adapter: Any, mesh: Mesh, name: str, error: float) -> str:
    nodes = adapter.grid(mesh).n_nodes * _LARGER
    try:
        wanted = adapter.shape_for(mesh, name, 0.2 * error, most_nodes=nodes) if error > 0 else None
    except ParameterError:
        wanted = None
    if wanted is None:
        return (
            ";\n    no grid of a reasonable size would change that: transfer='l2', or a mesh model (ml.MeshGraphNet)."
        )
    return f"; shape={wanted} has a fifth of that."


def _first_mesh(item: Any) -> Mesh:
    return item[0] if isinstance(item, Trajectory) else item
