"""Constants of bodies that a file gives as fields of every frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import FieldError
from meshlearn.mesh.trajectory import Trajectory

MASS = "mass"  # taken along where it is constant


def settled(item: Any, names: Iterable[Any], where: str) -> Any:
    """A trajectory with the constants of these names on its mesh, from its fields at points and of the whole.

    Formats of one file per time (.pvd, .xdmf) know no constants: they give the modulus or gravity with every frame.
    Names that are on the mesh stay as they are; those that are nowhere are left to others, and so is what is no
    trajectory. Raises FieldError for a field that changes in time.
    """
    if not isinstance(item, Trajectory):
        return item
    mesh = item.mesh
    for name in {**dict.fromkeys(name for name in names if isinstance(name, str)), MASS: None}:
        if name in mesh.point_data or name in mesh.global_data:
            continue
        if name in item.point_data and _constant(item.point_data[name], name, where):
            mesh = mesh.with_point_data(**{name: item.point_data[name][0]})
        if name in item.global_data and _constant(item.global_data[name], name, where):
            mesh = mesh.with_global_data(**{name: item.global_data[name][0]})
    return item if mesh is item.mesh else item.replace(mesh=mesh)


def _constant(series: Tensor, name: str, where: str) -> bool:
    """Whether all frames have the same; only masses may differ."""
    same = (series == series[:1]) | ((series != series) & (series[:1] != series[:1]))
    if bool(torch.all(same)):
        return True
    if name == MASS:
        return False
    frame = int((~same).reshape(len(same), -1).any(1).nonzero()[0, 0])
    raise FieldError(
        f"the field {name!r} of {where} changes in time, first in frame {frame}; inputs, gravity, box and types are "
        "constants of the body.\n  Give what is constant, or put one value on the mesh: "
        "trajectory.replace(mesh=trajectory.mesh.with_global_data(…))."
    )
