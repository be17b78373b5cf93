"""How much of a model's error is the grid's, on some of the meshes that it was trained on."""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor

from meshlearn.errors import ScoreWarning
from meshlearn.grids.search import search
from meshlearn.grids.transfer import GridTransfer
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.train.fields import FieldSpec
from meshlearn.train.items import Items
from meshlearn.train.scoring import mean_scores

LOOKED_AT = 4
_SHARE = 0.5  # of the model's error that the floor may be without being told
_WANTED = 0.2  # of the model's error, the floor of the grid that is advised
_LARGER = 8  # times more nodes are tried at most, to say how many would do,
_FINER = 4  # or this many times more nodes than the mesh has points, if that is more


class GridWarning(UserWarning):
    """A grid that is too coarse for the fields of a model: the error of the transfer is as large as the model's."""


class Carried(NamedTuple):
    """What a grid has to carry of one output of one mesh.

    mesh    where the values are
    values  (rows, f): the output, or its change, for outputs that are stepped in time
    pair    the transfer of the model
    share   size of these values relative to the output itself
    """

    mesh: Mesh
    values: Tensor
    pair: GridTransfer
    share: float

    @property
    def floor(self) -> float:
        """The error of carrying them, relative to the output."""
        return self.share * self.pair.floor(self.values)


def told_of_floors(model: Any, items: Items) -> tuple[dict[str, float], str]:
    """({output: floor}, what to tell) on the first of these training meshes; "" where the floors are small.

    Of trajectories the last step is looked at (the first frame is often at rest), and of outputs that are stepped in
    time the change, since that is what the model learns. Nothing for cores that are read at the points of the mesh:
    their outputs never were on a grid.
    """
    if getattr(model.module_.core, "at_places", False):
        return {}, ""
    seen = [items[i] for i in range(min(LOOKED_AT, len(items)))]
    seen = [item[-2:] if isinstance(item, Trajectory) else item for item in seen]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScoreWarning)  # where a field is zero there is no floor either
        errors = mean_scores(model.pair_scores(seen))
    floors, lines = {}, []
    for spec in model.fields_.outputs:
        if spec.location == "global":
            continue
        parts = [_carried(model, spec, item) for item in seen]
        floor = math.sqrt(sum(part.floor**2 for part in parts) / len(parts))
        floors[spec.name] = floor
        if floor > _SHARE * errors[spec.name]:
            lines.append(
                f"{spec.name}: carrying it to the grid and back alone has an error of {floor:.2g}, the model of "
                f"{errors[spec.name]:.2g}{_advice(model.adapter, parts[0], errors[spec.name])}"
            )
    if not lines:
        return floors, ""
    return floors, f"the grid ({model.adapter!r}) limits this model:\n  " + "\n  ".join(lines)


def _carried(model: Any, spec: FieldSpec, item: Mesh | Trajectory) -> Carried:
    if isinstance(item, Trajectory):
        mesh, truth = item[0], spec.values(item[-1])
        steps = spec.name in {other.name for other in model.fields_.inputs}
        values = truth - spec.values(mesh).to(truth) if steps else truth
    else:
        mesh, truth = item, spec.values(item)
        values = truth
    pair = model.adapter.transfer(mesh, spec.location)
    size = pair.size(truth)
    return Carried(mesh, values, pair, pair.size(values) / size if size > 0 else 0.0)


def _advice(adapter: Any, part: Carried, error: float) -> str:
    nodes = max(part.pair.grid.n_nodes * _LARGER, part.mesh.n_points * _FINER)
    wanted = _WANTED * error / part.share if part.share > 0 else math.inf
    if wanted > 0:
        with torch.no_grad():
            found = search(adapter, part.mesh, part.pair.location, part.values, wanted, nodes)
        if found.floor <= wanted:
            return f"; shape={found.points} has a fifth of that."
        if part.share * found.floor < _SHARE * part.floor:
            return f"; shape={found.points} has {part.share * found.floor:.2g}, the least of those tried."
    other = "" if adapter.transfer_name == "l2" else "transfer='l2', or "
    return f";\n    no grid of a reasonable size would change that: {other}a mesh model (ml.MeshGraphNet)."
