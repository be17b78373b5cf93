"""Fields as the variables of an Exodus file: float64, one per component, with a leading axis of times."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from meshlearn.io.components import joined_scalars
from meshlearn.io.tensors import file_array, to_numpy
from meshlearn.mesh.mesh import Mesh

_EXACT = 2**53  # whole numbers up to here are float64 numbers


@dataclass
class Variables:
    """What is written at every time; fields of a trajectory's still mesh are the same at all of them."""

    times: np.ndarray
    points: dict[str, np.ndarray] = field(default_factory=dict)  # (n_times, n_points)
    cells: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)  # {kind: (n_times, n_cells)}
    values: dict[str, np.ndarray] = field(default_factory=dict)  # (n_times,)


def variables(mesh: Mesh, series: Any, kinds: list[str], losses: list[str]) -> Variables:
    """The variables of a mesh (series None) or a trajectory; says what they cannot hold."""
    if series is None:
        found = Variables(np.array([float(mesh.global_data.get("time", 0.0))]))
        _add(mesh, mesh, len(found.times), False, kinds, found, losses)
        return found
    found = Variables(to_numpy(series.times))
    still = mesh.replace(
        point_data={name: values for name, values in mesh.point_data.items() if name not in series.point_data},
        cell_data={name: by_kind for name, by_kind in mesh.cell_data.items() if name not in series.cell_data},
        global_data={name: values for name, values in mesh.global_data.items() if name not in series.global_data},
    )
    if series.moving_points is not None:
        moved = to_numpy(series.moving_points).astype(np.float64)
        found.points |= {f"displacement_{'xyz'[k]}": moved[..., k] - moved[0, :, k] for k in range(mesh.dim)}
        losses.append("moving points as such (they are written as the variable 'displacement')")
    _add(series, mesh, len(found.times), True, kinds, found, losses)
    _add(still, mesh, len(found.times), False, kinds, found, losses)
    return found


def _add(
    source: Any, mesh: Mesh, n_times: int, moving: bool, kinds: list[str], into: Variables, losses: list[str]
) -> None:
    def put(target: dict[str, np.ndarray], what: str, name: str, tensor: Any, rows: int) -> None:
        parts = _components(name, _table(what, tensor, rows, n_times, moving, losses))
        if taken := sorted(parts.keys() & target.keys()):
            losses.append(f"{what} (the variable {taken[0]!r} is another field's)")
        else:
            target |= {part: values if rows else values[:, 0] for part, values in parts.items()}

    for part in ("point_data", "cell_data", "global_data"):
        losses += joined_scalars(part.replace("_", " "), getattr(source, part), "_x")
    for name, tensor in source.point_data.items():
        put(into.points, f"point data {name!r}", name, tensor, mesh.n_points)
    for kind in kinds:
        own = {part: by_kind[kind] for part, by_kind in into.cells.items() if kind in by_kind}
        for name, by_kind in source.cell_data.items():
            if kind in by_kind:
                put(own, f"cell data {name!r}", name, by_kind[kind], len(mesh.cells[kind]))
        for part, values in own.items():
            into.cells.setdefault(part, {})[kind] = values
    for name, tensor in source.global_data.items():
        if not name.startswith("side_set:") and name != "time":
            put(into.values, f"global data {name!r}", name, tensor, 0)


def _table(what: str, tensor: Any, rows: int, n_times: int, moving: bool, losses: list[str]) -> np.ndarray:
    """(n_times, rows, components); rows 0 stands for values of the whole mesh."""
    flat = file_array(tensor)[0]
    if flat.dtype.kind in "iu" and flat.size and max(int(flat.max()), -int(flat.min())) > _EXACT:
        losses.append(f"digits of {what} beyond 53 bits")
    shape = tuple(tensor.shape[(1 if rows else 0) + (1 if moving else 0) :])
    if len(shape) > 1 or (len(shape) == 1 and shape[0] > 3) or tensor.is_complex():
        losses.append(f"the shape {shape} of {what} (now one variable per component)")
    array = flat.astype(np.float64).reshape(n_times if moving else 1, rows or 1, -1)
    return np.broadcast_to(array, (n_times, *array.shape[1:]))


def _components(name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    """(n_times, rows, components) as one array per component."""
    count = array.shape[-1]
    if count == 1:
        return {name: array[..., 0]}
    tails = "xyz" if count in (2, 3) else [str(k) for k in range(count)]
    return {f"{name}_{tails[k]}": array[..., k] for k in range(count)}
